/** What is done about workspaces: snapshots are taken, put back and removed, and what is over goes from the engine. */
import { stateOf } from '../../commands/execute.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import { faultPoint } from '../../platform/fault.ts';
import { attempt, causedBy, type Effect, textOf } from '../effect.ts';
import { type Reaction, run, type Step } from '../reaction.ts';
import { deploymentJob } from './launch.ts';
import { restoreWorkspace } from './workspace-restore.ts';
import { takeSnapshot } from './workspace-snapshot.ts';
import type { WorkspaceDeps } from './workspace-use.ts';

const atOnce = 2;

type Resumes = { readonly resumes: { readonly launchId: string; readonly deployment: number } | null };

const resume = ({ resumes }: Resumes): readonly Step[] =>
  resumes === null ? [] : [deploymentJob('deploy', resumes.launchId, resumes.deployment)];

/** One job a workspace and kind of work: each is done once, whoever asks for it. */
export const workspaceJob = (effect: 'restore' | 'discard' | 'remove-workspace', workspaceId: string): Step =>
  run(effect, workspaceId, { workspaceId });

export const snapshotJob = (
  effect: 'snapshot' | 'remove-snapshot',
  workspaceId: string,
  snapshotId: string,
): Step => run(effect, `${workspaceId}.${snapshotId}`, { workspaceId, snapshotId });

const clone = ({ cloneId }: { readonly cloneId: string | null }): readonly Step[] =>
  cloneId === null ? [] : [workspaceJob('restore', cloneId)];

/** What was taken for a clone alone goes when it is filled, or will not be. */
const forget = ({
  isNew,
  workspaceId,
  snapshotId,
}: {
  isNew: boolean;
  workspaceId: string;
  snapshotId: string;
}) => (isNew ? [run('forget-snapshot', `${workspaceId}.${snapshotId}`, { workspaceId, snapshotId })] : []);

export const workspaceReaction: Reaction = {
  on: {
    WorkspaceCreated: ({ data }) => (data.source === null ? [] : [workspaceJob('restore', data.workspaceId)]),
    WorkspaceChanged: ({ data }) => resume(data),
    WorkspaceWeighed: ({ data }) => resume(data),
    WorkspaceClosed: ({ data }) => resume(data),
    WorkspaceSnapshotRequested: ({ data }) => [snapshotJob('snapshot', data.workspaceId, data.snapshotId)],
    WorkspaceSnapshotTaken: ({ data }) => [...resume(data), ...clone(data)],
    WorkspaceSnapshotFailed: ({ data }) => [...resume(data), ...clone(data)],
    WorkspaceSnapshotRemoving: ({ data }) => [
      snapshotJob('remove-snapshot', data.workspaceId, data.snapshotId),
    ],
    WorkspaceRestoring: ({ data }) => [workspaceJob('restore', data.workspaceId)],
    WorkspaceRestored: ({ data }) => [
      ...resume(data),
      ...(data.replaced === null ? [] : [workspaceJob('discard', data.workspaceId)]),
      ...forget(data.source),
    ],
    WorkspaceRestoreFailed: ({ data }) => [
      ...resume(data),
      workspaceJob('discard', data.workspaceId),
      ...forget(data.source),
    ],
    WorkspaceRemoving: ({ data }) => [workspaceJob('remove-workspace', data.workspaceId)],
  },
};

export const workspaceEffects = (deps: WorkspaceDeps): readonly Effect[] => [
  takeSnapshot(deps),
  restoreWorkspace(deps),
  discard(deps),
  removeSnapshot(deps),
  forgetSnapshot(deps),
  removeWorkspace(deps),
];

/** Removes the sets of volumes that are over. */
function discard(deps: WorkspaceDeps): Effect {
  return {
    name: 'discard',
    atOnce,
    async run(data) {
      const workspaceId = textOf(data, 'workspaceId');
      const found = await stateOf(deps.store, workspace, workspaceId);
      const cause = found?.events.at(-1);
      if (found === null || cause === undefined || !(await deps.docker.ping()).ok) return;
      for (const generation of found.state.discarded) {
        const all = await deps.docker.workspaces.list();
        const over = all.filter(one => one.workspaceId === workspaceId && one.generation === generation);
        faultPoint('discard.found');
        await deps.docker.workspaces.remove(over);
        faultPoint('discard.removed');
        const confirm = { workspaceId, generation, at: deps.clock.now() };
        const command = { type: 'ConfirmVolumesRemoved', data: confirm } as const;
        await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), []);
        faultPoint('discard.told');
      }
    },
  };
}

function removeSnapshot(deps: WorkspaceDeps): Effect {
  return {
    name: 'remove-snapshot',
    atOnce,
    async run(data) {
      const workspaceId = textOf(data, 'workspaceId');
      const snapshotId = textOf(data, 'snapshotId');
      const found = await stateOf(deps.store, workspace, workspaceId);
      const snapshot = found?.state.snapshots[snapshotId];
      const cause = found?.events.at(-1);
      if (snapshot?.status !== 'removing' || snapshot.content === null || cause === undefined) return;
      await deps.objects.remove(snapshot.content.key);
      faultPoint('remove-snapshot.removed');
      const confirm = { workspaceId, snapshotId, at: deps.clock.now() };
      const command = { type: 'ConfirmSnapshotRemoved', data: confirm } as const;
      await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), []);
    },
  };
}

/** Asks for the removal of a snapshot that was taken for a clone. */
function forgetSnapshot(deps: WorkspaceDeps): Effect {
  return {
    name: 'forget-snapshot',
    atOnce,
    async run(data) {
      const workspaceId = textOf(data, 'workspaceId');
      const snapshotId = textOf(data, 'snapshotId');
      const cause = (await stateOf(deps.store, workspace, workspaceId))?.events.at(-1);
      if (cause === undefined) return;
      const asked = { workspaceId, snapshotId, at: deps.clock.now() };
      const command = { type: 'RemoveSnapshot', data: asked } as const;
      const over = ['not-found', 'workspace/removed'] as const;
      await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), over);
    },
  };
}

/** The copies go first: a workspace that is still told of is still found. */
function removeWorkspace(deps: WorkspaceDeps): Effect {
  return {
    name: 'remove-workspace',
    atOnce,
    async run(data) {
      const workspaceId = textOf(data, 'workspaceId');
      const found = await stateOf(deps.store, workspace, workspaceId);
      const cause = found?.events.at(-1);
      if (found?.state.status !== 'removing' || cause === undefined) return;
      if (!(await deps.docker.ping()).ok) return;
      for (const { content } of Object.values(found.state.snapshots)) {
        if (content !== null) await deps.objects.remove(content.key);
      }
      faultPoint('remove-workspace.copies');
      const all = await deps.docker.workspaces.list();
      await deps.docker.workspaces.remove(all.filter(one => one.workspaceId === workspaceId));
      faultPoint('remove-workspace.volumes');
      await deps.sql('worker_workspaces').where({ workspace_id: workspaceId }).delete();
      const confirm = { workspaceId, at: deps.clock.now() };
      const command = { type: 'ConfirmWorkspaceRemoved', data: confirm } as const;
      await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), []);
    },
  };
}
