/**
 * The index of a closed segment in a file that is never changed. Its bytes are cut into pages, each with a checksum, so
 * that a damaged index is found when it is used and can never send a read to the wrong place.
 *
 *   head     12 numbers: version, base, bytes of the segment, counts, and where each part begins
 *   marks    place u32, offset u32                       every 16 KiB of the segment
 *   bloom    words u32
 *   fences   hash u32                                    of each 64th stream
 *   streams  hash, name at, name bytes, postings at, count u32, first and last revision f64       by hash
 *   postings offset u32, revision less the first u32     all ones: the last revision (a tombstone's is far away)
 *   names    UTF-8
 */
import { crc32 } from 'node:zlib';
import { bloomAdd, bloomWords, hashBits, hashName } from './segment-bloom.ts';
import type { MemoryIndex } from './segment-index.ts';

export const pageBytes = 4096;
export const pageBodyBytes = pageBytes - 4;
export const headBytes = 96;
export const streamBytes = 40;
export const postingBytes = 8;
export const fenceEvery = 64;
export const lastRevisionMark = 0xffffffff;

const version = 1;
/** Streams written between two turns of the event loop, so that closing a segment stalls nobody. */
const streamsPerTurn = 4096;

export type IndexHead = {
  readonly base: number;
  readonly segmentBytes: number;
  readonly records: number;
  readonly streams: number;
  readonly marks: number;
  readonly bloomWords: number;
  readonly fences: number;
  readonly bloomAt: number;
  readonly fencesAt: number;
  readonly streamsAt: number;
  readonly postingsAt: number;
  readonly namesAt: number;
};

function planIndex(index: MemoryIndex, base: number, segmentBytes: number): IndexHead {
  const streams = index.streams.size;
  const marks = index.marks().count;
  const words = bloomWords(streams);
  const fences = Math.ceil(streams / fenceEvery);
  const bloomAt = headBytes + marks * 8;
  const fencesAt = bloomAt + words * 4;
  const streamsAt = fencesAt + fences * 4;
  const postingsAt = streamsAt + streams * streamBytes;
  const namesAt = postingsAt + index.records * postingBytes;
  const counts = { records: index.records, streams, marks, bloomWords: words, fences };
  return { base, segmentBytes, ...counts, bloomAt, fencesAt, streamsAt, postingsAt, namesAt };
}

function encodeHead(head: IndexHead): Buffer {
  const bytes = Buffer.alloc(headBytes);
  bytes.writeUInt32LE(version, 0);
  const parts = [head.records, head.streams, head.marks, head.bloomWords, head.fences];
  parts.forEach((part, index) => {
    bytes.writeUInt32LE(part, 4 + index * 4);
  });
  const wide = [
    head.base,
    head.segmentBytes,
    head.bloomAt,
    head.fencesAt,
    head.streamsAt,
    head.postingsAt,
    head.namesAt,
  ];
  wide.forEach((part, index) => {
    bytes.writeDoubleLE(part, 24 + index * 8);
  });
  return bytes;
}

/** Undefined when these are not the first bytes of an index of this version. */
export function decodeHead(bytes: Buffer): IndexHead | undefined {
  if (bytes.length < headBytes || bytes.readUInt32LE(0) !== version) return undefined;
  const [records = 0, streams = 0, marks = 0, words = 0, fences = 0] = [4, 8, 12, 16, 20].map(at =>
    bytes.readUInt32LE(at),
  );
  const wide = [24, 32, 40, 48, 56, 64, 72].map(at => bytes.readDoubleLE(at));
  const [base = 0, segmentBytes = 0, bloomAt = 0, fencesAt = 0, streamsAt = 0, postingsAt = 0, namesAt = 0] =
    wide;
  const counts = { records, streams, marks, bloomWords: words, fences };
  return { base, segmentBytes, ...counts, bloomAt, fencesAt, streamsAt, postingsAt, namesAt };
}

/** Names in the order of their hashes; equal hashes stand together in any order. */
function sortByHash(names: readonly string[], hashes: Uint32Array): Float64Array {
  const keys = new Float64Array(names.length);
  for (let at = 0; at < names.length; at += 1) keys[at] = (hashes[at] ?? 0) * 0x200000 + at;
  return keys.sort();
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve));

