/** The server through a client: appends, reads and subscriptions as an application makes them. For each client package. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import type * as eventstore from '@eventstore/db-client';
import type { EventStoreDBClient, ResolvedEvent } from '@eventstore/db-client';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { type LogServer, startLogServer } from '../../../eventstore/embedded/server.ts';
import type { Storage } from '../../../eventstore/embedded/storage.ts';
import { until } from './until.ts';

/**
 * Both packages have the same shape as far as is used here. They cannot be loaded into one process: each fills the same
 * global object with its own messages.
 */
type Api = typeof eventstore;
const storages: { name: string; open(directory: string): Promise<Storage> }[] = [
  { name: 'memory', open: () => Promise.resolve(memoryStorage()) },
  { name: 'segments', open: directory => openSegmentStorage({ directory }) },
];

async function collect(read: AsyncIterable<ResolvedEvent>): Promise<ResolvedEvent[]> {
  const found: ResolvedEvent[] = [];
  for await (const resolved of read) found.push(resolved);
  return found;
}

const revisions = (found: readonly ResolvedEvent[]) => found.map(({ event }) => Number(event?.revision));

export function streamSuites(api: Api, Client: typeof EventStoreDBClient): void {
  for (const { name, open } of storages) {
    suite(`streams over the wire, ${name}`, () => streamTests(api, Client, open));
  }
}

