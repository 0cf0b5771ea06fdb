/**
 * Checkpoints (C2SP tlog-checkpoint): what a log says of its tree at one size, signed. Beside origin, size and root ours carry
 * three lines more, all of which can be checked against the events: the position of the last of them, the head of the hash
 * chain, and when it was signed.
 *
 *   apphub.example/log
 *   1200
 *   CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 *   position 480123
 *   chain q2ZBhqs4xQ9Nn1cbgm7gVL+S8HKUZhYXGeQmCjQ7Ris=
 *   time 2026-01-02T03:04:05.678Z
 *
 *   — apphub.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
 */
import { hash } from 'node:crypto';
import { hashBytes } from './merkle.ts';
import { type Note, NoteError, parseNote, type Signer, signNote } from './note.ts';

const chainPrefix = 0x02;

export type TreeHead = {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** Of the last event; null for the tree without leaves, and for checkpoints that do not say. */
  readonly position: bigint | null;
  readonly chain: Buffer | null;
  /** RFC 3339 in UTC, as the log says it. */
  readonly time: string | null;
};

export type Checkpoint = TreeHead & { readonly note: string; readonly parsed: Note };

/** Before the first leaf. */
export const chainStart = Buffer.alloc(hashBytes);

const chainInput = Buffer.alloc(1 + 2 * hashBytes);
chainInput[0] = chainPrefix;

/** The chain after one more leaf: SHA-256(0x02 || chain before || leaf hash). */
export function chainAfter(chain: Uint8Array, leafHash: Uint8Array): Buffer {
  chainInput.set(chain, 1);
  chainInput.set(leafHash, 1 + hashBytes);
  return hash('sha256', chainInput, 'buffer');
}

function checkpointText({ origin, size, root, position, chain, time }: TreeHead): string {
  const more = [
    ...(position === null ? [] : [`position ${position}`]),
    ...(chain === null ? [] : [`chain ${chain.toString('base64')}`]),
    ...(time === null ? [] : [`time ${time}`]),
  ];
  return `${[origin, size, root.toString('base64'), ...more].join('\n')}\n`;
}

export function signCheckpoint(head: TreeHead, signer: Signer): Checkpoint {
  return parseCheckpoint(signNote(checkpointText(head), signer));
}

/** Takes a checkpoint apart, ours or another log's. Throws NoteError; signatures are not looked at. */
export function parseCheckpoint(note: string): Checkpoint {
  const parsed = parseNote(note);
  const [origin = '', size = '', encoded = '', ...more] = parsed.text.split('\n').slice(0, -1);
  const root = Buffer.from(encoded, 'base64');
  const isFine =
    origin !== '' &&
    /^(0|[1-9]\d{0,15})$/.test(size) &&
    Number.isSafeInteger(Number(size)) &&
    root.length === hashBytes &&
    root.toString('base64') === encoded &&
    more.every(line => line !== '');
  if (!isFine) throw new NoteError('This is no checkpoint');
  const line = (name: string) => more.find(one => one.startsWith(`${name} `))?.slice(name.length + 1);
  const position = line('position');
  const chain = line('chain');
  if (position !== undefined && !/^\d{1,20}$/.test(position))
    throw new NoteError('The position of the checkpoint is broken');
  const chainHead = chain === undefined ? null : Buffer.from(chain, 'base64');
  if (chainHead !== null && (chainHead.length !== hashBytes || chainHead.toString('base64') !== chain))
    throw new NoteError('The chain of the checkpoint is broken');
  return {
    origin,
    size: Number(size),
    root,
    position: position === undefined ? null : BigInt(position),
    chain: chainHead,
    time: line('time') ?? null,
    note,
    parsed,
  };
}
