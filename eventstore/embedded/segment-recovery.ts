/**
 * What is done before a log is served: half-made files go, a tail torn by a crash is cut, a missing index is made again.
 * Only the last segment is read, so that opening takes as long for ten million records as for a thousand.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import {
  type FileName,
  type FoundFile,
  isOutOfRoom,
  listFiles,
  readBytesNow,
  type SegmentDisk,
  segmentPath,
  writeWhole,
} from './segment-files.ts';
import { decodeSegmentHeader, encodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';
import { MemoryIndex } from './segment-index.ts';
import { encodeIndexFile } from './segment-index-file.ts';
import { findLaterGroup, type ScannedEntry, scanSegment } from './segment-scan.ts';
import { StorageFailed } from './storage.ts';
import { decodeRecordedPlace } from './wire-record.ts';

/** Where the storage says what it found and did; a pino logger is one. */
export type StorageLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export const silentLog: StorageLog = { info() {}, warn() {}, error() {} };

/** The segments that count, by address: of those that were rewritten the newest form. */
export function segmentsInForce(found: readonly FoundFile[]): FoundFile[] {
  const inForce = new Map<number, FoundFile>();
  for (const file of found) if (file.kind === 'segment') inForce.set(file.base, file);
  return [...inForce.values()];
}

/** Removes what a crash left half made, and returns the segments in force. */
export function tidyDirectory(directory: string): FoundFile[] {
  const found = listFiles(directory);
  const segments = segmentsInForce(found);
  const inForce = new Map(segments.map(({ base, generation }) => [base, generation]));
  for (const file of found) {
    if (file.kind !== 'tmp' && inForce.get(file.base) === file.generation) continue;
    fs.rmSync(path.join(directory, file.file), { force: true });
  }
  return segments;
}

/** An empty segment beginning at `base`, there to stay when this resolves. */
export async function createSegment(disk: SegmentDisk, directory: string, base: number): Promise<string> {
  const file = segmentPath(directory, { base, generation: 0 }, 'segment');
  await writeWhole(disk, file, [encodeSegmentHeader(base)]);
  return file;
}

/**
 * Collects whole appends only: records of one that was not finished are never added. A record that was written once must
 * lie where its position says; only rewriting moves it.
 */
function indexBuilder(index: MemoryIndex, { base, generation }: FileName): (entry: ScannedEntry) => boolean {
  let pending: { stream: string; revision: number; place: number; offset: number }[] = [];
  return ({ offset, wire, commit }) => {
    const { stream, revision, position } = decodeRecordedPlace(wire);
    if (generation === 0 && position !== base + offset) return false;
    pending.push({ stream, revision, place: position - base, offset });
    if (!commit) return true;
    for (const record of pending) index.add(record.stream, record.revision, record.place, record.offset);
    pending = [];
    return true;
  };
}

