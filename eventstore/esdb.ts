/** The event log behind EventStoreDB's own client. The only file that knows it, so a successor changes one file. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type AllStreamSubscription,
  END,
  EventStoreDBClient,
  jsonEvent,
  NO_STREAM,
  type ResolvedEvent,
  START,
  StreamNotFoundError,
  streamNameFilter,
  TimeoutError,
  UnavailableError,
  UnknownError,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import type { Metadata, Recorded } from '../domain/events.ts';
import type { Message } from '../domain/kernel/decider.ts';
import {
  type Batch,
  type EventStore,
  LogUnavailable,
  type StoredEvent,
  type StoredLog,
  type SubscribeOptions,
  WrongRevision,
} from './store.ts';
import { upcast } from './upcast.ts';

const batchEventsMax = 2_000;
const bufferedEventsMax = 4_000;
const retryMsMin = 50;
const retryMsMax = 2_000;
/** A filtered subscription reports how far it is after this many times 32 events that did not match. */
const checkpointInterval = 32;
/** Of streams: the log's own begin with a dollar sign. */
const notOfTheLog = '^[^$]';
/** As the log says it: see StorageFull. */
const fullDisk = /no room left on the disk/;

/** Opens a client for a connection string, `esdb://host:port?tls=false`. Nothing is connected until it is used. */
export function openLog(connectionString: string): {
  store: EventStore;
  stored: StoredLog;
  close(): Promise<void>;
} {
  const client = EventStoreDBClient.connectionString(connectionString);
  return { store: esdbStore(client), stored: esdbStored(client), close: () => client.dispose() };
}

function esdbStore(client: EventStoreDBClient): EventStore {
  return {
    async load(stream, options) {
      const events: Recorded[] = [];
      try {
        for await (const resolved of client.readStream(stream)) {
          const event = followed(resolved);
          if (event !== undefined) events.push(event);
        }
      } catch (error) {
        if (!(error instanceof StreamNotFoundError)) throw unavailable(error);
      }
      // Only now: a reading that is broken off in the middle never ends.
      const unreadable = events.find(event => event.unreadable !== undefined);
      if (unreadable !== undefined && options?.isLenient !== true)
        throw new Error(`${unreadable.type} at ${unreadable.position}: ${unreadable.unreadable}`);
      return { events, revision: events.at(-1)?.revision ?? 'none' };
    },

    async append(stream, events, expected) {
      const expectedRevision = expected === 'none' ? NO_STREAM : expected;
      const proposed = events.map(event => jsonEvent(event));
      try {
        const { position } = await client.appendToStream(stream, proposed, { expectedRevision });
        if (position === undefined) throw new Error('the log answered an append without a position');
        return { position: position.commit };
      } catch (error) {
        if (error instanceof WrongExpectedVersionError) throw new WrongRevision(stream, { cause: error });
        throw unavailable(error);
      }
    },

    subscribe: ({ streamPrefixes, ...options }) =>
      follow(client, { ...options, names: { prefixes: [...streamPrefixes] }, read: followed }),
  };
}

function esdbStored(client: EventStoreDBClient): StoredLog {
  return {
    follow: options => follow(client, { ...options, names: { regex: notOfTheLog }, read: stored }),
    async at(position) {
      const fromPosition = { commit: position, prepare: position };
      let found: StoredEvent | undefined;
      try {
        for await (const resolved of client.readAll({ fromPosition, maxCount: 1 })) found = stored(resolved);
      } catch (error) {
        throw unavailable(error);
      }
      return found?.position === position && !found.stream.startsWith('$') ? found : undefined;
    },
  };
}

/** What is followed: streams by their names, and how an event is read. */
type Followed<E> = Omit<SubscribeOptions, 'streamPrefixes'> & {
  readonly names: { readonly prefixes: string[] } | { readonly regex: string };
  readonly read: (resolved: ResolvedEvent) => E | undefined;
};

