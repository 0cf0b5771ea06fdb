/**
 * Looks things up in index files of closed segments, within bounded memory: pages and summaries (marks, bloom filter,
 * fences) of the segments used last are kept, the rest is read again. Reads are synchronous: one or two pages.
 */
import * as fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { bloomHas } from './segment-bloom.ts';
import { RecentlyUsed } from './segment-cache.ts';
import { readBytesNow } from './segment-files.ts';
import type { Marks, SegmentIndex, StreamKey, StreamSpan } from './segment-index.ts';
import {
  decodeHead,
  fenceEvery,
  headBytes,
  type IndexHead,
  lastRevisionMark,
  pageBodyBytes,
  pageBytes,
  postingBytes,
  streamBytes,
} from './segment-index-file.ts';
import { StorageFailed } from './storage.ts';

const pagesMax = 8192;
const summaryBytesMax = 48 << 20;
const openIndexesMax = 256;

type Summary = { head: IndexHead; marks: Marks; bloom: Uint32Array; fences: Uint32Array };

/** What all index files of one log share. */
export class IndexCache {
  readonly files = new RecentlyUsed<IndexFile, number>(openIndexesMax, fd => fs.closeSync(fd));
  readonly pages = new RecentlyUsed<number, Buffer>(pagesMax);
  readonly summaries = new RecentlyUsed<IndexFile, Summary>(summaryBytesMax);
  #files = 0;

  nextId(): number {
    this.#files += 1;
    return this.#files;
  }

  close(): void {
    this.files.clear();
    this.pages.clear();
    this.summaries.clear();
  }
}

const pageIdsPerFile = 2 ** 24;

export class IndexFile implements SegmentIndex {
  readonly #cache: IndexCache;
  readonly #path: string;
  readonly #base: number;
  readonly #id: number;
  /** Postings of a stream are read one after another, nearly always from the same page. */
  #lastNumber = -1;
  #lastPage: Buffer | undefined;

  constructor(cache: IndexCache, path: string, base: number) {
    this.#cache = cache;
    this.#path = path;
    this.#base = base;
    this.#id = cache.nextId();
  }

  #fd(): number {
    const known = this.#cache.files.get(this);
    if (known !== undefined) return known;
    const fd = fs.openSync(this.#path, 'r');
    this.#cache.files.set(this, fd);
    return fd;
  }

  #fail(what: string): StorageFailed {
    return new StorageFailed(`the index of the segment at ${this.#base} is damaged: ${what}`, this.#base);
  }

