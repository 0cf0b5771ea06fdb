/** The event log in an array: for tests that need a log but no server. Passes the same contract as esdb.ts. */
import type { Recorded } from '../domain/events.ts';
import {
  type Batch,
  type EventStore,
  type NewEvent,
  type StoredEvent,
  type StoredLog,
  type SubscribeOptions,
  WrongRevision,
} from './store.ts';

const batchEventsMax = 1_000;

export function memoryStore(): EventStore & StoredLog {
  const log: Recorded[] = [];
  const streams = new Map<string, Recorded[]>();
  let wake = Promise.withResolvers<void>();

  const record = (stream: string, event: NewEvent, revision: bigint): Recorded =>
    ({
      ...(JSON.parse(JSON.stringify(event)) as NewEvent),
      stream,
      revision,
      position: BigInt(log.length + 1),
      created: new Date().toISOString(),
    }) as Recorded;

  async function* read(
    { from, signal }: Pick<SubscribeOptions, 'from' | 'signal'>,
    isWanted: (event: Recorded) => boolean,
  ): AsyncIterable<Batch> {
    let next = from === 'start' ? 0 : from === 'end' ? log.length : Number(from);
    const aborted = new Promise<void>(resolve =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    let announced = false;
    while (!signal.aborted) {
      const part = log.slice(next, next + batchEventsMax);
      next += part.length;
      const caughtUp = next === log.length;
      if (part.length > 0 || !announced) {
        announced = caughtUp;
        yield { events: part.filter(isWanted), position: next === 0 ? null : BigInt(next), caughtUp };
      } else await Promise.race([wake.promise, aborted]);
    }
  }

  return {
    async load(stream) {
      const events = streams.get(stream) ?? [];
      return { events: [...events], revision: events.at(-1)?.revision ?? 'none' };
    },

    async append(stream, events, expected) {
      const present = streams.get(stream) ?? [];
      const revision = present.at(-1)?.revision ?? 'none';
      const again = events.map(event => present.find(stored => stored.id === event.id));
      const lastAgain = again.at(-1);
      if (lastAgain !== undefined && again.every(stored => stored !== undefined)) {
        return { position: lastAgain.position };
      }
      if (revision !== expected) throw new WrongRevision(`${stream} is at ${revision}, not at ${expected}`);
      for (const event of events) {
        const stored = record(stream, event, BigInt(present.length));
        present.push(stored);
        log.push(stored);
      }
      streams.set(stream, present);
      wake.resolve();
      wake = Promise.withResolvers<void>();
      return { position: BigInt(log.length) };
    },

    subscribe: ({ streamPrefixes, ...options }) =>
      read(options, event => streamPrefixes.some(prefix => event.stream.startsWith(prefix))),

    async *follow(options) {
      const isOurs = ({ stream }: Recorded) => !stream.startsWith('$');
      for await (const batch of read(options, isOurs)) yield { ...batch, events: batch.events.map(storedOf) };
    },

    async at(position) {
      const event = log[Number(position) - 1];
      return event === undefined || event.stream.startsWith('$') ? undefined : storedOf(event);
    },
  };
}

const storedOf = (event: Recorded): StoredEvent => ({ ...event, isJson: true });
