/**
 * A workspace keeps what an app writes into the folders that its image declares as volumes, beyond the life of any container and
 * any launch, until it is deleted.
 *
 *   created ──► empty ──► holds a set of volumes ◄──► taking a snapshot, putting one back
 *      │ (clone: being filled)          │
 *      └────────────────────────────────┴──► removing ──► removed
 *
 * It is kept for one launch at a time (attached), and the containers of that launch may write to it from when they open it until
 * they are gone (closed). Its content is changed by nobody else but by being put back from a snapshot: into another set of
 * volumes, which takes the place of the one before in one event.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';
import * as copy from './workspace-copy.ts';
import {
  levelOf,
  noWorkspace,
  type Only,
  resumedBy,
  type Snapshot,
  type WorkspaceCommand,
  type WorkspaceEvent,
  type WorkspaceState,
} from './workspace-state.ts';
import * as use from './workspace-use.ts';

const without = <T>(list: readonly T[], one: T) => list.filter(each => each !== one);
const and = <T>(list: readonly T[], one: T | null) => (one === null ? list : [...without(list, one), one]);

export const workspace: Decider<WorkspaceState, WorkspaceCommand, WorkspaceEvent> = {
  category: 'apps.workspace',
  initialState: noWorkspace,

  evolve(state, event) {
    switch (event.type) {
      case 'WorkspaceCreated': {
        const { appId, name, bytesMax, source } = event.data;
        const operation = source === null ? null : ({ kind: 'restore', source, generation: 1 } as const);
        return { ...noWorkspace, status: 'present', appId, name, bytesMax, operation };
      }
      case 'WorkspaceChanged': {
        const { name, bytesMax, level } = event.data;
        return { ...state, name, bytesMax, level };
      }
      case 'WorkspaceAttached':
        return { ...state, attached: event.data.launchId, open: [], awaited: null };
      case 'WorkspaceDetached':
        return { ...state, attached: null, open: [], awaited: null };
      case 'WorkspaceOpened': {
        const { deployment } = event.data;
        const awaited = state.awaited === deployment ? null : state.awaited;
        return { ...state, open: and(state.open, deployment), awaited };
      }
      case 'WorkspaceAwaited':
        return { ...state, awaited: event.data.deployment };
      case 'WorkspaceClosed': {
        const { deployment } = event.data;
        const awaited = state.awaited === deployment ? null : state.awaited;
        return { ...state, open: without(state.open, deployment), awaited };
      }
      case 'WorkspaceVolumesMade':
        return { ...state, engine: event.data.engine, volumes: event.data.volumes };
      case 'WorkspaceVolumesRemoved':
        return { ...state, discarded: without(state.discarded, event.data.generation) };
      case 'WorkspaceWeighed':
        return { ...state, bytes: event.data.bytes, level: event.data.level };
      case 'WorkspaceSnapshotRequested': {
        const { snapshotId, live, cloneId } = event.data;
        const snapshots = withSnapshot(state, snapshotId, { status: 'asked', content: null });
        return { ...state, snapshots, operation: { kind: 'snapshot', snapshotId, live, cloneId } };
      }
      case 'WorkspaceSnapshotTaken': {
        const { snapshotId, key, bytes, sha256, contentBytes, entries, paths } = event.data;
        const content = { key, bytes, sha256, contentBytes, entries, paths };
        const snapshots = withSnapshot(state, snapshotId, { status: 'taken', content });
        return { ...state, snapshots, operation: null };
      }
      case 'WorkspaceSnapshotFailed':
        return { ...withoutSnapshot(state, event.data.snapshotId), operation: null };
      case 'WorkspaceSnapshotRemoving': {
        const { snapshotId } = event.data;
        const content = state.snapshots[snapshotId]?.content ?? null;
        return { ...state, snapshots: withSnapshot(state, snapshotId, { status: 'removing', content }) };
      }
      case 'WorkspaceSnapshotRemoved':
        return withoutSnapshot(state, event.data.snapshotId);
      case 'WorkspaceRestoring': {
        const { workspaceId, snapshotId, generation } = event.data;
        const source = { workspaceId, snapshotId, isNew: false };
        return { ...state, generations: generation, operation: { kind: 'restore', source, generation } };
      }
      case 'WorkspaceRestored': {
        const { generation, engine, volumes, bytes, level, replaced } = event.data;
        const discarded = and(state.discarded, replaced);
        return { ...state, operation: null, generation, engine, volumes, bytes, level, discarded };
      }
      case 'WorkspaceRestoreFailed': {
        const discarded = and(state.discarded, event.data.generation);
        return { ...state, operation: null, discarded, isBroken: state.engine === null };
      }
      case 'WorkspaceRemoving':
        return { ...state, status: 'removing' };
      case 'WorkspaceRemoved':
        return { ...state, status: 'removed', snapshots: {}, discarded: [], engine: null, volumes: [] };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { workspaceId } = command.data;
    if (command.type === 'CreateWorkspace') {
      if (state.status !== 'absent') throw new Refusal('already-exists', { workspaceId });
      return [{ type: 'WorkspaceCreated', data: command.data }];
    }
    const { appId } = state;
    if (appId === null) throw new Refusal('not-found', { workspaceId });
    return decidePresent(command, state, appId);
  },
};

function withSnapshot({ snapshots }: WorkspaceState, snapshotId: string, snapshot: Snapshot) {
  return { ...snapshots, [snapshotId]: snapshot };
}

function withoutSnapshot(state: WorkspaceState, snapshotId: string): WorkspaceState {
  const { [snapshotId]: _gone, ...snapshots } = state.snapshots;
  return { ...state, snapshots };
}

/** What people may ask for is refused once it is being removed; what a worker reports is then of before, and changes nothing. */
function decidePresent(
  command: Exclude<WorkspaceCommand, { type: 'CreateWorkspace' }>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  switch (command.type) {
    case 'ChangeWorkspace':
      return change(command.data, state, appId);
    case 'AttachWorkspace':
      return use.attach(command.data, state);
    case 'DetachWorkspace':
      return use.detach(command.data, state, appId);
    case 'OpenWorkspace':
      return use.open(command.data, state);
    case 'CloseWorkspace':
      return use.close(command.data, state, appId);
    case 'RecordVolumes':
      return use.recordVolumes(command.data, state, appId);
    case 'ConfirmVolumesRemoved':
      if (!state.discarded.includes(command.data.generation)) return [];
      return [{ type: 'WorkspaceVolumesRemoved', data: { ...command.data, appId } }];
    case 'WeighWorkspace':
      return weigh(command.data, state, appId);
    case 'RequestSnapshot':
      refuseRemoved(state, command.data.workspaceId);
      return copy.requestSnapshot(command.data, state, appId);
    case 'CompleteSnapshot':
      return copy.completeSnapshot(command.data, state, appId);
    case 'FailSnapshot':
      return copy.failSnapshot(command.data, state, appId);
    case 'RemoveSnapshot':
      refuseRemoved(state, command.data.workspaceId);
      return copy.removeSnapshot(command.data, state, appId);
    case 'ConfirmSnapshotRemoved':
      return copy.confirmSnapshotRemoved(command.data, state, appId);
    case 'RestoreWorkspace':
      refuseRemoved(state, command.data.workspaceId);
      return copy.restore(command.data, state, appId);
    case 'CompleteRestore':
      return copy.completeRestore(command.data, state, appId);
    case 'FailRestore':
      return copy.failRestore(command.data, state, appId);
    case 'RemoveWorkspace':
      return remove(command.data, state, appId);
    case 'ConfirmWorkspaceRemoved':
      if (state.status !== 'removing') return [];
      return [{ type: 'WorkspaceRemoved', data: { ...command.data, appId } }];
    default:
      return unreachable(command);
  }
}

