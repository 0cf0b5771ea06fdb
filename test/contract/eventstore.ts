/**
 * What every event store promises, as tests. A store is opened anew for each test; `close` ends whatever was opened for it.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, test } from 'node:test';
import type { Recorded } from '../../domain/events.ts';
import type { Json } from '../../domain/kernel/decider.ts';
import {
  type Batch,
  type EventStore,
  type NewEvent,
  type SubscribeOptions,
  WrongRevision,
} from '../../eventstore/store.ts';

export type OpenStore = () => Promise<{ store: EventStore; close(): Promise<void> }>;

const testMsMax = 60_000;
const stream = 'apps.repository-todo';

export function newEvent(data: { readonly [key: string]: Json } = {}, type = 'Tested'): NewEvent {
  const metadata = {
    actor: 'operator:test',
    correlationId: randomUUID(),
    causationId: randomUUID(),
    time: '2026-01-02T03:04:05.678Z',
  };
  return { type, data, id: randomUUID(), metadata };
}

const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => newEvent({ n: from + n }));
const numbers = (events: readonly Recorded[]) =>
  events.map(({ data }) => (data as unknown as { n: number }).n);

export function storeContract(name: string, open: OpenStore): void {
  const check = (title: string, body: (store: EventStore) => Promise<void>) =>
    test(title, { timeout: testMsMax }, async () => {
      const { store, close } = await open();
      try {
        await body(store);
      } finally {
        for (const end of unended) await end();
        await close();
      }
    });
  suite(`${name}: appends and loads`, () => appends(check));
  suite(`${name}: refuses what is not expected`, () => expectations(check));
  suite(`${name}: follows`, () => subscriptions(check));
}

type Check = (title: string, body: (store: EventStore) => Promise<void>) => unknown;

function appends(check: Check): void {
  check('a stream that is not there is empty', async store => {
    assert.deepEqual(await store.load(stream), { events: [], revision: 'none' });
  });

  check('what was appended is loaded whole and in order', async store => {
    const events = [
      newEvent({ n: 1, text: 'ä 🚀 "\\\n', deep: [{ a: null }, true, 1.5] }),
      newEvent({}, 'Other'),
    ];
    const { position } = await store.append(stream, events, 'none');
    const loaded = await store.load(stream);
    assert.equal(loaded.revision, 1n);
    for (const [at, event] of events.entries()) {
      const { created, position: where, ...stored } = loaded.events[at] as Recorded;
      assert.deepEqual(stored, { ...event, stream, revision: BigInt(at) } as unknown);
      assert.equal(new Date(created).toISOString(), created, 'RFC 3339 in UTC');
      assert.equal(typeof where, 'bigint');
    }
    assert.equal(loaded.events[1]?.position, position);
  });

  check('positions rise through all streams', async store => {
    const places: bigint[] = [];
    for (let n = 0; n < 5; n += 1) {
      places.push((await store.append(`apps.build-${n}`, numbered(2), 'none')).position);
    }
    for (const [at, place] of places.entries()) assert.ok(at === 0 || place > (places[at - 1] ?? 0n));
    assert.ok((places[0] ?? 0n) > 0n);
  });

  check('streams do not see each other', async store => {
    await store.append(stream, numbered(1), 'none');
    await store.append(`${stream}-2`, numbered(2, 10), 'none');
    assert.deepEqual(numbers((await store.load(stream)).events), [0]);
    assert.deepEqual(numbers((await store.load(`${stream}-2`)).events), [10, 11]);
  });

  check('a long stream is loaded whole', async store => {
    for (let n = 0; n < 3; n += 1) {
      const expected = n === 0 ? 'none' : BigInt(n * 500 - 1);
      await store.append(stream, numbered(500, n * 500), expected);
    }
    const { events, revision } = await store.load(stream);
    assert.equal(revision, 1_499n);
    assert.deepEqual(numbers(events), [...Array(1_500).keys()]);
  });

  check('the same append again is the same, also when others came after it', async store => {
    const first = numbered(2);
    const { position } = await store.append(stream, first, 'none');
    assert.equal((await store.append(stream, first, 'none')).position, position);
    await store.append(stream, numbered(1, 2), 1n);
    assert.equal((await store.append(stream, first, 'none')).position, position);
    assert.deepEqual(numbers((await store.load(stream)).events), [0, 1, 2]);
  });
}

function expectations(check: Check): void {
  check('a revision that is not the present one; nothing is stored then', async store => {
    const refused = async (expected: bigint | 'none') => {
      await assert.rejects(store.append(stream, numbered(2, 100), expected), WrongRevision);
    };
    await refused(0n);
    await store.append(stream, numbered(2), 'none');
    for (const expected of ['none', 0n, 2n] as const) await refused(expected);
    const loaded = await store.load(stream);
    assert.deepEqual([numbers(loaded.events), loaded.revision], [[0, 1], 1n]);
    await store.append(stream, numbered(1, 2), 1n);
  });

  check('all but one of those who expect the same', async store => {
    const attempts = Array.from({ length: 8 }, (_, n) => store.append(stream, numbered(2, n * 2), 'none'));
    const ends = await Promise.allSettled(attempts);
    const winners = ends.flatMap((end, n) => (end.status === 'fulfilled' ? [n] : []));
    assert.equal(winners.length, 1);
    for (const end of ends) assert.ok(end.status === 'fulfilled' || end.reason instanceof WrongRevision);
    const first = (winners[0] ?? 0) * 2;
    assert.deepEqual(numbers((await store.load(stream)).events), [first, first + 1]);
  });
}

function subscriptions(check: Check): void {
  check('from the start: what is there, then what comes, each once and in order', async store => {
    await store.append('apps.build-1', numbered(2), 'none');
    await store.append('other.thing-1', numbered(1, 50), 'none');
    await store.append('apps.launch-1', numbered(2, 2), 'none');
    const follower = follow(store, { from: 'start', streamPrefixes: ['apps.'] });
    await follower.until(({ caughtUp }) => caughtUp);
    assert.deepEqual(numbers(follower.events), [0, 1, 2, 3]);
    await store.append('other.thing-1', numbered(1, 51), 0n);
    await store.append('apps.build-1', numbered(2, 4), 1n);
    await follower.until(() => follower.events.length >= 6);
    assert.deepEqual(numbers(follower.events), [0, 1, 2, 3, 4, 5]);
    await follower.end();
    const [first] = follower.events;
    assert.deepEqual(first, (await store.load('apps.build-1')).events[0]);
  });

  check('the position never lies behind an event of its batch, and never goes back', async store => {
    for (let n = 0; n < 5; n += 1) await store.append(`apps.build-${n}`, numbered(3, n * 3), 'none');
    const follower = follow(store, { from: 'start', streamPrefixes: ['apps.'] });
    await follower.until(() => follower.events.length === 15);
    await follower.end();
    let last = 0n;
    for (const { events, position } of follower.batches) {
      if (position === null) continue;
      for (const event of events) assert.ok(event.position > last && event.position <= position);
      assert.ok(position >= last);
      last = position;
    }
  });

  check('from a position: exactly what lies behind it', async store => {
    const all = numbered(6);
    for (const [at, event] of all.entries()) await store.append(`apps.build-${at}`, [event], 'none');
    const whole = follow(store, { from: 'start', streamPrefixes: ['apps.'] });
    await whole.until(() => whole.events.length === 6);
    await whole.end();
    for (const [at, { position }] of whole.events.entries()) {
      const rest = follow(store, { from: position, streamPrefixes: ['apps.'] });
      await rest.until(({ caughtUp }) => caughtUp);
      await rest.end();
      assert.deepEqual(numbers(rest.events), numbers(whole.events.slice(at + 1)));
    }
  });

  check(
    'where nothing matches: caught up without an event, at no position or before what comes',
    async store => {
      const follower = follow(store, { from: 'start', streamPrefixes: ['apps.'] });
      await follower.until(({ caughtUp }) => caughtUp);
      const { position } = follower.batches.at(-1) ?? { position: null };
      assert.deepEqual(follower.events, []);
      const appended = await store.append(stream, numbered(1), 'none');
      assert.ok(position === null || position < appended.position);
      await follower.until(() => follower.events.length === 1);
      await follower.end();
    },
  );

  check('from the end: only what comes later', async store => {
    await store.append(stream, numbered(3), 'none');
    const follower = follow(store, { from: 'end', streamPrefixes: ['apps.'] });
    await follower.until(({ caughtUp }) => caughtUp);
    await store.append(stream, numbered(1, 3), 2n);
    await follower.until(() => follower.events.length > 0);
    await follower.end();
    assert.deepEqual(numbers(follower.events), [3]);
  });

  check('several prefixes at once', async store => {
    for (const name of ['apps.build-1', 'apps.launch-1', 'access.key-1']) {
      await store.append(name, [newEvent({ n: name.length })], 'none');
    }
    const follower = follow(store, { from: 'start', streamPrefixes: ['apps.launch-', 'access.'] });
    await follower.until(({ caughtUp }) => caughtUp);
    await follower.end();
    assert.deepEqual(
      follower.events.map(event => event.stream),
      ['apps.launch-1', 'access.key-1'],
    );
  });

  check('a reader that takes its time loses nothing', async store => {
    for (let n = 0; n < 12; n += 1) await store.append(`apps.build-${n}`, numbered(500, n * 500), 'none');
    const aborter = new AbortController();
    const seen: number[] = [];
    for await (const batch of store.subscribe({
      from: 'start',
      streamPrefixes: ['apps.'],
      signal: aborter.signal,
    })) {
      seen.push(...numbers(batch.events));
      // What is written while the reader is away comes too.
      if (seen.length > 0 && seen.length < 6_000) await store.load('apps.build-0');
      if (seen.length === 6_000) break;
    }
    aborter.abort();
    assert.deepEqual(seen, [...Array(6_000).keys()]);
  });

  check('an abort ends a subscription that waits, and one that has not begun', async store => {
    const follower = follow(store, { from: 'start', streamPrefixes: ['apps.'] });
    await follower.until(({ caughtUp }) => caughtUp);
    await follower.end();
    const options = { from: 'start', streamPrefixes: ['apps.'], signal: AbortSignal.abort() } as const;
    for await (const _batch of store.subscribe(options)) assert.fail('an aborted subscription yielded');
  });
}

/** Ends every follower that is still reading: a test that fails in the middle must not leave one behind. */
const unended = new Set<() => Promise<void>>();

/** Reads a subscription in the background. `until` resolves once a batch (or the state after it) meets the condition. */
export function follow(store: EventStore, options: Omit<SubscribeOptions, 'signal'>) {
  const aborter = new AbortController();
  const batches: Batch[] = [];
  const events: Recorded[] = [];
  let waiting: (() => void) | undefined;
  let failure: unknown;
  const reading = (async () => {
    for await (const batch of store.subscribe({ ...options, signal: aborter.signal })) {
      batches.push(batch);
      events.push(...batch.events);
      waiting?.();
    }
  })().catch(error => {
    failure = error;
    waiting?.();
  });
  const stop = async () => {
    unended.delete(stop);
    aborter.abort();
    await reading;
  };
  unended.add(stop);
  return {
    batches,
    events,
    async until(met: (batch: Batch) => boolean): Promise<void> {
      const isMet = () => failure !== undefined || batches.some(met);
      while (!isMet()) {
        const next = Promise.withResolvers<void>();
        waiting = next.resolve;
        await next.promise;
      }
      assert.ifError(failure);
    },
    async end(): Promise<void> {
      await stop();
      assert.ifError(failure);
    },
  };
}
