/** What an operator asks of the server: to reclaim room, to end; and what a single node has no answer to. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { EventStoreDBClient, jsonEvent, StreamDeletedError } from '@eventstore/db-client';
import { int, message, nested, string, uint } from '../../../eventstore/embedded/codec.ts';
import { openEventLog } from '../../../eventstore/embedded/log.ts';
import { scavengeRule } from '../../../eventstore/embedded/log-scavenge.ts';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { verifyStorage } from '../../../eventstore/embedded/segment-verify.ts';
import { type LogServer, startLogServer } from '../../../eventstore/embedded/server.ts';
import type { Storage } from '../../../eventstore/embedded/storage.ts';
import { rawClient } from './raw-client.ts';
import { until } from './until.ts';

const operations = '/event_store.client.operations.Operations';
const startRequest = message({ options: nested(1, message({ threads: int(1), fromChunk: int(2) })) });
const stopRequest = message({ options: nested(1, message({ id: string(1) })) });
const scavenged = message({ id: string(1), result: uint(2) });
const nothing = message({});

suite('operations', () => {
  let directory: string;
  let storage: Storage;
  let server: LogServer;
  let client: EventStoreDBClient;
  let raw: ReturnType<typeof rawClient>;
  let shutdowns = 0;
  const start = async () => {
    storage = await openSegmentStorage({ directory });
    server = await startLogServer({ storage, port: 0, onShutdown: () => void shutdowns++ });
    client = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${server.port}?tls=false`);
    raw = rawClient(server.port);
  };
  const stop = async () => {
    raw.close();
    await client.dispose();
    await server.close();
    await storage.close();
  };
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'log-operations-'));
    await start();
  });
  after(async () => {
    await stop();
    await rm(directory, { recursive: true });
  });

  const fill = (stream: string, count: number) =>
    client.appendToStream(
      stream,
      Array.from({ length: count }, (_, n) =>
        jsonEvent({ type: 'Tested', data: { n, text: 'x'.repeat(900) } }),
      ),
    );
  const revisions = async (stream: string) => {
    const found: number[] = [];
    for await (const { event } of client.readStream(stream)) found.push(Number(event?.revision));
    return found;
  };
  const scavenge = async () => {
    const answer = await raw.call(`${operations}/StartScavenge`, [
      startRequest.frame({ options: { threads: 1 } }),
    ]);
    assert.equal(answer.status, 0);
    const { id } = scavenged.decode(answer.messages[0] as Buffer);
    let completed: Record<string, unknown> | undefined;
    await until(async () => {
      for await (const { event } of client.readStream('$scavenges')) {
        const data = event?.data as Record<string, unknown>;
        if (event?.type === '$scavengeCompleted' && data.scavengeId === id) completed = data;
      }
      return completed !== undefined;
    });
    return completed;
  };
  const sizeOf = async () => {
    const files = await readdir(directory);
    const sizes = await Promise.all(files.map(async file => (await stat(path.join(directory, file))).size));
    return sizes.reduce((sum, one) => sum + one, 0);
  };

  test('a scavenge gives back what deletion and metadata have cut off, and nothing else', async () => {
    await fill('kept', 50);
    await fill('deleted', 300);
    await fill('tombstoned', 300);
    await fill('counted', 300);
    await fill('truncated', 300);
    await client.setStreamMetadata('counted', { maxCount: 3 });
    await client.setStreamMetadata('counted', { maxCount: 2 });
    await client.setStreamMetadata('truncated', { truncateBefore: 295 });
    await client.deleteStream('deleted');
    await client.tombstoneStream('tombstoned');
    const before = await sizeOf();
    const completed = await scavenge();
    assert.equal(completed?.result, 'Success');
    assert.ok((completed?.spaceReclaimed as number) > 1_000_000, `${completed?.spaceReclaimed}`);
    assert.ok(before - (await sizeOf()) > 1_000_000, `${before} to ${await sizeOf()}`);

    const check = async () => {
      assert.equal((await revisions('kept')).length, 50);
      assert.deepEqual(await revisions('counted'), [298, 299]);
      assert.deepEqual(await revisions('truncated'), [295, 296, 297, 298, 299]);
      await assert.rejects(revisions('tombstoned'), StreamDeletedError);
      await assert.rejects(fill('tombstoned', 1), StreamDeletedError);
    };
    await check();
    assert.equal((await client.getStreamMetadata('counted')).metadata?.maxCount, 2);
    // A name that is used again goes on where it has ended.
    await fill('deleted', 1);
    assert.deepEqual(await revisions('deleted'), [300]);
    await stop();
    assert.deepEqual((await verifyStorage(directory)).problems, []);
    await start();
    await check();
    assert.deepEqual(await revisions('deleted'), [300]);
    assert.equal((await scavenge())?.result, 'Success');
    assert.deepEqual(await revisions('deleted'), [300]);
    await check();
  });

  test('a scavenge that does not run cannot be stopped', async () => {
    const id = crypto.randomUUID();
    const answer = await raw.call(`${operations}/StopScavenge`, [stopRequest.frame({ options: { id } })]);
    assert.deepEqual([answer.status, answer.trailers.exception], [5, 'scavenge-not-found']);
    assert.equal(answer.trailers['scavenge-id'], id);
    const bad = startRequest.frame({ options: { threads: -1 } });
    assert.equal((await raw.call(`${operations}/StartScavenge`, [bad])).status, 3);
  });

  test('one scavenge runs at a time, and is stopped by its id', async () => {
    const frame = startRequest.frame({ options: {} });
    const begin = async () => {
      const { messages } = await raw.call(`${operations}/StartScavenge`, [frame]);
      return scavenged.decode(messages[0] as Buffer);
    };
    const [first, second] = await Promise.all([begin(), begin()]);
    assert.deepEqual([first.result, second.result], [0, 1]);
    assert.equal(first.id, second.id);
    const stopFrame = stopRequest.frame({ options: { id: first.id } });
    const { status } = await raw.call(`${operations}/StopScavenge`, [stopFrame]);
    // It may have been faster.
    assert.ok(status === 0 || status === 5);
    await until(async () => (await begin()).id !== first.id);
  });

  test('a shutdown is answered, and then asked of the program', async () => {
    assert.equal((await raw.call(`${operations}/Shutdown`, [nothing.frame({})])).status, 0);
    await until(() => shutdowns === 1);
    const other = await startLogServer({ storage: memoryStorage(), port: 0 });
    const otherClient = rawClient(other.port);
    const refused = await otherClient.call(`${operations}/Shutdown`, [nothing.frame({})]);
    assert.equal(refused.status, 9);
    otherClient.close();
    await other.close();
  });

  test('a single node says so, and that there are no projections', async () => {
    assert.equal((await raw.call(`${operations}/MergeIndexes`, [nothing.frame({})])).status, 0);
    assert.equal(
      (await raw.call(`${operations}/RestartPersistentSubscriptions`, [nothing.frame({})])).status,
      0,
    );
    const resigned = await raw.call(`${operations}/ResignNode`, [nothing.frame({})]);
    assert.deepEqual([resigned.status, resigned.message], [12, 'This log is one node, and no cluster.']);
    const projections = '/event_store.client.projections.Projections';
    const created = await raw.call(`${projections}/Create`, [nothing.frame({})]);
    assert.equal(created.status, 12);
    assert.match(created.message, /not offered/);
    await assert.rejects(client.createProjection('p', 'fromAll()'), /not offered|requires|UNIMPLEMENTED/i);
  });
});

test('what comes while it is decided, and what is not durable, is kept', async () => {
  let nowMs = 1_000_000;
  const storage = memoryStorage(() => nowMs);
  const log = await openEventLog(storage, { nowMs: () => nowMs });
  const event = (data = '{}') => ({
    id: crypto.randomUUID(),
    type: 'Tested',
    contentType: 'application/json' as const,
    data: Buffer.from(data),
    metadata: new Uint8Array(),
  });
  const metadata = (data: object) => ({ ...event(JSON.stringify(data)), type: '$metadata' });
  await log.append('aged', 'any', [event(), event()]);
  nowMs += 60_000;
  await log.append('aged', 'any', [event()]);
  await log.append('$$aged', 'any', [metadata({ $maxAge: 30 })]);
  await log.append('counted', 'any', [event(), event()]);
  await log.append('$$counted', 'any', [metadata({ $maxCount: 1 })]);
  await log.append('gone', 'any', [event()]);
  await log.softDelete('gone', 'any');
  const keep = await scavengeRule(log, nowMs);
  await log.append('counted', 'any', [event()]);
  await log.append('gone', 'any', [event()]);
  const kept = (await storage.readAll(0, 'forwards', 100)).filter(keep);
  assert.deepEqual(
    kept.map(({ stream, revision }) => `${revision}@${stream}`),
    [
      ...['2@aged', '0@$$aged', '1@counted', '0@$$counted', '0@$$gone'],
      ...['2@counted', '1@$$gone', '1@gone'],
    ],
  );
});
