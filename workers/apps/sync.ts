/** Looks now and then whether an app's branch has moved, for hosts that send no webhook. */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { execute, stateOf } from '../../commands/execute.ts';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { messageCharsMax } from '../../domain/kernel/limits.ts';
import { GitFailure, remoteHead } from '../adapters/git.ts';
import { actor, type Send } from '../effect.ts';

const appsPerLookMax = 100;
const looksAtOnce = 4;

export type SyncDeps = Send & {
  readonly sql: Knex;
  readonly allowLocalRepositories: boolean;
  readonly syncSeconds: number;
};

type Due = {
  app_id: string;
  repo_url: string;
  ref: string | null;
  ingest_status: string;
  commit: string | null;
};

/**
 * One round over the apps that were not looked at for `syncSeconds`, the longest waiting first. An app whose newest ingestion
 * failed is looked at too: a push may have mended it. Rejects after the round with what was not the repository's fault.
 */
export async function syncApps(deps: SyncDeps, signal: AbortSignal): Promise<void> {
  const due: Due[] = await deps
    .sql('apps_repositories as a')
    .leftJoin('worker_syncs as s', 's.app_id', 'a.app_id')
    .where('a.archived', false)
    .whereIn('a.ingest_status', ['ready', 'failed'])
    .whereRaw(`coalesce(s.checked_at, a.updated_at) < now() - ? * interval '1 second'`, [deps.syncSeconds])
    .orderByRaw('coalesce(s.checked_at, a.updated_at)')
    .limit(appsPerLookMax)
    .select('a.app_id', 'a.repo_url', 'a.ref', 'a.ingest_status', 'a.commit');
  const next = due.values();
  const problems: unknown[] = [];
  const look = async () => {
    for (const app of next) {
      if (signal.aborted) return;
      await syncApp(deps, app, signal).catch(error => problems.push(error));
    }
  };
  await Promise.all(Array.from({ length: looksAtOnce }, look));
  if (problems.length > 0 && !signal.aborted) throw problems[0];
}

async function syncApp(deps: SyncDeps, app: Due, signal: AbortSignal): Promise<void> {
  const { app_id: appId, repo_url: url, ref } = app;
  let problem: string | null = null;
  try {
    const { allowLocalRepositories: allowLocal } = deps;
    const head = await remoteHead({ url, ...(ref === null ? {} : { ref }), allowLocal, signal });
    if (head !== app.commit || app.ingest_status !== 'ready') await queueIfNew(deps, appId, head);
  } catch (error) {
    if (signal.aborted || !(error instanceof GitFailure)) throw error;
    problem = error.message.slice(0, messageCharsMax);
  }
  await deps
    .sql('worker_syncs')
    .insert({ app_id: appId, checked_at: deps.sql.fn.now(), problem })
    .onConflict('app_id')
    .merge();
}

/**
 * Queues an ingestion of a head that the newest look was not of. Since then the same head is one cause, however often it is
 * seen; a head that comes back after another one is another cause.
 */
async function queueIfNew({ store, clock }: SyncDeps, appId: string, head: string): Promise<void> {
  const known = await stateOf(store, ingestion, appId);
  const last = known?.events.at(-1);
  // Somebody called it off: a push does not begin it again, a retry does.
  if (known === null || known.state.status !== 'idle' || last?.type === 'IngestionCancelled') return;
  const looked = known.events.findLast(({ data }) => 'commit' in data && data.commit !== null);
  if (looked !== undefined && 'commit' in looked.data && looked.data.commit === head) return;
  const time = clock.now();
  const causationId = deriveId('sync', appId, head, looked?.id ?? '');
  const metadata = { actor, correlationId: causationId, causationId, time };
  const data = { appId, cause: 'sync', at: time } as const;
  await execute(store, ingestion, appId, { type: 'QueueIngestion', data }, metadata, { once: true });
}
