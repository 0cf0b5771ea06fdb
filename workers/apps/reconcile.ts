/**
 * What the engine holds and what the log says are made to agree, both ways. Containers that have ended are left to those who
 * watch for deaths: they know how.
 */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { execute, stateOf } from '../../commands/execute.ts';
import { engine, type Orphan } from '../../domain/apps/engine.ts';
import { type LaunchState, launch } from '../../domain/apps/launch.ts';
import { faultPoint } from '../../platform/fault.ts';
import { type Docker, type FoundLaunch, LaunchFailure } from '../adapters/docker-types.ts';
import { actor, type Send } from '../effect.ts';
import type { JobQueue } from '../queue.ts';
import { deploymentJob, failDeployment } from './launch.ts';

const rowsMax = 5_000;
const over = ['stopped', 'expired', 'failed'];

export type ReconcileDeps = Send & { readonly sql: Knex; readonly queue: JobQueue; readonly docker: Docker };

/** Costs two queries and two lists of the engine; only what does not agree is looked up in the log. */
export async function reconcile(deps: ReconcileDeps): Promise<void> {
  // Asked for first: what serves by the tables has a container by now, so one that is missing afterwards is gone.
  const rows = await wantedRows(deps.sql);
  const containers = await deps.docker.listLaunches();
  const wanted = new Set(rows.map(row => nameOf(row)));
  const there = new Set(containers.map(one => nameOf(one)));
  for (const row of rows) {
    if (row.status !== 'serving' || there.has(nameOf(row))) continue;
    await failDeployment(deps, row.launchId, row.deployment, new LaunchFailure('The container is gone.'));
  }
  for (const container of containers) {
    if (!wanted.has(nameOf(container))) await repair(deps, container);
  }
  await removeNetworks(deps, containers);
}

type Wanted = { launchId: string; deployment: number; status: string };

const nameOf = ({ launchId, deployment }: { launchId: string; deployment: number }) =>
  `${launchId}.${deployment}`;

async function wantedRows(sql: Knex): Promise<Wanted[]> {
  const rows = await sql('apps_deployments as d')
    .join('apps_launches as l', 'l.launch_id', 'd.launch_id')
    .whereIn('d.status', ['coming', 'serving', 'retiring'])
    .whereNotIn('l.status', over)
    .limit(rowsMax)
    .select('d.launch_id', 'd.deployment', 'd.status');
  return rows.map(row => ({ launchId: row.launch_id, deployment: row.deployment, status: row.status }));
}

/** The tables do not want this container. The log has the last word: the tables may be behind. */
async function repair(deps: ReconcileDeps, found: FoundLaunch): Promise<void> {
  const { launchId, deployment, containerId } = found;
  const state = (await stateOf(deps.store, launch, launchId))?.state;
  if (state?.status === 'ended' || state?.status === 'stopping') {
    return deps.queue.add({ effect: 'remove', id: `remove.${launchId}`, data: { launchId } });
  }
  if (state?.retiring.includes(deployment)) {
    const step = deploymentJob('retire', launchId, deployment);
    return 'run' in step ? deps.queue.add(step.run) : undefined;
  }
  const reason = whyOrphan(state, deployment);
  if (reason === undefined) return;
  if (state === undefined) await deps.docker.removeLaunch(launchId);
  else await deps.docker.removeDeployment(launchId, deployment);
  faultPoint('reconcile.removed');
  await record(deps, found.engine, { kind: 'container', name: containerId, launchId, reason });
}

function whyOrphan(state: LaunchState | undefined, deployment: number): string | undefined {
  if (state === undefined) return 'The log has no launch of this id.';
  const isWanted = [state.serving, state.coming].some(one => one?.deployment === deployment);
  return isWanted ? undefined : 'Its launch has gone on with another container.';
}

/** Networks outlive containers that were removed by hand, and processes that died between the two. */
async function removeNetworks(deps: ReconcileDeps, containers: readonly FoundLaunch[]): Promise<void> {
  const inUse = new Set(containers.map(({ launchId }) => launchId));
  for (const { launchId, engine: where, networkId: name } of await deps.docker.listNetworks()) {
    if (inUse.has(launchId)) continue;
    const state = (await stateOf(deps.store, launch, launchId))?.state;
    if (state !== undefined && state.status !== 'ended') continue;
    await deps.docker.removeLaunch(launchId);
    const reason = state === undefined ? 'The log has no launch of this id.' : 'Its launch is over.';
    await record(deps, where, { kind: 'network', name, launchId, reason });
  }
}

export async function record(deps: Send, where: string, orphan: Orphan): Promise<void> {
  const at = deps.clock.now();
  const causationId = deriveId('orphan', where, orphan.kind, orphan.name);
  const metadata = { actor, correlationId: causationId, causationId, time: at };
  const command = { type: 'RecordOrphan', data: { engine: where, at, ...orphan } } as const;
  await execute(deps.store, engine, where, command, metadata);
}
