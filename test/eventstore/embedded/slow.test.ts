/** Subscribers that do not read: they cost nobody anything, and miss nothing. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientHttp2Stream, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  EventStoreDBClient,
  type PersistentSubscriptionToStreamResolvedEvent,
  persistentSubscriptionToStreamSettingsFromDefaults,
  START,
} from '@eventstore/db-client';
import { readRequest } from '../../../eventstore/embedded/codec-streams.ts';
import { openEventLog } from '../../../eventstore/embedded/log.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';
import { until } from './until.ts';

const subscribers = 12;
const eventsMax = 3_000;
const eventBytes = 16 * 1024;
/** What they would take if everything were kept for each of them is ten times as much. */
const memoryBytesMax = 60 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
const used = () => process.memoryUsage().arrayBuffers;
type ReadOptions = NonNullable<Parameters<typeof readRequest.frame>[0]['options']>;

async function largeLog(t: TestContext) {
  const directory = await mkdtemp(path.join(tmpdir(), 'log-slow-'));
  const storage = await openSegmentStorage({ directory, durability: 'none' });
  const server = await startLogServer({ storage, port: 0 });
  const closings: (() => unknown)[] = [];
  t.after(async () => {
    for (const closing of closings) await closing();
    await server.close();
    await storage.close();
    await rm(directory, { recursive: true });
  });
  const log = await openEventLog(storage);
  const data = Buffer.alloc(eventBytes, 120);
  return {
    server,
    closings,
    /** Appends everything; the answer is how much more memory was held meanwhile, at most. */
    async fill(): Promise<number> {
      const before = used();
      let most = 0;
      for (let n = 0; n < eventsMax; n++) {
        const contentType = 'application/octet-stream';
        const id = crypto.randomUUID();
        await log.append('large', 'any', [{ id, type: 'T', contentType, data, metadata: new Uint8Array() }]);
        most = Math.max(most, used() - before);
      }
      return most;
    },
  };
}

function assertLittle(bytes: number): void {
  assert.ok(bytes < memoryBytesMax, `${Math.round(bytes / 1024 / 1024)} MiB`);
}

/** A call of Read on a connection of its own, of which nothing is taken until someone listens for its data. */
function openRead(port: number, closings: (() => unknown)[], options: ReadOptions): ClientHttp2Stream {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  closings.push(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/event_store.client.streams.Streams/Read',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  stream.end(readRequest.frame({ options }));
  return stream;
}

const begun = (streams: readonly ClientHttp2Stream[]) =>
  Promise.all(streams.map(stream => new Promise(resolve => stream.once('readable', () => resolve(0)))));

test('a dozen subscribers that do not read keep no append waiting and take little memory', async t => {
  const { server, closings, fill } = await largeLog(t);
  const slow = Array.from({ length: subscribers }, () =>
    openRead(server.port, closings, { all: { start: {} }, subscription: {} }),
  );
  await begun(slow);
  assertLittle(await fill());

  // Who begins to read at last gets everything.
  let bytes = 0;
  slow[0]?.on('data', chunk => {
    bytes += chunk.length;
  });
  await until(() => bytes > eventsMax * eventBytes);
});

test('readers of a long stream that take nothing are sent a page, and one more is held', async t => {
  const { server, closings, fill } = await largeLog(t);
  await fill();
  const before = used();
  const options = { stream: { stream: { name: 'large' }, start: {} }, noFilter: {}, count: eventsMax };
  const slow = Array.from({ length: subscribers }, () => openRead(server.port, closings, options));
  await begun(slow);
  // Meanwhile others are served: what the slow ones would be sent, if nothing held it back, has long been read.
  for (let reads = 0; reads < 3; reads += 1) {
    let bytes = 0;
    openRead(server.port, closings, options).on('data', chunk => {
      bytes += chunk.length;
    });
    await until(() => bytes > eventsMax * eventBytes);
  }
  // What the others have left behind, on both sides, is not what the slow ones hold.
  collectGarbage();
  assertLittle(used() - before);

  let bytes = 0;
  slow[0]?.on('data', chunk => {
    bytes += chunk.length;
  });
  await until(() => bytes > eventsMax * eventBytes);
});

test('a group whose consumer does not answer reads no further than its buffer', async t => {
  const { server, closings, fill } = await largeLog(t);
  const client = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${server.port}?tls=false`);
  closings.push(() => client.dispose());
  const settings = persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START });
  await client.createPersistentSubscriptionToStream('large', 'slow', settings);
  const subscription = client.subscribeToPersistentSubscriptionToStream('large', 'slow', { bufferSize: 5 });
  const seen: PersistentSubscriptionToStreamResolvedEvent[] = [];
  let answering = false;
  subscription.on('data', event => {
    seen.push(event);
    if (answering) void subscription.ack(event);
  });
  const held = await fill();
  assertLittle(held);
  await until(() => seen.length === 5);
  const info = await client.getPersistentSubscriptionToStreamInfo('large', 'slow');
  assert.ok(info.stats.outstandingMessagesCount < 300, `${info.stats.outstandingMessagesCount}`);
  assert.equal(info.status, 'Behind');
  answering = true;
  await subscription.ack(...seen);
  await until(() => seen.length === eventsMax);
  assert.deepEqual(
    seen.map(({ event }) => Number(event?.revision)),
    [...Array(eventsMax).keys()],
  );
});
