/**
 * `apphub audit verify`: without a server, its settings or its database. All it goes by are the files it is given and the public
 * key, so it can be run anywhere, by anybody, years later.
 */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { type Checkpoint, parseCheckpoint } from '../platform/proof/checkpoint.ts';
import { checkpointsIn } from '../platform/proof/checkpoint-file.ts';
import { trustedKeys } from '../platform/proof/key-change.ts';
import { NoteError, readVerifier, type Verifier } from '../platform/proof/note.ts';
import {
  eventOf,
  isSigned,
  type KeptReceipt,
  problemsOf,
  readReceipt,
} from '../platform/proof/receipt-file.ts';
import type { Verified } from '../platform/proof/verify.ts';
import { type Compared, compareCheckpoints } from '../platform/proof/verify-apart.ts';
import type { Difference } from '../platform/proof/verify-difference.ts';
import type { Known } from '../platform/proof/verify-known.ts';
import { verifyStream } from '../platform/proof/verify-stream.ts';
import { exits, UsageError } from './exit.ts';
import { duration, size } from './format.ts';
import { facts, type Output } from './output.ts';
import { count } from './say.ts';
import { defineVerb } from './verb.ts';

const progressEveryMs = 3_000;
const filesMax = 256;

/** What is wrong, and where: in the export, or in a file beside it. */
type Finding = {
  readonly kind: Difference['kind'] | ReturnType<typeof problemsOf>[number]['kind'] | 'foreign';
  readonly source: string;
  readonly index: number | null;
  readonly before: number | null;
  readonly position: string | null;
  readonly detail: string;
};

type Beside = { readonly source: string; readonly checkpoints: readonly Checkpoint[] };
type Receipted = { readonly source: string; readonly receipt: KeptReceipt };

export const verify = defineVerb({
  summary: 'Verify an export, receipts or checkpoints, with nothing but the public key',
  words: '[<export>]',
  options: {
    key: { type: 'string', value: 'key', help: 'The public key, as name+id+base64, or a file that holds it' },
    keys: {
      type: 'string',
      value: 'file',
      help: 'Changes of keys, as `apphub audit keys --json` prints them',
    },
    checkpoint: {
      type: 'string',
      multiple: true,
      value: 'file',
      help: 'Checkpoints that somebody has kept, to be held against it (repeatable)',
    },
    receipt: { type: 'string', multiple: true, value: 'file', help: 'A receipt to verify (repeatable)' },
  },
  examples: [
    'apphub audit verify audit.txt --key apphub.key --checkpoint witness.txt',
    'apphub audit verify --receipt receipt.json --key apphub.key',
    'apphub audit verify --checkpoint one.txt --checkpoint two.txt --key apphub.key',
  ],
  about:
    'Needs no server. Ends with 0 when everything holds, 1 when something does not, 2 when there is nothing to go by.',
  run: async ({ words, options, out }) => {
    const [file] = words;
    const { key, keys, checkpoint = [], receipt = [] } = options;
    if (key === undefined) throw new UsageError('--key is missing: without the public key nothing is proved');
    if (file === undefined && checkpoint.length + receipt.length === 0)
      throw new UsageError('<export> is missing, or --receipt, or --checkpoint');
    if (checkpoint.length + receipt.length > filesMax) throw new UsageError(`At most ${filesMax} files`);
    const anchor = await keyOf(key);
    const trusted = keys === undefined ? [anchor] : trustedKeys(anchor, await changesIn(keys));
    const beside = await Promise.all(checkpoint.map(readBeside));
    const receipts = (await Promise.all(receipt.map(readReceipts))).flat();
    const known = [
      ...beside,
      ...receipts.map(one => ({ source: one.source, checkpoints: [one.receipt.checkpoint] })),
    ];
    const verified = file === undefined ? undefined : await verifyExport(file, anchor, known, out);
    const keysFound = verified === undefined ? trusted : [...trusted, ...verified.keys];
    const compared = verified === undefined ? compareCheckpoints(signedIn(known, keysFound)) : undefined;
    const findings = [
      ...(verified === undefined ? [] : ofExport(file ?? '', verified, known)),
      ...(compared === undefined ? [] : ofCompared(compared)),
      ...(verified === undefined ? unsignedIn(beside, keysFound) : []),
      ...receipts.flatMap(one => ofReceipt(one, keysFound)),
    ];
    if (out.json) out.document(documentOf(verified, compared, receipts, findings));
    else say(out, { verified, compared, receipts, findings });
    return findings.length === 0 ? exits.ok : exits.failed;
  },
});

