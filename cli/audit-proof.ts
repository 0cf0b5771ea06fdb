/** `apphub audit export|checkpoint|receipt|keys|…`: what proves the log, fetched from a server. */
import { createWriteStream } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Checkpoint, parseCheckpoint } from '../platform/proof/checkpoint.ts';
import { checkpointsIn } from '../platform/proof/checkpoint-file.ts';
import { provesConsistency } from '../platform/proof/merkle.ts';
import { NoteError, readVerifier } from '../platform/proof/note.ts';
import { eventOf, isSigned, readReceipt } from '../platform/proof/receipt-file.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { plain, relative, size } from './format.ts';
import { facts, type Output } from './output.ts';
import { defineVerb } from './verb.ts';

const progressEveryMs = 3_000;
const tailChars = 64;

export const exportLog = defineVerb({
  summary: 'Save every event with what proves it, as one file to be verified anywhere',
  words: '<file>',
  options: {
    from: {
      type: 'string',
      value: 'position',
      help: 'Not from the start, but from the checkpoint before this',
    },
    to: { type: 'string', value: 'position', help: 'Not to the end, but to the checkpoint behind this' },
  },
  examples: ['apphub audit export audit.txt', 'apphub audit export - | gzip > audit.txt.gz'],
  about: 'With - for the file it is printed. What is there already is replaced when the new one is whole.',
  run: async ({ words, options, client, out, signal }) => {
    const [file = '-'] = words;
    const { from, to } = options;
    const answer = await client.text('/audit/export', { from, to });
    const tap = tapOf(out);
    const body = Readable.fromWeb(answer.body as never);
    if (file === '-') {
      for await (const part of body.pipe(tap.stream)) await out.write(part as never);
    } else {
      const part = `${file}.part`;
      await pipeline(body, tap.stream, createWriteStream(part), { signal }).catch(async error => {
        await rm(part, { force: true });
        throw error;
      });
      if (tap.ended() !== undefined) await rename(part, file);
    }
    const ended = tap.ended();
    if (ended === undefined) throw new Error('The server broke off: the export has no end.');
    if (file === '-') return exits.ok;
    if (out.json) out.document({ file, size: ended, bytes: tap.bytes() });
    else out.line(`${ended} events, ${size(tap.bytes())}, in ${file}`);
    return exits.ok;
  },
});

/** Counts what passes, tells of it now and then, and remembers how it ends. */
function tapOf(out: Output) {
  let [bytes, tail, toldMs] = [0, '', performance.now()];
  const stream = new Transform({
    transform(part: Buffer, _encoding, done) {
      bytes += part.length;
      tail = (tail + part.toString('latin1', Math.max(0, part.length - tailChars))).slice(-tailChars);
      if (performance.now() - toldMs > progressEveryMs) {
        toldMs = performance.now();
        out.note(`${size(bytes)} so far`);
      }
      done(null, part);
    },
  });
  return {
    stream,
    bytes: () => bytes,
    /** How many leaves the tree has at the end of it; undefined: it was cut off. */
    ended() {
      const found = /(?:^|\n)end (\d+)\n$/.exec(tail)?.[1];
      return found === undefined ? undefined : Number(found);
    },
  };
}

export const checkpoint = defineVerb({
  summary: 'Print the newest signed head of the tree, to be kept elsewhere',
  words: '',
  options: {
    since: {
      type: 'string',
      value: 'file',
      help: 'One that was kept before: the new one has to go on from it, or this ends with 1',
    },
    key: { type: 'string', value: 'key', help: 'The public key it has to be signed with' },
  },
  examples: [
    'apphub audit checkpoint > monday.txt',
    'apphub audit checkpoint --since monday.txt > tuesday.txt',
  ],
  run: async ({ options, client, out }) => {
    const note = await (await client.text('/audit/checkpoint')).text();
    const now = parseCheckpoint(note);
    const problem =
      signatureProblem(now, options.key) ??
      (options.since === undefined ? undefined : await forkSince(client, options.since, now));
    if (problem !== undefined) throw new Error(problem);
    if (out.json) {
      const { origin, size: events, root, position, time } = now;
      const at = position?.toString() ?? null;
      out.document({ origin, size: events, root: root.toString('base64'), position: at, time, note });
    } else await out.write(note);
    return exits.ok;
  },
});

function signatureProblem(now: Checkpoint, key: string | undefined): string | undefined {
  if (key === undefined) return undefined;
  try {
    return isSigned(now, [readVerifier(key)]) ? undefined : 'The checkpoint is not signed with this key.';
  } catch (error) {
    if (error instanceof NoteError) throw new UsageError(`--key: ${error.message}`);
    throw error;
  }
}

async function forkSince(client: Client, file: string, now: Checkpoint): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(error => {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  });
  const before = checkpointsIn(text).at(-1);
  if (before === undefined) throw new UsageError(`${file} holds no checkpoint`);
  if (before.origin !== now.origin)
    return `${file} is of ${before.origin}, and the server has ${now.origin}.`;
  if (before.size > now.size)
    return `${file} is of ${before.size} events, and the server has ${now.size}: the end is missing.`;
  const { data } = await client.get<{ data: { proof: string[] } }>('/audit/proof/consistency', {
    from: before.size,
    to: now.size,
  });
  const proof = data.proof.map(hash => Buffer.from(hash, 'base64'));
  if (provesConsistency(proof, before, now)) return undefined;
  return `The ${now.size} events of the server do not go on from the ${before.size} of ${file}: its history is another one.`;
}

