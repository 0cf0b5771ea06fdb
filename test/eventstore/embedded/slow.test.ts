/** Subscribers that do not read: they cost nobody anything, and miss nothing. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
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

test('a dozen subscribers that do not read keep no append waiting and take little memory', async t => {
  const directory = await mkdtemp(path.join(tmpdir(), 'log-slow-'));
  const storage = await openSegmentStorage({ directory, durability: 'none' });
  const server = await startLogServer({ storage, port: 0 });
  const sessions: ClientHttp2Session[] = [];
  t.after(async () => {
    for (const session of sessions) session.destroy();
    await server.close();
    await storage.close();
    await rm(directory, { recursive: true });
  });
  const open = () => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    session.on('error', () => undefined);
    sessions.push(session);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/event_store.client.streams.Streams/Read',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    stream.end(readRequest.frame({ options: { all: { start: {} }, subscription: {} } }));
    return stream;
  };
  const slow = Array.from({ length: subscribers }, open);
  await Promise.all(slow.map(stream => new Promise(resolve => stream.once('readable', () => resolve(0)))));

  const log = await openEventLog(storage);
  const data = Buffer.alloc(eventBytes, 120);
  const used = () => process.memoryUsage().arrayBuffers;
  const before = used();
  let most = 0;
  for (let n = 0; n < eventsMax; n++) {
    const contentType = 'application/octet-stream';
    const event = {
      id: crypto.randomUUID(),
      type: 'T',
      contentType,
      data,
      metadata: new Uint8Array(),
    } as const;
    await log.append('large', 'any', [event]);
    // What is garbage is not held by anybody.
    if (n % 500 === 499) {
      global.gc?.();
      most = Math.max(most, used() - before);
    }
  }
  assert.ok(most < memoryBytesMax, `${Math.round(most / 1024 / 1024)} MiB`);

  // Who begins to read at last gets everything.
  let bytes = 0;
  slow[0]?.on('data', chunk => {
    bytes += chunk.length;
  });
  await until(() => bytes > eventsMax * eventBytes);
});
