/** The segments of a log in order, and the reads that go over several of them. */

import type { Limits, Page, Segment } from './segment.ts';
import { RecentlyUsed } from './segment-cache.ts';
import { keyOf, lowerBound, MemoryIndex } from './segment-index.ts';
import type { StoredRecord } from './storage.ts';

const headsMax = 100_000;
/** Remembered of a stream that no closed segment has. */
const absent = -1;

/** A page that ends at damage is served up to it; one that begins there is refused. */
function served(page: Page): StoredRecord[] {
  if (page.damage !== undefined && page.records.length === 0) throw page.damage;
  return page.records;
}

const isFull = (page: Page, { limit, bytesMax }: Limits) =>
  page.damage !== undefined || page.records.length >= limit || page.bytes >= bytesMax;

export class SegmentList {
  /** By address, the one that is written to last. Replaced as a whole, so that a read goes on with what it began with. */
  all: readonly Segment[];
  /** Last revisions of streams that were looked for in closed segments. */
  readonly #heads = new RecentlyUsed<string, number>(headsMax);
  readonly #reads = new Set<Promise<unknown>>();

  constructor(segments: readonly Segment[]) {
    this.all = segments;
  }

  add(segment: Segment): void {
    this.all = [...this.all, segment];
  }

  /** Puts another segment in the place of one. */
  replace(old: Segment, next: Segment): void {
    this.all = this.all.map(segment => (segment === old ? next : segment));
  }

  /** A stream's head changes its home from memory to an index file: what was known of it before is out of date. */
  noteHead(stream: string, revision: number): void {
    if (this.#heads.has(stream)) this.#heads.set(stream, revision);
  }

  /** Last durable revision of the stream. */
  head(stream: string): number | undefined {
    const { all } = this;
    let at = all.length - 1;
    // What is in memory is asked first; what index files said of the rest is remembered.
    for (; at >= 0; at -= 1) {
      const index = all[at]?.index;
      if (!(index instanceof MemoryIndex)) break;
      const span = index.streams.get(stream);
      if (span !== undefined) return span.lastRevision;
    }
    const known = this.#heads.get(stream);
    if (known !== undefined) return known === absent ? undefined : known;
    const key = keyOf(stream);
    let revision: number | undefined;
    for (; at >= 0 && revision === undefined; at -= 1) revision = all[at]?.index.span(key)?.lastRevision;
    this.#heads.set(stream, revision ?? absent);
    return revision;
  }

  /** Number of the segment that holds the position, or would. */
  #segmentFor(position: number): number {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.all[middle]?.base ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  readAll(from: number, direction: 'forwards' | 'backwards', limits: Limits): Promise<StoredRecord[]> {
    return this.#track(async () => {
      const segments = this.all;
      const page: Page = { records: [], bytes: 0 };
      const step = direction === 'forwards' ? 1 : -1;
      for (let at = this.#segmentFor(from); !isFull(page, limits); at += step) {
        const segment = segments[at];
        if (segment === undefined) break;
        if (step === 1) await segment.forwards(from, limits, page);
        else await segment.backwards(from, limits, page);
      }
      return served(page);
    });
  }

  readStream(
    stream: string,
    from: number,
    direction: 'forwards' | 'backwards',
    limits: Limits,
  ): Promise<StoredRecord[]> {
    return this.#track(async () => {
      const segments = this.all;
      const page: Page = { records: [], bytes: 0 };
      const key = keyOf(stream);
      const step = direction === 'forwards' ? 1 : -1;
      for (let at = step === 1 ? 0 : segments.length - 1; !isFull(page, limits); at += step) {
        const segment = segments[at];
        if (segment === undefined) break;
        const span = segment.index.span(key);
        if (span === undefined || (step === 1 ? span.lastRevision < from : span.firstRevision > from))
          continue;
        const above = lowerBound(span, from);
        const isThere = above < span.count && span.revisionAt(above) === from;
        await segment.ofStream(stream, span, step === 1 || isThere ? above : above - 1, step, limits, page);
      }
      return served(page);
    });
  }

  #track<T>(read: () => Promise<T>): Promise<T> {
    const reading = read();
    this.#reads.add(reading);
    const done = () => {
      this.#reads.delete(reading);
    };
    reading.then(done, done);
    return reading;
  }

  /** Resolves when no read is under way that began before this call: then what was replaced may be deleted. */
  async earlierReads(): Promise<void> {
    await Promise.allSettled([...this.#reads]);
  }
}
