/** The rules of reading: what metadata and deletion leave of a stream, and where links lead. */
import type { Direction, StreamPage } from './log.ts';
import { StreamDeleted, StreamNotFound } from './log-errors.ts';
import { deletedBefore, describedStream, isMetadataStream, type MetadataCache } from './log-metadata.ts';
import { headOf } from './log-write.ts';
import type { Storage, StoredRecord } from './storage.ts';
import { decodeRecordedEvent } from './wire-record.ts';

/**
 * What persistent subscriptions to $all note about themselves is no part of $all: they would be woken by their own
 * checkpoints for ever.
 */
export function isHiddenInAll({ wire }: StoredRecord): boolean {
  // Every reader of $all asks this of every record, so the name is not read for it: id and tag have a fixed length.
  let at = streamAt;
  while ((wire[at++] as number) >= 0x80);
  at += 1;
  while ((wire[at++] as number) >= 0x80);
  if (wire[at] !== dollar) return false;
  if (wire[at + 1] === dollar) at += 2;
  return notesOfAll.every((byte, i) => wire[at + i] === byte);
}
const streamAt = 2 + 2 + 36 + 1;
const dollar = 36;
const notesOfAll = Buffer.from('$persistentsubscription-$all::');

export class StreamReads {
  readonly #storage: Storage;
  readonly #metadata: MetadataCache;
  readonly #nowMs: () => number;

  constructor(storage: Storage, metadata: MetadataCache, nowMs: () => number) {
    this.#storage = storage;
    this.#metadata = metadata;
    this.#nowMs = nowMs;
  }

  async range(stream: string): Promise<{ first: number; last: number }> {
    const head = headOf(this.#storage, stream);
    if (isMetadataStream(stream)) headOf(this.#storage, describedStream(stream));
    const known = this.#metadata.of(stream);
    const described = known instanceof Promise ? await known : known;
    if (head === undefined || described.truncateBefore >= deletedBefore) throw new StreamNotFound(stream);
    let first = described.truncateBefore;
    if (described.maxCount !== undefined) first = Math.max(first, head - described.maxCount + 1);
    if (described.maxAgeMs !== undefined) {
      first = await firstSince(this.#storage, stream, first, head, this.#nowMs() - described.maxAgeMs);
    }
    return { first, last: head };
  }

  async read(
    stream: string,
    from: number,
    direction: Direction,
    limit: number,
    bytesMax: number,
  ): Promise<StreamPage> {
    const { first } = await this.range(stream);
    if (direction === 'forwards') {
      const start = Math.max(from, first);
      const records = await this.#storage.readStream(stream, start, direction, limit, bytesMax);
      const last = records.at(-1);
      return { records, next: last === undefined ? undefined : last.revision + 1 };
    }
    const read = await this.#storage.readStream(stream, from, direction, limit, bytesMax);
    const records = read.filter(({ revision }) => revision >= first);
    const last = records.length === read.length ? records.at(-1) : undefined;
    return { records, next: last === undefined || last.revision === 0 ? undefined : last.revision - 1 };
  }

  /** `revision@stream` is what a link's data says. */
  async resolve(link: StoredRecord): Promise<StoredRecord | undefined> {
    const text = Buffer.from(decodeRecordedEvent(link.wire).data).toString('utf8');
    const at = text.indexOf('@');
    const revision = Number(text.slice(0, at));
    const stream = text.slice(at + 1);
    if (at < 1 || stream === '' || !Number.isSafeInteger(revision)) return undefined;
    // Who may write a link must not read with it what he may not read: least of all hashes of passwords.
    if (stream.startsWith('$user-')) return undefined;
    try {
      const { records } = await this.read(stream, revision, 'forwards', 1, 1);
      return records[0]?.revision === revision ? records[0] : undefined;
    } catch (error) {
      if (error instanceof StreamNotFound || error instanceof StreamDeleted) return undefined;
      throw error;
    }
  }
}

/** The first revision stored at `sinceMs` or later, by halving: events of a stream are stored in the order of time. */
async function firstSince(
  storage: Storage,
  stream: string,
  first: number,
  last: number,
  sinceMs: number,
): Promise<number> {
  let low = first;
  let high = last + 1;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const [record] = await storage.readStream(stream, middle, 'forwards', 1, 1);
    if (record === undefined || record.createdMs >= sinceMs) high = middle;
    else low = Math.max(middle, record.revision) + 1;
  }
  return low;
}
