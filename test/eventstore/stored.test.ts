/** The log as it is stored: every stream but its own, events of any kind, and nothing lifted to today's shape. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, test } from 'node:test';
import { binaryEvent, EventStoreDBClient } from '@eventstore/db-client';
import { memoryStorage } from '../../eventstore/embedded/memory-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore, StoredEvent, StoredLog } from '../../eventstore/store.ts';
import { newEvent } from '../contract/eventstore.ts';

type Opened = { store: EventStore; stored: StoredLog; url?: string; close(): Promise<void> };

async function overTheWire(): Promise<Opened> {
  const storage = memoryStorage();
  const server = await startLogServer({ storage, port: 0 });
  const url = `esdb://127.0.0.1:${server.port}?tls=false`;
  const { store, stored, close } = openLog(url);
  return {
    store,
    stored,
    url,
    async close() {
      await close();
      await server.close();
      await storage.close();
    },
  };
}

async function inMemory(): Promise<Opened> {
  const store = memoryStore();
  return { store, stored: store, close: async () => undefined };
}

async function everything(
  { stored }: Pick<Opened, 'stored'>,
  from: bigint | 'start' = 'start',
): Promise<StoredEvent[]> {
  const stop = new AbortController();
  const events: StoredEvent[] = [];
  for await (const batch of stored.follow({ from, signal: stop.signal })) {
    events.push(...batch.events);
    if (batch.caughtUp) break;
  }
  stop.abort();
  return events;
}

for (const [name, open] of Object.entries({ overTheWire, inMemory })) {
  suite(`stored events, ${name}`, () => {
    const check = (title: string, body: (opened: Opened) => Promise<void>) =>
      test(title, { timeout: 60_000 }, async () => {
        const opened = await open();
        try {
          await body(opened);
        } finally {
          await opened.close();
        }
      });

    check('of every stream, in the order of the log, from any position', async opened => {
      const { store } = opened;
      for (const stream of ['apps.build-1', 'idempotency-k', 'other', '$ours'])
        await store.append(stream, [newEvent({ stream }), newEvent({ stream })], 'none');
      const all = await everything(opened);
      assert.deepEqual(
        all.map(({ stream, revision }) => `${stream} ${revision}`),
        ['apps.build-1 0', 'apps.build-1 1', 'idempotency-k 0', 'idempotency-k 1', 'other 0', 'other 1'],
      );
      for (const [at, { position }] of all.entries()) {
        assert.ok(at === 0 || position > (all[at - 1] as StoredEvent).position);
        assert.deepEqual(await everything(opened, position), all.slice(at + 1));
      }
    });

    check('are not lifted to a new shape, and one can be had by its position', async opened => {
      const old = newEvent({ commit: 'c1' }, 'IngestionFailed');
      const { position } = await opened.store.append('apps.ingestion-1', [old], 'none');
      const loaded = (await opened.store.load('apps.ingestion-1')).events[0];
      // Only a log behind a client lifts what it loads.
      const lifted = opened.url === undefined ? ['commit'] : ['commit', 'durations'];
      assert.deepEqual(Object.keys(loaded?.data ?? {}).sort(), lifted);
      const [event] = await everything(opened);
      assert.deepEqual(event, {
        position,
        stream: 'apps.ingestion-1',
        revision: 0n,
        ...old,
        isJson: true,
        created: loaded?.created,
      });
      assert.deepEqual(await opened.stored.at(position), event);
      assert.equal(await opened.stored.at(position + 1n), undefined);
      const { position: own } = await opened.store.append('$ours', [newEvent()], 'none');
      assert.equal(await opened.stored.at(own), undefined);
    });

    check('come live', async opened => {
      const stop = new AbortController();
      const seen: string[] = [];
      for await (const { events, caughtUp } of opened.stored.follow({ from: 'start', signal: stop.signal })) {
        seen.push(...events.map(({ stream }) => stream));
        if (caughtUp && seen.length === 0) await opened.store.append('a', [newEvent()], 'none');
        if (seen.length > 0) break;
      }
      stop.abort();
      assert.deepEqual(seen, ['a']);
    });
  });
}

test('events that are no JSON are bytes, and metadata that is empty is null', async () => {
  const opened = await overTheWire();
  const client = EventStoreDBClient.connectionString(opened.url ?? '');
  try {
    const data = Uint8Array.of(0, 255, 10);
    await client.appendToStream('raw', [
      binaryEvent({ type: 'Raw', data, id: randomUUID() }),
      binaryEvent({ type: 'Raw', data, metadata: Uint8Array.of(0xff) }),
    ]);
    const [bare, described] = await everything(opened);
    assert.deepEqual(
      [bare?.isJson, bare?.data && Buffer.from(bare.data as Uint8Array), bare?.metadata],
      [false, Buffer.from(data), null],
    );
    assert.deepEqual(Buffer.from(described?.metadata as Uint8Array), Buffer.from([0xff]));
  } finally {
    await client.dispose();
    await opened.close();
  }
});
