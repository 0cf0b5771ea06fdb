/**
 * The rules of an event log over a storage: expected revisions, repeated appends, deletion, metadata of streams and what
 * they leave to be read. Knows nothing of the wire. One process owns a storage, so a check and what follows it are one
 * step of the event loop, and no lock is needed.
 */
import { randomUUID } from 'node:crypto';
import {
  AppendTooLarge,
  type Expected,
  InvalidRequest,
  StreamDeleted,
  StreamNotFound,
  WrongExpectedRevision,
} from './log-errors.ts';
import {
  deletedBefore,
  deletedBeforeText,
  describedStream,
  isMetadataStream,
  metadataCache,
  metadataStream,
  metadataType,
  type StreamMetadata,
} from './log-metadata.ts';
import { type RecentEvent, RecentEvents } from './log-recent.ts';
import { followTail, type Tail } from './log-tail.ts';
import type { Appended, NewRecord, Storage, StoredRecord } from './storage.ts';
import { decodeRecordedEvent, tombstoneRevision } from './wire-record.ts';

export type Direction = 'forwards' | 'backwards';
/** The stream's newest revision after the append (undefined: it has none) and the position of the last event. */
export type AppendOutcome = { readonly revision: number | undefined; readonly position: number | undefined };
/** `next`: the revision to go on from; undefined when there is nothing more. */
export type StreamPage = { readonly records: readonly StoredRecord[]; readonly next: number | undefined };

