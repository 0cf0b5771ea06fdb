import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType, PlatformEvent } from '../../../domain/events.ts';
import { workspaces } from '../../../projections/apps/workspace.ts';
import { recorded, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const time = (second: string) => `2026-01-01T00:00:${second}.000Z`;
const created = {
  workspace_id: 'w1',
  app_id: 'todo',
  name: 'Mine',
  owner: 'operator:ann',
  bytes_max: 10_000_000_000,
  status: 'empty',
  operation: null,
  operation_snapshot_id: null,
  operation_at: null,
  source: null,
  generation: 1,
  engine: null,
  volumes: null,
  launch_id: null,
  awaited: null,
  obstacle: null,
  level: 'fits',
  failure: null,
  requested_at: time('20'),
  attached_at: null,
  restored_at: null,
};
const attached = { ...created, launch_id: 'l1', attached_at: time('21') };
const volumes = [{ path: '/data', name: 'apphub-w1-1-a' }];
const held = { ...attached, status: 'ready', engine: 'default', volumes };
const asked = {
  workspace_id: 'w1',
  snapshot_id: 's1',
  app_id: 'todo',
  status: 'asked',
  live: false,
  clone_id: null,
  key: null,
  bytes: null,
  sha256: null,
  content_bytes: null,
  entries: null,
  paths: null,
  paused_ms: null,
  reason: null,
  requested_at: time('23'),
  taken_at: null,
};
const toHeld: readonly EventType[] = [
  'WorkspaceCreated',
  'WorkspaceAttached',
  'WorkspaceOpened',
  'WorkspaceVolumesMade',
];

suite('workspaces in the table', async () => {
  const tables = await openTables(workspaces);
  after(() => tables.close());
  const rowsOf = (...types: readonly EventType[]) => tables.rowsAfter(samples(...types), 'apps_workspaces');
  const snapshotsOf = (...types: readonly EventType[]) =>
    tables.rowsAfter(samples(...types), 'apps_workspace_snapshots');

  test('made, kept for a launch, and filled', async () => {
    assert.deepEqual(await rowsOf('WorkspaceCreated'), [created]);
    assert.deepEqual(await rowsOf('WorkspaceCreated', 'WorkspaceAttached'), [attached]);
    assert.deepEqual(await rowsOf(...toHeld), [held]);
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceClosed'), [held]);
    const free = { ...held, launch_id: null, attached_at: null };
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceDetached'), [free]);
  });

  test('awaited, until it is opened', async () => {
    const awaited = { ...held, awaited: 2, obstacle: 'in-use' };
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceAwaited'), [awaited]);
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceAwaited', 'WorkspaceOpened'), [held]);
  });

  test('nearly full, and given another name and more room', async () => {
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceWeighed'), [{ ...held, level: 'nearly' }]);
    const changed = { ...held, name: 'Ours', bytes_max: 20_000_000_000 };
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceWeighed', 'WorkspaceChanged'), [changed]);
  });

  test('a snapshot is asked for, and taken or not', async () => {
    const busy = { ...held, operation: 'snapshot', operation_snapshot_id: 's1', operation_at: time('23') };
    const taking: readonly EventType[] = [...toHeld, 'WorkspaceSnapshotRequested'];
    assert.deepEqual(await rowsOf(...taking), [busy]);
    assert.deepEqual(await snapshotsOf(...taking), [asked]);
    assert.deepEqual(await rowsOf(...taking, 'WorkspaceSnapshotTaken'), [held]);
    const taken = {
      ...asked,
      status: 'taken',
      key: 'workspaces/w1/s1.tar.zst',
      bytes: 50,
      sha256: 'ee',
      content_bytes: 6_000_000_000,
      entries: 3,
      paths: ['/data'],
      paused_ms: 300,
      taken_at: time('24'),
    };
    assert.deepEqual(await snapshotsOf(...taking, 'WorkspaceSnapshotTaken'), [taken]);
    assert.deepEqual(await rowsOf(...taking, 'WorkspaceSnapshotFailed'), [held]);
    assert.deepEqual(await snapshotsOf(...taking, 'WorkspaceSnapshotFailed'), [
      { ...asked, status: 'failed', reason: 'no room' },
    ]);
    const removing: readonly EventType[] = [...taking, 'WorkspaceSnapshotTaken', 'WorkspaceSnapshotRemoving'];
    assert.deepEqual(await snapshotsOf(...removing), [{ ...taken, status: 'removing' }]);
    assert.deepEqual(await snapshotsOf(...removing, 'WorkspaceSnapshotRemoved'), []);
  });

  test('put back: another set of volumes, and one that is over until it is gone', async () => {
    const restoring = {
      ...held,
      operation: 'restore',
      operation_snapshot_id: 's1',
      operation_at: time('25'),
    };
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceRestoring'), [restoring]);
    const restored = { ...held, generation: 2, restored_at: time('26') };
    const types: readonly EventType[] = [...toHeld, 'WorkspaceRestoring', 'WorkspaceRestored'];
    assert.deepEqual(await rowsOf(...types), [restored]);
    const setsOf = (...all: readonly EventType[]) => tables.rowsAfter(samples(...all), 'apps_workspace_sets');
    assert.deepEqual(await setsOf(...types), [{ workspace_id: 'w1', generation: 1 }]);
    assert.deepEqual(await setsOf(...types, 'WorkspaceVolumesRemoved'), []);
    assert.deepEqual(await setsOf(...toHeld, 'WorkspaceRestoring', 'WorkspaceRestoreFailed'), [
      { workspace_id: 'w1', generation: 2 },
    ]);
    assert.deepEqual(await rowsOf(...toHeld, 'WorkspaceRestoring', 'WorkspaceRestoreFailed'), [
      { ...held, failure: 'it was changed' },
    ]);
  });

  test('a clone is being filled from the start, and may stay without content', async () => {
    const source = { workspaceId: 'w0', snapshotId: 's0', isNew: true };
    const [first] = samples('WorkspaceCreated');
    assert.ok(first?.type === 'WorkspaceCreated');
    const clone = { ...first, data: { ...first.data, source } };
    const filling = { operation: 'restore', operation_snapshot_id: 's0', operation_at: time('20') };
    assert.deepEqual(await tables.rowsAfter([clone], 'apps_workspaces'), [
      { ...created, source, ...filling },
    ]);
    const failed: PlatformEvent = {
      type: 'WorkspaceRestoreFailed',
      data: {
        workspaceId: 'w1',
        appId: 'todo',
        at: time('26'),
        generation: 1,
        reason: 'gone',
        source,
        resumes: null,
      },
    };
    assert.deepEqual(await tables.rowsAfter([clone, recorded(failed, 2n)], 'apps_workspaces'), [
      { ...created, source, status: 'broken', failure: 'gone' },
    ]);
  });

  test('deleted, with its snapshots', async () => {
    const removing: readonly EventType[] = [...toHeld, 'WorkspaceSnapshotRequested', 'WorkspaceRemoving'];
    assert.deepEqual(await rowsOf(...removing), [
      {
        ...held,
        operation: 'snapshot',
        operation_snapshot_id: 's1',
        operation_at: time('23'),
        status: 'removing',
      },
    ]);
    assert.deepEqual(await rowsOf(...removing, 'WorkspaceRemoved'), []);
    assert.deepEqual(await snapshotsOf(...removing, 'WorkspaceRemoved'), []);
  });
});