type Body = { bytes: Buffer; nameAt: number; postingAt: number };

function writeStream(
  into: Body,
  head: IndexHead,
  ordinal: number,
  name: string,
  hash: number,
  index: MemoryIndex,
): void {
  const { bytes } = into;
  const span = index.streams.get(name);
  if (span === undefined) return;
  const at = head.streamsAt + ordinal * streamBytes;
  const nameBytes = bytes.write(name, into.nameAt, 'utf8');
  bytes.writeUInt32LE(hash, at);
  bytes.writeUInt32LE(into.nameAt - head.namesAt, at + 4);
  bytes.writeUInt32LE(nameBytes, at + 8);
  bytes.writeUInt32LE(into.postingAt, at + 12);
  bytes.writeUInt32LE(span.count, at + 16);
  bytes.writeDoubleLE(span.firstRevision, at + 24);
  bytes.writeDoubleLE(span.lastRevision, at + 32);
  for (let record = 0; record < span.count; record += 1) {
    const postingAt = head.postingsAt + (into.postingAt + record) * postingBytes;
    const last = record > 0 && record === span.count - 1;
    bytes.writeUInt32LE(span.offsetAt(record), postingAt);
    bytes.writeUInt32LE(
      last ? lastRevisionMark : span.revisionAt(record) - span.firstRevision,
      postingAt + 4,
    );
  }
  into.nameAt += nameBytes;
  into.postingAt += span.count;
}

/** The bytes of the index file, page by page. `onStream` sees each stream with its last revision on the way. */
export async function encodeIndexFile(
  index: MemoryIndex,
  base: number,
  segmentBytes: number,
  onStream: (stream: string, lastRevision: number) => void = () => {},
): Promise<Buffer[]> {
  const head = planIndex(index, base, segmentBytes);
  const names = [...index.streams.keys()];
  const hashes = new Uint32Array(names.length);
  const bloom = new Uint32Array(head.bloomWords);
  let nameBytes = 0;
  for (const [at, name] of names.entries()) {
    const hash = hashName(name);
    hashes[at] = hash;
    bloomAdd(bloom, hash, hashBits(name));
    nameBytes += Buffer.byteLength(name);
    if (at % streamsPerTurn === streamsPerTurn - 1) await turn();
  }
  const bytes = Buffer.alloc(head.namesAt + nameBytes);
  encodeHead(head).copy(bytes, 0);
  const { places, offsets, count } = index.marks();
  for (let at = 0; at < count; at += 1) {
    bytes.writeUInt32LE(places[at] ?? 0, headBytes + at * 8);
    bytes.writeUInt32LE(offsets[at] ?? 0, headBytes + at * 8 + 4);
  }
  Buffer.from(bloom.buffer).copy(bytes, head.bloomAt);
  const into = { bytes, nameAt: head.namesAt, postingAt: 0 };
  for (const [ordinal, key] of sortByHash(names, hashes).entries()) {
    const at = key % 0x200000;
    const name = names[at] ?? '';
    const hash = hashes[at] ?? 0;
    writeStream(into, head, ordinal, name, hash, index);
    if (ordinal % fenceEvery === 0) bytes.writeUInt32LE(hash, head.fencesAt + (ordinal / fenceEvery) * 4);
    onStream(name, index.streams.get(name)?.lastRevision ?? 0);
    if (ordinal % streamsPerTurn === streamsPerTurn - 1) await turn();
  }
  return pagesOf(bytes);
}

function pagesOf(body: Buffer): Buffer[] {
  const pages: Buffer[] = [];
  const perPart = 256;
  const count = Math.ceil(body.length / pageBodyBytes);
  for (let first = 0; first < count; first += perPart) {
    const part = Buffer.alloc(Math.min(perPart, count - first) * pageBytes);
    for (let page = 0; page * pageBytes < part.length; page += 1) {
      const from = (first + page) * pageBodyBytes;
      body.copy(part, page * pageBytes, from, Math.min(from + pageBodyBytes, body.length));
      const end = page * pageBytes + pageBodyBytes;
      part.writeUInt32LE(crc32(part.subarray(page * pageBytes, end), first + page), end);
    }
    pages.push(part);
  }
  return pages;
}
