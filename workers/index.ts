/** Starts everything that works: reactions to the log, the queue of effects, and the rounds that look after both. */
import type { Knex } from 'knex';
import type { Clock } from '../commands/clock.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { BuildConfig } from '../platform/build-config.ts';
import type { BuildSecrets } from '../platform/build-secrets.ts';
import type { LogStore } from '../platform/log-store.ts';
import type { Objects } from '../platform/objects.ts';
import type { UsageConfig } from '../platform/usage-config.ts';
import type { WorkspaceConfig } from '../platform/workspace-config.ts';
import type { Engines } from './adapters/engine-types.ts';
import { archiveReaction, endArchived } from './apps/archive.ts';
import {
  buildReaction,
  releaseBuild,
  requestBuild,
  runBuild,
  supersede,
  supersedeBuilds,
} from './apps/build.ts';
import { eraseUnnamedSecrets, sweepBuildSteps } from './apps/build-sweep.ts';
import { openDisk, type StorageDeps } from './apps/disk.ts';
import { type DiskGuard, openDiskGuard } from './apps/disk-guard.ts';
import { countDenials } from './apps/egress.ts';
import { ingest, ingestionReaction, queueIngestion } from './apps/ingestion.ts';
import { deploy, type LaunchDeps, launchReaction, watchLaunches } from './apps/launch.ts';
import { expireLaunches, restartLaunches, sleepLaunches } from './apps/launch-rounds.ts';
import { collectLogs } from './apps/logs.ts';
import { reconcile } from './apps/reconcile.ts';
import { removeLaunch, retire } from './apps/retire.ts';
import { openRoom, type RoomLimits } from './apps/room.ts';
import { syncApps } from './apps/sync.ts';
import { meterLaunches } from './apps/usage.ts';
import { workspaceEffects, workspaceReaction } from './apps/workspace.ts';
import { openWorkspaceRounds } from './apps/workspace-rounds.ts';
import { createClaimTable } from './claims.ts';
import type { Effect } from './effect.ts';
import type { EgressProxy } from './egress/egress-proxy.ts';
import { inlineQueue, pause } from './inline-queue.ts';
import { type QueueLog, redisQueue } from './queue.ts';
import { react, storedPosition } from './react.ts';
import { type SweepDeps, sweepArchived, sweepJobs } from './sweep.ts';
import { createWorkerTables, reportEngines, reportStatus, tablesHave } from './tables.ts';
import { removeOldFolders } from './work-folder.ts';

/** How often each round is made. */
const everyMs = {
  sweep: 30_000,
  expiry: 1_000,
  reconcile: 5_000,
  docker: 3_000,
  disk: 10_000,
  guard: 2_000,
  logs: 3_600_000,
  sync: 15_000,
  weigh: 5_000,
  usage: 5_000,
};
const tablesMsMax = 30_000;

export type WorkerDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly sql: Knex;
  readonly docker: Engines;
  /** Without it no app may reach hosts outside. */
  readonly egress?: EgressProxy | undefined;
  readonly objects: Objects;
  readonly logs: LogStore;
  /** Undefined: jobs run in this process. */
  readonly redisUrl: string | undefined;
  readonly everyMs?: Partial<typeof everyMs>;
  readonly workDir: string;
  readonly allowLocalRepositories: boolean;
  readonly ingestionsAtOnce: number;
  readonly buildsAtOnce: number;
  readonly builds: BuildConfig;
  readonly buildSecrets: BuildSecrets;
  readonly syncSeconds: number;
  readonly storage: StorageDeps;
  readonly profiles: LaunchDeps['profiles'];
  readonly launches: RoomLimits & { readonly drainSeconds: number; readonly keptAwake: number };
  readonly workspaces: WorkspaceConfig;
  readonly usage: UsageConfig;
  readonly log: QueueLog;
};

const reactions = [ingestionReaction, buildReaction, launchReaction, workspaceReaction, archiveReaction];

