/** Every workspace, who has it and what is being done with it; and its snapshots. What it weighs is not told in events. */
import type { EventOf } from '../../domain/events.ts';
import { drop, dropAll, type Op, type Projection, patch, put, type Row } from '../projection.ts';

const table = 'apps_workspaces';
const snapshots = 'apps_workspace_snapshots';
/** Sets of volumes that are over and may still be on the engine. */
const sets = 'apps_workspace_sets';

export const workspaces: Projection = {
  name: table,
  version: 1,
  tables: {
    [table]: ['workspace_id'],
    [snapshots]: ['workspace_id', 'snapshot_id'],
    [sets]: ['workspace_id', 'generation'],
  },
  madeAt: { [table]: 'requested_at', [snapshots]: 'requested_at' },

  createTables: schema =>
    schema
      .createTable(sets, t => {
        t.text('workspace_id').notNullable();
        t.integer('generation').notNullable();
        t.primary(['workspace_id', 'generation']);
      })
      .createTable(snapshots, t => {
        t.text('workspace_id').notNullable();
        t.text('snapshot_id').notNullable();
        t.primary(['workspace_id', 'snapshot_id']);
        t.text('app_id').notNullable();
        /** asked, taken, failed or removing. */
        t.text('status').notNullable();
        t.boolean('live').notNullable();
        t.text('clone_id');
        t.text('key');
        t.bigInteger('bytes');
        t.text('sha256');
        t.bigInteger('content_bytes');
        t.integer('entries');
        t.jsonb('paths');
        t.integer('paused_ms');
        t.text('reason');
        t.timestamp('requested_at').notNullable();
        t.timestamp('taken_at');
        t.index(['status']);
      })
      .createTable(table, t => {
        t.text('workspace_id').primary();
        t.text('app_id').notNullable();
        t.text('name').notNullable();
        t.text('owner').notNullable();
        t.bigInteger('bytes_max').notNullable();
        /** empty, ready, broken or removing. */
        t.text('status').notNullable();
        /** What is being done with the content: snapshot, restore, or nothing. */
        t.text('operation');
        t.text('operation_snapshot_id');
        t.timestamp('operation_at');
        t.jsonb('source');
        t.integer('generation').notNullable().defaultTo(1);
        t.text('engine');
        t.jsonb('volumes');
        t.text('launch_id');
        t.integer('awaited');
        t.text('obstacle');
        t.text('level').notNullable();
        t.text('failure');
        t.timestamp('requested_at').notNullable();
        t.timestamp('attached_at');
        t.timestamp('restored_at');
        t.index(['app_id', 'requested_at']);
        t.index(['status']);
        t.index(['operation']);
        t.index(['launch_id']);
      }),

  on: {
    WorkspaceCreated: ({ data }) => [
      put(table, {
        workspace_id: data.workspaceId,
        app_id: data.appId,
        name: data.name,
        owner: data.owner,
        bytes_max: data.bytesMax,
        status: 'empty',
        level: 'fits',
        source: data.source,
        requested_at: data.at,
        ...(data.source === null ? idle : operationOf('restore', data.source.snapshotId, data.at)),
      }),
    ],
    WorkspaceChanged: ({ data }) => [
      of(data, { name: data.name, bytes_max: data.bytesMax, level: data.level }),
    ],
    WorkspaceAttached: ({ data }) => [
      of(data, { launch_id: data.launchId, attached_at: data.at, ...notAwaited }),
    ],
    WorkspaceDetached: ({ data }) => [of(data, { launch_id: null, attached_at: null, ...notAwaited })],
    WorkspaceAwaited: ({ data }) => [of(data, { awaited: data.deployment, obstacle: data.obstacle })],
    WorkspaceOpened: ({ data }) => [of(data, notAwaited)],
    WorkspaceVolumesMade: ({ data }) => [of(data, held(data))],
    WorkspaceVolumesRemoved: ({ data }) => [drop(sets, discarded(data, data.generation))],
    WorkspaceWeighed: ({ data }) => [of(data, { level: data.level })],
    WorkspaceSnapshotRequested: ({ data }) => [
      of(data, operationOf('snapshot', data.snapshotId, data.at)),
      put(snapshots, {
        workspace_id: data.workspaceId,
        snapshot_id: data.snapshotId,
        app_id: data.appId,
        status: 'asked',
        live: data.live,
        clone_id: data.cloneId,
        requested_at: data.at,
      }),
    ],
    WorkspaceSnapshotTaken: ({ data }) => [
      of(data, idle),
      ofSnapshot(data, {
        status: 'taken',
        key: data.key,
        bytes: data.bytes,
        sha256: data.sha256,
        content_bytes: data.contentBytes,
        entries: data.entries,
        paths: data.paths,
        paused_ms: data.pausedMs,
        taken_at: data.at,
      }),
    ],
    WorkspaceSnapshotFailed: ({ data }) => [
      of(data, idle),
      ofSnapshot(data, { status: 'failed', reason: data.reason }),
    ],
    WorkspaceSnapshotRemoving: ({ data }) => [ofSnapshot(data, { status: 'removing' })],
    WorkspaceSnapshotRemoved: ({ data }) => [
      drop(snapshots, { workspace_id: data.workspaceId, snapshot_id: data.snapshotId }),
    ],
    WorkspaceRestoring: ({ data }) => [of(data, operationOf('restore', data.snapshotId, data.at))],
    WorkspaceRestored: ({ data }) => [
      of(data, { ...idle, ...held(data), level: data.level, failure: null, restored_at: data.at }),
      ...(data.replaced === null ? [] : [put(sets, discarded(data, data.replaced))]),
    ],
    WorkspaceRestoreFailed: ({ data }) => {
      const isClone = data.source.workspaceId !== data.workspaceId;
      return [
        of(data, { ...idle, failure: data.reason, ...(isClone ? { status: 'broken' } : {}) }),
        put(sets, discarded(data, data.generation)),
      ];
    },
    WorkspaceRemoving: ({ data }) => [of(data, { status: 'removing' })],
    WorkspaceRemoved: ({ data }) => [
      drop(table, { workspace_id: data.workspaceId }),
      dropAll(snapshots, { workspace_id: data.workspaceId }),
      dropAll(sets, { workspace_id: data.workspaceId }),
    ],
  },
};

const idle = { operation: null, operation_snapshot_id: null, operation_at: null };
const notAwaited = { awaited: null, obstacle: null };

type OfWorkspace = { workspaceId: string };

const of = ({ workspaceId }: OfWorkspace, set: Row): Op => patch(table, { workspace_id: workspaceId }, set);
const ofSnapshot = ({ workspaceId, snapshotId }: OfWorkspace & { snapshotId: string }, set: Row): Op =>
  patch(snapshots, { workspace_id: workspaceId, snapshot_id: snapshotId }, set);
const discarded = ({ workspaceId }: OfWorkspace, generation: number): Row => ({
  workspace_id: workspaceId,
  generation,
});

const operationOf = (operation: 'snapshot' | 'restore', snapshotId: string, at: string): Row => ({
  operation,
  operation_snapshot_id: snapshotId,
  operation_at: at,
});

const held = ({
  generation,
  engine,
  volumes,
}: EventOf<'WorkspaceVolumesMade'>['data'] | EventOf<'WorkspaceRestored'>['data']) => ({
  status: 'ready',
  generation,
  engine,
  volumes,
});
