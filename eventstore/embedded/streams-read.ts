/** Streams.Read: a read of a stream or of $all in either direction, or the beginning of a subscription. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Codec } from './codec.ts';
import { readRequest, readResponse } from './codec-streams.ts';
import type { Direction, EventLog } from './log.ts';
import { AccessDenied, InvalidRequest, StreamNotFound } from './log-errors.ts';
import { isMetadataStream } from './log-metadata.ts';
import { isHiddenInAll } from './log-read.ts';
import type { Access } from './server-access.ts';
import { type Call, type Caller, type Method, onlyMessage } from './server-call.ts';
import type { StoredRecord } from './storage.ts';
import { type Filter, filterOf } from './streams-filter.ts';
import { Frames, isLink } from './streams-frames.ts';
import { streamName } from './streams-proposed.ts';
import { subscribeToAll, subscribeToStream } from './subscriptions.ts';

type Options = NonNullable<(typeof readRequest extends Codec<infer T> ? T : never)['options']>;

const pageRecordsMax = 1_000;
const pageBytesMax = 512 * 1024;
const positionMax = Number.MAX_SAFE_INTEGER;

const readOperation = (stream: string) => (isMetadataStream(stream) ? 'readMetadata' : 'read');

export function readMethod(of: EventLog, access: Access): Method {
  return async call => {
    const log = seenBy(of, access, call.caller);
    const { options } = readRequest.decode(await onlyMessage(call));
    if (options === undefined) throw new InvalidRequest('A read needs options.');
    const direction = directionOf(options.direction);
    const filter = filterOf(options.filter);
    if (options.stream !== undefined) {
      const stream = streamName(options.stream.stream);
      if (filter !== undefined) throw new InvalidRequest('Only $all can be filtered.');
      await access.check(call.caller, readOperation(stream), stream);
      const { revision, end } = options.stream;
      const from = revision ?? (end === undefined ? 'start' : 'end');
      if (options.subscription === undefined) await readStream(call, log, stream, from, direction, options);
      else await subscribeToStream(call, log, { ...shapeOf(options), stream, from });
      return;
    }
    if (options.all === undefined) throw new InvalidRequest('A read needs a stream or $all.');
    await access.check(call.caller, 'read', '$all');
    const { position, end } = options.all;
    const from = position === undefined ? (end === undefined ? 'start' : 'end') : position.commit;
    if (options.subscription === undefined) await readAll(call, log, from, direction, filter, options);
    else await subscribeToAll(call, log, { ...shapeOf(options), from, filter });
  };
}

/** A link shows nobody what he could not read himself. */
function seenBy(log: EventLog, access: Access, caller: Caller): EventLog {
  async function resolve(link: StoredRecord): Promise<StoredRecord | undefined> {
    const event = await log.resolve(link);
    if (event === undefined) return undefined;
    try {
      await access.check(caller, readOperation(event.stream), event.stream);
      return event;
    } catch (error) {
      if (error instanceof AccessDenied) return undefined;
      throw error;
    }
  }
  return { ...log, resolve };
}

function directionOf(direction: number): Direction {
  if (direction > 1) throw new InvalidRequest(`There is no direction ${direction}.`);
  return direction === 0 ? 'forwards' : 'backwards';
}

/** Where a read begins: a number, or one of the ends. */
type From = number | 'start' | 'end';

/** Nothing to read: forwards from the end, backwards from the start. */
function isOutside(from: From, direction: Direction): boolean {
  return from === (direction === 'forwards' ? 'end' : 'start');
}

/** How events are to be sent. */
function shapeOf({ resolveLinks, uuids }: Options) {
  return { resolveLinks, structuredIds: uuids?.structured !== undefined };
}

function countOf({ count }: Options): number {
  if (count === undefined) throw new InvalidRequest('A read needs a count, or is a subscription.');
  return count;
}

async function readStream(
  call: Call,
  log: EventLog,
  stream: string,
  from: From,
  direction: Direction,
  options: Options,
): Promise<void> {
  let left = countOf(options);
  try {
    const { first, last } = await log.range(stream);
    let next: number | undefined = isOutside(from, direction) ? undefined : numberOf(from, 0, positionMax);
    while (next !== undefined && left > 0 && !call.signal.aborted) {
      const page = await log.readStream(
        stream,
        next,
        direction,
        Math.min(left, pageRecordsMax),
        pageBytesMax,
      );
      left -= page.records.length;
      next = page.next;
      if (page.records.length > 0) await sendPage(call, log, page.records, options);
      if (direction === 'forwards' && next !== undefined && next > last) break;
    }
    if (options.control === undefined || options.control.compatibility < 1) return;
    call.send(
      readResponse.frame(direction === 'forwards' ? { lastRevision: last } : { firstRevision: first }),
    );
  } catch (error) {
    if (!(error instanceof StreamNotFound)) throw error;
    call.send(readResponse.frame({ streamNotFound: { stream: { name: stream } } }));
  }
}

function numberOf(from: From, start: number, end: number): number {
  return from === 'start' ? start : from === 'end' ? end : Math.min(from, positionMax);
}

async function readAll(
  call: Call,
  log: EventLog,
  from: From,
  direction: Direction,
  filter: Filter | undefined,
  options: Options,
): Promise<void> {
  let left = countOf(options);
  if (isOutside(from, direction)) return;
  // What comes while it is read does not make the read longer.
  const last = log.storage.lastPosition();
  const forwards = direction === 'forwards';
  // Forwards a position includes its event, backwards it does not.
  let next = numberOf(from, 0, positionMax) - (forwards || from === 'end' ? 0 : 1);
  while (left > 0 && next >= 0 && !call.signal.aborted) {
    const limit = filter === undefined ? Math.min(left, pageRecordsMax) : pageRecordsMax;
    const page = await log.storage.readAll(next, direction, limit, pageBytesMax);
    const newest = page.at(-1);
    if (newest === undefined) return;
    const fitting = page.filter(
      record => record.position <= last && !isHiddenInAll(record) && (filter?.matches(record) ?? true),
    );
    const records = fitting.slice(0, left);
    left -= records.length;
    if (records.length > 0) await sendPage(call, log, records, options);
    else await nextTurn();
    if (forwards && newest.position >= last) return;
    next = newest.position + (forwards ? 1 : -1);
  }
}

async function sendPage(
  call: Call,
  log: EventLog,
  records: readonly StoredRecord[],
  options: Options,
): Promise<void> {
  const { resolveLinks, structuredIds } = shapeOf(options);
  let bytes = 0;
  for (const record of records) bytes += record.wire.length + 40;
  const frames = new Frames(bytes, structuredIds);
  for (const record of records) {
    if (resolveLinks && isLink(record)) frames.event(await log.resolve(record), record);
    else frames.event(record, undefined);
  }
  // The page before this one is on its way while this one is read: one is sent, one is held, never more.
  await call.drained();
  call.send(frames.taken());
  // Other calls get their turn, however fast the storage is.
  await nextTurn();
}
