/** What happens to workspaces as time goes by: they are weighed, and engine and log are made to agree about their volumes. */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { stateOf } from '../../commands/execute.ts';
import { launch } from '../../domain/apps/launch.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import { levelOf, type WorkspaceLevel, type WorkspaceState } from '../../domain/apps/workspace-state.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { Docker } from '../adapters/docker-types.ts';
import type { FoundVolume } from '../adapters/docker-workspace-types.ts';
import { actor, attempt, type Send } from '../effect.ts';
import type { JobQueue, QueueLog } from '../queue.ts';
import type { Step } from '../reaction.ts';
import { whyFullDisk } from '../tables.ts';
import { deploymentJob } from './launch.ts';
import { record } from './reconcile.ts';
import { snapshotJob, workspaceJob } from './workspace.ts';

const rowsMax = 1_000;
/** A launch that was to have it is requested right afterwards, or never. */
const attachedSecondsMin = 60;
/** Of the time, so much at most is spent on weighing: the engine reads every folder of its volumes for it. */
const weighingShare = 0.1;

export type RoundDeps = Send & {
  readonly sql: Knex;
  readonly queue: JobQueue;
  readonly docker: Docker;
  readonly log: QueueLog;
};

/** What is remembered from round to round is of this process. */
export function openWorkspaceRounds(
  deps: RoundDeps & { readonly workspaces: { readonly weighSeconds: number } },
) {
  const weigh = weighing(deps.workspaces.weighSeconds * 1_000);
  const agree = volumesAgree();
  return {
    resume: () => resumeAwaited(deps),
    weigh: () => weigh(deps),
    async agree() {
      await freeWorkspaces(deps);
      await thawForgotten(deps);
      await agree(deps);
    },
  };
}

async function add(queue: JobQueue, step: Step): Promise<void> {
  if ('run' in step) await queue.add(step.run);
}

/** Work that waits or was interrupted. */
export async function sweepWorkspaces({ sql, queue }: Pick<RoundDeps, 'sql' | 'queue'>): Promise<void> {
  const rows = await sql('apps_workspaces')
    .whereNotNull('operation')
    .orWhere({ status: 'removing' })
    .limit(rowsMax)
    .select('workspace_id', 'status', 'operation', 'operation_snapshot_id');
  for (const { workspace_id: id, status, operation, operation_snapshot_id: snapshotId } of rows) {
    if (operation === 'snapshot') await add(queue, snapshotJob('snapshot', id, snapshotId));
    else if (operation === 'restore') await add(queue, workspaceJob('restore', id));
    else if (status === 'removing') await add(queue, workspaceJob('remove-workspace', id));
  }
  const sets: string[] = await sql('apps_workspace_sets')
    .distinct('workspace_id')
    .limit(rowsMax)
    .pluck('workspace_id');
  for (const id of sets) await add(queue, workspaceJob('discard', id));
  const going = await sql('apps_workspace_snapshots')
    .where({ status: 'removing' })
    .limit(rowsMax)
    .select('workspace_id', 'snapshot_id');
  for (const { workspace_id: id, snapshot_id: snapshotId } of going) {
    await add(queue, snapshotJob('remove-snapshot', id, snapshotId));
  }
}

/** Deployments for which the way is free, should the event that said so have found them on their way out. */
async function resumeAwaited({ sql, queue }: RoundDeps): Promise<void> {
  const rows = await sql('apps_workspaces as w')
    .join('apps_deployments as d', join =>
      join.on('d.launch_id', 'w.launch_id').andOn('d.deployment', 'w.awaited'),
    )
    .where({ 'd.status': 'coming' })
    .whereNull('w.operation')
    .whereNot({ 'w.level': 'full' })
    .limit(rowsMax)
    .select('d.launch_id', 'd.deployment');
  for (const { launch_id: launchId, deployment } of rows) {
    await add(queue, deploymentJob('deploy', launchId, deployment));
  }
}

