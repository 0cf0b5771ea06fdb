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
  owner: 'operator:ann',
  access: 'private',
  restart: 'on-failure',
  idle_seconds: 1_800,
  health_path: null,
  sandbox: { egress: [], allowRoot: false, runtime: 'default' },
  workspace: { workspaceId: 'w1', overlap: false },
  link_epoch: 0,
  status: 'requested',
  deployment: 1,
  serving: null,
  port: null,
  container_id: null,
  engine: null,
  host: null,
  host_port: null,
  started_in_ms: null,
  failure: null,
  because: null,
  sleep_reason: null,
  slept_at: null,
  requested_at: '2026-01-01T00:00:17.000Z',
  running_at: null,
  ended_at: null,
  expires_at: '2026-01-01T01:00:00.000Z',
};
const place = { container_id: 'k1', engine: 'default', host: '127.0.0.1', host_port: 40_000, port: 80 };
const starting = { ...requested, status: 'starting', ...place };
const running = {
  ...starting,
  status: 'running',
  serving: 1,
  started_in_ms: 850,
  running_at: '2026-01-01T00:00:19.000Z',
};
const end = { reason: 'exited', exitCode: 1, oomKilled: false, lastLines: ['oh', 'no'], isLoop: false };
const toRunning: readonly EventType[] = ['LaunchRequested', 'LaunchStarting', 'LaunchRunning'];

suite('launches in the table', async () => {
  const tables = await openTables(launches);
  after(() => tables.close());
  const rowsOf = (...types: readonly EventType[]) => tables.rowsAfter(samples(...types), 'apps_launches');
  const deploymentsOf = (...types: readonly EventType[]) =>
    tables.rowsAfter(samples(...types), 'apps_deployments');

  test('requested, starting, running', async () => {
    assert.deepEqual(await rowsOf('LaunchRequested'), [requested]);
    assert.deepEqual(await rowsOf('LaunchRequested', 'LaunchStarting'), [starting]);
    assert.deepEqual(await rowsOf(...toRunning), [running]);
  });

  test('stopping, then stopped or expired', async () => {
    const stopping = { ...running, status: 'stopping' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchStopping'), [stopping]);
    const stopped = { ...running, status: 'stopped', serving: null, ended_at: '2026-01-01T00:00:21.000Z' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchStopping', 'LaunchStopped'), [stopped]);
    const expired = { ...running, status: 'expired', serving: null, ended_at: '2026-01-01T00:00:22.000Z' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchStopping', 'LaunchExpired'), [expired]);
  });

  test('failed, with its last words', async () => {
    const failure = { ...end, at: '2026-01-01T00:00:23.000Z' };
    const failed = { ...starting, status: 'failed', failure, ended_at: '2026-01-01T00:00:23.000Z' };
    assert.deepEqual(await rowsOf('LaunchRequested', 'LaunchStarting', 'LaunchFailed'), [failed]);
  });

  test('replaced, asleep, given more time, and its links made void', async () => {
    const again: readonly EventType[] = [...toRunning, 'LaunchCrashed', 'LaunchDeploymentRequested'];
    const failure = { ...end, at: '2026-01-01T00:00:19.000Z' };
    const restarting = { ...running, status: 'restarting', serving: null, deployment: 2, failure };
    assert.deepEqual(await rowsOf(...again), [restarting]);
    assert.deepEqual(await rowsOf(...again, 'LaunchDeploymentFailed'), [{ ...restarting, status: 'asleep' }]);
    const slept_at = '2026-01-01T00:00:19.000Z';
    const asleep = { ...running, status: 'asleep', serving: null, slept_at, sleep_reason: 'idle' };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchSlept'), [asleep]);
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchSlept', 'LaunchRunning'), [{ ...running, slept_at }]);
    const more = { ...running, expires_at: '2026-01-01T02:00:00.000Z', link_epoch: 1 };
    assert.deepEqual(await rowsOf(...toRunning, 'LaunchExtended', 'LaunchLinksRevoked'), [more]);
  });

  test('and each container it has had', async () => {
    const first = {
      launch_id: 'l1',
      deployment: 1,
      app_id: 'todo',
      build_id: 'b1',
      image: 'apphub/todo:c1',
      cause: 'start',
      status: 'serving',
      container_id: 'k1',
      engine: 'default',
      started_in_ms: 850,
      failure: null,
      requested_at: '2026-01-01T00:00:17.000Z',
      not_before: null,
      running_at: '2026-01-01T00:00:19.000Z',
      gone_at: null,
    };
    assert.deepEqual(await deploymentsOf(...toRunning), [first]);
    const at = '2026-01-01T00:00:19.000Z';
    const [one, two] = await deploymentsOf(
      ...toRunning,
      'LaunchCrashed',
      'LaunchDeploymentRequested',
      'LaunchRetired',
    );
    assert.deepEqual(one, { ...first, status: 'gone', failure: { ...end, at }, gone_at: at });
    const none = { container_id: null, engine: null, started_in_ms: null, running_at: null };
    const not_before = '2026-01-01T00:00:20.000Z';
    const waits = {
      ...first,
      ...none,
      deployment: 2,
      build_id: 'b2',
      image: 'apphub/todo:c2',
      cause: 'restart',
    };
    assert.deepEqual(two, { ...waits, status: 'coming', requested_at: at, not_before });
  });
});
