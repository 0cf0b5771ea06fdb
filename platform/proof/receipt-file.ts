/**
 * Receipts as they are answered and kept in files: JSON that proves one event to whoever has the public key, and needs nobody
 * else for it.
 *
 *   {"index":7,"position":"4616","leafHash":"…","size":9,"proof":["…"],"checkpoint":"…","leaf":"{…}"}
 *
 * `leaf` is the event itself; it is left out where whoever did something may not read it. The hash then stands for it.
 */
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { factsOf, type LeafFacts } from './leaf.ts';
import { equal, hashBytes, hashLeaf, provesInclusion } from './merkle.ts';
import { NoteError, type Verifier, verifyNote } from './note.ts';
import type { Receipt } from './receipts.ts';

const proofHashesMax = 64;

export type ReceiptAnswer = {
  index: number;
  position: string;
  leafHash: string;
  size: number;
  proof: string[];
  checkpoint: string;
};

const base64 = (hash: Buffer) => hash.toString('base64');

export function answerOf({ index, position, leafHash, size, proof, checkpoint }: Receipt): ReceiptAnswer {
  return {
    index,
    position: position.toString(),
    leafHash: base64(leafHash),
    size,
    proof: proof.map(base64),
    checkpoint,
  };
}

export type KeptReceipt = Omit<Receipt, 'checkpoint'> & {
  readonly checkpoint: Checkpoint;
  readonly leaf: string | undefined;
};

/** Reads what `answerOf` writes. Throws NoteError for what is none. */
export function readReceipt(value: unknown): KeptReceipt {
  const read = (value ?? {}) as Partial<Record<string, unknown>>;
  const { index, position, leafHash, size, proof, checkpoint, leaf } = read;
  const isFine =
    Number.isSafeInteger(index) &&
    Number.isSafeInteger(size) &&
    typeof position === 'string' &&
    /^\d{1,20}$/.test(position) &&
    Array.isArray(proof) &&
    proof.length <= proofHashesMax &&
    typeof checkpoint === 'string' &&
    (leaf === undefined || typeof leaf === 'string');
  if (!isFine) throw new NoteError('This is no receipt');
  return {
    index: index as number,
    position: BigInt(position),
    leafHash: hashOf(leafHash),
    size: size as number,
    proof: proof.map(hashOf),
    checkpoint: parseCheckpoint(checkpoint),
    leaf,
  };
}

function hashOf(text: unknown): Buffer {
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  if (bytes.length !== hashBytes || bytes.toString('base64') !== text)
    throw new NoteError('This is no receipt: a hash of it is broken');
  return bytes;
}

export type ReceiptProblem = { readonly kind: 'changed' | 'unproved' | 'unsigned'; readonly detail: string };

/** What is wrong with it, for whoever trusts these keys; nothing: it proves what it says. */
export function problemsOf(receipt: KeptReceipt, trusted: readonly Verifier[]): readonly ReceiptProblem[] {
  const { index, position, leafHash, size, proof, checkpoint, leaf } = receipt;
  const problems: ReceiptProblem[] = [];
  const say = (kind: ReceiptProblem['kind'], detail: string) => void problems.push({ kind, detail });
  if (leaf !== undefined && !equal(hashLeaf(Buffer.from(leaf)), leafHash))
    say('changed', 'the event is not the one whose hash was proved');
  else if (leaf !== undefined && factsOf(leaf)?.position !== position)
    say('changed', `the event does not lie at position ${position}`);
  if (checkpoint.size !== size)
    say('unproved', `its checkpoint is of ${checkpoint.size} events, not ${size}`);
  else if (!provesInclusion(proof, { leafHash, index, size, root: checkpoint.root }))
    say('unproved', `its proof does not lead to the root of ${size} events`);
  if (checkpoint.position !== null && position > checkpoint.position)
    say('unproved', `its checkpoint ends at position ${checkpoint.position}`);
  if (!isSigned(checkpoint, trusted))
    say('unsigned', `no trusted key has signed the checkpoint of ${checkpoint.size} events`);
  return problems;
}

/** Whether one of these keys has signed it as the log of its name. */
export function isSigned({ origin, parsed }: Checkpoint, trusted: readonly Verifier[]): boolean {
  try {
    return verifyNote(parsed, trusted).some(({ by, at }) => at === null && by.name === origin);
  } catch (error) {
    if (error instanceof NoteError) return false;
    throw error;
  }
}

/** What the event says of itself, where the receipt has it. */
export const eventOf = ({ leaf }: KeptReceipt): LeafFacts | undefined =>
  leaf === undefined ? undefined : factsOf(leaf);