/** Workspaces that are kept for a launch that is over, or never was. */
async function freeWorkspaces(deps: RoundDeps): Promise<void> {
  const { sql, queue } = deps;
  const rows = await sql('apps_workspaces as w')
    .leftJoin('apps_launches as l', 'l.launch_id', 'w.launch_id')
    .whereNotNull('w.launch_id')
    .where(either =>
      either
        .whereIn('l.status', ['stopped', 'expired', 'failed'])
        .orWhere(none =>
          none
            .whereNull('l.launch_id')
            .where('w.attached_at', '<', new Date(Date.parse(deps.clock.now()) - attachedSecondsMin * 1_000)),
        ),
    )
    .limit(rowsMax)
    .select('w.workspace_id', 'w.launch_id', 'l.status');
  for (const { workspace_id: workspaceId, launch_id: launchId, status } of rows) {
    // Its containers go first, if any are left, and then it leaves the workspace.
    if (status !== null) await queue.add({ effect: 'remove', id: `remove.${launchId}`, data: { launchId } });
    else if ((await stateOf(deps.store, launch, launchId)) === null) {
      const data = { workspaceId, launchId, at: deps.clock.now() };
      await say(
        deps,
        workspaceId,
        { type: 'DetachWorkspace', data },
        deriveId('unused', workspaceId, launchId),
      );
    }
  }
}

type Command = Parameters<typeof workspace.decide>[0];

async function say(deps: Send, workspaceId: string, command: Command, causationId: string): Promise<void> {
  const metadata = { actor, correlationId: causationId, causationId, time: deps.clock.now() };
  await attempt(deps, workspace, workspaceId, command, metadata, ['not-found']);
}

type Row = {
  workspace_id: string;
  generation: number;
  bytes_max: number;
  level: WorkspaceLevel;
  launch_id: string | null;
};

/**
 * Weighs what is in use, what was too heavy, and what was not weighed since it came. Costs the engine a look at every file in
 * its volumes, so one that takes long is made seldom; where the disk has no room left, as often as that allows. What is written
 * between two rounds nothing holds back.
 */
function weighing(everyMs: number): (deps: RoundDeps) => Promise<void> {
  let notBefore = 0;
  let due = 0;
  return async deps => {
    const now = performance.now();
    if (now < notBefore || (now < due && (await whyFullDisk(deps.sql)) === null)) return;
    const rows: Row[] = await deps
      .sql('apps_workspaces as w')
      .leftJoin('worker_workspaces as b', join =>
        join.on('b.workspace_id', 'w.workspace_id').andOn('b.generation', 'w.generation'),
      )
      .where({ 'w.status': 'ready' })
      .where(either =>
        either.whereNotNull('w.launch_id').orWhereNot({ 'w.level': 'fits' }).orWhereNull('b.workspace_id'),
      )
      .limit(rowsMax)
      .select('w.workspace_id', 'w.generation', 'w.bytes_max', 'w.level', 'w.launch_id');
    if (rows.length === 0 || !(await deps.docker.ping()).ok) return;
    const begun = performance.now();
    const weights = await deps.docker.workspaces.weigh();
    due = begun + everyMs;
    notBefore = performance.now() + (performance.now() - begun) / weighingShare;
    for (const row of rows) {
      const weight = weights.find(
        one => one.workspaceId === row.workspace_id && one.generation === row.generation,
      );
      if (weight !== undefined) await noteWeight(deps, row, weight.bytes);
    }
    await stopFull(deps);
  };
}

async function noteWeight(deps: RoundDeps, row: Row, bytes: number): Promise<void> {
  const { workspace_id: workspaceId, generation } = row;
  await deps
    .sql('worker_workspaces')
    .insert({ workspace_id: workspaceId, generation, bytes, weighed_at: deps.sql.fn.now() })
    .onConflict('workspace_id')
    .merge();
  if (levelOf(bytes, row.bytes_max, row.level) === row.level) return;
  const at = deps.clock.now();
  const data = { workspaceId, generation, bytes, at };
  await say(deps, workspaceId, { type: 'WeighWorkspace', data }, deriveId('weighed', workspaceId, at));
}