async function keyOf(given: string): Promise<Verifier> {
  try {
    return readVerifier(given);
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    if (/^[^/\s]+\+[0-9a-f]{8}\+/.test(given)) throw new UsageError(`--key: ${error.message}`);
  }
  const text = await textIn(given);
  try {
    return readVerifier(text);
  } catch (error) {
    if (error instanceof NoteError) throw new UsageError(`${given}: ${error.message}`);
    throw error;
  }
}

async function textIn(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

async function jsonIn(file: string): Promise<unknown> {
  const text = await textIn(file);
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${file} holds no JSON`);
  }
}

async function changesIn(file: string): Promise<readonly string[]> {
  const read = (await jsonIn(file)) as { data?: { statement?: unknown }[] };
  if (!Array.isArray(read?.data)) throw new UsageError(`${file} holds no keys`);
  return read.data.flatMap(({ statement }) => (typeof statement === 'string' ? [statement] : []));
}

async function readBeside(source: string): Promise<Beside> {
  const text = await textIn(source);
  const found = checkpointsIn(text);
  if (found.length > 0) return { source, checkpoints: found };
  try {
    return { source, checkpoints: [parseCheckpoint(text)] };
  } catch (error) {
    if (error instanceof NoteError) throw new UsageError(`${source}: ${error.message}`);
    throw error;
  }
}

async function readReceipts(source: string): Promise<readonly Receipted[]> {
  const read = await jsonIn(source);
  return [read].flat().map(one => {
    // As the API answers it, or as it is kept.
    const { receipt, data } = (one ?? {}) as { receipt?: unknown; data?: unknown };
    try {
      return { source, receipt: readReceipt(receipt ?? data ?? one) };
    } catch (error) {
      if (error instanceof NoteError) throw new UsageError(`${source}: ${error.message}`);
      throw error;
    }
  });
}

type Export = Verified & { readonly bytes: number; readonly seconds: number };

async function verifyExport(
  file: string,
  key: Verifier,
  beside: readonly Beside[],
  out: Output,
): Promise<Export> {
  const known: Known[] = beside.flatMap(({ source, checkpoints }) =>
    checkpoints.filter(({ origin }) => origin === key.name).map(checkpoint => ({ source, checkpoint })),
  );
  const bytesMax = file === '-' ? undefined : await sizeOf(file);
  const from = performance.now();
  let toldMs = from;
  const onProgress = (bytes: number) => {
    if (performance.now() - toldMs < progressEveryMs) return;
    toldMs = performance.now();
    const rate = (bytes / (toldMs - from)) * 1_000;
    const left = bytesMax === undefined ? '' : `, ${duration(((bytesMax - bytes) / rate) * 1_000)} left`;
    out.note(`${size(bytes)}${bytesMax === undefined ? '' : ` of ${size(bytesMax)}`}${left}`);
  };
  const parts = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    const verified = await verifyStream(parts, { key, known, onProgress });
    return { ...verified, seconds: (performance.now() - from) / 1_000 };
  } catch (error) {
    throw new UsageError(`${file} cannot be verified: ${(error as Error).message}`, { cause: error });
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Only what the log has signed says anything about it. */
const signedIn = (known: readonly Beside[], trusted: readonly Verifier[]): readonly Known[] =>
  known.flatMap(({ source, checkpoints }) =>
    checkpoints.filter(one => isSigned(one, trusted)).map(checkpoint => ({ source, checkpoint })),
  );

const nowhere = { index: null, before: null, position: null };

function ofExport(file: string, verified: Verified, beside: readonly Beside[]): readonly Finding[] {
  const found = verified.differences.map(({ kind, index, before, position, detail }) => ({
    kind,
    source: file,
    index,
    before,
    position: position?.toString() ?? null,
    detail,
  }));
  const foreign = beside.filter(
    ({ checkpoints }) => !checkpoints.some(one => one.origin === verified.origin),
  );
  return [
    ...found,
    ...foreign.map(({ source, checkpoints }) => ({
      kind: 'foreign' as const,
      source,
      ...nowhere,
      detail: `it is of ${checkpoints[0]?.origin}, the export of ${verified.origin}`,
    })),
  ];
}

const unsignedIn = (beside: readonly Beside[], trusted: readonly Verifier[]): readonly Finding[] =>
  beside.flatMap(({ source, checkpoints }) =>
    checkpoints
      .filter(one => !isSigned(one, trusted))
      .map(one => ({
        kind: 'unsigned' as const,
        source,
        index: 0,
        before: one.size,
        position: one.position?.toString() ?? null,
        detail: `no trusted key has signed the checkpoint of ${one.size} events`,
      })),
  );

const ofCompared = ({ forks }: Compared): readonly Finding[] =>
  forks.map(({ sound, size: before, sources }) => ({
    kind: 'forked',
    source: sources.join(', '),
    index: sound,
    before,
    position: null,
    detail: `${sources.join(' and ')} were shown different histories of ${before} events`,
  }));

const ofReceipt = ({ source, receipt }: Receipted, trusted: readonly Verifier[]): readonly Finding[] =>
  problemsOf(receipt, trusted).map(({ kind, detail }) => ({
    kind,
    source,
    index: receipt.index,
    before: null,
    position: receipt.position.toString(),
    detail,
  }));

const receiptFacts = ({ source, receipt }: Receipted) => {
  const { index, position, leafHash, checkpoint } = receipt;
  const { stream, type, created } = eventOf(receipt) ?? {};
  return {
    source,
    index,
    position: position.toString(),
    leafHash: leafHash.toString('base64'),
    stream: stream ?? null,
    type: type ?? null,
    created: created ?? null,
    size: checkpoint.size,
    signedAt: checkpoint.time,
  };
};

function documentOf(
  verified: Export | undefined,
  compared: Compared | undefined,
  receipts: readonly Receipted[],
  findings: readonly Finding[],
): object {
  const facts = verified && {
    origin: verified.origin,
    from: verified.from,
    size: verified.size,
    root: verified.root.toString('base64'),
    checkpoints: verified.checkpoints,
    signedSize: verified.signedSize,
    keys: verified.keys.map(({ vkey }) => vkey),
    agreeing: verified.agreeing,
    bytes: verified.bytes,
    seconds: verified.seconds,
  };
  return {
    ok: findings.length === 0,
    export: facts ?? null,
    compared: compared === undefined ? null : { same: compared.same, apart: compared.apart },
    receipts: receipts.map(receiptFacts),
    findings,
  };
}

type Said = {
  readonly verified: Export | undefined;
  readonly compared: Compared | undefined;
  readonly receipts: readonly Receipted[];
  readonly findings: readonly Finding[];
};

function say(out: Output, { verified, compared, receipts, findings }: Said): void {
  if (verified !== undefined) sayExport(out, verified);
  for (const one of receipts) sayReceipt(out, one);
  if (compared !== undefined && compared.same + compared.apart > 0) {
    out.line(`${count(compared.same, 'size')} of which several have a checkpoint, and the same one`);
    if (compared.apart > 0)
      out.note('What only one has cannot be compared without an export: give it as well.');
  }
  for (const { kind, source, index, before, position, detail } of findings) {
    const where = [
      ...(index === null ? [] : [before === null ? `leaf ${index}` : `leaves ${index} to ${before - 1}`]),
      ...(position === null ? [] : [`position ${position}`]),
    ].join(', ');
    out.line(out.paint('red', `${kind}  ${where}${where === '' ? '' : ': '}${detail}  (${source})`));
  }
  out.line(
    findings.length === 0
      ? out.paint('green', 'Everything holds.')
      : out.paint('red', `${count(findings.length, 'finding')}.`),
  );
}

function sayExport(out: Output, verified: Export): void {
  const { origin, from, size: to, checkpoints, signedSize, root, agreeing, bytes, seconds } = verified;
  const rate = Math.round((to - from) / seconds);
  facts(out, [
    ['log', origin],
    ['events', `${to - from}${from === 0 ? '' : `, from leaf ${from}`}`],
    ['root', root.toString('base64')],
    ['signed', `${count(checkpoints, 'checkpoint')}, the last over ${signedSize} events`],
    ['agreeing', agreeing.join(', ')],
    ['took', `${duration(seconds * 1_000)} for ${size(bytes)}, ${rate} events a second`],
  ]);
}

function sayReceipt(out: Output, one: Receipted): void {
  const { source, index, position, leafHash, stream, type, created, size: to, signedAt } = receiptFacts(one);
  const what = type === null ? `the event of hash ${leafHash}` : `${type} of ${stream}, stored ${created}`;
  out.line(`${source}: ${what}`);
  out.line(
    `  at position ${position}, leaf ${index} of ${to}${signedAt === null ? '' : ` signed at ${signedAt}`}`,
  );
}
