/**
 * A verifier written from docs/audit.md alone: it shares no code with platform/proof, and nothing but node:crypto with anybody.
 * It is made to be read, not to be fast: it keeps all leaves, and makes each root anew.
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';

export type Kept = { readonly name: string; readonly notes: readonly string[] };
type Finding = { readonly what: string; readonly from: number; readonly to: number | null };
export type Verdict = {
  readonly sound: boolean;
  readonly size: number;
  readonly root: string;
  readonly findings: readonly Finding[];
};

const sha = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const byte = (value: number) => Uint8Array.of(value);
const leafHash = (leaf: Uint8Array) => sha(byte(0), leaf);
const nodeHash = (left: Buffer, right: Buffer) => sha(byte(1), left, right);

/** Largest power of two that is smaller. */
function half(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/** The tree as RFC 9162 defines it; of what lies before the first leaf only some roots are known. */
class Tree {
  readonly #known = new Map<string, Buffer>();
  readonly #leaves: Buffer[] = [];
  readonly from: number;

  constructor(from: number, peaks: readonly Buffer[]) {
    this.from = from;
    let at = 0;
    for (const [n, digit] of [...from.toString(2)].entries()) {
      const width = 2 ** (from.toString(2).length - 1 - n);
      if (digit === '0') continue;
      const peak = peaks[[...from.toString(2).slice(0, n)].filter(one => one === '1').length];
      if (peak !== undefined) this.#known.set(`${at} ${at + width}`, peak);
      at += width;
    }
  }

  get size(): number {
    return this.from + this.#leaves.length;
  }

  add(hash: Buffer): void {
    this.#leaves.push(hash);
  }

  root(size: number): Buffer {
    return size === 0 ? sha() : this.#range(0, size);
  }

  #range(from: number, to: number): Buffer {
    const known = this.#known.get(`${from} ${to}`);
    if (known !== undefined) return known;
    if (to - from === 1) return this.#leaves[from - this.from] ?? sha();
    const middle = from + half(to - from);
    const root = nodeHash(this.#range(from, middle), this.#range(middle, to));
    // A subtree with a power of two of leaves stays what it is.
    if (half(to - from) * 2 === to - from) this.#known.set(`${from} ${to}`, root);
    return root;
  }
}

type Key = { readonly name: string; readonly id: string; readonly raw: Buffer; readonly written: string };

function keyOf(written: string): Key {
  const [, name = '', id = '', body = ''] = /^([^+]+)\+([^+]+)\+(.+)$/.exec(written) ?? [];
  const bytes = Buffer.from(body, 'base64');
  if (bytes.length !== 33 || bytes[0] !== 1) throw new Error('no key of a log');
  const right = sha(Buffer.from(`${name}\n`), bytes)
    .toString('hex')
    .slice(0, 8);
  if (right !== id) throw new Error('the id is not that of the key');
  return { name, id, raw: bytes.subarray(1), written };
}

function isKey(written: string): boolean {
  try {
    return keyOf(written).written === written;
  } catch {
    return false;
  }
}

/** The text of a note, if each of these has signed it, and as many as are wanted of them. */
function textSignedBy(note: string, keys: readonly Key[], wanted: number): string | undefined {
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0) return undefined;
  const text = note.slice(0, cut + 1);
  const signed = new Set<string>();
  for (const line of note
    .slice(cut + 2)
    .split('\n')
    .filter(Boolean)) {
    const [dash, name, body = ''] = line.split(' ');
    const bytes = Buffer.from(body, 'base64');
    const key = keys.find(one => one.name === name && one.id === bytes.toString('hex', 0, 4));
    if (dash !== '—' || key === undefined) continue;
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key.raw]);
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    if (!verifySignature(null, Buffer.from(text), publicKey, bytes.subarray(4))) return undefined;
    signed.add(key.written);
  }
  return signed.size >= wanted ? text : undefined;
}

type Checkpoint = { origin: string; size: number; root: string; chain: string | undefined };

function checkpointOf(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...more] = text.split('\n');
  const chain = more.find(line => line.startsWith('chain '))?.slice('chain '.length);
  return { origin, size: Number(size), root, chain };
}

