/**
 * The rules of an event log over a storage: expected revisions, repeated appends, deletion, metadata of streams and what
 * they leave to be read. Knows nothing of the wire. One process owns a storage, so a check and what follows it are one
 * step of the event loop, and no lock is needed.
 */
import type { Expected } from './log-errors.ts';
import { metadataCache, type StreamMetadata } from './log-metadata.ts';
import { StreamReads } from './log-read.ts';
import { RecentEvents } from './log-recent.ts';
import { followTail, type Tail } from './log-tail.ts';
import { type Wakes, wakeOnCommit } from './log-wake.ts';
import { StreamWrites } from './log-write.ts';
import type { Appended, NewRecord, Storage, StoredRecord } from './storage.ts';

export type Direction = 'forwards' | 'backwards';
/** The stream's newest revision after the append (undefined: it has none) and the position of the last event. */
export type AppendOutcome = { readonly revision: number | undefined; readonly position: number | undefined };
/** `next`: the revision to go on from; undefined when there is nothing more. */
export type StreamPage = { readonly records: readonly StoredRecord[]; readonly next: number | undefined };

export type EventLog = {
  readonly storage: Storage;
  readonly tail: Tail;
  readonly wakes: Wakes;
  /**
   * Resolves when the events are durable; the same events again give the first outcome. Rejects with the errors of
   * log-errors.ts, and with those of the storage.
   */
  append(stream: string, expected: Expected, events: readonly NewRecord[]): Promise<AppendOutcome>;
  /** Hides what the stream holds; it can be appended to again. Rejects as `append`. */
  softDelete(stream: string, expected: Expected): Promise<Appended>;
  /** Ends the stream for ever. Rejects as `append`. */
  tombstone(stream: string, expected: Expected): Promise<Appended>;
  /** Rejects with StreamNotFound or StreamDeleted. */
  readStream(
    stream: string,
    from: number,
    direction: Direction,
    limit: number,
    bytesMax: number,
  ): Promise<StreamPage>;
  /** What a link points to; undefined when that cannot be read any more. */
  resolve(link: StoredRecord): Promise<StoredRecord | undefined>;
  metadata(stream: string): StreamMetadata | Promise<StreamMetadata>;
  /** First and newest revision that can be read. Rejects as `readStream`. */
  range(stream: string): Promise<{ readonly first: number; readonly last: number }>;
};

export type LogOptions = {
  /** Data, metadata and twice the type's length, of all events of an append together. */
  readonly maxAppendBytes?: number;
  readonly nowMs?: () => number;
};

export const maxAppendBytesDefault = 1024 * 1024;
/** Read at the start, so bounded whatever the log's length. */
const recentAtStartMax = 4_096;
export const linkType = '$>';

/** Opens the rules over a storage. Reads the newest few thousand records, to know repeated appends after a restart. */
export async function openEventLog(storage: Storage, options: LogOptions = {}): Promise<EventLog> {
  const { maxAppendBytes = maxAppendBytesDefault, nowMs = Date.now } = options;
  // The tail hears of a commit before anyone is woken by it.
  const tail = followTail(storage);
  const wakes = wakeOnCommit(storage);
  const metadata = metadataCache(storage);
  const recent = new RecentEvents();
  const newest = await storage.readAll(storage.lastPosition(), 'backwards', recentAtStartMax);
  for (const { id, stream, revision, position } of newest.reverse()) {
    recent.add(id, { stream, revision, position, append: undefined });
  }
  const writes = new StreamWrites(storage, metadata, recent, maxAppendBytes);
  const reads = new StreamReads(storage, metadata, nowMs);
  return {
    storage,
    tail,
    wakes,
    append: (stream, expected, events) => writes.append(stream, expected, events),
    softDelete: (stream, expected) => writes.softDelete(stream, expected),
    tombstone: (stream, expected) => writes.tombstone(stream, expected),
    range: stream => reads.range(stream),
    readStream: (stream, from, direction, limit, bytesMax) =>
      reads.read(stream, from, direction, limit, bytesMax),
    resolve: link => reads.resolve(link),
    metadata: stream => metadata.of(stream),
  };
}