function streamTests(
  api: Api,
  Client: typeof EventStoreDBClient,
  open: (directory: string) => Promise<Storage>,
): void {
  const { ANY, BACKWARDS, END, FORWARDS, jsonEvent, NO_STREAM, START, STREAM_EXISTS } = api;
  const { StreamDeletedError, StreamNotFoundError, WrongExpectedVersionError } = api;
  const { eventTypeFilter, streamNameFilter } = api;
  const events = (count: number, type = 'Tested') =>
    Array.from({ length: count }, (_, n) => jsonEvent({ type, data: { n }, metadata: { by: 'test' } }));
  // The newer package has another name for the same option.
  const expecting = <R extends bigint | typeof ANY | typeof NO_STREAM | typeof STREAM_EXISTS>(revision: R) =>
    ({ expectedRevision: revision, streamState: revision }) as { expectedRevision: R };
  let directory: string;
  let storage: Storage;
  let server: LogServer;
  let client: EventStoreDBClient;

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'log-streams-'));
    storage = await open(directory);
    server = await startLogServer({ storage, port: 0 });
    client = Client.connectionString(`esdb://127.0.0.1:${server.port}?tls=false`);
  });
  after(async () => {
    await client.dispose();
    await server.close();
    await storage.close();
    await rm(directory, { recursive: true });
  });

  test('an append is read back as it was', async () => {
    const [sent] = events(1);
    const { nextExpectedRevision, position } = await client.appendToStream('back-1', [sent!]);
    assert.equal(nextExpectedRevision, 0n);
    const [found] = await collect(client.readStream('back-1'));
    assert.equal(found?.event?.id, sent?.id);
    assert.deepEqual(found?.event?.data, { n: 0 });
    assert.deepEqual(found?.event?.metadata, { by: 'test' });
    assert.equal(found?.event?.position?.commit, position?.commit);
    assert.equal(found?.event?.isJson, true);
  });

  test('bytes and names in any script survive', async () => {
    const stream = 'ключ-日本-"%';
    const data = Uint8Array.from([0, 1, 2, 250, 255]);
    await client.appendToStream(stream, [
      {
        id: crypto.randomUUID(),
        type: 'Binary',
        contentType: 'application/octet-stream',
        data,
        metadata: data,
      },
    ]);
    const [found] = await collect(client.readStream(stream));
    assert.equal(found?.event?.streamId, stream);
    assert.deepEqual(Uint8Array.from(found?.event?.data as Uint8Array), data);
    await assert.rejects(client.appendToStream(stream, events(1), expecting(7n)), WrongExpectedVersionError);
    await assert.rejects(client.deleteStream(stream, expecting(7n)), WrongExpectedVersionError);
  });

  test('expected revisions are kept', async () => {
    await assert.rejects(
      client.appendToStream('exp-1', events(1), expecting(STREAM_EXISTS)),
      WrongExpectedVersionError,
    );
    await client.appendToStream('exp-1', events(2), expecting(NO_STREAM));
    await client.appendToStream('exp-1', events(1), expecting(1n));
    await client.appendToStream('exp-1', events(1), expecting(ANY));
    await client.appendToStream('exp-1', events(1), expecting(STREAM_EXISTS));
    for (const expectedRevision of [NO_STREAM, 1n, 9n] as const) {
      await assert.rejects(
        client.appendToStream('exp-1', events(1), expecting(expectedRevision)),
        (error: unknown) => {
          assert.ok(error instanceof WrongExpectedVersionError);
          // The newer package calls them states.
          const named = error as { actualState?: unknown; expectedState?: unknown };
          assert.equal(named.actualState ?? error.actualVersion, 4n);
          assert.equal(named.expectedState ?? error.expectedVersion, expectedRevision);
          return true;
        },
      );
    }
  });

  test('the same append again has the first outcome', async () => {
    const twice = events(3);
    for (const expectedRevision of [NO_STREAM, ANY] as const) {
      const first = await client.appendToStream('again-1', twice, expecting(expectedRevision));
      const second = await client.appendToStream('again-1', twice, expecting(expectedRevision));
      assert.deepEqual(second, first);
    }
    await assert.rejects(
      client.appendToStream('again-1', [...twice, ...events(1)], expecting(ANY)),
      WrongExpectedVersionError,
    );
    assert.equal((await collect(client.readStream('again-1'))).length, 3);
  });

  test('a stream is read from anywhere in both directions', async () => {
    await client.appendToStream('dir-1', events(2500));
    const read = async (options: Parameters<typeof client.readStream>[1]) =>
      revisions(await collect(client.readStream('dir-1', options)));
    assert.equal((await read({})).length, 2500);
    assert.deepEqual(await read({ fromRevision: 2498n }), [2498, 2499]);
    assert.deepEqual(await read({ fromRevision: 2600n }), []);
    assert.deepEqual(await read({ fromRevision: 5n, maxCount: 2 }), [5, 6]);
    assert.deepEqual(await read({ fromRevision: END, direction: BACKWARDS, maxCount: 2 }), [2499, 2498]);
    assert.deepEqual(await read({ fromRevision: 1n, direction: BACKWARDS }), [1, 0]);
    assert.equal((await read({ fromRevision: END, direction: BACKWARDS })).length, 2500);
    await assert.rejects(collect(client.readStream('dir-none')), StreamNotFoundError);
  });

  test('$all holds everything in the order of positions', async () => {
    const found = await collect(client.readAll({ direction: FORWARDS, fromPosition: START }));
    const positions = found.map(({ event }) => event!.position!.commit);
    assert.deepEqual(
      positions,
      [...positions].sort((a, b) => Number(a - b)),
    );
    assert.equal(new Set(positions).size, positions.length);
    const backwards = await collect(client.readAll({ direction: BACKWARDS, fromPosition: END }));
    assert.deepEqual(backwards.map(({ event }) => event!.position!.commit).reverse(), positions);
    const some = found[3]!.event!.position!;
    const [at] = await collect(client.readAll({ fromPosition: some, maxCount: 1 }));
    assert.equal(at?.event?.id, found[3]?.event?.id);
    const [before] = await collect(client.readAll({ fromPosition: some, direction: BACKWARDS, maxCount: 1 }));
    assert.equal(before?.event?.id, found[2]?.event?.id);
  });

  test('a subscription to a stream gives what is there, says so, and goes on', async () => {
    await client.appendToStream('sub-1', events(3));
    const subscription = client.subscribeToStream('sub-1', { fromRevision: 0n });
    const seen: number[] = [];
    subscription.on('data', ({ event }) => seen.push(Number(event?.revision)));
    await new Promise(resolve => subscription.once('caughtUp', () => resolve(undefined)));
    assert.deepEqual(seen, [1, 2]);
    await client.appendToStream('sub-1', events(2));
    await until(() => seen.length === 4);
    assert.deepEqual(seen, [1, 2, 3, 4]);
    await subscription.unsubscribe();
  });

  test('a filtered subscription to $all gets only what fits, and checkpoints', async () => {
    const seen: string[] = [];
    let checkpoints = 0;
    const subscription = client.subscribeToAll({
      fromPosition: START,
      filter: streamNameFilter({
        prefixes: ['pre-', 'fix-'],
        checkpointInterval: 2,
        maxSearchWindow: 5,
        checkpointReached: () => void checkpoints++,
      } as Parameters<typeof streamNameFilter>[0]),
    });
    subscription.on('data', ({ event }) => seen.push(event!.streamId));
    await new Promise(resolve => subscription.once('caughtUp', () => resolve(undefined)));
    assert.deepEqual(seen, []);
    assert.ok(checkpoints > 200, `${checkpoints} checkpoints`);
    await client.appendToStream('pre-1', events(2));
    await client.appendToStream('other', events(20));
    await client.appendToStream('fix-1', events(1));
    await until(() => seen.length === 3);
    assert.deepEqual(seen, ['pre-1', 'pre-1', 'fix-1']);
    await subscription.unsubscribe();
  });

  test('a filter by the pattern of a type', async () => {
    await client.appendToStream('typed', [
      ...events(1, 'Opened'),
      ...events(1, 'Closed'),
      ...events(1, '$odd'),
    ]);
    const seen: string[] = [];
    const subscription = client.subscribeToAll({
      fromPosition: START,
      filter: eventTypeFilter({ regex: '^(Op|Cl).*d$' }),
    });
    subscription.on('data', ({ event }) => seen.push(event!.type));
    await until(() => seen.length === 2);
    assert.deepEqual(seen, ['Opened', 'Closed']);
    await subscription.unsubscribe();
  });

  test('deleted streams are gone until they are written to, tombstoned ones for ever', async () => {
    await client.appendToStream('gone-1', events(3));
    await client.deleteStream('gone-1');
    await assert.rejects(collect(client.readStream('gone-1')), StreamNotFoundError);
    const again = await client.appendToStream('gone-1', events(1), expecting(NO_STREAM));
    assert.equal(again.nextExpectedRevision, 3n);
    assert.deepEqual(revisions(await collect(client.readStream('gone-1'))), [3]);
    await client.tombstoneStream('gone-1');
    await assert.rejects(collect(client.readStream('gone-1')), StreamDeletedError);
    await assert.rejects(client.appendToStream('gone-1', events(1)), StreamDeletedError);
    await assert.rejects(client.deleteStream('none', expecting(3n)), WrongExpectedVersionError);
  });

  test('metadata of a stream limits what is read', async () => {
    await client.appendToStream('meta-1', events(10));
    await client.setStreamMetadata('meta-1', { maxCount: 3, colour: 'red' });
    assert.deepEqual(revisions(await collect(client.readStream('meta-1'))), [7, 8, 9]);
    const { metadata } = await client.getStreamMetadata('meta-1');
    assert.deepEqual(metadata, { maxCount: 3, colour: 'red' });
    await client.setStreamMetadata('meta-1', { truncateBefore: 9 });
    assert.deepEqual(revisions(await collect(client.readStream('meta-1'))), [9]);
  });

  test('a tombstone ends the subscriptions to its stream, a deletion does not', async () => {
    await client.appendToStream('ends-1', events(2));
    const subscription = client.subscribeToStream('ends-1');
    const seen: number[] = [];
    const errors: unknown[] = [];
    subscription.on('data', ({ event }) => seen.push(Number(event?.revision)));
    subscription.on('error', error => errors.push(error));
    await until(() => seen.length === 2);
    await client.deleteStream('ends-1');
    await client.appendToStream('ends-1', events(1));
    await until(() => seen.length === 3);
    assert.deepEqual(seen, [0, 1, 2]);
    await client.tombstoneStream('ends-1');
    await until(() => errors.length === 1);
    assert.ok(errors[0] instanceof StreamDeletedError);
  });

  test('the age of events limits what is read, and all metadata comes back', async () => {
    await client.appendToStream('aged-1', events(2));
    const acl = { readRoles: ['$all'], writeRoles: ['a', 'b'], deleteRoles: ['c'] };
    const metadata = { maxAge: 3_600, cacheControl: 60, acl, custom: { deep: [1, 2] } };
    await client.setStreamMetadata('aged-1', metadata);
    assert.deepEqual((await client.getStreamMetadata('aged-1')).metadata, metadata);
    assert.equal((await collect(client.readStream('aged-1'))).length, 2);
    await client.setStreamMetadata('aged-1', { maxAge: 0 });
    await until(async () => (await collect(client.readStream('aged-1'))).length === 0);
    assert.equal((await client.getStreamMetadata('never-1')).metadata, undefined);
  });

  test('a filtered subscription tells how far it has looked, whatever it finds', async () => {
    const filter = api.excludeSystemEvents({ maxSearchWindow: 32, checkpointInterval: 2 } as never);
    const positions: bigint[] = [];
    const subscription = client.subscribeToAll({
      fromPosition: END,
      filter: {
        ...filter,
        checkpointReached: (_: unknown, position: { commit: bigint }) => positions.push(position.commit),
      } as never,
    });
    const seen: string[] = [];
    subscription.on('data', ({ event }) => seen.push(event!.type));
    await new Promise(resolve => subscription.once('caughtUp', () => resolve(undefined)));
    positions.length = 0;
    for (let n = 0; n < 6; n++) await client.appendToStream('many-1', events(64, n % 2 === 0 ? 'T' : '$odd'));
    await until(() => positions.length === 6);
    assert.equal(seen.length, 3 * 64);
    assert.ok(!seen.includes('$odd'));
    for (const [i, position] of positions.entries()) assert.ok(i === 0 || position > positions[i - 1]!);
    await subscription.unsubscribe();
  });

  test('links are followed where that is asked for', async () => {
    await client.appendToStream('linked', events(2));
    const link = (to: string) => ({
      id: crypto.randomUUID(),
      type: '$>',
      contentType: 'application/octet-stream' as const,
      data: Buffer.from(to),
      metadata: undefined as never,
    });
    await client.appendToStream('links', [link('1@linked'), link('9@linked')]);
    const found = await collect(client.readStream('links', { resolveLinkTos: true }));
    assert.equal(found[0]?.event?.streamId, 'linked');
    assert.equal(found[0]?.link?.streamId, 'links');
    assert.equal(found[1]?.event, undefined);
    assert.equal(found[1]?.link?.revision, 1n);
    assert.equal((await collect(client.readStream('links')))[0]?.event?.type, '$>');
  });

  test('one answers over HTTP/1 too', async () => {
    const base = `http://127.0.0.1:${server.port}`;
    const ping = await fetch(`${base}/ping`);
    assert.match(await ping.text(), /Ping request successfully handled/);
    assert.equal((await fetch(`${base}/health/live`)).status, 204);
    assert.match(await (await fetch(`${base}/info`)).text(), /"esVersion":"24\.10/);
    assert.equal((await fetch(`${base}/nothing`)).status, 404);
  });
}