/** Keys that changes lead to from one that is trusted. */
function trustedFrom(anchor: Key, changes: readonly string[]): readonly Key[] {
  const trusted = [anchor];
  const pairs = changes.flatMap(note => {
    const found = /^apphub audit key change v1\norigin (.+)\nfrom (.+)\nto (.+)\ntime (.+)\n\n/.exec(note);
    const [, origin, from = '', to = ''] = found ?? [];
    if (origin !== anchor.name) return [];
    const pair = [keyOf(from), keyOf(to)] as const;
    return textSignedBy(note, pair, 2) === undefined ? [] : [pair];
  });
  for (let again = true; again; ) {
    again = false;
    for (const pair of pairs) {
      const isThere = pair.map(key => trusted.some(one => one.written === key.written));
      if (isThere[0] === isThere[1]) continue;
      trusted.push(isThere[0] ? pair[1] : pair[0]);
      again = true;
    }
  }
  return trusted;
}

export function verifyAgain(file: Uint8Array, key: string, kept: readonly Kept[] = []): Verdict {
  const findings: Finding[] = [];
  const say = (what: string, from: number, to: number | null = null) =>
    void findings.push({ what, from, to });
  const read = readLines(Buffer.from(file));
  const keys = trustedFrom(keyOf(key), read.changes);
  const tree = new Tree(read.from, read.peaks);
  const fine: Held = { chain: read.chain, sound: read.from, signed: read.from, last: -1n };
  if (!read.isWhole) say('malformed', read.from);
  const peaksWanted = [...read.from.toString(2)].filter(digit => digit === '1').length;
  if (!Number.isSafeInteger(read.from) || read.peaks.length !== peaksWanted) {
    say('malformed', read.from);
    return { sound: false, size: read.from, root: '', findings };
  }
  for (const block of read.blocks) {
    if (block.index !== tree.size) {
      say(block.index > tree.size ? 'missing' : 'malformed', tree.size, block.index);
      break;
    }
    holdBlock(block, { tree, keys, origin: read.origin, fine, say });
  }
  if (read.rest > 0 || read.end === undefined) say('cut off', tree.size);
  if (read.end !== undefined && read.end !== tree.size) say('cut off', tree.size, read.end);
  if (fine.signed < tree.size) say('unsigned', fine.signed, tree.size);
  for (const one of kept) holdKept(one, tree, { keys, origin: read.origin, say });
  return {
    sound: findings.length === 0,
    size: tree.size,
    root: tree.root(tree.size).toString('base64'),
    findings,
  };
}

type Held = { chain: Buffer; sound: number; signed: number; last: bigint };
type Say = (what: string, from: number, to?: number | null) => void;
type Context = { tree: Tree; keys: readonly Key[]; origin: string; fine: Held; say: Say };

/** The leaves since the last tile, the checkpoints among them, and the tile. */
function holdBlock(block: Block, { tree, keys, origin, fine, say }: Context): void {
  const { leaves, checkpoints, index, tile } = block;
  const count = Math.max(leaves.length, tile.length);
  for (let n = 0; n < count; n += 1) {
    const leaf = leaves[n];
    if (leaf === undefined || tile[n] === undefined || !leafHash(leaf).equals(tile[n] as Buffer)) {
      say('changed, missing, inserted or reordered', index + n);
      break;
    }
  }
  for (const [n, leaf] of leaves.entries()) {
    const position = positionIn(leaf);
    if (position <= fine.last) say('reordered', index + n);
    if (position >= 0n) fine.last = position;
  }
  for (const hash of tile) {
    tree.add(hash);
    fine.chain = sha(byte(2), fine.chain, hash);
    for (const note of checkpoints) {
      if (checkpointSize(note) !== tree.size) continue;
      const text = textSignedBy(note, keys, 1);
      const { origin: ofLog, size, root, chain } = checkpointOf(text ?? note);
      if (text === undefined || ofLog !== origin) {
        say('unsigned', size);
        continue;
      }
      const isRoot = tree.root(size).toString('base64') === root;
      const isChain = chain === undefined || fine.chain.toString('base64') === chain;
      if (!isRoot || !isChain) say('rewritten', fine.sound, size);
      else {
        fine.sound = size;
        fine.signed = size;
      }
    }
  }
  let before = index + 1;
  for (const size of checkpoints.map(checkpointSize)) {
    if (!(size >= before && size <= tree.size)) say('malformed', tree.size);
    before = size;
  }
}

