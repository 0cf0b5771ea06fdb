/**
 * Finds work by what the tables say: whatever a lost queue, a crash or an absent engine has left lying is taken up again. It
 * may lag and may find what is being done already; ids of jobs and the deciders make that harmless.
 */
import type { Knex } from 'knex';
import { deriveId } from '../commands/derive-id.ts';
import { stateOf } from '../commands/execute.ts';
import { launch } from '../domain/apps/launch.ts';
import { LaunchFailure } from './adapters/docker-types.ts';
import { type ArchiveDeps, endWorkOf } from './apps/archive.ts';
import { failLaunch, type LaunchDeps } from './apps/launch.ts';
import { actor, attempt, type Send } from './effect.ts';
import type { JobQueue } from './queue.ts';
import type { Job, JobData } from './reaction.ts';

const rowsMax = 1_000;

export type SweepDeps = Send & { readonly sql: Knex; readonly queue: JobQueue };

const job = (effect: string, id: string, data: JobData): Job => ({ effect, id: `${effect}.${id}`, data });

/** Queues what waits or was interrupted. */
export async function sweepJobs({ sql, queue }: SweepDeps): Promise<void> {
  const ingestions = await sql('apps_ingestions')
    .whereIn('status', ['queued', 'processing'])
    .orderBy('queued_at')
    .limit(rowsMax)
    .select('app_id', 'run');
  for (const { app_id: appId, run } of ingestions) {
    await queue.add(job('ingest', `${appId}.${run}`, { appId, run }));
  }
  const builds = await sql('apps_builds')
    .whereIn('status', ['queued', 'running'])
    .orderBy('requested_at')
    .limit(rowsMax)
    .pluck('build_id');
  for (const buildId of builds) await queue.add(job('build', buildId, { buildId }));
  const launches = await sql('apps_launches')
    .whereIn('status', ['requested', 'starting', 'stopping'])
    .orderBy('requested_at')
    .limit(rowsMax)
    .select('launch_id', 'status');
  for (const { launch_id: launchId, status } of launches) {
    const effect = status === 'stopping' ? 'remove' : 'launch';
    await queue.add(job(effect, launchId, { launchId }));
  }
}

/** Launches whose time is over are stopped. */
export async function expireLaunches(deps: SweepDeps): Promise<void> {
  const over = await deps
    .sql('apps_launches')
    .whereNotIn('status', ['stopping', 'stopped', 'expired', 'failed'])
    .where('expires_at', '<=', deps.clock.now())
    .limit(rowsMax)
    .pluck('launch_id');
  for (const launchId of over) {
    const time = deps.clock.now();
    const causationId = deriveId('expired', launchId);
    const metadata = { actor, correlationId: causationId, causationId, time };
    const data = { launchId, reason: 'expired', because: null, at: time } as const;
    const command = { type: 'StopLaunch', data } as const;
    await attempt(deps, launch, launchId, command, metadata, ['launch/already-ended']);
  }
}

/**
 * What the engine runs and what the log says are made to agree. Containers that have ended are left to those who watch for
 * deaths: they know how.
 */
export async function reconcileLaunches(deps: SweepDeps & LaunchDeps): Promise<void> {
  // Asked for first: what runs by the log has a container by now, so one that is missing afterwards is gone.
  const running: string[] = await deps
    .sql('apps_launches')
    .where({ status: 'running' })
    .limit(rowsMax)
    .pluck('launch_id');
  const containers = new Set((await deps.docker.listLaunches()).map(({ launchId }) => launchId));
  for (const launchId of running) {
    if (containers.has(launchId)) continue;
    await failLaunch(deps, launchId, new LaunchFailure('The container is gone.'));
  }
  for (const launchId of containers) {
    const known = await stateOf(deps.store, launch, launchId);
    if (known === null) await deps.docker.removeLaunch(launchId);
    else if (known.state.status === 'ended') await deps.queue.add(job('remove', launchId, { launchId }));
  }
}

/** Work of apps that were archived while nobody looked. */
export async function sweepArchived(deps: ArchiveDeps): Promise<void> {
  const apps = await deps.sql
    .select('a.app_id')
    .from('apps_repositories as a')
    .where('a.archived', true)
    .where(either =>
      either
        .whereExists(
          deps
            .sql('apps_launches as l')
            .whereRaw('l.app_id = a.app_id')
            .whereNotIn('l.status', ['stopping', 'stopped', 'expired', 'failed']),
        )
        .orWhereExists(
          deps
            .sql('apps_builds as b')
            .whereRaw('b.app_id = a.app_id')
            .whereIn('b.status', ['queued', 'running']),
        ),
    )
    .limit(rowsMax)
    .pluck('a.app_id');
  for (const appId of apps) await endWorkOf(deps, appId);
}
