/**
 * Any history of appends, repetitions, deletions, metadata, reads, subscriptions and restarts, through the official client
 * and on disk, is that of the model. What fails is shrunk and printed as the shortest history that still fails.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import {
  type AllStreamSubscription,
  END,
  EventStoreDBClient,
  jsonEvent,
  START,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import fc from 'fast-check';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';
import { logFolder } from './log-folder.ts';
import { type Expected, LogModel, type Refused } from './log-model.ts';
import { until } from './until.ts';

const stream = fc.constantFrom('a', 'b', 'c');
const count = fc.integer({ min: 1, max: 4 });
const small = fc.integer({ min: 0, max: 8 });
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      stream,
      count,
      /** A number: so far from the newest revision. */
      expected: fc.constantFrom<Expected>('any', 'no_stream', 'stream_exists', 0, 0, 0, -1, 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('read' as const, 'subscribe' as const),
      stream,
      from: small,
      count,
      isForwards: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('describe' as const),
      stream,
      maxCount: fc.option(count, { nil: undefined }),
      truncateBefore: fc.option(small, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('repeat' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'restart' as const), stream }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('readAll' as const), isForwards: fc.boolean(), count }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('end' as const), stream, rarely: fc.integer({ max: 3 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A log on disk behind a server and a client, and a follower of everything that goes on where it was after a restart. */
class RealLog {
  readonly #directory: string;
  readonly #segmentBytesMax: number;
  #close: (() => Promise<void>) | undefined;
  #client: EventStoreDBClient | undefined;
  readonly seen: string[] = [];
  #position: { commit: bigint; prepare: bigint } | undefined;

  constructor(directory: string, segmentBytesMax: number) {
    this.#directory = directory;
    this.#segmentBytesMax = segmentBytesMax;
  }

  get client(): EventStoreDBClient {
    assert.ok(this.#client !== undefined);
    return this.#client;
  }

  async open(): Promise<void> {
    const options = { directory: this.#directory, segmentBytesMax: this.#segmentBytesMax };
    const storage = await openSegmentStorage({ ...options, durability: 'none' });
    const server = await startLogServer({ storage, port: 0 });
    const client = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${server.port}?tls=false`);
    this.#client = client;
    const subscription = client.subscribeToAll({ fromPosition: this.#position ?? START });
    // A client that is closed while it connects would call that an error.
    const confirmed = new Promise<void>(resolve => subscription.once('confirmation', () => resolve()));
    const following = this.#follow(subscription).then(
      () => undefined,
      (error: unknown) => error,
    );
    this.#close = async () => {
      await subscription.unsubscribe();
      const failure = await following;
      await client.dispose();
      await server.close();
      await storage.close();
      assert.ifError(failure);
    };
    await confirmed;
  }

  async close(): Promise<void> {
    await this.#close?.();
    this.#close = undefined;
  }

  async #follow(subscription: AllStreamSubscription): Promise<void> {
    for await (const { event } of subscription) {
      if (event === undefined) continue;
      this.seen.push(`${event.streamId}@${event.revision}`);
      this.#position = event.position;
    }
  }
}

/** What the client answers, or what the model calls its error. */
async function answerOf<T>(asked: Promise<T>): Promise<T | Refused> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof WrongExpectedVersionError) return 'wrong';
    if (error instanceof StreamDeletedError) return 'deleted';
    if (error instanceof StreamNotFoundError) return 'missing';
    throw error;
  }
}

const eventOf = (id: string) => jsonEvent({ id, type: 'Tested', data: { text: 'y'.repeat(100) } });
const directionOf = (isForwards: boolean) => (isForwards ? ('forwards' as const) : ('backwards' as const));

async function append(client: EventStoreDBClient, name: string, ids: readonly string[], expected: Expected) {
  // A stream of which nothing is expected has no revision: -1 is what the client calls no stream.
  const expectedRevision =
    typeof expected !== 'number' ? expected : expected < 0 ? 'no_stream' : BigInt(expected);
  const appended = await client.appendToStream(name, ids.map(eventOf), { expectedRevision });
  return Number(appended.nextExpectedRevision);
}

async function readOf(client: EventStoreDBClient, step: Extract<Step, { do: 'read' | 'subscribe' }>) {
  const found: { id: string; revision: number }[] = [];
  const options = {
    fromRevision: BigInt(step.from),
    direction: directionOf(step.isForwards),
    maxCount: step.count,
  };
  for await (const { event } of client.readStream(step.stream, options)) {
    if (event !== undefined) found.push({ id: event.id, revision: Number(event.revision) });
  }
  return found;
}

/** What a subscription to a stream gives until it has caught up. */
async function subscribedOf(client: EventStoreDBClient, name: string, from: number) {
  const found: { id: string; revision: number }[] = [];
  const subscription = client.subscribeToStream(name, { fromRevision: BigInt(from) });
  let isCaughtUp = false;
  subscription.on('caughtUp', () => {
    isCaughtUp = true;
  });
  subscription.on('data', ({ event }) => {
    if (event !== undefined) found.push({ id: event.id, revision: Number(event.revision) });
  });
  const failed = new Promise<never>((_resolve, reject) => subscription.on('error', reject));
  try {
    await Promise.race([until(() => isCaughtUp, 'caughtUp'), failed]);
  } finally {
    await subscription.unsubscribe().catch(() => undefined);
  }
  return found;
}

async function run(step: Step, model: LogModel, log: RealLog, before: number): Promise<void> {
  const { client } = log;
  switch (step.do) {
    case 'append': {
      const ids = Array.from({ length: step.count }, () => randomUUID());
      const head = model.head(step.stream);
      let expected = step.expected;
      if (typeof expected === 'number') expected = head + expected < 0 ? 'no_stream' : head + expected;
      const wanted = model.append(step.stream, ids, expected);
      return assert.deepEqual(await answerOf(append(client, step.stream, ids, expected)), wanted);
    }
    case 'repeat': {
      const { last } = model;
      if (last === undefined) return;
      const { revision, stream, ids, expected } = last;
      return assert.deepEqual(await answerOf(append(client, stream, ids, expected)), revision);
    }
    case 'describe': {
      const { maxCount, truncateBefore } = step;
      const kept = {
        ...(maxCount === undefined ? {} : { maxCount }),
        ...(truncateBefore === undefined ? {} : { truncateBefore }),
      };
      const answer = await answerOf(client.setStreamMetadata(step.stream, kept));
      return assert.deepEqual(
        typeof answer === 'string' ? answer : undefined,
        model.setMetadata(step.stream, kept),
      );
    }
    case 'delete': {
      const answer = await answerOf(client.deleteStream(step.stream));
      return assert.deepEqual(typeof answer === 'string' ? answer : undefined, model.softDelete(step.stream));
    }
    case 'end': {
      // A stream that has ended says no to everything: seldom enough that the rest is tried, too.
      if (step.rarely < 3) return;
      const answer = await answerOf(client.tombstoneStream(step.stream));
      return assert.deepEqual(typeof answer === 'string' ? answer : undefined, model.tombstone(step.stream));
    }
    case 'read':
      return assert.deepEqual(
        await answerOf(readOf(client, step)),
        model.read(step.stream, step.from, step.isForwards, step.count),
      );
    case 'subscribe': {
      const wanted = model.read(step.stream, step.from + 1, true, Number.POSITIVE_INFINITY);
      const found = await answerOf(subscribedOf(client, step.stream, step.from));
      // To a stream that is not there one may subscribe: it may come yet.
      return assert.deepEqual(found, wanted === 'missing' ? [] : wanted);
    }
    case 'readAll':
      return await readAll(step, model, client, before);
    case 'restart':
      await log.close();
      return await log.open();
  }
}

async function readAll(
  { isForwards, count }: Extract<Step, { do: 'readAll' }>,
  model: LogModel,
  client: EventStoreDBClient,
  before: number,
): Promise<void> {
  const found: string[] = [];
  const maxCount = isForwards ? before + count : count;
  const fromPosition: typeof START | typeof END = isForwards ? START : END;
  const options = { direction: directionOf(isForwards), fromPosition, maxCount };
  for await (const { event } of client.readAll(options)) {
    if (event !== undefined) found.push(`${event.streamId}@${event.revision}`);
  }
  if (isForwards) assert.deepEqual(found.slice(before), model.all.slice(0, count));
  else assert.deepEqual(found.slice(0, model.all.length), model.all.slice(-count).reverse());
}

test('any history is that of the model', { timeout: 120_000 }, async t => {
  const history = async (steps: Step[], segmentBytesMax: number) => {
    const log = new RealLog(logFolder(t), segmentBytesMax);
    const model = new LogModel();
    await log.open();
    try {
      // What a fresh log has of its own.
      let before = 0;
      for await (const _ of log.client.readAll()) before += 1;
      for (const step of steps) await run(step, model, log, before);
      await until(() => log.seen.length >= before + model.all.length, 'the follower');
      assert.deepEqual(log.seen.slice(before), model.all);
    } finally {
      await log.close();
    }
  };
  const steps = fc.array(step, { minLength: 3, maxLength: 30 });
  await fc.assert(fc.asyncProperty(steps, fc.constantFrom(1500, 100_000), history), { numRuns: 200 });
});
