/**
 * Subscriptions to a stream or to $all: first what is stored, then, after "caught up", what comes. Each reads at its own
 * pace and holds no more than a page; a commit only wakes it. Who is slower than the log goes back to reading.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readResponse } from './codec-streams.ts';
import type { EventLog } from './log.ts';
import { StreamNotFound } from './log-errors.ts';
import { isHiddenInAll } from './log-read.ts';
import type { Call } from './server-call.ts';
import type { StoredRecord } from './storage.ts';
import type { Filter } from './streams-filter.ts';
import { Frames, isLink } from './streams-frames.ts';

const pageRecordsMax = 512;
const pageBytesMax = 256 * 1024;
const positionMax = Number.MAX_SAFE_INTEGER;

const caughtUp = readResponse.frame({ caughtUp: {} });
const fellBehind = readResponse.frame({ fellBehind: {} });
const checkpointAt = (position: number) =>
  readResponse.frame({ checkpoint: { commit: position, prepare: position } });

type From = number | 'start' | 'end';

/** `from` is exclusive. Returns when the client has gone. */
export async function subscribeToAll(
  call: Call,
  log: EventLog,
  options: { from: From; filter: Filter | undefined; resolveLinks: boolean; structuredIds: boolean },
): Promise<void> {
  const { from, filter, resolveLinks } = options;
  let cursor = from === 'start' ? 0 : from === 'end' ? log.tail.last() : Math.min(from, positionMax);
  let considered = 0;
  let live = false;
  // From before the first reading, so that no commit in between is missed.
  const waiter = log.wakes.listen(undefined, call.signal);
  call.send(readResponse.frame({ confirmation: { id: randomUUID() } }));
  while (!call.signal.aborted) {
    const recent = log.tail.after(cursor, pageRecordsMax);
    if (recent === undefined && live) {
      live = false;
      call.send(fellBehind);
    }
    const page = recent ?? (await log.storage.readAll(cursor + 1, 'forwards', pageRecordsMax, pageBytesMax));
    if (page.length === 0) {
      if (!live) {
        live = true;
        if (filter !== undefined) call.send(checkpointAt(cursor));
        call.send(caughtUp);
      }
      await waiter.next();
      continue;
    }
    const frames = new Frames(0, options.structuredIds);
    for (const record of page) {
      cursor = record.position;
      if (isHiddenInAll(record)) continue;
      if (filter === undefined || filter.matches(record)) {
        const following = addRecord(frames, record, resolveLinks, log);
        if (following !== undefined) await following;
      }
      if (filter !== undefined && ++considered >= filter.checkpointRecords) {
        considered = 0;
        frames.add(checkpointAt(cursor));
      }
      if (frames.length > pageBytesMax) break;
    }
    if (frames.length > 0 && !call.send(frames.taken())) await call.drained();
    // Catching up must not keep others waiting; live there is nothing to wait for but the next commit.
    if (!live) await nextTurn();
  }
}

/** `from` is exclusive. Returns when the client has gone; rejects with StreamDeleted. */
export async function subscribeToStream(
  call: Call,
  log: EventLog,
  options: { stream: string; from: From; resolveLinks: boolean; structuredIds: boolean },
): Promise<void> {
  const { stream, from, resolveLinks } = options;
  const head = log.storage.head(stream)?.revision ?? -1;
  let cursor = from === 'start' ? -1 : from === 'end' ? head : Math.min(from, positionMax);
  let live = false;
  // From before the first reading, so that no commit in between is missed.
  const waiter = log.wakes.listen(stream, call.signal);
  call.send(readResponse.frame({ confirmation: { id: randomUUID() } }));
  while (!call.signal.aborted) {
    const page = await pageAfter(log, stream, cursor);
    if (page.length === 0) {
      if (!live) {
        live = true;
        call.send(caughtUp);
      }
      await waiter.next();
      continue;
    }
    const frames = new Frames(0, options.structuredIds);
    for (const record of page) {
      cursor = record.revision;
      const following = addRecord(frames, record, resolveLinks, log);
      if (following !== undefined) await following;
    }
    if (!call.send(frames.taken())) await call.drained();
    if (!live) await nextTurn();
  }
}

async function pageAfter(log: EventLog, stream: string, revision: number): Promise<readonly StoredRecord[]> {
  try {
    return (await log.readStream(stream, revision + 1, 'forwards', pageRecordsMax, pageBytesMax)).records;
  } catch (error) {
    // It may come yet, or come back.
    if (error instanceof StreamNotFound) return [];
    throw error;
  }
}

/** Without waiting where there is no link to follow, which is nearly always. */
function addRecord(
  frames: Frames,
  record: StoredRecord,
  resolveLinks: boolean,
  log: EventLog,
): Promise<void> | undefined {
  if (!resolveLinks || !isLink(record)) {
    frames.event(record, undefined);
    return undefined;
  }
  return log.resolve(record).then(event => frames.event(event, record));
}
