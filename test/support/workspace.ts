/** What may happen to a workspace, in short words for the tests of its decider. */
import type {
  WorkspaceCommand,
  WorkspaceEvent,
  WorkspaceLevel,
  WorkspaceObstacle,
} from '../../domain/apps/workspace-state.ts';

const at = '2026-01-02T03:04:05.000Z';
const workspaceId = 'w1';
const appId = 'todo';
const of = { workspaceId, at };
const owned = { ...of, appId };
const volumes = (generation: number, ...paths: string[]) =>
  paths.map(path => ({ path, name: `${workspaceId}-${generation}${path.replaceAll('/', '-')}` }));

export const content = {
  key: 'workspaces/w1/s1.tar.zst',
  bytes: 40,
  sha256: 'aa',
  contentBytes: 600,
  entries: 3,
  paths: ['/data'],
};
const source = { workspaceId, snapshotId: 's1', isNew: false };
export const cloned = { workspaceId: 'w0', snapshotId: 's0', isNew: true };
type Resumes = { launchId: string; deployment: number } | null;
const created = { ...owned, name: 'Mine', bytesMax: 1_000, owner: 'ann', source: null };

export const say = {
  create: { type: 'CreateWorkspace', data: created },
  clone: { type: 'CreateWorkspace', data: { ...created, source: cloned } },
  change: (more: { name?: string; bytesMax?: number }) => ({
    type: 'ChangeWorkspace',
    data: { ...of, ...more },
  }),
  attach: (launchId = 'l1', app = appId) => ({
    type: 'AttachWorkspace',
    data: { ...of, appId: app, launchId },
  }),
  detach: (launchId = 'l1') => ({ type: 'DetachWorkspace', data: { ...of, launchId } }),
  open: (deployment = 1, more: { overlap?: boolean; launchId?: string; appId?: string } = {}) => ({
    type: 'OpenWorkspace',
    data: { ...owned, launchId: 'l1', deployment, overlap: false, ...more },
  }),
  close: (deployment = 1, launchId = 'l1') => ({
    type: 'CloseWorkspace',
    data: { ...of, launchId, deployment },
  }),
  made: (generation = 1, paths = ['/data'], engine = 'default') => ({
    type: 'RecordVolumes',
    data: { ...of, generation, engine, volumes: volumes(generation, ...paths) },
  }),
  discarded: (generation = 1) => ({ type: 'ConfirmVolumesRemoved', data: { ...of, generation } }),
  weigh: (bytes: number, generation = 1) => ({ type: 'WeighWorkspace', data: { ...of, generation, bytes } }),
  snapshot: (snapshotId = 's1', live = false) => ({
    type: 'RequestSnapshot',
    data: { ...of, snapshotId, live, cloneId: null },
  }),
  taken: (snapshotId = 's1', contentBytes = 600) => ({
    type: 'CompleteSnapshot',
    data: { ...of, snapshotId, ...content, contentBytes, pausedMs: 7 },
  }),
  notTaken: (snapshotId = 's1') => ({ type: 'FailSnapshot', data: { ...of, snapshotId, reason: 'no room' } }),
  drop: (snapshotId = 's1') => ({ type: 'RemoveSnapshot', data: { ...of, snapshotId } }),
  dropped: (snapshotId = 's1') => ({ type: 'ConfirmSnapshotRemoved', data: { ...of, snapshotId } }),
  restore: (snapshotId = 's1') => ({ type: 'RestoreWorkspace', data: { ...of, snapshotId } }),
  restored: (generation = 2, bytes = 600) => ({
    type: 'CompleteRestore',
    data: {
      ...of,
      generation,
      engine: 'default',
      volumes: volumes(generation, '/data'),
      bytes,
      restoredInMs: 9,
    },
  }),
  notRestored: (generation = 2) => ({ type: 'FailRestore', data: { ...of, generation, reason: 'changed' } }),
  remove: { type: 'RemoveWorkspace', data: of },
  removed: { type: 'ConfirmWorkspaceRemoved', data: of },
} satisfies Record<string, WorkspaceCommand | ((...args: never[]) => WorkspaceCommand)>;

