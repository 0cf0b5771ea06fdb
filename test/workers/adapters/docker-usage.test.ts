/** What the engine says of a container's counters, with both kinds of control groups. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { FoundLaunch } from '../../../workers/adapters/docker-types.ts';
import { usageIn } from '../../../workers/adapters/docker-usage.ts';

const found: FoundLaunch = {
  launchId: 'l1',
  deployment: 2,
  appId: 'shop',
  buildId: 'b1',
  eventId: 'e1',
  containerId: 'k',
  engine: 'default',
  state: 'running',
  hostPort: null,
  memoryBytes: 1,
  cpus: 0.5,
  startedAt: '2026-01-01T00:00:00.000Z',
};
const cpu_stats = { cpu_usage: { total_usage: 1_234_567_890 } };
const pids_stats = { current: 3, limit: 128 };

suite('what a container uses', () => {
  test('is without files that are kept only while nobody needs their room', () => {
    const memory = (stats: Record<string, number>) => ({ usage: 5_000, limit: 9_000, stats });
    const read = (stats: Record<string, number>) =>
      usageIn({ cpu_stats, pids_stats, memory_stats: memory(stats) }, found);
    assert.deepEqual(read({ total_inactive_file: 1_000, inactive_file: 7 }), {
      launchId: 'l1',
      deployment: 2,
      containerId: 'k',
      engine: 'default',
      startedAt: found.startedAt,
      cpuMs: 1_234,
      cpusMax: 0.5,
      memoryBytes: 4_000,
      memoryBytesMax: 9_000,
      processes: 3,
      processesMax: 128,
    });
    assert.equal(read({ inactive_file: 2_000 })?.memoryBytes, 3_000);
    assert.equal(read({ inactive_file: 9_999 })?.memoryBytes, 0);
  });

  test('is not known of one that does not run', () => {
    assert.equal(
      usageIn({ cpu_stats: { cpu_usage: { total_usage: 0 } }, memory_stats: {} }, found),
      undefined,
    );
    assert.equal(usageIn({}, found), undefined);
  });
});
