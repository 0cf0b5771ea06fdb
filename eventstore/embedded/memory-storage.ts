/** The log's records in arrays: for tests, and for the server's own limit in benchmarks. Nothing survives the process. */
import type { Head, NewRecord, Storage, StoredRecord } from './storage.ts';
import { encodeRecordedEvent } from './wire-record.ts';

const readBytesMax = 4 * 1024 * 1024;

/** A storage that is durable at once; `nowMs` is for tests that need another time. */
export function memoryStorage(nowMs: () => number = Date.now): Storage {
  let all: StoredRecord[] = [];
  let last = 0;
  const streams = new Map<string, StoredRecord[]>();
  const heads = new Map<string, Head>();
  const listeners = new Set<(records: readonly StoredRecord[]) => void>();

  function add(stream: string, revision: number, record: NewRecord): StoredRecord {
    last += 1;
    const createdMs = nowMs();
    const wire = encodeRecordedEvent({ ...record, stream, revision, position: last, createdMs });
    const stored = { position: last, stream, revision, id: record.id, type: record.type, createdMs, wire };
    all.push(stored);
    const own = streams.get(stream);
    if (own === undefined) streams.set(stream, [stored]);
    else own.push(stored);
    heads.set(stream, { revision });
    return stored;
  }

  return {
    append(stream, firstRevision, records) {
      const stored = records.map((record, i) => add(stream, firstRevision + i, record));
      for (const listener of listeners) listener(stored);
      return Promise.resolve({ position: last, revision: firstRevision + records.length - 1 });
    },
    head: stream => heads.get(stream),
    lastPosition: () => last,
    readAll: (from, direction, limit, bytesMax = readBytesMax) =>
      Promise.resolve(part(all, record => record.position, from, direction, limit, bytesMax)),
    readStream: (stream, from, direction, limit, bytesMax = readBytesMax) =>
      Promise.resolve(
        part(streams.get(stream) ?? [], record => record.revision, from, direction, limit, bytesMax),
      ),
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    scavenge(keep) {
      const gone = all.filter(record => !keep(record));
      all = all.filter(keep);
      for (const [stream, records] of streams) streams.set(stream, records.filter(keep));
      const bytesFreed = gone.reduce((sum, record) => sum + record.wire.length, 0);
      return Promise.resolve({ bytesFreed, records: gone.length });
    },
    close: () => Promise.resolve(),
  };
}

/** The records from `from` inclusive, at least one if there is any. */
function part(
  records: readonly StoredRecord[],
  key: (record: StoredRecord) => number,
  from: number,
  direction: 'forwards' | 'backwards',
  limit: number,
  bytesMax: number,
): StoredRecord[] {
  const step = direction === 'forwards' ? 1 : -1;
  let at = lowerBound(records, key, from);
  if (step < 0) {
    const there = records[at];
    if (there === undefined || key(there) > from) at -= 1;
  }
  const found: StoredRecord[] = [];
  let size = 0;
  for (; found.length < limit && size < bytesMax; at += step) {
    const record = records[at];
    if (record === undefined) break;
    found.push(record);
    size += record.wire.length;
  }
  return found;
}

/** Index of the first record whose key is at least `wanted`. */
function lowerBound(
  records: readonly StoredRecord[],
  key: (record: StoredRecord) => number,
  wanted: number,
): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key(records[middle] as StoredRecord) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
