import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType } from '../../../domain/events.ts';
import { launches } from '../../../projections/apps/launch.ts';
import { samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const requested = {
  launch_id: 'l1',
  app_id: 'todo',
  build_id: 'b1',
  image: 'apphub/todo:c1',
  image_id: 'sha256:1',
  env: [{ key: 'A', value: 'b' }],
  resource_profile: 'small',
  status: 'requested',
  port: null,
  container_id: null,
  host_port: null,
  started_in_ms: null,
  failure: null,
  requested_at: '2026-01-01T00:00:17.000Z',
  running_at: null,
  ended_at: null,
  expires_at: '2026-01-01T01:00:00.000Z',
};
const starting = { ...requested, status: 'starting', container_id: 'k1', host_port: 40_000, port: 80 };
const running = {
  ...starting,
  status: 'running',
  started_in_ms: 850,
  running_at: '2026-01-01T00:00:19.000Z',
};
const toRunning: readonly EventType[] = ['LaunchRequested', 'LaunchStarting', 'LaunchRunning'];

suite('launches in the table', async () => {
  const tables = await openTables(launches);
  after(() => tables.close());
  const rowsOf = (...types: readonly EventType[]) => tables.rowsAfter(samples(...types));

  test('requested, starting, running', async () => {
    assert.deepEqual(await rowsOf('LaunchRequested'), [requested]);
    assert.deepEqual(await rowsOf('LaunchRequested', 'LaunchStarting'), [starting]);
    assert.deepEqual(await rowsOf(...toRunning), [running]);
  });

  test('stopping, then stopped or expired', async () => {
    const stopping = { ...running, status: 'stopping' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchStopping'), [stopping]);
    const stopped = { ...running, status: 'stopped', ended_at: '2026-01-01T00:00:21.000Z' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchStopping', 'LaunchStopped'), [stopped]);
    const expired = { ...running, status: 'expired', ended_at: '2026-01-01T00:00:22.000Z' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchStopping', 'LaunchExpired'), [expired]);
  });

  test('failed, with its last words', async () => {
    const failure = { reason: 'exited', exitCode: 1, lastLines: ['oh', 'no'] };
    const failed = { ...starting, status: 'failed', failure, ended_at: '2026-01-01T00:00:23.000Z' };
    assert.deepEqual(await rowsOf('LaunchRequested', 'LaunchStarting', 'LaunchFailed'), [failed]);
  });
});
