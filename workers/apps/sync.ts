/** Looks now and then whether an app's branch has moved, for hosts that send no webhook. */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { execute } from '../../commands/execute.ts';
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

type Due = { app_id: string; repo_url: string; ref: string | null; commit: string };

/** One round over the apps that were not looked at for `syncSeconds`, the longest waiting first. */
export async function syncApps(deps: SyncDeps, signal: AbortSignal): Promise<void> {
  const due: Due[] = await deps
    .sql('apps_repositories as a')
    .leftJoin('worker_syncs as s', 's.app_id', 'a.app_id')
    .where({ 'a.archived': false, 'a.ingest_status': 'ready' })
    .whereRaw(`coalesce(s.checked_at, a.ingested_at) < now() - ? * interval '1 second'`, [deps.syncSeconds])
    .orderByRaw('coalesce(s.checked_at, a.ingested_at)')
    .limit(appsPerLookMax)
    .select('a.app_id', 'a.repo_url', 'a.ref', 'a.commit');
  const next = due.values();
  const look = async () => {
    for (const app of next) if (!signal.aborted) await syncApp(deps, app, signal);
  };
  await Promise.all(Array.from({ length: looksAtOnce }, look));
}

async function syncApp(deps: SyncDeps, app: Due, signal: AbortSignal): Promise<void> {
  const { app_id: appId, repo_url: url, ref, commit } = app;
  let problem: string | null = null;
  try {
    const { allowLocalRepositories: allowLocal } = deps;
    const head = await remoteHead({ url, ...(ref === null ? {} : { ref }), allowLocal, signal });
    if (head !== commit) await queue(deps, appId, head);
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

/** The same head of the same app is one cause, however often it is seen. */
async function queue({ store, clock }: SyncDeps, appId: string, head: string): Promise<void> {
  const time = clock.now();
  const causationId = deriveId('sync', appId, head);
  const metadata = { actor, correlationId: causationId, causationId, time };
  const data = { appId, cause: 'sync', at: time, unlessCommit: head } as const;
  await execute(store, ingestion, appId, { type: 'QueueIngestion', data }, metadata, { once: true });
}
