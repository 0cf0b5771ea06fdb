/** Copies of what a workspace holds: snapshots that are taken and removed, and the content put back from one. */
import { snapshotsPerWorkspaceMax } from '../kernel/limits.ts';
import { Refusal } from '../kernel/refusal.ts';
import {
  levelOf,
  type Only,
  type Operation,
  resumedBy,
  type Snapshot,
  type WorkspaceEvent,
  type WorkspaceState,
} from './workspace-state.ts';

export function refuseBusy({ operation }: WorkspaceState, workspaceId: string): void {
  if (operation !== null) throw new Refusal('workspace/busy', { workspaceId, with: operation.kind });
}

function snapshotOf({ snapshots }: WorkspaceState, snapshotId: string): Snapshot {
  const found = Object.hasOwn(snapshots, snapshotId) ? snapshots[snapshotId] : undefined;
  if (found === undefined) throw new Refusal('not-found', { snapshotId });
  return found;
}

export function requestSnapshot(
  data: Only<'RequestSnapshot'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const { workspaceId, snapshotId } = data;
  if (Object.hasOwn(state.snapshots, snapshotId)) return [];
  refuseBusy(state, workspaceId);
  if (state.engine === null) throw new Refusal('workspace/empty', { workspaceId });
  if (Object.keys(state.snapshots).length >= snapshotsPerWorkspaceMax) {
    throw new Refusal('workspace/too-many-snapshots', {
      workspaceId,
      snapshotsMax: snapshotsPerWorkspaceMax,
    });
  }
  return [{ type: 'WorkspaceSnapshotRequested', data: { ...data, appId } }];
}

type Taking = Extract<Operation, { kind: 'snapshot' }>;

function takingOf({ operation }: WorkspaceState, snapshotId: string): Taking | undefined {
  return operation?.kind === 'snapshot' && operation.snapshotId === snapshotId ? operation : undefined;
}

export function completeSnapshot(
  data: Only<'CompleteSnapshot'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const taking = takingOf(state, data.snapshotId);
  if (taking === undefined) return [];
  const resumes = resumedBy(state, { operation: null });
  return [{ type: 'WorkspaceSnapshotTaken', data: { ...data, appId, cloneId: taking.cloneId, resumes } }];
}

export function failSnapshot(
  data: Only<'FailSnapshot'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const taking = takingOf(state, data.snapshotId);
  if (taking === undefined) return [];
  const resumes = resumedBy(state, { operation: null });
  return [{ type: 'WorkspaceSnapshotFailed', data: { ...data, appId, cloneId: taking.cloneId, resumes } }];
}

export function removeSnapshot(
  data: Only<'RemoveSnapshot'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const { status, content } = snapshotOf(state, data.snapshotId);
  if (status === 'removing') return [];
  const { operation } = state;
  const isPutBack = operation?.kind === 'restore' && operation.source.snapshotId === data.snapshotId;
  if (content === null || isPutBack) refuseBusy(state, data.workspaceId);
  return [{ type: 'WorkspaceSnapshotRemoving', data: { ...data, appId, key: content?.key ?? '' } }];
}

export function confirmSnapshotRemoved(
  data: Only<'ConfirmSnapshotRemoved'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  if (state.snapshots[data.snapshotId]?.status !== 'removing') return [];
  return [{ type: 'WorkspaceSnapshotRemoved', data: { ...data, appId } }];
}

/** Only while no container can write: what it wrote into the old volumes would be lost, or half of it kept. */
export function restore(
  data: Only<'RestoreWorkspace'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const { workspaceId, snapshotId } = data;
  const { content, status } = snapshotOf(state, snapshotId);
  refuseBusy(state, workspaceId);
  if (content === null || status !== 'taken') throw new Refusal('not-found', { snapshotId });
  if (state.open.length > 0) {
    throw new Refusal('workspace/running', { workspaceId, launchId: state.attached });
  }
  refuseTooLarge(content.contentBytes, state, workspaceId);
  return [{ type: 'WorkspaceRestoring', data: { ...data, appId, generation: state.generations + 1 } }];
}

export function refuseTooLarge(
  contentBytes: number,
  { bytesMax }: Pick<WorkspaceState, 'bytesMax'>,
  workspaceId: string,
): void {
  if (contentBytes > bytesMax)
    throw new Refusal('workspace/too-large', { workspaceId, contentBytes, bytesMax });
}

type PuttingBack = Extract<Operation, { kind: 'restore' }>;

function puttingBackOf({ operation }: WorkspaceState, generation: number): PuttingBack | undefined {
  return operation?.kind === 'restore' && operation.generation === generation ? operation : undefined;
}

export function completeRestore(
  data: Only<'CompleteRestore'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const operation = puttingBackOf(state, data.generation);
  if (operation === undefined) return [];
  const level = levelOf(data.bytes, state.bytesMax, 'fits');
  const resumes = resumedBy(state, { operation: null, level });
  const replaced = state.engine === null ? null : state.generation;
  const { source } = operation;
  return [{ type: 'WorkspaceRestored', data: { ...data, appId, source, replaced, level, resumes } }];
}

export function failRestore(
  data: Only<'FailRestore'>,
  state: WorkspaceState,
  appId: string,
): WorkspaceEvent[] {
  const operation = puttingBackOf(state, data.generation);
  if (operation === undefined) return [];
  const resumes = resumedBy(state, { operation: null });
  return [{ type: 'WorkspaceRestoreFailed', data: { ...data, appId, source: operation.source, resumes } }];
}
