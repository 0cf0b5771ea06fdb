/**
 * Logs are kept for so many days, and so many of an app. No event tells that one is gone: how much there was is told by the build
 * or the launch itself, when it goes follows from the settings, and nothing is ever decided by it.
 */
import type { Knex } from 'knex';
import type { Clock } from '../../commands/clock.ts';
import type { LogStore, StoredLog } from '../../platform/log-store.ts';
import type { StorageConfig } from '../../platform/storage-config.ts';

const idsAtOnceMax = 500;
/** Of what nobody knows: somebody may be about to write about it. */
const strangerMsMin = 24 * 3_600_000;
const dayMs = 24 * 3_600_000;
const over = ['stopped', 'expired', 'failed'];

export type LogDeps = {
  readonly sql: Knex;
  readonly clock: Clock;
  readonly logs: LogStore;
  readonly storage: Pick<StorageConfig, 'logs'>;
};

/** Whose a log is; `isKept`: of something that is not over, or that the app is launched with. */
type Owned = StoredLog & { readonly appId: string | null; readonly isKept: boolean };

/** One look at every log there is. Answers with how many went. */
export async function collectLogs(deps: LogDeps): Promise<number> {
  const { logs, storage, clock } = deps;
  const { daysMax, perAppMax } = storage.logs;
  const now = Date.parse(clock.now());
  const kept = new Map<string, Owned[]>();
  let removed = 0;
  const remove = async (id: string) => {
    await logs.remove(id);
    removed += 1;
  };
  for await (const batch of inBatches(logs.list())) {
    for (const log of await ownersOf(deps.sql, batch)) {
      const ageMs = now - log.changedAt.getTime();
      if (log.isKept) continue;
      if (log.appId === null) {
        if (ageMs > strangerMsMin) await remove(log.id);
      } else if (daysMax !== null && ageMs > daysMax * dayMs) await remove(log.id);
      else kept.set(log.appId, [...(kept.get(log.appId) ?? []), log]);
    }
  }
  for (const ofApp of kept.values()) {
    const newest = ofApp.toSorted((a, b) => b.changedAt.getTime() - a.changedAt.getTime());
    for (const { id } of newest.slice(perAppMax)) await remove(id);
  }
  return removed;
}

async function* inBatches(logs: AsyncIterable<StoredLog>): AsyncIterable<StoredLog[]> {
  let batch: StoredLog[] = [];
  for await (const log of logs) {
    batch.push(log);
    if (batch.length < idsAtOnceMax) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** A log has the id of its build, or of its launch with the number of the container behind it. */
const launchOf = (id: string) => id.replace(/-\d+$/, '');
const isUuid = (id: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);

async function ownersOf(sql: Knex, logs: readonly StoredLog[]): Promise<Owned[]> {
  // The last part of an id may be digits alone.
  const launchIdOf = (id: string) => (isUuid(id) ? id : launchOf(id));
  const builds: { build_id: string; app_id: string; status: string; released: boolean | null }[] = await sql(
    'apps_builds as b',
  )
    .leftJoin('apps_repositories as r', 'r.app_id', 'b.app_id')
    .whereIn(
      'b.build_id',
      logs.map(({ id }) => id),
    )
    .select('b.build_id', 'b.app_id', 'b.status', sql.raw("r.release->>'buildId' = b.build_id as released"));
  const launches: { launch_id: string; app_id: string; status: string }[] = await sql('apps_launches')
    .whereIn(
      'launch_id',
      logs.map(({ id }) => launchIdOf(id)),
    )
    .select('launch_id', 'app_id', 'status');
  const ofBuild = new Map(builds.map(row => [row.build_id, row]));
  const ofLaunch = new Map(launches.map(row => [row.launch_id, row]));
  return logs.map(log => {
    const build = ofBuild.get(log.id);
    if (build !== undefined) {
      const isKept = ['queued', 'running'].includes(build.status) || build.released === true;
      return { ...log, appId: build.app_id, isKept };
    }
    const launch = ofLaunch.get(launchIdOf(log.id));
    const isKept = launch !== undefined && !over.includes(launch.status);
    return { ...log, appId: launch?.app_id ?? null, isKept };
  });
}
