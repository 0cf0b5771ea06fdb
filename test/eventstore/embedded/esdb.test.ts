/** The application's own way into the log, over this server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '../../../domain/kernel/decider.ts';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';
import { openLog } from '../../../eventstore/esdb.ts';
import { WrongRevision } from '../../../eventstore/store.ts';
import { until } from './until.ts';

test('the application loads, appends and follows; a restarted server is found again', async t => {
  const storage = memoryStorage();
  let server = await startLogServer({ storage, port: 0 });
  const { store, close } = openLog(`esdb://127.0.0.1:${server.port}?tls=false`);
  const aborter = new AbortController();
  t.after(async () => {
    aborter.abort();
    await close();
    await server.close();
  });
  const event = (n: number) => ({ type: 'Tested', data: { n } }) as unknown as Message;
  const append = (n: number, expected: bigint | 'none') =>
    store.append('apps.thing-1', [event(n)] as never, expected as never);

  assert.deepEqual(await store.load('apps.thing-1'), { events: [], revision: 'none' });
  await append(1, 'none');
  await assert.rejects(append(1, 'none'), WrongRevision);
  assert.equal((await store.load('apps.thing-1')).revision, 0n);

  const seen: unknown[] = [];
  let caughtUp = 0;
  const following = (async () => {
    const options = { from: 'start' as const, streamPrefixes: ['apps.'], signal: aborter.signal };
    for await (const batch of store.subscribe(options as never)) {
      for (const { data } of batch.events) seen.push((data as unknown as { n: number }).n);
      if (batch.caughtUp) caughtUp++;
    }
  })();
  await until(() => caughtUp === 1);
  await append(2, 0n);
  await until(() => seen.length === 2);

  const { port } = server;
  await server.close();
  server = await startLogServer({ storage, port });
  await until(() => caughtUp === 2);
  for (let tries = 0; ; tries++) {
    // The first call after the loss may still find the old connection.
    try {
      await append(3, 1n);
      break;
    } catch (error) {
      if (tries > 5) throw error;
    }
  }
  await until(() => seen.length === 3);
  assert.deepEqual(seen, [1, 2, 3]);
  aborter.abort();
  await following;
});