export const was = {
  created: { type: 'WorkspaceCreated', data: created },
  cloned: { type: 'WorkspaceCreated', data: { ...created, source: cloned } },
  changed: (name: string, bytesMax: number, level: WorkspaceLevel = 'fits', resumes: Resumes = null) => ({
    type: 'WorkspaceChanged',
    data: { ...owned, name, bytesMax, level, resumes },
  }),
  attached: (launchId = 'l1') => ({ type: 'WorkspaceAttached', data: { ...owned, launchId } }),
  detached: (launchId = 'l1') => ({ type: 'WorkspaceDetached', data: { ...owned, launchId } }),
  opened: (deployment = 1) => ({ type: 'WorkspaceOpened', data: { ...owned, launchId: 'l1', deployment } }),
  awaited: (deployment: number, obstacle: WorkspaceObstacle) => ({
    type: 'WorkspaceAwaited',
    data: { ...owned, launchId: 'l1', deployment, obstacle },
  }),
  closed: (deployment = 1, resumes: Resumes = null) => ({
    type: 'WorkspaceClosed',
    data: { ...owned, launchId: 'l1', deployment, resumes },
  }),
  made: (generation = 1, paths = ['/data']) => ({
    type: 'WorkspaceVolumesMade',
    data: { ...owned, generation, engine: 'default', volumes: volumes(generation, ...paths) },
  }),
  discarded: (generation = 1) => ({ type: 'WorkspaceVolumesRemoved', data: { ...owned, generation } }),
  weighed: (bytes: number, level: WorkspaceLevel, resumes: Resumes = null) => ({
    type: 'WorkspaceWeighed',
    data: { ...owned, bytes, level, resumes },
  }),
  asked: (snapshotId = 's1', live = false) => ({
    type: 'WorkspaceSnapshotRequested',
    data: { ...owned, snapshotId, live, cloneId: null },
  }),
  taken: (snapshotId = 's1', resumes: Resumes = null, contentBytes = 600) => ({
    type: 'WorkspaceSnapshotTaken',
    data: { ...owned, snapshotId, ...content, contentBytes, pausedMs: 7, cloneId: null, resumes },
  }),
  notTaken: (snapshotId = 's1', resumes: Resumes = null) => ({
    type: 'WorkspaceSnapshotFailed',
    data: { ...owned, snapshotId, reason: 'no room', cloneId: null, resumes },
  }),
  dropping: (snapshotId = 's1') => ({
    type: 'WorkspaceSnapshotRemoving',
    data: { ...owned, snapshotId, key: content.key },
  }),
  dropped: (snapshotId = 's1') => ({ type: 'WorkspaceSnapshotRemoved', data: { ...owned, snapshotId } }),
  restoring: (generation = 2, snapshotId = 's1') => ({
    type: 'WorkspaceRestoring',
    data: { ...owned, snapshotId, generation },
  }),
  restored: (
    generation = 2,
    more: { resumes?: Resumes; level?: WorkspaceLevel; replaced?: number | null; bytes?: number } = {},
  ) => ({
    type: 'WorkspaceRestored',
    data: {
      ...owned,
      generation,
      engine: 'default',
      volumes: volumes(generation, '/data'),
      bytes: 600,
      restoredInMs: 9,
      source: generation === 1 ? cloned : source,
      replaced: 1,
      level: 'fits',
      resumes: null,
      ...more,
    },
  }),
  notRestored: (generation = 2, resumes: Resumes = null) => ({
    type: 'WorkspaceRestoreFailed',
    data: { ...owned, generation, reason: 'changed', source: generation === 1 ? cloned : source, resumes },
  }),
  removing: { type: 'WorkspaceRemoving', data: owned },
  removed: { type: 'WorkspaceRemoved', data: owned },
} satisfies Record<string, WorkspaceEvent | ((...args: never[]) => WorkspaceEvent)>;

/** One history for each state a workspace may be in. */
export const held = [was.created, was.attached(), was.opened(), was.made()];
export const asleep = [...held, was.closed()];
export const kept = [...asleep, was.asked(), was.taken()];
export const ofNobody = [...kept, was.detached()];