/** One subscription after another, each behind the last batch, until the signal aborts. */
async function* follow<E extends Placed>(
  client: EventStoreDBClient,
  options: Followed<E>,
): AsyncIterable<Batch<E>> {
  const { signal } = options;
  let from = options.from;
  let retryMs = retryMsMin;
  while (!signal.aborted) {
    try {
      for await (const batch of subscribeOnce(client, { ...options, from })) {
        if (batch.position !== null) from = batch.position;
        retryMs = retryMsMin;
        yield batch;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isWeather(error)) throw error;
      await pause(retryMs, signal);
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
}

type Placed = { readonly position: bigint };
type Marker = { readonly marker: 'caughtUp' } | { readonly marker: 'checkpoint'; readonly position: bigint };

async function* subscribeOnce<E extends Placed>(
  client: EventStoreDBClient,
  { from, signal, names, read }: Followed<E>,
): AsyncIterable<Batch<E>> {
  const fromPosition = from === 'start' ? START : from === 'end' ? END : { commit: from, prepare: from };
  const mark = (subscription: AllStreamSubscription, marker: Marker) => void subscription.push(marker);
  const told = {
    checkpointInterval,
    // Pushed among the events, so that it is read only after those before it.
    checkpointReached: (self: AllStreamSubscription, position: { commit: bigint }) =>
      mark(self, { marker: 'checkpoint', position: position.commit }),
  };
  const subscription = client.subscribeToAll(
    {
      fromPosition,
      filter:
        'regex' in names ? streamNameFilter({ ...names, ...told }) : streamNameFilter({ ...names, ...told }),
    },
    { highWaterMark: bufferedEventsMax },
  );
  subscription.on('caughtUp', () => mark(subscription, { marker: 'caughtUp' }));
  let failure: unknown;
  let wake = () => {};
  const fail = (error: unknown) => {
    failure ??= error;
    wake();
  };
  const woken = () => wake();
  subscription.on('error', fail);
  subscription.once('end', () => fail(new LogUnavailable('the log ended the subscription')));
  subscription.on('readable', woken);
  signal.addEventListener('abort', woken, { once: true });
  let position = typeof from === 'bigint' ? from : null;
  try {
    while (!signal.aborted) {
      const batch = take(subscription, position, read);
      if (batch !== undefined) {
        position = batch.position;
        yield batch;
        continue;
      }
      if (failure !== undefined) throw failure;
      await new Promise<void>(resolve => {
        wake = resolve;
        // Something may have come between the look and the waiting.
        if (subscription.readableLength > 0 || failure !== undefined || signal.aborted) resolve();
      });
      // What the same packet brought comes one by one: a turn later it is there, and is one batch.
      await nextTurn();
    }
  } finally {
    signal.removeEventListener('abort', woken);
    await subscription.unsubscribe().catch(() => undefined);
  }
}

/** What has come since the last look, at most `batchEventsMax` events; undefined when nothing has. */
function take<E extends Placed>(
  subscription: AllStreamSubscription,
  before: bigint | null,
  read: Followed<E>['read'],
): Batch<E> | undefined {
  const events: E[] = [];
  let position = before;
  let caughtUp = false;
  let seen = false;
  while (events.length < batchEventsMax) {
    const next = subscription.read() as ResolvedEvent | Marker | null;
    if (next === null) break;
    seen = true;
    if ('marker' in next) {
      if (next.marker === 'caughtUp') caughtUp = true;
      else if (position === null || next.position > position) position = next.position;
      continue;
    }
    const event = read(next);
    if (event === undefined) continue;
    events.push(event);
    position = event.position;
  }
  return seen ? { events, position, caughtUp } : undefined;
}

function recorded({ event }: ResolvedEvent): Recorded | undefined {
  if (event === undefined || !event.isJson) return undefined;
  return {
    type: event.type,
    data: upcast(event.type, dataOf(event.data)),
    id: event.id,
    stream: event.streamId,
    revision: event.revision,
    position: event.position?.commit ?? 0n,
    created: createdAt(event.created),
    metadata: event.metadata as Metadata,
  } as Recorded;
}

function dataOf(data: unknown): Message['data'] {
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Message['data'];
  throw new TypeError('its data is no object');
}

/** For those who follow the log: an event that cannot be read is theirs to deal with, and not the end of what follows. */
function followed(resolved: ResolvedEvent): Recorded | undefined {
  try {
    return recorded(resolved);
  } catch (error) {
    const { event } = resolved;
    if (event === undefined) return undefined;
    const isObject = typeof event.data === 'object' && event.data !== null && !Array.isArray(event.data);
    const read = recorded({ event: { ...event, type: '', data: {} } } as ResolvedEvent);
    const data = isObject ? event.data : {};
    const unreadable = error instanceof Error ? error.message : String(error);
    return { ...read, type: event.type, data, unreadable } as unknown as Recorded;
  }
}

function stored({ event }: ResolvedEvent): StoredEvent | undefined {
  if (event === undefined) return undefined;
  const { type, isJson, data, id, streamId: stream, revision, position, metadata } = event;
  return {
    position: position?.commit ?? 0n,
    stream,
    revision,
    id,
    type,
    isJson,
    data,
    metadata: metadata ?? null,
    created: createdAt(event.created),
  };
}

/** In ticks of 100 ns where the client does not make it a time. */
function createdAt(created: unknown): string {
  return (created instanceof Date ? created : new Date(Number(created) / 10_000)).toISOString();
}

/** Failures of the connection or the server's moment, after which the same call may succeed. */
function isWeather(error: unknown): boolean {
  if (error instanceof LogUnavailable || error instanceof UnavailableError || error instanceof TimeoutError)
    return true;
  // The client knows no type for a full disk in the answer to a batch: only its message says it.
  if (error instanceof UnknownError && fullDisk.test(error.message)) return true;
  const code = (error as { code?: unknown }).code;
  // gRPC: CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL (a broken HTTP/2 session), UNAVAILABLE.
  return typeof code === 'number'
    ? [1, 4, 8, 10, 13, 14].includes(code)
    : /unavailable|cancelled|deadline/i.test(String(code));
}

function unavailable(error: unknown): unknown {
  return isWeather(error) ? new LogUnavailable('The event log does not answer', { cause: error }) : error;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => [clearTimeout(timer), resolve()], { once: true });
  });
}
