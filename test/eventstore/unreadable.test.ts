/** An event that cannot be lifted, or has no data: who follows the log goes on, and tables go on without its stream. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import type { Recorded } from '../../domain/events.ts';
import { memoryStorage } from '../../eventstore/embedded/memory-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { projections } from '../../projections/index.ts';
import { newEvent } from '../contract/eventstore.ts';
import { testDatabase } from '../support/postgres.ts';
import { startProjector, until } from '../support/projector.ts';

test('an event without data stops its stream in the tables, and nobody who follows', {
  timeout: 60_000,
}, async () => {
  const storage = memoryStorage();
  const server = await startLogServer({ storage, port: 0 });
  const url = `esdb://127.0.0.1:${server.port}?tls=false`;
  const { store, close } = openLog(url);
  const client = EventStoreDBClient.connectionString(url);
  const { sql, drop } = await testDatabase();
  const running = startProjector(sql, store, projections);
  try {
    const stream = 'apps.build-b1';
    for (const [type, data] of [
      ['BuildRequested', null],
      ['BuildStarted', { buildId: 'b1', appId: 'a', attempt: 1, at: '2026-01-02T03:04:05.000Z' }],
      ['ProjectionRebuildRequested', [1]],
    ] as const) {
      const { metadata } = newEvent();
      await client.appendToStream(stream, [
        jsonEvent({ id: randomUUID(), type, data: data as never, metadata }),
      ]);
    }
    const cancelled = { buildId: 'b2', appId: 'a', at: '2026-01-02T03:04:05.000Z' };
    const { position } = await store.append('apps.build-b2', [newEvent(cancelled, 'BuildCancelled')], 'none');
    const stop = new AbortController();
    const read: Recorded[] = [];
    for await (const batch of store.subscribe({
      from: 'start',
      streamPrefixes: ['apps.'],
      signal: stop.signal,
    })) {
      read.push(...batch.events);
      if (read.length === 4) break;
    }
    stop.abort();
    assert.deepEqual(
      read.map(event => [event.type, event.unreadable ?? null]),
      [
        ['BuildRequested', 'its data is no object'],
        ['BuildStarted', null],
        ['ProjectionRebuildRequested', 'its data is no object'],
        ['BuildCancelled', null],
      ],
    );
    await assert.rejects(store.load(stream), /its data is no object/);
    const letter = await until('the letter', async () => {
      const row = await sql('projection_letters')
        .where({ projection: 'apps_builds' })
        .first()
        .catch(() => undefined);
      const { position: at } =
        (await sql('projection_checkpoints')
          .where({ name: 'apps_builds' })
          .first()
          .catch(() => undefined)) ?? {};
      return Number(at) >= Number(position) && row;
    });
    assert.deepEqual([letter.stream, letter.type, letter.waiting], [stream, 'BuildRequested', 2]);
    assert.match(letter.error, /its data is no object/);
    // Left out, and what waits goes on: the last of the stream is not of builds.
    await store.append(
      'platform.dead-letter-apps_builds',
      [
        newEvent(
          {
            projection: 'apps_builds',
            position: `${letter.position}`,
            reason: 'it has no data',
            at: cancelled.at,
          },
          'DeadLetterSkipped',
        ),
      ],
      'none',
    );
    await until('the end', async () => {
      const { letters } = await sql('projection_checkpoints').where({ name: 'apps_builds' }).first();
      return letters === 0;
    });
    assert.deepEqual(running.errors, []);
  } finally {
    await running.stop();
    await client.dispose();
    await close();
    await server.close();
    await storage.close();
    await drop();
  }
});
