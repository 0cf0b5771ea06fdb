/** One segment, read: forwards and backwards by position, and record by record for a stream. Nothing unsound is served. */

import { type OpenFile, type OpenSegments, readBytes, readBytesNow } from './segment-files.ts';
import {
  entryEnd,
  entryHeaderBytes,
  isIntact,
  isMarker,
  recordAt,
  segmentHeaderBytes,
} from './segment-format.ts';
import { markEveryBytes, markFor, type SegmentIndex, type StreamSpan } from './segment-index.ts';
import { StorageFailed, type StoredRecord } from './storage.ts';
import { decodeRecordedPlace, streamIdentifier, type WireRecord } from './wire-record.ts';

/** What a read got; `damage` says why it went no further. Damage behind sound records is for the next read to meet. */
export type Page = { readonly records: StoredRecord[]; bytes: number; damage?: StorageFailed };
export type Limits = { readonly limit: number; readonly bytesMax: number };

const chunkBytesMin = 32 << 10;
const chunkBytesMax = 512 << 10;
const recordBytesGuess = 1200;
const gapBytesMax = 8 << 10;
const tailBytes = 4 << 10;
const hintsMax = 64;
/** A read that took longer came from the disk, not from memory: the next ones leave this thread alone for a while. */
const slowReadMs = 2;
const slowForMs = 1000;

const disk = { slowUntil: 0 };

async function readWarm(fd: number, position: number, length: number): Promise<Buffer> {
  const started = performance.now();
  if (started < disk.slowUntil) return readBytes(fd, position, length);
  const bytes = readBytesNow(fd, position, length);
  const ended = performance.now();
  if (ended - started > slowReadMs) disk.slowUntil = ended + slowForMs;
  return bytes;
}

export class Segment {
  readonly base: number;
  readonly generation: number;
  readonly path: string;
  index: SegmentIndex;
  /** Up to where records may be served; undefined for a whole file. */
  readableTo: number | undefined;
  readonly #files: OpenSegments;
  /** Offsets at which the last reads ended, by the position that comes next: a reader goes on where it was. */
  readonly #hints = new Map<number, number>();

  constructor(
    files: OpenSegments,
    path: string,
    name: { base: number; generation: number },
    index: SegmentIndex,
  ) {
    this.#files = files;
    this.base = name.base;
    this.generation = name.generation;
    this.path = path;
    this.index = index;
  }