export type EventLog = {
  readonly storage: Storage;
  readonly tail: Tail;
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
const recentAtStartMax = 4_096;
export const linkType = '$>';
const tombstoneType = '$streamDeleted';

/** Opens the rules over a storage. Reads the newest few thousand records, to know repeated appends after a restart. */
export async function openEventLog(storage: Storage, options: LogOptions = {}): Promise<EventLog> {
  const { maxAppendBytes = maxAppendBytesDefault, nowMs = Date.now } = options;
  const tail = followTail(storage);
  const metadata = metadataCache(storage);
  const recent = new RecentEvents();
  const newest = await storage.readAll(storage.lastPosition(), 'backwards', recentAtStartMax);
  for (const { id, stream, revision, position } of newest.reverse()) {
    recent.add(id, { stream, revision, position, append: undefined });
  }

  function headOf(stream: string): number | undefined {
    const head = storage.head(stream)?.revision;
    if (head !== undefined && head >= tombstoneRevision) throw new StreamDeleted(stream);
    return head;
  }

  function store(stream: string, firstRevision: number, events: readonly NewRecord[]): Promise<Appended> {
    const append = storage.append(stream, firstRevision, events);
    events.forEach(({ id }, i) => {
      recent.add(id, { stream, revision: firstRevision + i, append, position: undefined });
    });
    append.catch(() => {
      for (const { id } of events) recent.forget(id, append);
    });
    const last = events.at(-1);
    if (isMetadataStream(stream) && last !== undefined) {
      metadata.accepted(describedStream(stream), last.data, append);
    }
    return append;
  }

  function storeMetadata(
    stream: string,
    described: StreamMetadata,
    truncateBefore: string,
  ): Promise<Appended> {
    const { $tb: _, ...rest } = described.json;
    const others = JSON.stringify(rest).slice(1, -1);
    const json = `{"$tb":${truncateBefore}${others === '' ? '' : `,${others}`}}`;
    const name = metadataStream(stream);
    return store(name, (storage.head(name)?.revision ?? -1) + 1, [systemEvent(metadataType, json)]);
  }

  async function accept(
    stream: string,
    expected: Expected,
    events: readonly NewRecord[],
    described: StreamMetadata,
  ): Promise<AppendOutcome> {
    const head = headOf(stream);
    if (isMetadataStream(stream)) headOf(describedStream(stream));
    const deleted = described.truncateBefore >= deletedBefore;
    const wrong = () => new WrongExpectedRevision(stream, expected, deleted ? undefined : head);
    const last = events.at(-1);
    if (expected === 'any' || expected === 'streamExists') {
      const exists = !deleted && (head ?? storage.head(metadataStream(stream))) !== undefined;
      if (expected === 'streamExists' && !exists) throw wrong();
      const known = events.map(({ id }) => recent.get(id)).filter(event => event?.stream === stream);
      if (known.length > 0 && known.length < events.length) throw wrong();
      const first = known.at(-1);
      if (first !== undefined) return outcomeOf(first);
    } else if (!(expected === 'noStream' && (head === undefined || deleted)) && expected !== head) {
      const before = expected === 'noStream' ? -1 : expected;
      if (last === undefined || head === undefined || before > head) throw wrong();
      return repeated(stream, before, events, described, wrong);
    } else if (expected === 'noStream' && deleted && last !== undefined) {
      const known = recent.get(last.id);
      if (known?.stream === stream && known.revision === events.length - 1) return outcomeOf(known);
    }
    if (last === undefined) return { revision: deleted ? undefined : head, position: undefined };
    const firstRevision = (head ?? -1) + 1;
    // The stream is seen again from here on; its metadata goes first, so that no acknowledged event is ever hidden.
    const revived = deleted ? storeMetadata(stream, described, `${firstRevision}`) : undefined;
    const [appended] = await Promise.all([store(stream, firstRevision, events), revived]);
    return appended;
  }

  /** The append follows an older revision: the same events must be there, or it is refused. */
  async function repeated(
    stream: string,
    before: number,
    events: readonly NewRecord[],
    described: StreamMetadata,
    wrong: () => Error,
  ): Promise<AppendOutcome> {
    const known = events.map(({ id }) => recent.get(id));
    // Written again after a soft deletion, the first event of a "new" stream has not revision 0.
    const restarts = before === -1 && known[0]?.revision === described.truncateBefore;
    const first = restarts ? described.truncateBefore : before + 1;
    const places = known.map((event, i) => event?.stream === stream && event.revision === first + i);
    const last = known.at(-1);
    if (last !== undefined && places.every(same => same)) return outcomeOf(last);
    if (known.some((event, i) => event?.stream === stream && !places[i])) throw wrong();
    const stored = await storage.readStream(stream, first, 'forwards', events.length, maxAppendBytes * 2);
    if (events.some(({ id }, i) => stored[i]?.id !== id || stored[i]?.revision !== first + i)) throw wrong();
    const newestOfThem = stored[events.length - 1];
    return { revision: newestOfThem?.revision, position: newestOfThem?.position };
  }

  function checkRemovable(stream: string, expected: Expected, described: StreamMetadata): number | undefined {
    const head = headOf(stream);
    const deleted = described.truncateBefore >= deletedBefore;
    const fits =
      expected === 'any' ||
      (expected === 'noStream' && (head === undefined || deleted)) ||
      (expected === 'streamExists' && !deleted && head !== undefined) ||
      expected === head;
    if (!fits) throw new WrongExpectedRevision(stream, expected, deleted ? undefined : head);
    return head;
  }

  async function range(stream: string): Promise<{ first: number; last: number }> {
    const head = headOf(stream);
    if (isMetadataStream(stream)) headOf(describedStream(stream));
    const described = await metadata.of(stream);
    if (head === undefined || described.truncateBefore >= deletedBefore) throw new StreamNotFound(stream);
    let first = described.truncateBefore;
    if (described.maxCount !== undefined) first = Math.max(first, head - described.maxCount + 1);
    if (described.maxAgeMs !== undefined) {
      first = await firstSince(storage, stream, first, head, nowMs() - described.maxAgeMs);
    }
    return { first, last: head };
  }

  async function readStream(
    stream: string,
    from: number,
    direction: Direction,
    limit: number,
    bytesMax: number,
  ): Promise<StreamPage> {
    const { first } = await range(stream);
    if (direction === 'forwards') {
      const records = await storage.readStream(stream, Math.max(from, first), direction, limit, bytesMax);
      const last = records.at(-1);
      return { records, next: last === undefined ? undefined : last.revision + 1 };
    }
    const read = await storage.readStream(stream, from, direction, limit, bytesMax);
    const records = read.filter(({ revision }) => revision >= first);
    const last = records.length === read.length ? records.at(-1) : undefined;
    return { records, next: last === undefined || last.revision === 0 ? undefined : last.revision - 1 };
  }

  return {
    storage,
    tail,
    range,
    readStream,
    metadata: stream => metadata.of(stream),

    async append(stream, expected, events) {
      checkName(stream);
      checkSize(events, maxAppendBytes);
      const described = metadata.of(stream);
      return accept(stream, expected, events, described instanceof Promise ? await described : described);
    },

    async softDelete(stream, expected) {
      checkName(stream);
      const described = await metadata.of(stream);
      const head = checkRemovable(stream, expected, described);
      if (head === undefined && storage.head(metadataStream(stream)) === undefined) {
        throw new WrongExpectedRevision(stream, expected, undefined);
      }
      return storeMetadata(stream, described, deletedBeforeText);
    },

    async tombstone(stream, expected) {
      checkName(stream);
      checkRemovable(stream, expected, await metadata.of(stream));
      return store(stream, tombstoneRevision, [systemEvent(tombstoneType, '')]);
    },

    async resolve(link) {
      const text = Buffer.from(decodeRecordedEvent(link.wire).data).toString('utf8');
      const at = text.indexOf('@');
      const revision = Number(text.slice(0, at));
      const stream = text.slice(at + 1);
      if (at < 1 || stream === '' || !Number.isSafeInteger(revision)) return undefined;
      try {
        const { records } = await readStream(stream, revision, 'forwards', 1, 1);
        return records[0]?.revision === revision ? records[0] : undefined;
      } catch (error) {
        if (error instanceof StreamNotFound || error instanceof StreamDeleted) return undefined;
        throw error;
      }
    },
  };
}

async function outcomeOf(event: RecentEvent): Promise<AppendOutcome> {
  if (event.position !== undefined) return { revision: event.revision, position: event.position };
  const append = await event.append;
  return { revision: event.revision, position: append?.position };
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

function checkName(stream: string): void {
  if (stream === '') throw new InvalidRequest('A stream needs a name.');
  if (stream === '$all') throw new InvalidRequest('$all cannot be written to.');
  if (stream === '$$' || stream.startsWith('$$$$')) {
    throw new InvalidRequest(`'${stream}' is not the name of a stream.`);
  }
}

function checkSize(events: readonly NewRecord[], bytesMax: number): void {
  let size = 0;
  for (const { type, data, metadata } of events) size += data.length + metadata.length + 2 * type.length;
  if (size > bytesMax) throw new AppendTooLarge(bytesMax);
}

const noBytes = new Uint8Array();

function systemEvent(type: string, json: string): NewRecord {
  const data = Buffer.from(json);
  return { id: randomUUID(), type, contentType: 'application/json', data, metadata: noBytes };
}