/** A launch whose workspace is full goes to sleep; nobody wakes it before there is room again. */
async function stopFull(deps: RoundDeps): Promise<void> {
  const rows = await deps
    .sql('apps_workspaces as w')
    .join('apps_launches as l', 'l.launch_id', 'w.launch_id')
    .where({ 'l.status': 'running' })
    .whereNotNull('l.serving')
    .limit(rowsMax)
    .select('w.workspace_id', 'l.launch_id', 'l.serving');
  for (const { workspace_id: workspaceId, launch_id: launchId, serving } of rows) {
    const state = (await stateOf(deps.store, workspace, workspaceId))?.state;
    if (state?.level !== 'full') continue;
    const because = `Its workspace held ${megabytes(state.bytes)} and may hold ${megabytes(state.bytesMax)}.`;
    const time = deps.clock.now();
    const causationId = deriveId('full', launchId, `${serving}`);
    const metadata = { actor, correlationId: causationId, causationId, time };
    const data = { launchId, deployment: serving, reason: 'full', because, at: time } as const;
    const over = ['launch/already-ended'] as const;
    await attempt(deps, launch, launchId, { type: 'SleepLaunch', data }, metadata, over);
  }
}

const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`;

/** Containers that stand still although nobody reads what they write to. */
async function thawForgotten({ store, docker }: RoundDeps): Promise<void> {
  for (const { launchId, deployment } of await docker.workspaces.frozen()) {
    const spec = (await stateOf(store, launch, launchId))?.state.spec;
    const found = spec?.workspace && (await stateOf(store, workspace, spec.workspace.workspaceId));
    const operation = found?.state.operation;
    if (operation?.kind === 'snapshot' && !operation.live) continue;
    await docker.workspaces.thaw(launchId, deployment);
  }
}

/**
 * Volumes on the engine are held against the log. Removed is only what the log itself says is over. Volumes of a workspace that
 * the log has never heard of may be all that is left of it, and stay.
 */
function volumesAgree(): (deps: RoundDeps) => Promise<void> {
  const strangers = new Set<string>();
  return async deps => {
    const found = await deps.docker.workspaces.list();
    const rows = await deps.sql('apps_workspaces').select('workspace_id', 'generation');
    const known = new Set(rows.map(row => `${row.workspace_id}.${row.generation}`));
    for (const volume of found) {
      if (known.has(`${volume.workspaceId}.${volume.generation}`)) continue;
      const state = (await stateOf(deps.store, workspace, volume.workspaceId))?.state;
      if (state === undefined) {
        if (!strangers.has(volume.name)) {
          deps.log.warn(
            { volume: volume.name },
            'a volume of a workspace that the log does not know is left alone',
          );
        }
        strangers.add(volume.name);
      } else await repair(deps, volume, state);
    }
  };
}

async function repair(deps: RoundDeps, volume: FoundVolume, state: WorkspaceState): Promise<void> {
  const { workspaceId, generation } = volume;
  if (state.status === 'removing') return add(deps.queue, workspaceJob('remove-workspace', workspaceId));
  if (state.status === 'present') {
    const { operation } = state;
    const isNext = operation?.kind === 'restore' && operation.generation === generation;
    if (isNext || generation === state.generation) return;
    if (state.discarded.includes(generation)) return add(deps.queue, workspaceJob('discard', workspaceId));
  }
  await deps.docker.workspaces.remove([volume]);
  faultPoint('reconcile.volume');
  const reason =
    state.status === 'removed'
      ? 'Its workspace was deleted.'
      : 'The workspace has its content in other volumes.';
  await record(deps, volume.engine, { kind: 'volume', name: volume.name, launchId: null, reason });
}
