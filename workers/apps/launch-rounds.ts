/** What happens to launches as time goes by: the unvisited sleep, those that failed are started again, and all of them end. */

import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { type LaunchCommand, launch } from '../../domain/apps/launch.ts';
import { actor, attempt, type Send } from '../effect.ts';
import type { JobQueue } from '../queue.ts';
import { deploymentJob } from './launch.ts';

const rowsMax = 1_000;
const over = ['stopping', 'stopped', 'expired', 'failed'];

export type RoundDeps = Send & { readonly sql: Knex; readonly queue: JobQueue };

/** Launches whose time is over are stopped. */
export async function expireLaunches(deps: RoundDeps): Promise<void> {
  const ids: string[] = await deps
    .sql('apps_launches')
    .whereNotIn('status', over)
    .where('expires_at', '<=', deps.clock.now())
    .limit(rowsMax)
    .pluck('launch_id');
  for (const launchId of ids) {
    const data = { launchId, reason: 'expired', because: null, at: deps.clock.now() } as const;
    await say(deps, launchId, { type: 'StopLaunch', data }, deriveId('expired', launchId));
  }
}

/** Restarts whose wait is over are brought up. */
export async function restartLaunches({ sql, clock, queue }: RoundDeps): Promise<void> {
  const due = await sql('apps_deployments')
    .where({ status: 'coming' })
    .where('not_before', '<=', clock.now())
    .limit(rowsMax)
    .select('launch_id', 'deployment');
  for (const { launch_id: launchId, deployment } of due) {
    const step = deploymentJob('deploy', launchId, deployment);
    if ('run' in step) await queue.add(step.run);
  }
}

/** Launches that nobody has visited for as long as they said go to sleep, but for the most visited of them. */
export async function sleepLaunches(deps: RoundDeps & { readonly keptAwake: number }): Promise<void> {
  const { sql, clock } = deps;
  const now = clock.now();
  const mostVisited = sql('apps_launches as m')
    .join('preview_activity as w', 'w.launch_id', 'm.launch_id')
    .where('m.status', 'running')
    .orderBy('w.visits', 'desc')
    .limit(deps.keptAwake)
    .select('m.launch_id');
  const idle = await sql('apps_launches as l')
    .leftJoin('preview_activity as v', 'v.launch_id', 'l.launch_id')
    .where('l.status', 'running')
    .whereNotNull('l.serving')
    .whereNotNull('l.idle_seconds')
    .whereRaw("greatest(l.running_at, v.last_visit_at) + l.idle_seconds * interval '1 second' <= ?", [now])
    .whereNotIn('l.launch_id', mostVisited)
    .limit(rowsMax)
    .select('l.launch_id', 'l.serving');
  for (const { launch_id: launchId, serving } of idle) {
    const data = { launchId, deployment: serving, reason: 'idle', because: null, at: now } as const;
    const cause = deriveId('idle', launchId, `${serving}`);
    await say(deps, launchId, { type: 'SleepLaunch', data }, cause);
  }
}

async function say(deps: Send, launchId: string, command: LaunchCommand, causationId: string): Promise<void> {
  const metadata = { actor, correlationId: causationId, causationId, time: deps.clock.now() };
  await attempt(deps, launch, launchId, command, metadata, ['launch/already-ended']);
}
