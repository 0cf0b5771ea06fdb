/**
 * The index of one segment: for a stream, its records in it; for a position, where to begin to look.
 * The segment that is written to has it in memory (this file); a closed one has it in a file (segment-index-file.ts).
 */

import { hashBits, hashName } from './segment-bloom.ts';

/** The records of one stream within one segment, in order. */
export type StreamSpan = {
  readonly firstRevision: number;
  readonly lastRevision: number;
  readonly count: number;
  revisionAt(index: number): number;
  /** Offset of the record's entry within the segment's file. */
  offsetAt(index: number): number;
};

/** Every so many bytes a mark: at `offsets[i]` begins the entry of the record with position base + `places[i]`. */
export type Marks = { readonly places: Uint32Array; readonly offsets: Uint32Array; readonly count: number };

/** A stream's name with its hashes: made once for a look into many segments. */
export type StreamKey = { readonly name: string; readonly hash: number; readonly bits: number };

export const keyOf = (name: string): StreamKey => ({ name, hash: hashName(name), bits: hashBits(name) });

export type SegmentIndex = {
  span(stream: StreamKey): StreamSpan | undefined;
  marks(): Marks;
};

export const markEveryBytes = 16 << 10;

/** Index of the first record whose revision is >= `revision`; `count` when there is none. */
export function lowerBound(span: StreamSpan, revision: number): number {
  if (revision <= span.firstRevision) return 0;
  if (revision > span.lastRevision) return span.count;
  // Without holes the place is known; holes come only from scavenging and the tombstone.
  const guess = revision - span.firstRevision;
  if (guess < span.count && span.revisionAt(guess) === revision) return guess;
  let low = 0;
  let high = Math.min(guess, span.count - 1);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (span.revisionAt(middle) < revision) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The last mark at or before the place; 0 when there is none. */
export function markFor(marks: Marks, place: number): number {
  let low = 0;
  let high = marks.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((marks.places[middle] ?? 0) <= place) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

class MemorySpan implements StreamSpan {
  readonly revisions: number[] = [];
  readonly offsets: number[] = [];

  get firstRevision(): number {
    return this.revisions[0] ?? 0;
  }
  get lastRevision(): number {
    return this.revisions.at(-1) ?? 0;
  }
  get count(): number {
    return this.revisions.length;
  }
  revisionAt(index: number): number {
    return this.revisions[index] ?? 0;
  }
  offsetAt(index: number): number {
    return this.offsets[index] ?? 0;
  }
}

export class MemoryIndex implements SegmentIndex {
  readonly streams = new Map<string, MemorySpan>();
  records = 0;
  #places = new Uint32Array(64);
  #offsets = new Uint32Array(64);
  #count = 0;

  /** `place` is the record's position less the segment's base. Records come in order. */
  add(stream: string, revision: number, place: number, offset: number): void {
    let span = this.streams.get(stream);
    if (span === undefined) {
      span = new MemorySpan();
      this.streams.set(stream, span);
    }
    span.revisions.push(revision);
    span.offsets.push(offset);
    this.records += 1;
    const last = this.#offsets[this.#count - 1];
    if (last === undefined || offset - last >= markEveryBytes) this.#mark(place, offset);
  }

  #mark(place: number, offset: number): void {
    if (this.#count === this.#places.length) {
      const places = new Uint32Array(this.#count * 2);
      const offsets = new Uint32Array(this.#count * 2);
      places.set(this.#places);
      offsets.set(this.#offsets);
      this.#places = places;
      this.#offsets = offsets;
    }
    this.#places[this.#count] = place;
    this.#offsets[this.#count] = offset;
    this.#count += 1;
  }

  span({ name }: StreamKey): StreamSpan | undefined {
    return this.streams.get(name);
  }

  marks(): Marks {
    return { places: this.#places, offsets: this.#offsets, count: this.#count };
  }
}