export const receipt = defineVerb({
  summary: 'Show what proves one event, and save it',
  words: '<event>',
  options: {
    save: { type: 'string', value: 'file', help: 'Where to put it, for `apphub audit verify --receipt`' },
  },
  examples: ['apphub audit receipt 4616 --save receipt.json'],
  about: 'The event is meant by its position in the log or by its id.',
  run: async ({ words, options, client, out }) => {
    const [event = ''] = words;
    const query = /^\d+$/.test(event) ? { position: event } : { id: event };
    const { data } = await client.get<{ data: object }>('/audit/receipt', query);
    if (options.save !== undefined) await writeFile(options.save, `${JSON.stringify(data, null, 2)}\n`);
    if (out.json) out.document({ data });
    else sayReceipt(out, data);
    return exits.ok;
  },
});

function sayReceipt(out: Output, data: object): void {
  const read = readReceipt(data);
  const { type, stream, id, created } = eventOf(read) ?? {};
  const { index, position, leafHash, proof, checkpoint: signed } = read;
  facts(out, [
    ['event', type === undefined ? null : `${type} of ${stream}`],
    ['id', id],
    ['stored', created],
    ['position', position.toString()],
    ['leaf', `${index} of ${signed.size}`],
    ['hash', leafHash.toString('base64')],
    ['proof', `${proof.length} hashes to ${signed.root.toString('base64')}`],
    ['signed', [signed.origin, signed.time].filter(one => one !== null).join(', ')],
  ]);
}

type Key = {
  key: string;
  keyId: string;
  origin: string;
  since: string;
  until: string | null;
  because: string | null;
  statement: string | null;
};

export const keys = defineVerb({
  summary: 'List every public key the tree was ever signed with',
  words: '',
  options: {},
  examples: ['apphub audit keys', 'apphub audit keys --json > keys.json'],
  about: 'Keep the newest where nobody who can reach the server can change it: everything is verified by it.',
  run: async ({ client, out }) => {
    const found = await client.get<{ data: Key[] }>('/audit/keys');
    if (out.json) out.document(found);
    else keyRows(out, found.data);
    return exits.ok;
  },
});

function keyRows(out: Output, found: readonly Key[]): void {
  if (found.length === 0) {
    out.note('The tree has no key yet.');
    return;
  }
  const rows = found.map(({ key, since, until, statement, because }, at) => [
    key,
    since,
    until ?? '-',
    statement !== null ? 'the one before' : at === 0 ? '-' : `nobody (${because ?? 'begun again'})`,
  ]);
  out.table([{ title: 'KEY' }, { title: 'SINCE' }, { title: 'UNTIL' }, { title: 'VOUCHED FOR BY' }], rows);
}

export const rotateKey = defineVerb({
  summary: 'Have the tree signed with another key, which the present one vouches for',
  words: '',
  options: {},
  examples: ['apphub audit rotate-key'],
  run: ({ client, out }) =>
    ask(client, out, '/audit/keys/rotate', 'Another key was asked for: apphub audit keys'),
});

export const rebuild = defineVerb({
  summary: 'Have the tree made again from the log, beside the one that is read',
  words: '',
  options: {},
  examples: ['apphub audit rebuild'],
  run: ({ client, out }) => ask(client, out, '/audit/tree/rebuild', 'The tree is made again.'),
});

export const restart = defineVerb({
  summary: 'Begin again under another name, with a key that nobody vouches for',
  words: '',
  options: { because: { type: 'string', value: 'reason', help: 'Why, for those who verify' } },
  examples: ['apphub audit restart --because "the key was lost with its disk"'],
  about:
    'For when the key is lost, or the log is not any more what was signed. All who verify have to be told.',
  run: async ({ options, client, out }) => {
    const { because } = options;
    if (because === undefined) throw new UsageError('--because is missing: who verifies will ask');
    return ask(client, out, '/audit/tree/restart', 'A new beginning was asked for.', { because });
  },
});

async function ask(client: Client, out: Output, path: string, said: string, body?: object): Promise<number> {
  const answer = await client.write('POST', path, body);
  if (out.json) out.document(answer);
  else out.line(said);
  return exits.ok;
}

type Witness = {
  name: string;
  kind: string;
  size: number;
  seenAt: string | null;
  problem: string | null;
  failingSince: string | null;
};

export const witnesses = defineVerb({
  summary: 'Show how far each witness has been brought, and what keeps it from more',
  words: '',
  options: {},
  examples: ['apphub audit witnesses'],
  about: 'Ends with 1 while any of them fails.',
  run: async ({ client, out }) => {
    const found = await client.get<{ data: Witness[] }>('/audit/witnesses');
    if (out.json) out.document(found);
    else witnessRows(out, found.data);
    return found.data.some(({ problem }) => problem !== null) ? exits.failed : exits.ok;
  },
});

function witnessRows(out: Output, found: readonly Witness[]): void {
  if (found.length === 0) {
    out.note('There are no witnesses: APPHUB_AUDIT_WITNESSES names them.');
    return;
  }
  const rows = found.map(({ name, kind, size: events, seenAt, problem, failingSince }) => [
    name,
    kind,
    String(events),
    seenAt === null ? 'never' : relative(seenAt),
    problem === null ? '-' : `since ${relative(failingSince)}: ${plain(problem)}`,
  ]);
  const heads = ['WITNESS', 'KIND', 'EVENTS', 'HANDED OVER'].map(title => ({ title }));
  out.table([...heads, { title: 'PROBLEM', shrinks: true }], rows);
}
