import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventOf } from '../../../domain/events.ts';
import { usageSums } from '../../../projections/apps/usage.ts';
import { recorded } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

let position = 0n;
const used = (changes: Partial<EventOf<'LaunchUsed'>['data']>) => {
  position += 1n;
  const data = {
    launchId: 'l1',
    appId: 'shop',
    owner: 'ann',
    deployment: 1,
    from: '2026-01-01T10:00:00.000Z',
    to: '2026-01-01T10:05:00.000Z',
    isLast: false,
    cpuMs: 100,
    memoryMbSeconds: 30,
    ...changes,
  };
  return recorded({ type: 'LaunchUsed', data }, position);
};

suite('the tables of what was used', async () => {
  const tables = await openTables(usageSums);
  after(() => tables.close());
  const events = [
    used({}),
    used({ deployment: 2, cpuMs: 1 }),
    used({ launchId: 'l2', owner: 'bob' }),
    // Counts for the day on which it began.
    used({ from: '2026-01-01T23:59:58.000Z', to: '2026-01-02T00:00:03.000Z', cpuMs: 7 }),
    used({ from: '2026-01-02T00:00:03.000Z', to: '2026-01-02T00:05:00.000Z', appId: 'other', isLast: true }),
  ];

  test('add up by owner, app and day', async () => {
    assert.deepEqual(await tables.rowsAfter(events), [
      { owner: 'ann', app_id: 'other', day: '2026-01-02', cpu_ms: 100, memory_mb_seconds: 30 },
      { owner: 'ann', app_id: 'shop', day: '2026-01-01', cpu_ms: 108, memory_mb_seconds: 90 },
      { owner: 'bob', app_id: 'shop', day: '2026-01-01', cpu_ms: 100, memory_mb_seconds: 30 },
    ]);
  });

  test('and by launch, over all its containers', async () => {
    assert.deepEqual(await tables.rowsAfter(events, 'apps_launch_usage'), [
      { launch_id: 'l1', cpu_ms: 208, memory_mb_seconds: 120 },
      { launch_id: 'l2', cpu_ms: 100, memory_mb_seconds: 30 },
    ]);
  });
});