/** Resolves once everything is under way. `close` ends what runs in order and leaves the rest to the next start. */
export async function startWorkers(deps: WorkerDeps): Promise<{ close(): Promise<void> }> {
  await createWorkerTables(deps.sql);
  await createClaimTable(deps.sql);
  const launching = { ...deps, room: openRoom(deps.launches) };
  const guard = openDiskGuard();
  const building = { ...deps, guard };
  const disk = openDisk(building);
  const effects = effectsOf(building, launching);
  const queue =
    deps.redisUrl === undefined
      ? inlineQueue(effects, deps.log)
      : redisQueue(effects, { url: deps.redisUrl }, deps.log);
  const stop = new AbortController();
  const { signal } = stop;
  const all = { ...deps, queue };
  const workspaces = openWorkspaceRounds(all);
  const sweep = async () => {
    await supersede(all, {});
    await sweepJobs(all);
    await sweepArchived(all);
    await eraseUnnamedSecrets(all);
    if ((await deps.docker.ping()).ok) await sweepBuildSteps(all);
    await removeOldFolders(deps.workDir);
  };
  const look = protectionRound(deps);
  const agree = async () => {
    if (!(await deps.docker.ping()).ok) return;
    await reconcile(all);
    await look();
    await countDenials(deps);
    await workspaces.agree();
  };
  const times = async () => {
    await expireLaunches(all);
    await restartLaunches(all);
    await sleepLaunches({ ...all, keptAwake: deps.launches.keptAwake });
    await workspaces.resume();
  };
  try {
    await tablesAreThere(deps.sql, signal);
  } catch (error) {
    await queue.close();
    throw error;
  }
  const told = await storedPosition(deps.sql);
  // Before any event adds to the queue: what has waited for longest goes first again.
  await sweepJobs(all).catch(error =>
    deps.log.warn({ err: error }, 'the first sweep failed; it comes round again'),
  );
  const ms = { ...everyMs, ...deps.everyMs };
  const round = (each: number, what: string, work: () => Promise<void>) =>
    every(each, what, work, deps.log, signal);
  const runs = [
    react({ ...deps, queue, effects, reactions, signal }),
    sweepOnceThere(all, told, signal),
    round(ms.sweep, 'sweep', sweep),
    round(ms.expiry, 'the time of launches', times),
    round(ms.reconcile, 'reconciling', agree),
    round(ms.weigh, 'weighing workspaces', workspaces.weigh),
    round(ms.usage, 'reading the meters', () => meterLaunches(deps)),
    round(Math.min(ms.sync, deps.syncSeconds * 1_000), 'sync', () => syncApps(deps, signal)),
    round(ms.disk, 'looking after the disk', disk.round),
    round(ms.guard, 'watching the disk', disk.watch),
    round(ms.logs, 'collecting logs', async () => void (await collectLogs(deps))),
    round(ms.docker, 'Docker', dockerRound(deps, sweep)),
    round(ms.docker, 'watching containers', () => watchLaunches(launching, signal)),
  ];
  return {
    async close() {
      stop.abort();
      await queue.close();
      await Promise.all(runs);
    },
  };
}

function effectsOf(
  deps: WorkerDeps & { readonly guard: DiskGuard },
  launching: LaunchDeps,
): readonly Effect[] {
  const retiring = { ...deps, drainMs: deps.launches.drainSeconds * 1_000 };
  return [
    queueIngestion(deps),
    ingest(deps),
    requestBuild(deps),
    supersedeBuilds(deps),
    runBuild(deps),
    releaseBuild(deps),
    deploy(launching),
    retire(retiring),
    removeLaunch(retiring),
    ...workspaceEffects(deps),
    endArchived(deps),
  ];
}

/** Tells the read side which engines are there, and sweeps when one has come back. */
function dockerRound(deps: WorkerDeps, sweep: () => Promise<void>): () => Promise<void> {
  let wereAway: readonly string[] = [];
  return async () => {
    const states = await deps.docker.engines();
    await reportEngines(deps.sql, states);
    for (const [name, what] of [['docker'], ['builder', 'build']] as const) {
      const answer = await deps.docker.ping(what);
      await reportStatus(deps.sql, name, answer.ok, answer.ok ? null : answer.reason);
    }
    const areAway = states.filter(({ awayReason }) => awayReason !== null).map(({ name }) => name);
    const isOneBack = wereAway.some(name => !areAway.includes(name));
    wereAway = areAway;
    if (isOneBack) await sweep();
  };
}

/** Says once that launches are not kept from their host, and once that they are again. */
function protectionRound({ docker, log }: WorkerDeps): () => Promise<void> {
  let wrong: string | undefined;
  return async () => {
    const answer = await docker.protect();
    const reason = answer.ok ? undefined : answer.reason;
    if (reason !== wrong) log.warn({ reason }, reason ?? 'The host is guarded from launches again.');
    wrong = reason;
  };
}

/** Does something again and again, one at a time, whatever goes wrong with it. */
async function every(
  ms: number,
  what: string,
  work: () => Promise<void>,
  log: QueueLog,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, `${what} failed; it comes round again`);
    }
    await pause(ms, signal);
  }
}

/** After a crash the tables may be behind what the process before this one was told: it is looked for as soon as they have it. */
async function sweepOnceThere(
  deps: SweepDeps & Pick<WorkerDeps, 'log'>,
  told: bigint | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (told === undefined) return;
  try {
    await tablesHave(deps.sql, told, signal);
    if (!signal.aborted) await sweepJobs(deps);
  } catch (error) {
    if (!signal.aborted) deps.log.warn({ err: error }, 'a sweep failed; it comes round again');
  }
}

/** The projector makes the tables, perhaps in another process that has just been started. */
async function tablesAreThere(sql: Knex, signal: AbortSignal): Promise<void> {
  const needed = [
    'apps_repositories',
    'apps_ingestions',
    'apps_builds',
    'apps_images',
    'apps_launches',
    'apps_deployments',
    'apps_workspaces',
    'apps_usage',
    'apps_quotas',
  ];
  const deadline = Date.now() + tablesMsMax;
  while (!signal.aborted) {
    const there = await sql('pg_views')
      .where({ schemaname: 'public' })
      .whereIn('viewname', needed)
      .count('* as count')
      .first();
    if (Number(there?.count) === needed.length) return;
    if (Date.now() > deadline) throw new Error('the tables are not there: does the room projections run?');
    await pause(100, signal);
  }
}
