/**
 * Finds work by what the tables say: whatever a lost queue, a crash or an absent engine has left lying is taken up again. It
 * may lag and may find what is being done already; ids of jobs and the deciders make that harmless.
 */
import type { Knex } from 'knex';
import { type ArchiveDeps, endWorkOf } from './apps/archive.ts';
import { sweepWorkspaces } from './apps/workspace-rounds.ts';
import type { Send } from './effect.ts';
import type { JobQueue } from './queue.ts';
import type { Job, JobData } from './reaction.ts';

const rowsMax = 1_000;

export type SweepDeps = Send & { readonly sql: Knex; readonly queue: JobQueue };

const job = (effect: string, id: string, data: JobData): Job => ({ effect, id: `${effect}.${id}`, data });

/** Queues what waits or was interrupted. */
export async function sweepJobs({ sql, queue, clock }: SweepDeps): Promise<void> {
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
    .orderBy('asked_position')
    .limit(rowsMax)
    .pluck('build_id');
  for (const buildId of builds) await queue.add(job('build', buildId, { buildId }));
  const stopping = await sql('apps_launches')
    .where({ status: 'stopping' })
    .orderBy('requested_at')
    .limit(rowsMax)
    .pluck('launch_id');
  for (const launchId of stopping) await queue.add(job('remove', launchId, { launchId }));
  await sweepDeployments({ sql, queue, clock });
  await sweepWorkspaces({ sql, queue });
}

/** Containers that are to be brought up or removed, of launches that are not over. */
async function sweepDeployments({ sql, queue, clock }: Omit<SweepDeps, 'store'>): Promise<void> {
  const rows = await sql('apps_deployments as d')
    .join('apps_launches as l', 'l.launch_id', 'd.launch_id')
    .whereIn('d.status', ['coming', 'retiring'])
    .whereNotIn('l.status', ['stopping', 'stopped', 'expired', 'failed'])
    .where(due => due.whereNull('d.not_before').orWhere('d.not_before', '<=', clock.now()))
    .orderBy('d.requested_at')
    .limit(rowsMax)
    .select('d.launch_id', 'd.deployment', 'd.status');
  for (const { launch_id: launchId, deployment, status } of rows) {
    const effect = status === 'coming' ? 'deploy' : 'retire';
    await queue.add(job(effect, `${launchId}.${deployment}`, { launchId, deployment }));
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