function openChecked(
  file: string,
  base: number,
  flags: 'r' | 'r+',
): { fd: number; salt: number; bytes: number } {
  const fd = fs.openSync(file, flags);
  try {
    const { salt } = decodeSegmentHeader(readBytesNow(fd, 0, segmentHeaderBytes), base);
    return { fd, salt, bytes: fs.fstatSync(fd).size };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

export type Recovered = {
  readonly fd: number;
  readonly salt: number;
  readonly bytes: number;
  /** Nothing was written behind the last sync. */
  readonly isMarked: boolean;
  readonly index: MemoryIndex;
};

/**
 * Opens the last segment for writing. Bytes behind its last whole append are cut, unless a later group proves that they
 * had been synced: then they are damage, and the log is not opened over it (StorageFailed with the position).
 */
export async function recoverLast(
  disk: SegmentDisk,
  file: string,
  name: FileName,
  log: StorageLog,
): Promise<Recovered> {
  const { base } = name;
  const { fd, salt, bytes } = openChecked(file, base, 'r+');
  try {
    const index = new MemoryIndex();
    const end = await scanSegment(fd, salt, segmentHeaderBytes, bytes, indexBuilder(index, name));
    if (end.stoppedAt < bytes && (await findLaterGroup(fd, salt, base, end.stoppedAt, bytes)) !== undefined) {
      throw damagedAt(file, base, end.stoppedAt);
    }
    if (end.committedTo < bytes) {
      log.warn(
        { file, position: base + end.committedTo, bytes: bytes - end.committedTo },
        'cut a torn tail of the log',
      );
      await disk.truncate(fd, end.committedTo);
    }
    await disk.sync(fd);
    return { fd, salt, bytes: end.committedTo, isMarked: end.isMarked, index };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

const damagedAt = (file: string, base: number, offset: number) =>
  new StorageFailed(
    `the log is damaged at position ${base + offset} (${file}, byte ${offset})`,
    base + offset,
  );

/** How much of the last segment is whole appends; another process may be writing behind it. Throws as `recoverLast`. */
export async function committedBytes(directory: string, found: FileName): Promise<number> {
  const file = segmentPath(directory, found, 'segment');
  const { fd, salt, bytes } = openChecked(file, found.base, 'r');
  try {
    const end = await scanSegment(fd, salt, segmentHeaderBytes, bytes, () => {});
    if (end.stoppedAt < bytes && (await findLaterGroup(fd, salt, found.base, end.stoppedAt, bytes)))
      throw damagedAt(file, found.base, end.stoppedAt);
    return end.committedTo;
  } finally {
    fs.closeSync(fd);
  }
}

/** The index of a segment as its records say it should be. Throws StorageFailed when one of them is damaged. */
async function indexOfSegment(file: string, name: FileName): Promise<{ index: MemoryIndex; bytes: number }> {
  const { base } = name;
  const { fd, salt, bytes } = openChecked(file, base, 'r');
  try {
    const index = new MemoryIndex();
    const end = await scanSegment(fd, salt, segmentHeaderBytes, bytes, indexBuilder(index, name));
    if (end.stoppedAt < bytes) throw damagedAt(file, base, end.stoppedAt);
    return { index, bytes };
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Makes the index file of a closed segment where there is none: a crash came between closing it and writing that. Without
 * room for it the index stays in memory, and is returned.
 */
export async function ensureIndexFile(
  disk: SegmentDisk,
  directory: string,
  found: FileName,
  log: StorageLog,
): Promise<MemoryIndex | undefined> {
  const file = segmentPath(directory, found, 'index');
  if (fs.existsSync(file)) return undefined;
  const { index, bytes } = await indexOfSegment(segmentPath(directory, found, 'segment'), found);
  try {
    await writeWhole(disk, file, await encodeIndexFile(index, found.base, bytes));
    log.info({ file, records: index.records }, 'made a missing index of the log');
  } catch (error) {
    if (!isOutOfRoom(error)) throw error;
    log.warn({ file }, 'no room for a missing index of the log: it stays in memory');
    return index;
  }
  return undefined;
}

/** Where the segment behind this one has to begin. */
function endOfSegment(directory: string, found: FileName): number {
  const file = segmentPath(directory, found, 'segment');
  if (found.generation === 0) return found.base + fs.statSync(file).size;
  const fd = fs.openSync(file, 'r');
  try {
    const { end } = decodeSegmentHeader(readBytesNow(fd, 0, segmentHeaderBytes), found.base);
    return end ?? found.base + fs.fstatSync(fd).size;
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * The first position at which a segment, or the end of one, is missing; undefined when each begins where the one before it
 * ends. A segment that was scavenged empty still has its file.
 */
export function findGap(directory: string, segments: readonly FileName[]): number | undefined {
  let next = 0;
  for (const [at, segment] of segments.entries()) {
    if (segment.base !== next) return Math.min(next, segment.base);
    if (at < segments.length - 1) next = endOfSegment(directory, segment);
  }
  return undefined;
}