function refuseRemoved({ status }: WorkspaceState, workspaceId: string): void {
  if (status !== 'present') throw new Refusal('workspace/removed', { workspaceId });
}

function change(data: Only<'ChangeWorkspace'>, state: WorkspaceState, appId: string): WorkspaceEvent[] {
  const { workspaceId, at, name = state.name, bytesMax = state.bytesMax } = data;
  refuseRemoved(state, workspaceId);
  if (name === state.name && bytesMax === state.bytesMax) return [];
  const level = levelOf(state.bytes, bytesMax, state.level);
  const resumes = resumedBy(state, { level });
  return [{ type: 'WorkspaceChanged', data: { workspaceId, appId, at, name, bytesMax, level, resumes } }];
}

/** Told only where it makes a difference: what it holds is another number every time. */
function weigh(data: Only<'WeighWorkspace'>, state: WorkspaceState, appId: string): WorkspaceEvent[] {
  const { workspaceId, at, generation, bytes } = data;
  if (state.status !== 'present' || state.engine === null || generation !== state.generation) return [];
  const level = levelOf(bytes, state.bytesMax, state.level);
  if (level === state.level) return [];
  const resumes = resumedBy(state, { level });
  return [{ type: 'WorkspaceWeighed', data: { workspaceId, appId, at, bytes, level, resumes } }];
}

function remove(data: Only<'RemoveWorkspace'>, state: WorkspaceState, appId: string): WorkspaceEvent[] {
  const { workspaceId } = data;
  if (state.status === 'removed') throw new Refusal('workspace/removed', { workspaceId });
  if (state.status === 'removing') return [];
  if (state.attached !== null) {
    throw new Refusal('workspace/in-use', { workspaceId, launchId: state.attached });
  }
  copy.refuseBusy(state, workspaceId);
  return [{ type: 'WorkspaceRemoving', data: { ...data, appId } }];
}
