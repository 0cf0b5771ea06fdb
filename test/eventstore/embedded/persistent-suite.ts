/** Persistent subscriptions through a client, over files, with restarts of the server. For each client package. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import type * as eventstore from '@eventstore/db-client';
import type { EventStoreDBClient } from '@eventstore/db-client';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { type LogServer, startLogServer } from '../../../eventstore/embedded/server.ts';
import type { Storage } from '../../../eventstore/embedded/storage.ts';
import { until } from './until.ts';

type Api = typeof eventstore;
type Subscription = ReturnType<EventStoreDBClient['subscribeToPersistentSubscriptionToStream']>;
type Delivered = Parameters<Subscription['ack']>[0] & { retryCount: number };

/** What a consumer has seen, and how it ended. It answers only when it is told to, or by `answer`. */
function watch(subscription: Subscription, answer?: (event: Delivered) => unknown) {
  const seen: Delivered[] = [];
  const errors: { type?: string }[] = [];
  subscription.on('data', (event: unknown) => {
    seen.push(event as Delivered);
    void answer?.(event as Delivered);
  });
  subscription.on('error', error => errors.push(error as { type?: string }));
  const revisions = () => seen.map(({ event }) => Number(event?.revision));
  return { seen, errors, revisions, subscription };
}

export function persistentSuite(api: Api, Client: typeof EventStoreDBClient): void {
  suite('persistent subscriptions over the wire', () => {
    let directory: string;
    let storage: Storage;
    let server: LogServer;
    let client: EventStoreDBClient;
    const start = async () => {
      storage = await openSegmentStorage({ directory });
      server = await startLogServer({ storage, port: 0 });
      client = Client.connectionString(`esdb://127.0.0.1:${server.port}?tls=false`);
    };
    const stop = async () => {
      await client.dispose();
      await server.close();
      await storage.close();
    };
    const restart = async () => {
      await stop();
      await start();
    };
    before(async () => {
      directory = await mkdtemp(path.join(tmpdir(), 'log-persistent-'));
      await start();
    });
    after(async () => {
      await stop();
      await rm(directory, { recursive: true });
    });

    const fill = (stream: string, count: number, more: object = {}) =>
      client.appendToStream(
        stream,
        Array.from({ length: count }, (_, n) => api.jsonEvent({ type: 'Tested', data: { n }, ...more })),
      );
    const settings = (changes: object = {}) =>
      api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: api.START, ...changes });
    const create = (stream: string, changes: object = {}) =>
      client.createPersistentSubscriptionToStream(stream, 'group', settings(changes));
    const connect = (stream: string, bufferSize = 10) =>
      client.subscribeToPersistentSubscriptionToStream(stream, 'group', { bufferSize });
    const infoOf = (stream: string) => client.getPersistentSubscriptionToStreamInfo(stream, 'group');
    const acking = (stream: string, bufferSize = 10) => {
      const subscription = connect(stream, bufferSize);
      return watch(subscription, event => subscription.ack(event));
    };

    test('what is there and what comes is delivered once, in order, and goes on after a restart', async () => {
      await fill('order', 30);
      await create('order', { checkPointAfter: 20, checkPointLowerBound: 1 });
      const first = acking('order');
      await until(() => first.seen.length === 30);
      await fill('order', 5);
      await until(() => first.seen.length === 35);
      assert.deepEqual(first.revisions(), [...Array(35).keys()]);
      let noted = -1n;
      while (noted < 34n) noted = (await infoOf('order')).stats.lastCheckpointedEventRevision ?? -1n;
      await first.subscription.unsubscribe();
      await restart();
      await fill('order', 2);
      const second = acking('order');
      await until(() => second.seen.length === 2);
      assert.deepEqual(second.revisions(), [35, 36]);
      await second.subscription.unsubscribe();
    });

    test('a server that closes in order notes even what was settled a moment ago', async () => {
      await fill('closing', 5);
      await create('closing');
      const subscription = connect('closing');
      const first = watch(
        subscription,
        event => Number(event.event?.revision) < 3 && subscription.ack(event),
      );
      await until(() => first.seen.length === 5);
      await until(async () => (await infoOf('closing')).stats.outstandingMessagesCount === 2);
      await restart();
      const second = acking('closing');
      await until(() => second.seen.length === 2);
      assert.deepEqual(second.revisions(), [3, 4]);
      await second.subscription.unsubscribe();
    });

    test('a server that has no time to close gives nothing up, and little twice', async () => {
      const kept = memoryStorage();
      const first = await startLogServer({ storage: kept, port: 0 });
      const use = (port: number) => Client.connectionString(`esdb://127.0.0.1:${port}?tls=false`);
      const before = use(first.port);
      const often = settings({ checkPointAfter: 10, checkPointLowerBound: 1 });
      await before.createPersistentSubscriptionToStream('crash', 'group', often);
      for (let n = 0; n < 6; n++)
        await before.appendToStream('crash', api.jsonEvent({ type: 'T', data: { n } }));
      const subscription = before.subscribeToPersistentSubscriptionToStream('crash', 'group');
      // The fourth stays unanswered, so the checkpoint cannot pass it.
      watch(subscription, event => event.event?.revision !== 3n && subscription.ack(event));
      const noted = async () => (await before.getPersistentSubscriptionToStreamInfo('crash', 'group')).stats;
      await until(async () => (await noted()).lastCheckpointedEventRevision === 2n);
      await until(async () => (await noted()).totalItems === 5n);
      // The same records under another server, as if the first had never noted more.
      const second = await startLogServer({ storage: kept, port: 0 });
      const after = use(second.port);
      const again = after.subscribeToPersistentSubscriptionToStream('crash', 'group');
      const seen = watch(again, event => again.ack(event));
      await until(() => seen.seen.length === 3);
      assert.deepEqual(seen.revisions(), [3, 4, 5]);
      for (const one of [before, after]) await one.dispose();
      for (const one of [first, second]) await one.close();
    });

    test('it begins where it is told to', async () => {
      await fill('begins', 5);
      const begin = async (group: string, startFrom: bigint | typeof api.START | typeof api.END) => {
        await client.createPersistentSubscriptionToStream('begins', group, settings({ startFrom }));
        const subscription = client.subscribeToPersistentSubscriptionToStream('begins', group);
        return watch(subscription, event => subscription.ack(event));
      };
      const groups = [await begin('a', api.START), await begin('b', 3n), await begin('c', api.END)];
      // The end is that of the moment at which it was made, also after a restart.
      await client.createPersistentSubscriptionToStream('begins', 'd', settings({ startFrom: api.END }));
      await fill('begins', 1);
      await until(() => groups.every(({ revisions }) => revisions().at(-1) === 5));
      assert.deepEqual(
        groups.map(({ revisions }) => revisions()),
        [[0, 1, 2, 3, 4, 5], [3, 4, 5], [5]],
      );
      await restart();
      const subscription = client.subscribeToPersistentSubscriptionToStream('begins', 'd');
      const late = watch(subscription);
      await until(() => late.seen.length === 1);
      assert.deepEqual(late.revisions(), [5]);
    });

    test('consumers share the work, and one that goes leaves its part to the others', async () => {
      await create('shared', { consumerStrategyName: api.ROUND_ROBIN });
      const idle = watch(connect('shared'));
      const busy = acking('shared');
      await until(async () => (await infoOf('shared')).connections.length === 2);
      await fill('shared', 10);
      await until(() => idle.seen.length === 5 && busy.seen.length === 5);
      await idle.subscription.unsubscribe();
      await until(() => busy.seen.length === 10);
      assert.deepEqual(
        [...busy.revisions()].sort((a, b) => a - b),
        [...Array(10).keys()],
      );
      const again = busy.seen.filter(({ retryCount }) => retryCount === 1);
      assert.deepEqual(
        again.map(({ event }) => event?.revision),
        idle.seen.map(({ event }) => event?.revision),
      );
      await busy.subscription.unsubscribe();
    });

    test('dispatch to single fills one before the next', async () => {
      await create('single', { consumerStrategyName: api.DISPATCH_TO_SINGLE });
      const one = watch(connect('single', 4));
      await until(async () => (await infoOf('single')).connections.length === 1);
      const two = watch(connect('single', 4));
      await until(async () => (await infoOf('single')).connections.length === 2);
      await fill('single', 6);
      await until(() => one.seen.length + two.seen.length === 6);
      assert.deepEqual(
        [one.revisions(), two.revisions()],
        [
          [0, 1, 2, 3],
          [4, 5],
        ],
      );
      await Promise.all([one, two].map(({ subscription }) => subscription.unsubscribe()));
    });

    test('pinned: a stream stays with one consumer', async () => {
      // The older package does not know the second.
      const byCorrelation = (api as { PINNED_BY_CORRELATION?: typeof api.PINNED }).PINNED_BY_CORRELATION;
      for (const strategy of [api.PINNED, byCorrelation]) {
        if (strategy === undefined) continue;
        const group = `pinned-${strategy}`;
        const filter = api.streamNameFilter({ prefixes: [`${group}-`] });
        const chosen = { startFrom: api.START, consumerStrategyName: strategy } as const;
        const defaults = api.persistentSubscriptionToAllSettingsFromDefaults(chosen);
        await client.createPersistentSubscriptionToAll(group, defaults, { filter });
        const consumers = [1, 2, 3].map(() => {
          const subscription = client.subscribeToPersistentSubscriptionToAll(group);
          return watch(subscription as never, event => subscription.ack(event));
        });
        const info = () => client.getPersistentSubscriptionToAllInfo(group);
        await until(async () => (await info()).connections.length === 3);
        for (let round = 0; round < 4; round++) {
          for (let n = 0; n < 12; n++) {
            const correlation = { metadata: { $correlationId: `c-${n}` } };
            // By correlation streams do not count: each event has one of its own.
            const stream = strategy === api.PINNED ? `${group}-${n}` : `${group}-${n}-${round}`;
            await fill(stream, 1, correlation);
          }
        }
        await until(() => consumers.reduce((sum, { seen }) => sum + seen.length, 0) === 48);
        const holders = new Map<string, Set<number>>();
        for (const [i, { seen }] of consumers.entries()) {
          for (const { event } of seen) {
            const key = event?.streamId.split('-').slice(0, 3).join('-') ?? '';
            holders.set(key, (holders.get(key) ?? new Set()).add(i));
          }
        }
        assert.equal(holders.size, 12);
        for (const [key, set] of holders) assert.equal(set.size, 1, key);
        assert.ok(consumers.filter(({ seen }) => seen.length > 0).length > 1, 'all went to one');
        await Promise.all(consumers.map(({ subscription }) => subscription.unsubscribe()));
      }
    });

    test('refused messages are retried, skipped or parked; parked ones are replayed', async () => {
      await fill('nacked', 4);
      await create('nacked', { maxRetryCount: 2, checkPointAfter: 10, checkPointLowerBound: 1 });
      const subscription = connect('nacked');
      const actions = ['park', 'retry', 'skip'] as const;
      const nacking = watch(subscription, event => {
        const action = actions[Number(event.event?.revision)];
        return action === undefined ? subscription.ack(event) : subscription.nack(action, 'no', event);
      });
      // The second is delivered three times and then put aside.
      await until(() => nacking.seen.length === 6);
      await until(async () => (await infoOf('nacked')).stats.parkedMessageCount === 2n);
      const counts = nacking.seen.filter(({ event }) => event?.revision === 1n).map(one => one.retryCount);
      assert.deepEqual(counts, [0, 1, 2]);
      await subscription.unsubscribe();
      await restart();
      assert.equal((await infoOf('nacked')).stats.parkedMessageCount, 2n);
      await client.replayParkedMessagesToStream('nacked', 'group', { stopAt: 1 });
      const replayed = acking('nacked');
      await until(() => replayed.seen.length === 1);
      assert.deepEqual(replayed.revisions(), [0]);
      await client.replayParkedMessagesToStream('nacked', 'group');
      await until(() => replayed.seen.length === 2);
      assert.deepEqual(replayed.revisions(), [0, 1]);
      await replayed.subscription.unsubscribe();
      await restart();
      assert.equal((await infoOf('nacked')).stats.parkedMessageCount, 0n);
    });

    test('what is retried comes before what nobody has seen', async () => {
      await fill('again', 3);
      await create('again');
      const subscription = connect('again', 1);
      const seen = watch(subscription, event =>
        event.event?.revision === 0n && event.retryCount < 2
          ? subscription.nack('retry', 'not yet', event)
          : subscription.ack(event),
      );
      await until(() => seen.seen.length === 5);
      assert.deepEqual(seen.revisions(), [0, 0, 0, 1, 2]);
      await subscription.unsubscribe();
    });

    test('who does not answer in time loses the message', async () => {
      await fill('timeout', 1);
      await create('timeout', { messageTimeout: 40, maxRetryCount: 1 });
      const silent = watch(connect('timeout'));
      await until(() => silent.seen.length === 2);
      assert.deepEqual(
        silent.seen.map(({ retryCount }) => retryCount),
        [0, 1],
      );
      await until(async () => (await infoOf('timeout')).stats.parkedMessageCount === 1n);
      await silent.subscription.unsubscribe();
    });

    test('stop sends the consumer away', async () => {
      await fill('stopped', 1);
      await create('stopped');
      const subscription = connect('stopped');
      const stopped = watch(subscription, event => subscription.nack('stop', 'enough', event));
      await until(() => stopped.errors.length === 1);
      assert.equal(stopped.errors[0]?.type, 'persistent-subscription-dropped');
      const next = acking('stopped');
      await until(() => next.seen.length === 1);
      await next.subscription.unsubscribe();
    });

    test('links are followed, and acknowledged as links', async () => {
      await fill('target', 2);
      for (const to of ['1@target', '7@target', '0@target']) {
        const link = { type: '$>', contentType: 'application/octet-stream' as const, data: Buffer.from(to) };
        await client.appendToStream('pointing', [
          { ...link, id: crypto.randomUUID(), metadata: undefined as never },
        ]);
      }
      await create('pointing', { resolveLinkTos: true });
      const following = acking('pointing');
      await until(() => following.seen.length === 2);
      assert.deepEqual(
        following.seen.map(({ event }) => [event?.streamId, event?.revision]),
        [
          ['target', 1n],
          ['target', 0n],
        ],
      );
      assert.deepEqual(
        following.seen.map(({ link }) => link?.revision),
        [0n, 2n],
      );
      await until(async () => (await infoOf('pointing')).stats.outstandingMessagesCount === 0);
      await following.subscription.unsubscribe();
    });

    test('everything, by a filter', async () => {
      await fill('filtered-1', 2);
      const filter = api.streamNameFilter({ prefixes: ['filtered-'] });
      const all = api.persistentSubscriptionToAllSettingsFromDefaults({
        startFrom: api.START,
        checkPointAfter: 10,
        checkPointLowerBound: 1,
      });
      await client.createPersistentSubscriptionToAll('filtered', all, { filter });
      const subscription = client.subscribeToPersistentSubscriptionToAll('filtered');
      const watched = watch(subscription as never, event => subscription.ack(event));
      await fill('other-1', 3);
      await fill('filtered-2', 1);
      await until(() => watched.seen.length === 3);
      const at = watched.seen[2]?.event?.position?.commit ?? 0n;
      const info = () => client.getPersistentSubscriptionToAllInfo('filtered');
      await until(async () => ((await info()).stats.lastCheckpointedEventPosition?.commit ?? 0n) >= at);
      assert.deepEqual((await info()).settings.startFrom, api.START);
      // Its own notes are no part of everything.
      const streams = new Set<string>();
      for await (const { event } of client.readAll()) streams.add(event?.streamId ?? '');
      assert.deepEqual(
        [...streams].filter(name => name.startsWith('$persistentsubscription-$all')),
        [],
      );
      assert.ok(streams.has('filtered-2'));
      await subscription.unsubscribe();
    });

    test('everything at all, but not what groups note of it', async () => {
      const all = api.persistentSubscriptionToAllSettingsFromDefaults({
        startFrom: api.START,
        checkPointAfter: 10,
        checkPointLowerBound: 1,
      });
      await client.createPersistentSubscriptionToAll('unfiltered', all);
      const subscription = client.subscribeToPersistentSubscriptionToAll('unfiltered');
      const watched = watch(subscription as never, event => subscription.ack(event));
      const info = () => client.getPersistentSubscriptionToAllInfo('unfiltered');
      for (const last of ['round-1', 'round-2']) {
        await fill(last, 1);
        await until(() => watched.seen.at(-1)?.event?.streamId === last);
        const at = watched.seen.at(-1)?.event?.position?.commit ?? 0n;
        await until(async () => ((await info()).stats.lastCheckpointedEventPosition?.commit ?? 0n) >= at);
      }
      const streams = new Set(watched.seen.map(({ event }) => event?.streamId));
      assert.ok(streams.has('$persistentSubscriptionConfig'));
      assert.deepEqual(
        [...streams].filter(name => name?.includes('$persistentsubscription-$all')),
        [],
      );
      await subscription.unsubscribe();
    });

    test('there is no end of complaints', async () => {
      const { PersistentSubscriptionDoesNotExistError: Unknown, PersistentSubscriptionExistsError } = api;
      await create('strict', { maxSubscriberCount: 1 });
      await assert.rejects(create('strict'), PersistentSubscriptionExistsError);
      await assert.rejects(infoOf('nothing'), Unknown);
      await assert.rejects(client.deletePersistentSubscriptionToStream('nothing', 'group'), Unknown);
      await assert.rejects(
        client.updatePersistentSubscriptionToStream('nothing', 'group', settings()),
        Unknown,
      );
      await assert.rejects(client.replayParkedMessagesToStream('nothing', 'group'), Unknown);
      const lost = watch(connect('nothing'));
      await until(() => lost.errors.length === 1);
      assert.equal(lost.errors[0]?.type, 'persistent-subscription-does-not-exist');
      const one = watch(connect('strict'));
      await until(async () => (await infoOf('strict')).connections.length === 1);
      const two = watch(connect('strict'));
      await until(() => two.errors.length === 1);
      assert.equal(two.errors[0]?.type, 'maximum-subscribers-reached');
      await client.updatePersistentSubscriptionToStream('strict', 'group', settings({ maxRetryCount: 7 }));
      await until(() => one.errors.length === 1);
      assert.equal(one.errors[0]?.type, 'persistent-subscription-dropped');
      assert.equal((await infoOf('strict')).settings.maxRetryCount, 7);
      const three = watch(connect('strict'));
      await until(async () => (await infoOf('strict')).connections.length === 1);
      await client.deletePersistentSubscriptionToStream('strict', 'group');
      await until(() => three.errors.length === 1);
      assert.equal(three.errors[0]?.type, 'persistent-subscription-does-not-exist');
      await assert.rejects(infoOf('strict'), Unknown);
    });

    test('what is deleted begins anew when it is made again', async () => {
      await fill('anew', 2);
      for (const _ of [1, 2]) {
        await create('anew', { checkPointAfter: 10, checkPointLowerBound: 1 });
        const consumer = acking('anew');
        await until(() => consumer.seen.length === 2);
        await until(async () => (await infoOf('anew')).stats.lastCheckpointedEventRevision === 1n);
        await client.deletePersistentSubscriptionToStream('anew', 'group');
        await until(() => consumer.errors.length === 1);
      }
    });

    test('lists and details say what there is', async () => {
      await create('told', { extraStatistics: true, readBatchSize: 7 });
      await fill('told', 3);
      const consumer = acking('told', 5);
      await until(async () => (await infoOf('told')).connections[0]?.totalItems === 3n);
      const info = await infoOf('told');
      assert.equal(info.eventSource, 'told');
      assert.equal(info.groupName, 'group');
      assert.equal(info.status, 'Live');
      assert.equal(info.settings.startFrom, api.START);
      assert.equal(info.settings.readBatchSize, 7);
      assert.equal(info.settings.consumerStrategyName, 'RoundRobin');
      assert.equal(info.stats.totalItems, 3n);
      assert.equal(info.stats.lastKnownEventRevision, 2n);
      const [connection] = info.connections;
      assert.equal(connection?.availableSlots, 5);
      assert.equal(connection?.inFlightMessages, 0);
      assert.match(connection?.from ?? '', /^127\.0\.0\.1:\d+$/);
      assert.ok(connection?.extraStatistics?.has('quintile 1' as never));
      const ofStream = await client.listPersistentSubscriptionsToStream('told');
      assert.deepEqual(
        ofStream.map(({ groupName }) => groupName),
        ['group'],
      );
      const ofAll = await client.listPersistentSubscriptionsToAll();
      assert.ok(ofAll.some(({ groupName }) => groupName === 'filtered'));
      const all = await client.listAllPersistentSubscriptions();
      assert.ok(all.length > ofAll.length + 1);
      await client.restartPersistentSubscriptionSubsystem();
      await until(() => consumer.errors.length === 1);
      assert.equal((await client.listAllPersistentSubscriptions()).length, all.length);
    });
  });
}