const checkpointSize = (note: string) => Number(note.split('\n')[1]);

function positionIn(leaf: Uint8Array): bigint {
  try {
    return BigInt(JSON.parse(Buffer.from(leaf).toString()).position);
  } catch {
    return -1n;
  }
}

function holdKept(
  { notes }: Kept,
  tree: Tree,
  { keys, origin, say }: Pick<Context, 'keys' | 'origin' | 'say'>,
) {
  let sound = tree.from;
  const checkpoints: Checkpoint[] = [];
  for (const note of notes) {
    const text = textSignedBy(note, keys, 1);
    if (text === undefined) say('unsigned', tree.from);
    else if (checkpointOf(text).origin === origin) checkpoints.push(checkpointOf(text));
  }
  for (const { size, root } of checkpoints.sort((a, b) => a.size - b.size)) {
    if (size < tree.from) continue;
    if (size > tree.size) say('cut off', tree.size, size);
    else if (tree.root(size).toString('base64') === root) sound = size;
    else {
      say('rewritten', sound, size);
      break;
    }
  }
}

type Block = {
  readonly index: number;
  readonly tile: readonly Buffer[];
  readonly leaves: readonly Buffer[];
  readonly checkpoints: readonly string[];
};

function readLines(file: Buffer) {
  const read = {
    origin: '',
    from: 0,
    chain: Buffer.alloc(32) as Buffer,
    peaks: [] as Buffer[],
    changes: [] as string[],
    blocks: [] as Block[],
    end: undefined as number | undefined,
    rest: 0,
    isWhole: true,
  };
  let leaves: Buffer[] = [];
  let checkpoints: string[] = [];
  const text = (body: string) => Buffer.from(body, 'base64').toString();
  const hashes = (body: string) => {
    const bytes = Buffer.from(body, 'base64');
    if (bytes.length === 0 || bytes.length % 32 !== 0) read.isWhole = false;
    return Array.from({ length: Math.floor(bytes.length / 32) }, (_, n) =>
      bytes.subarray(n * 32, n * 32 + 32),
    );
  };
  const words: Record<string, (body: string) => void> = {
    origin: body => {
      read.origin = body;
    },
    from: body => {
      const [index, chain = ''] = body.split(' ');
      read.from = Number(index);
      read.chain = hashes(chain)[0] ?? read.chain;
    },
    peak: body => void read.peaks.push(...hashes(body)),
    key: body => {
      if (!isKey(body)) read.isWhole = false;
    },
    change: body => void read.changes.push(text(body)),
    checkpoint: body => void checkpoints.push(text(body)),
    tile: body => {
      const [index, of = ''] = body.split(' ');
      read.blocks.push({ index: Number(index), tile: hashes(of), leaves, checkpoints });
      leaves = [];
      checkpoints = [];
    },
    end: body => {
      read.end = Number(body);
    },
  };
  let from = 0;
  for (let line = 0; from < file.length; line += 1) {
    const found = file.indexOf('\n', from);
    const bytes = file.subarray(from, found < 0 ? file.length : found);
    from = found < 0 ? file.length : found + 1;
    const [word = '', ...body] = bytes.toString().split(' ');
    if (line === 0) read.isWhole &&= bytes.toString() === 'apphub audit export v1';
    else if (read.end !== undefined) read.isWhole = false;
    else if (bytes[0] === 0x7b) leaves.push(bytes);
    else if (/^(origin|from|peak|key|change)$/.test(word) && leaves.length + read.blocks.length > 0)
      read.isWhole = false;
    else if (Object.hasOwn(words, word)) words[word]?.(body.join(' '));
    else read.isWhole = false;
  }
  read.rest = leaves.length;
  return read;
}