  async #reading<T>(read: (file: OpenFile, end: number) => Promise<T>): Promise<T> {
    const file = this.#files.use(this.path, this.base);
    try {
      return await read(file, this.readableTo ?? file.bytes);
    } finally {
      file.users -= 1;
    }
  }

  #damageAt(offset: number, after?: StoredRecord): StorageFailed {
    const position = this.generation === 0 || after === undefined ? this.base + offset : after.position + 1;
    return new StorageFailed(
      `the log is damaged at position ${position} (${this.path}, byte ${offset})`,
      position,
    );
  }

  #startFor(from: number): number {
    const hint = this.#hints.get(from);
    if (hint !== undefined) return hint;
    const marks = this.index.marks();
    if (marks.count === 0) return segmentHeaderBytes;
    return marks.offsets[markFor(marks, from - this.base)] ?? segmentHeaderBytes;
  }

  #remember(next: number, offset: number): void {
    this.#hints.set(next, offset);
    for (const oldest of this.#hints.keys()) {
      if (this.#hints.size <= hintsMax) break;
      this.#hints.delete(oldest);
    }
  }

  #isBefore(chunk: Buffer, at: number, stop: number, offset: number, from: number): boolean {
    if (this.generation === 0) return this.base + offset < from;
    return decodeRecordedPlace(chunk.subarray(at + entryHeaderBytes, stop)).position < from;
  }

  /** Adds to `page` the records of this segment from position `from` on. */
  forwards(from: number, limits: Limits, page: Page): Promise<void> {
    return this.#reading(async (file, end) => {
      let at = this.#startFor(from);
      let size = Math.min(Math.max(limits.limit * recordBytesGuess, chunkBytesMin), chunkBytesMax);
      while (at < end && page.records.length < limits.limit && page.bytes < limits.bytesMax) {
        const chunk = await readBytes(file.fd, at, Math.min(size, end - at));
        const next = this.#takeForwards(chunk, at, file.salt, from, limits, page);
        if (next === 0) {
          const stop = entryEnd(chunk, 0) ?? Number.POSITIVE_INFINITY;
          if (page.damage === undefined && stop > chunk.length && at + stop <= end) size = stop;
          else page.damage ??= this.#damageAt(at, page.records.at(-1));
        }
        at += next;
        if (page.damage !== undefined) return;
      }
      const last = page.records.at(-1);
      if (last !== undefined) this.#remember(last.position + 1, at);
    });
  }

  /** Takes whole entries from the chunk; returns where the first one begins that was not taken. */
  #takeForwards(
    chunk: Buffer,
    offset: number,
    salt: number,
    from: number,
    limits: Limits,
    page: Page,
  ): number {
    let at = 0;
    while (at < chunk.length && page.records.length < limits.limit && page.bytes < limits.bytesMax) {
      const stop = entryEnd(chunk, at);
      if (stop === undefined || stop > chunk.length) break;
      if (!isIntact(chunk, at, stop, salt)) {
        page.damage = this.#damageAt(offset + at, page.records.at(-1));
        return at;
      }
      if (!isMarker(chunk, at) && !this.#isBefore(chunk, at, stop, offset + at, from)) {
        page.records.push(recordAt(chunk, at, stop));
        page.bytes += stop - at;
      }
      at = stop;
    }
    return at;
  }

  /** Adds to `page` the records of this segment from position `from` downwards. */
  backwards(from: number, limits: Limits, page: Page): Promise<void> {
    return this.#reading(async (file, end) => {
      const { offsets, count, ...marks } = this.index.marks();
      if (count === 0) return;
      let high = markFor({ offsets, count, ...marks }, from - this.base);
      let stop = high + 1 < count ? (offsets[high + 1] ?? end) : end;
      while (high >= 0 && page.records.length < limits.limit && page.bytes < limits.bytesMax) {
        const wanted = Math.ceil(((limits.limit - page.records.length) * recordBytesGuess) / markEveryBytes);
        const low = Math.max(0, high - Math.min(Math.max(wanted, 1), chunkBytesMax / markEveryBytes) + 1);
        const start = offsets[low] ?? segmentHeaderBytes;
        const chunk = await readBytes(file.fd, start, stop - start);
        for (let mark = high; mark >= low; mark -= 1) {
          const first = offsets[mark] ?? start;
          const last = mark === high ? stop : (offsets[mark + 1] ?? stop);
          const block = chunk.subarray(first - start, last - start);
          if (!this.#takeBackwards(block, first, file.salt, from, limits, page)) return;
        }
        stop = start;
        high = low - 1;
      }
    });
  }

  #takeBackwards(
    block: Buffer,
    offset: number,
    salt: number,
    from: number,
    limits: Limits,
    page: Page,
  ): boolean {
    const found: StoredRecord[] = [];
    let at = 0;
    while (at < block.length) {
      const stop = entryEnd(block, at);
      if (stop === undefined || stop > block.length || !isIntact(block, at, stop, salt)) {
        page.damage = this.#damageAt(offset + at, found.at(-1));
        return false;
      }
      if (!isMarker(block, at)) {
        const record = recordAt(block, at, stop);
        if (record.position > from) break;
        found.push(record);
      }
      at = stop;
    }
    for (const record of found.reverse()) {
      if (page.records.length >= limits.limit || page.bytes >= limits.bytesMax) return false;
      page.records.push(record);
      page.bytes += record.wire.length;
    }
    return true;
  }

  /** Adds to `page` records of one stream: those with the numbers `first`, `first + step` … in its span. */
  ofStream(
    stream: string,
    span: StreamSpan,
    first: number,
    step: 1 | -1,
    limits: Limits,
    page: Page,
  ): Promise<void> {
    const identifier = streamIdentifier(stream);
    return this.#reading(async (file, end) => {
      // The span of an open segment grows while this reads: what comes later lies behind `end`.
      const { count } = span;
      let index = first;
      while (index >= 0 && index < count) {
        if (page.records.length >= limits.limit || page.bytes >= limits.bytesMax) return;
        const wanted = Math.min(limits.limit - page.records.length, step === 1 ? count - index : index + 1);
        const run = takeRun(span, index, step, wanted);
        const chunk = await readWarm(file.fd, run.start, Math.min(run.end + tailBytes, end) - run.start);
        for (const offset of run.offsets) {
          let bytes = chunk;
          let at = offset - run.start;
          const stop = entryEnd(bytes, at);
          if (stop !== undefined && stop > bytes.length && run.start + stop <= end) {
            bytes = await readBytes(file.fd, offset, stop - at);
            at = 0;
          }
          const record = soundRecord(bytes, at, file.salt);
          if (record === undefined) page.damage = this.#damageAt(offset, page.records.at(-1));
          else if (!record.isOf(identifier) || record.revision !== span.revisionAt(index)) {
            page.damage = new StorageFailed(
              `the index of ${this.path} names another record`,
              record.position,
            );
          }
          if (record === undefined || page.damage !== undefined) return;
          page.records.push(record);
          page.bytes += record.wire.length;
          index += step;
          if (page.bytes >= limits.bytesMax) return;
        }
      }
    });
  }
}

/** The record of the entry at `at`; undefined when it is not all there, or not as it was written. */
function soundRecord(bytes: Buffer, at: number, salt: number): WireRecord | undefined {
  const stop = entryEnd(bytes, at);
  if (stop === undefined || stop > bytes.length) return undefined;
  if (isMarker(bytes, at) || !isIntact(bytes, at, stop, salt)) return undefined;
  return recordAt(bytes, at, stop);
}

/** Where the next records begin that lie so close together that one read gets them all. */
function takeRun(
  span: StreamSpan,
  first: number,
  step: 1 | -1,
  wanted: number,
): { start: number; end: number; offsets: readonly number[] } {
  const firstOffset = span.offsetAt(first);
  const offsets = [firstOffset];
  let last = firstOffset;
  while (offsets.length < wanted) {
    const offset = span.offsetAt(first + offsets.length * step);
    if (Math.abs(offset - last) > gapBytesMax || Math.abs(offset - firstOffset) > chunkBytesMax) break;
    offsets.push(offset);
    last = offset;
  }
  return { start: Math.min(firstOffset, last), end: Math.max(firstOffset, last), offsets };
}
