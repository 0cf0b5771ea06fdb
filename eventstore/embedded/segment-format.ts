/**
 * The bytes of a segment file.
 *
 *   header (64)   magic, base address, salt, where the next segment begins (once rewritten), checksum
 *   entry*        checksum u32 | word u32 | body        word = length and two flags
 *
 * An entry is a record in wire encoding, or a marker. One append is a run of records of which the last carries `commitFlag`.
 * Each group that was written with one sync begins with a marker: its own address, and up to where everything was synced
 * before it. That tells a tail torn by a crash (nothing after it was ever written) from damage in the middle. Closing in
 * order leaves a marker at the end, so that then nothing at all may be torn.
 * A record's position is the address at which it was first written: base of its segment plus offset.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { StorageFailed } from './storage.ts';
import { WireRecord } from './wire-record.ts';

export const segmentHeaderBytes = 64;
export const entryHeaderBytes = 8;
export const markerBytes = entryHeaderBytes + 16;

const magic = Buffer.from('APPHLOG1');
const commitFlag = 0x80000000;
const markerFlag = 0x40000000;
const lengthMask = 0x3fffffff;
const headerCrcAt = segmentHeaderBytes - 4;
const markerWord = Buffer.from([16, 0, 0, 0x40]);

/** `end`: where the next segment begins, for a segment that has been rewritten and is shorter than it was. */
export type SegmentHeader = {
  readonly base: number;
  readonly salt: number;
  readonly end: number | undefined;
};

/** The first bytes of a new segment. The salt keeps data of users from ever looking like an entry. */
export function encodeSegmentHeader(base: number, end?: number): Buffer {
  const header = Buffer.alloc(segmentHeaderBytes);
  magic.copy(header, 0);
  header.writeBigUInt64LE(BigInt(base), 8);
  randomBytes(4).copy(header, 16);
  header.writeBigUInt64LE(BigInt(end ?? 0), 24);
  header.writeUInt32LE(crc32(header.subarray(0, headerCrcAt)), headerCrcAt);
  return header;
}

/** Throws StorageFailed when these are not the first bytes of the segment that begins at `base`. */
export function decodeSegmentHeader(header: Buffer, base: number): SegmentHeader {
  const sound =
    header.length >= segmentHeaderBytes &&
    magic.equals(header.subarray(0, 8)) &&
    header.readUInt32LE(headerCrcAt) === crc32(header.subarray(0, headerCrcAt)) &&
    Number(header.readBigUInt64LE(8)) === base;
  if (!sound) throw new StorageFailed(`the header of the segment at ${base} is damaged`, base);
  const end = Number(header.readBigUInt64LE(24));
  return { base, salt: header.readUInt32LE(16), end: end === 0 ? undefined : end };
}

/** Completes the entry whose body is already at `at + entryHeaderBytes`. */
export function sealEntry(
  into: Buffer,
  at: number,
  end: number,
  salt: number,
  flags: { commit: boolean },
): void {
  const word = ((end - at - entryHeaderBytes) | (flags.commit ? commitFlag : 0)) >>> 0;
  into.writeUInt32LE(word, at + 4);
  into.writeUInt32LE(crc32(into.subarray(at + 4, end), salt), at);
}

/** Writes a group's marker at `at`. */
export function writeMarker(into: Buffer, at: number, salt: number, address: number, syncedTo: number): void {
  markerWord.copy(into, at + 4);
  into.writeBigUInt64LE(BigInt(address), at + 8);
  into.writeBigUInt64LE(BigInt(syncedTo), at + 16);
  into.writeUInt32LE(crc32(into.subarray(at + 4, at + markerBytes), salt), at);
}

/** Where the entry at `at` ends, read from its header without any check; undefined when the header is not all there. */
export function entryEnd(bytes: Buffer, at: number): number | undefined {
  if (at + entryHeaderBytes > bytes.length) return undefined;
  return at + entryHeaderBytes + (bytes.readUInt32LE(at + 4) & lengthMask);
}

export function isMarker(bytes: Buffer, at: number): boolean {
  return (bytes.readUInt32LE(at + 4) & markerFlag) !== 0;
}

/** Whether the marker at `at` says that everything before it had been synced. */
export function isAllSynced(bytes: Buffer, at: number): boolean {
  return bytes.readBigUInt64LE(at + 8) === bytes.readBigUInt64LE(at + 16);
}

export function isCommit(bytes: Buffer, at: number): boolean {
  return (bytes.readUInt32LE(at + 4) & commitFlag) !== 0;
}

/** Whether the entry from `at` to `end` is as it was written. */
export function isIntact(bytes: Buffer, at: number, end: number, salt: number): boolean {
  return end - at > entryHeaderBytes && bytes.readUInt32LE(at) === crc32(bytes.subarray(at + 4, end), salt);
}

/**
 * Looks in `bytes`, which begin at `address`, for the marker of a group that was begun after everything up to `damaged`
 * had been synced. Returns its address.
 */
export function findMarkerAfter(
  bytes: Buffer,
  address: number,
  damaged: number,
  salt: number,
): number | undefined {
  let found = bytes.indexOf(markerWord, 0);
  while (found !== -1) {
    const at = found - 4;
    if (at >= 0 && at + markerBytes <= bytes.length && isIntact(bytes, at, at + markerBytes, salt)) {
      const own = Number(bytes.readBigUInt64LE(at + 8));
      const syncedTo = Number(bytes.readBigUInt64LE(at + 16));
      if (own === address + at && syncedTo > damaged) return own;
    }
    found = bytes.indexOf(markerWord, found + 1);
  }
  return undefined;
}

/** The record in the entry from `at` to `end`; its wire is a view into `bytes`. */
export function recordAt(bytes: Buffer, at: number, end: number): WireRecord {
  return new WireRecord(bytes.subarray(at + entryHeaderBytes, end));
}
