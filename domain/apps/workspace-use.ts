/** Who has a workspace: the launch it is kept for, and the containers that may write to it. */
import { Refusal } from '../kernel/refusal.ts';
import {
  type Only,
  obstacleOf,
  resumedBy,
  type WorkspaceEvent,
  type WorkspaceState,
} from './workspace-state.ts';

/** Refuses what no launch could have now, in the order in which somebody can do something about it. */
function refuseUnusable(state: WorkspaceState, data: Only<'AttachWorkspace'> | Only<'OpenWorkspace'>): void {
  const { workspaceId, appId, launchId } = data;
  if (state.status !== 'present') throw new Refusal('workspace/removed', { workspaceId });
  if (state.appId !== appId) throw new Refusal('workspace/other-app', { workspaceId });
  if (state.isBroken) throw new Refusal('workspace/broken', { workspaceId });
  if (state.attached !== null && state.attached !== launchId) {
    throw new Refusal('workspace/in-use', { workspaceId, launchId: state.attached });
  }
}

export function attach(data: Only<'AttachWorkspace'>, state: WorkspaceState): WorkspaceEvent[] {
  const { workspaceId, at, launchId, appId } = data;
  refuseUnusable(state, data);
  if (state.attached === launchId) return [];
  if (state.operation !== null)
    throw new Refusal('workspace/busy', { workspaceId, with: state.operation.kind });
  if (state.level === 'full') throw new Refusal('workspace/full', { workspaceId, bytesMax: state.bytesMax });
  return [{ type: 'WorkspaceAttached', data: { workspaceId, appId, at, launchId } }];
}

/** Gives it to a container, or notes that one waits for it. */
export function open(data: Only<'OpenWorkspace'>, state: WorkspaceState): WorkspaceEvent[] {
  const { overlap, ...deployment } = data;
  const { workspaceId, appId, at, launchId } = data;
  refuseUnusable(state, data);
  if (state.open.includes(data.deployment)) return [];
  // It may have been taken from a launch that was long in coming.
  const attached: WorkspaceEvent[] =
    state.attached === null
      ? [{ type: 'WorkspaceAttached', data: { workspaceId, appId, at, launchId } }]
      : [];
  const obstacle = obstacleOf(state, overlap);
  if (obstacle === undefined) return [...attached, { type: 'WorkspaceOpened', data: deployment }];
  if (state.awaited === data.deployment) return attached;
  return [...attached, { type: 'WorkspaceAwaited', data: { ...deployment, obstacle } }];
}

export function close(data: Only<'CloseWorkspace'>, state: WorkspaceState, appId: string): WorkspaceEvent[] {
  const { launchId, deployment } = data;
  const isKnown = state.open.includes(deployment) || state.awaited === deployment;
  if (state.attached !== launchId || !isKnown) return [];
  const after = {
    open: state.open.filter(one => one !== deployment),
    awaited: state.awaited === deployment ? null : state.awaited,
  };
  return [{ type: 'WorkspaceClosed', data: { ...data, appId, resumes: resumedBy(state, after) } }];
}

export function detach(
  data: Only<'DetachWorkspace'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  if (state.attached !== data.launchId) return [];
  return [{ type: 'WorkspaceDetached', data: { ...data, appId } }];
}

/** Told before a container writes to them: volumes of which nobody told hold nothing of value. */
export function recordVolumes(
  data: Only<'RecordVolumes'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const { workspaceId, generation, engine, volumes } = data;
  if (state.status !== 'present' || generation !== state.generation || state.operation?.kind === 'restore') {
    throw new Refusal('workspace/busy', { workspaceId });
  }
  if (state.engine !== null && state.engine !== engine) {
    throw new Refusal('workspace/busy', { workspaceId, engine: state.engine });
  }
  const known = new Set(state.volumes.map(({ path }) => path));
  if (state.engine !== null && volumes.every(({ path }) => known.has(path))) return [];
  const added = volumes.filter(({ path }) => !known.has(path));
  const all = [...state.volumes, ...added];
  return [{ type: 'WorkspaceVolumesMade', data: { ...data, appId, volumes: all } }];
}