  #checked(page: Buffer, number: number): Buffer {
    const sound =
      page.length === pageBytes &&
      page.readUInt32LE(pageBodyBytes) === crc32(page.subarray(0, pageBodyBytes), number);
    if (!sound) throw this.#fail(`page ${number} has a wrong checksum`);
    return page;
  }

  #page(number: number): Buffer {
    if (number === this.#lastNumber && this.#lastPage !== undefined) return this.#lastPage;
    const page = this.#pageOf(number);
    this.#lastNumber = number;
    this.#lastPage = page;
    return page;
  }

  #pageOf(number: number): Buffer {
    const key = this.#id * pageIdsPerFile + number;
    const known = this.#cache.pages.get(key);
    if (known !== undefined) return known;
    const page = this.#checked(readBytesNow(this.#fd(), number * pageBytes, pageBytes), number);
    this.#cache.pages.set(key, page);
    return page;
  }

  /** A few bytes, by way of the pages kept. */
  #few(at: number, length: number): Buffer {
    const first = Math.floor(at / pageBodyBytes);
    const from = at - first * pageBodyBytes;
    const page = this.#page(first);
    if (from + length <= pageBodyBytes) return page.subarray(from, from + length);
    const into = Buffer.alloc(length);
    let done = page.copy(into, 0, from, pageBodyBytes);
    for (let number = first + 1; done < length; number += 1)
      done += this.#page(number).copy(into, done, 0, pageBodyBytes);
    return into;
  }

  #word(at: number): number {
    const number = Math.floor(at / pageBodyBytes);
    const from = at - number * pageBodyBytes;
    if (from + 4 > pageBodyBytes) return this.#few(at, 4).readUInt32LE(0);
    return this.#page(number).readUInt32LE(from);
  }

  /** Many bytes, past the pages kept. */
  #many(at: number, length: number): Buffer {
    const first = Math.floor(at / pageBodyBytes);
    const last = Math.floor((at + length - 1) / pageBodyBytes);
    const raw = readBytesNow(this.#fd(), first * pageBytes, (last - first + 1) * pageBytes);
    const into = Buffer.alloc((last - first + 1) * pageBodyBytes);
    for (let number = first; number <= last; number += 1) {
      const from = (number - first) * pageBytes;
      this.#checked(raw.subarray(from, from + pageBytes), number).copy(
        into,
        (number - first) * pageBodyBytes,
        0,
        pageBodyBytes,
      );
    }
    const start = at - first * pageBodyBytes;
    return into.subarray(start, start + length);
  }

  #words(at: number, count: number): Uint32Array {
    const words = new Uint32Array(count);
    if (count > 0) Buffer.from(words.buffer).set(this.#many(at, count * 4));
    return words;
  }

  #summary(): Summary {
    const known = this.#cache.summaries.get(this);
    if (known !== undefined) return known;
    const head = decodeHead(this.#few(0, headBytes));
    if (head === undefined || head.base !== this.#base)
      throw this.#fail('its head is not that of this segment');
    const pairs = this.#words(headBytes, head.marks * 2);
    const marks = {
      places: pairs.filter((_, at) => at % 2 === 0),
      offsets: pairs.filter((_, at) => at % 2 === 1),
      count: head.marks,
    };
    const bloom = this.#words(head.bloomAt, head.bloomWords);
    const summary = { head, marks, bloom, fences: this.#words(head.fencesAt, head.fences) };
    this.#cache.summaries.set(this, summary, (pairs.length + bloom.length + summary.fences.length) * 4);
    return summary;
  }

  head(): IndexHead {
    return this.#summary().head;
  }

  marks(): Marks {
    return this.#summary().marks;
  }

  span({ name, hash, bits }: StreamKey): StreamSpan | undefined {
    const { head, bloom, fences } = this.#summary();
    if (!bloomHas(bloom, hash, bits)) return undefined;
    let low = 0;
    let high = fences.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((fences[middle] ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    // Equal hashes may begin in the block before the first fence that is not smaller.
    for (let at = Math.max(0, low - 1) * fenceEvery; at < head.streams; at += 1) {
      const entry = this.#few(head.streamsAt + at * streamBytes, streamBytes);
      const found = entry.readUInt32LE(0);
      if (found > hash) return undefined;
      if (found === hash && this.#nameIs(head, entry, name)) return this.#spanOf(head, entry);
    }
    return undefined;
  }

  #nameIs(head: IndexHead, entry: Buffer, stream: string): boolean {
    const name = this.#few(head.namesAt + entry.readUInt32LE(4), entry.readUInt32LE(8));
    return name.toString('utf8') === stream;
  }

  #spanOf(head: IndexHead, entry: Buffer): StreamSpan {
    const postings = entry.readUInt32LE(12);
    const count = entry.readUInt32LE(16);
    const firstRevision = entry.readDoubleLE(24);
    const lastRevision = entry.readDoubleLE(32);
    const postingAt = (index: number) => head.postingsAt + (postings + index) * postingBytes;
    const offsetAt = (index: number) => this.#word(postingAt(index));
    const revisionAt = (index: number) => {
      const less = this.#word(postingAt(index) + 4);
      return less === lastRevisionMark ? lastRevision : firstRevision + less;
    };
    return { firstRevision, lastRevision, count, offsetAt, revisionAt };
  }

  /** Every stream with its span, in the order of the file: for verification. */
  *streams(): Generator<[string, StreamSpan]> {
    const { head } = this.#summary();
    for (let at = 0; at < head.streams; at += 1) {
      const entry = this.#few(head.streamsAt + at * streamBytes, streamBytes);
      const name = this.#few(head.namesAt + entry.readUInt32LE(4), entry.readUInt32LE(8)).toString('utf8');
      yield [name, this.#spanOf(head, entry)];
    }
  }

  /** Lets go of everything kept for this file. */
  forget(): void {
    this.#cache.files.delete(this);
    this.#cache.summaries.delete(this);
    this.#lastPage = undefined;
  }
}
