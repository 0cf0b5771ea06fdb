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
import { type FoundLaunch, LaunchFailure } from '../adapters/docker-types.ts';
import type { Engines, Survey } from '../adapters/engine-types.ts';
import { actor, type Send } from '../effect.ts';
import type { JobQueue } from '../queue.ts';
import { deploymentJob, failDeployment } from './launch.ts';

const rowsMax = 5_000;
const over = ['stopped', 'expired', 'failed'];

export type ReconcileDeps = Send & { readonly sql: Knex; readonly queue: JobQueue; readonly docker: Engines };

/** Costs two queries and two lists of each engine; only what does not agree is looked up in the log. */
export async function reconcile(deps: ReconcileDeps): Promise<void> {
  // Asked for first: what serves by the tables has a container by now, so one that is missing afterwards is gone.
  const rows = await wantedRows(deps.sql);
  const survey = await deps.docker.survey();
  const wanted = new Map(rows.map(row => [nameOf(row), row]));
  const there = new Set(survey.launches.map(one => placeOf(one, one.engine)));
  for (const row of rows) {
    if (row.status !== 'serving' || there.has(placeOf(row, row.engine))) continue;
    const reason = whyGone(row.engine, survey);
    if (reason === undefined) continue;
    await failDeployment(deps, row.launchId, row.deployment, new LaunchFailure(reason));
  }
  for (const container of survey.launches) {
    const row = wanted.get(nameOf(container));
    // One that comes up has no engine yet by the tables.
    const isWanted = row !== undefined && (row.engine ?? container.engine) === container.engine;
    if (!isWanted) await repair(deps, container);
  }
  await removeNetworks(deps, survey);
}

type Wanted = { launchId: string; deployment: number; status: string; engine: string | null };

const nameOf = ({ launchId, deployment }: { launchId: string; deployment: number }) =>
  `${launchId}.${deployment}`;
const placeOf = (one: { launchId: string; deployment: number }, engine: string | null) =>
  `${nameOf(one)} on ${engine}`;

/** Undefined: it may still be there, on an engine that does not answer and is waited for. */
function whyGone(engine: string | null, { away, engines }: Survey): string | undefined {
  if (engine !== null && !engines.includes(engine)) return `There is no engine ${engine} any more.`;
  const silent = away.find(({ name }) => name === engine);
  if (silent === undefined) return 'The container is gone.';
  return silent.isGivenUp ? `The engine ${engine} is away for long: ${silent.reason}` : undefined;
}

async function wantedRows(sql: Knex): Promise<Wanted[]> {
  const rows = await sql('apps_deployments as d')
    .join('apps_launches as l', 'l.launch_id', 'd.launch_id')
    .whereIn('d.status', ['coming', 'serving', 'retiring'])
    .whereNotIn('l.status', over)
    .limit(rowsMax)
    .select('d.launch_id', 'd.deployment', 'd.status', 'd.engine');
  return rows.map(({ launch_id: launchId, deployment, status, engine: where }) => {
    return { launchId, deployment, status, engine: where };
  });
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
  const reason = whyOrphan(state, found);
  if (reason === undefined) return;
  if (state === undefined) await deps.docker.removeLaunch(launchId);
  else await deps.docker.removeDeployment(launchId, deployment, found.engine);
  faultPoint('reconcile.removed');
  await record(deps, found.engine, { kind: 'container', name: containerId, launchId, reason });
}

function whyOrphan(state: LaunchState | undefined, found: FoundLaunch): string | undefined {
  if (state === undefined) return 'The log has no launch of this id.';
  const known = [state.serving, state.coming].find(one => one?.deployment === found.deployment);
  if (known == null) return 'Its launch has gone on with another container.';
  const isElsewhere = known.place !== null && known.place.engine !== found.engine;
  return isElsewhere ? `Its deployment runs on ${known.place?.engine}.` : undefined;
}

/** Networks outlive containers that were removed by hand, and processes that died between the two. */
async function removeNetworks(deps: ReconcileDeps, { launches, networks }: Survey): Promise<void> {
  const inUse = new Set(launches.map(({ launchId }) => launchId));
  for (const { launchId, engine: where, networkId: name } of networks) {
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
