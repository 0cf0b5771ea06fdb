/**
 * Workers as they run, without the HTTP side: a log in memory, the projector and its tables in a real PostgreSQL, the real Git
 * and the real engine. They can be stopped and started again over the same log and tables, as a process that was restarted.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../commands/clock.ts';
import { execute } from '../../commands/execute.ts';
import { type BuildSpec, build } from '../../domain/apps/build.ts';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { type LaunchSpec, launch } from '../../domain/apps/launch.ts';
import { repository } from '../../domain/apps/repository.ts';
import { confined } from '../../domain/apps/sandbox.ts';
import type { EventOf, EventType, Recorded } from '../../domain/events.ts';
import type { Decider, Message } from '../../domain/kernel/decider.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import { type EventStore, LogUnavailable } from '../../eventstore/store.ts';
import { readBuilds } from '../../platform/build-config.ts';
import { openBuildSecrets } from '../../platform/build-secrets.ts';
import { openLogStore } from '../../platform/log-store.ts';
import { openFolderObjects } from '../../platform/objects.ts';
import { readSandbox } from '../../platform/sandbox-config.ts';
import { readStorage } from '../../platform/storage-config.ts';
import { readUsage } from '../../platform/usage-config.ts';
import { readWorkspaces } from '../../platform/workspace-config.ts';
import { projections } from '../../projections/index.ts';
import { project } from '../../projections/projector.ts';
import type { Engines } from '../../workers/adapters/engine-types.ts';
import { startWorkers, type WorkerDeps } from '../../workers/index.ts';
import { testDatabase } from './postgres.ts';

const eventuallyMsMax = 60_000;
const lookEveryMs = 20;

export type Logged = { level: string; detail: Record<string, unknown>; line: string };
export type WorkerBench = Awaited<ReturnType<typeof openWorkerBench>>;

/** Docker as it is on a machine without an engine. */
export const noDocker = new Proxy({} as Engines, {
  get: (_target, name) =>
    name === 'ping'
      ? async () => ({ ok: false, reason: 'There is no Docker engine here' })
      : name === 'watchDeaths'
        ? async function* () {}
        : name === 'engines'
          ? async () => []
          : () => {
              throw new Error(`${String(name)} was asked of an engine that is not there`);
            },
});

/** Everything workers need, but no workers yet. */
export async function openWorkerBench(options: { docker?: Engines; store?: EventStore } = {}) {
  const { sql, drop, connectionString } = await testDatabase();
  const inner = tracked(options.store ?? memoryStore());
  const store = faulty(inner);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-workers-'));
  const logged: Logged[] = [];
  const note = (level: string) => (detail: object, line: string) =>
    void logged.push({ level, detail: detail as Logged['detail'], line });
  const log = { info: () => undefined, warn: note('warn'), error: note('error') };
  const stop = new AbortController();
  const projecting = project(sql, inner, projections, { signal: stop.signal, log });
  const workDir = path.join(folder, 'work');
  const deps: WorkerDeps = {
    store,
    clock: systemClock,
    sql,
    docker: options.docker ?? noDocker,
    objects: openFolderObjects(path.join(folder, 'objects')),
    logs: openLogStore(path.join(folder, 'logs')),
    redisUrl: undefined,
    workDir,
    allowLocalRepositories: false,
    ingestionsAtOnce: 4,
    buildsAtOnce: 2,
    builds: readBuilds({}),
    buildSecrets: openBuildSecrets(sql, 'a secret of the tests'),
    syncSeconds: 3_600,
    storage: { ...readStorage({ APPHUB_DISK_FREE_MIN_BYTES: '0' }), dataDir: folder },
    everyMs: { docker: 100, expiry: 100, reconcile: 100 },
    profiles: readSandbox({}).profiles,
    workspaces: readWorkspaces({}),
    usage: readUsage({}),
    launches: { max: 100, perAppMax: 100, perOwnerMax: 100, drainSeconds: 0, keptAwake: 0 },
    log,
  };
  const running = new Set<{ close(): Promise<void> }>();
  const events: Recorded[] = [];
  const followed = follow(inner, events, stop.signal);

  return {
    ...deps,
    deps,
    connectionString,
    /** Appends fail where this says so, as if the log were away. */
    faults: store.faults,
    logged,
    /** Every event of the log so far. */
    events,
    async start(changes: Partial<WorkerDeps> = {}) {
      const workers = await startWorkers({ ...deps, ...changes });
      const one = {
        async close() {
          running.delete(one);
          await workers.close();
        },
      };
      running.add(one);
      return one;
    },
    say: <S, C extends Message, E extends Message>(
      decider: Decider<S, C, E>,
      id: string,
      command: C,
      cause?: string,
    ) => say(inner, decider, id, command, cause),
    register: (appId: string, repoUrl: string, more: { ref?: string; dockerfilePath?: string } = {}) =>
      register(inner, appId, repoUrl, more),
    ...askersOf(inner),
    /** Names of the folders that effects work in. */
    workFolders: () => readdir(workDir).catch(() => [] as string[]),
    /** Resolves when the tables, and `events`, have everything that is in the log now. */
    async projected(): Promise<void> {
      const to = inner.last();
      await eventually(async () => {
        const row = await sql('projection_checkpoints')
          .count('* as count')
          .min(sql.raw('coalesce(position, 0)'))
          .first();
        assert.ok(
          Number(row?.count) === projections.length && BigInt(row?.min ?? 0) >= to,
          'tables are behind',
        );
        assert.ok(followed.position() >= to, 'events are behind');
      });
    },
    async logText(id: string): Promise<string> {
      const part = await deps.logs.read(id, 0, 1024 * 1024);
      return part?.bytes.toString('utf8') ?? '';
    },
    async close() {
      for (const one of [...running]) await one.close();
      stop.abort();
      await projecting;
      await followed.ended;
      await drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type Faulty = EventStore & { faults: { append?: (types: readonly string[]) => boolean } };

/** The same log, but an append of which `faults.append` says so is refused, as by a log that is away. */
function faulty(inner: EventStore): Faulty {
  const faults: Faulty['faults'] = {};
  return {
    ...inner,
    faults,
    async append(stream, events, expected) {
      if (faults.append?.(events.map(({ type }) => type))) throw new LogUnavailable('The log is away');
      return inner.append(stream, events, expected);
    },
  };
}

function follow(store: EventStore, events: Recorded[], signal: AbortSignal) {
  let position = 0n;
  const run = async () => {
    for await (const batch of store.subscribe({ from: 'start', streamPrefixes: ['apps.'], signal })) {
      events.push(...batch.events);
      position = batch.position ?? position;
    }
  };
  return { position: () => position, ended: run() };
}

/** The same log, which knows where it ends. */
function tracked(store: EventStore) {
  let last = 0n;
  return {
    ...store,
    last: () => last,
    async append(...args: Parameters<EventStore['append']>) {
      const { position } = await store.append(...args);
      if (position > last) last = position;
      return { position };
    },
  };
}

/** A command of somebody outside, each time of a new cause unless one is given. */
async function say<State, Command extends Message, Event extends Message>(
  store: EventStore,
  decider: Decider<State, Command, Event>,
  id: string,
  command: Command,
  cause: string = randomUUID(),
): Promise<bigint> {
  const metadata = {
    actor: 'operator:tester',
    correlationId: cause,
    causationId: cause,
    time: systemClock.now(),
  };
  return (await execute(store, decider, id, command, metadata)).position ?? 0n;
}

function register(
  store: EventStore,
  appId: string,
  repoUrl: string,
  { ref, dockerfilePath }: { ref?: string; dockerfilePath?: string },
): Promise<bigint> {
  const data = {
    appId,
    at: systemClock.now(),
    name: appId,
    description: null,
    repoUrl,
    ref: ref ?? null,
    dockerfilePath: dockerfilePath ?? null,
    homepage: null,
    owner: null,
    tags: [],
  };
  return say(store, repository, appId, { type: 'RegisterRepository', data });
}

/** A build as somebody asks for it: of this very commit, unless `pinned` says otherwise. */
export type AskedBuild = Omit<BuildSpec, 'args'> & Partial<Pick<BuildSpec, 'args'>> & { pinned?: boolean };

/** What people ask of an app, its builds and launches. */
function askersOf(store: EventStore) {
  const at = () => systemClock.now();
  return {
    retry: (appId: string) =>
      say(store, ingestion, appId, { type: 'QueueIngestion', data: { appId, cause: 'retry', at: at() } }),
    cancelIngestion: (appId: string) =>
      say(store, ingestion, appId, { type: 'CancelIngestion', data: { appId, at: at() } }),
    archive: (appId: string) =>
      say(store, repository, appId, { type: 'ArchiveRepository', data: { appId, at: at() } }),
    async requestBuild(spec: AskedBuild): Promise<string> {
      const buildId = randomUUID();
      const data = { buildId, cause: 'manual', pinned: true, at: at(), args: {}, ...spec } as const;
      await say(store, build, buildId, { type: 'RequestBuild', data });
      return buildId;
    },
    cancelBuild: (buildId: string) =>
      say(store, build, buildId, { type: 'CancelBuild', data: { buildId, at: at() } }),
    async requestLaunch(spec: Partial<LaunchSpec> & { image: string; imageId: string }): Promise<string> {
      const launchId = randomUUID();
      const defaults: Omit<LaunchSpec, 'image' | 'imageId' | 'expiresAt'> = {
        appId: 'app',
        buildId: 'none',
        env: [],
        resourceProfile: 'small',
        port: 8_080,
        owner: 'operator:tester',
        access: 'private',
        restart: 'no',
        idleSeconds: null,
        healthPath: null,
        sandbox: confined,
        workspace: null,
      };
      const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
      const data = { launchId, at: at(), ...defaults, expiresAt, ...spec };
      await say(store, launch, launchId, { type: 'RequestLaunch', data });
      return launchId;
    },
    stop: (launchId: string) =>
      say(store, launch, launchId, {
        type: 'StopLaunch',
        data: { launchId, reason: 'stopped', because: null, at: at() },
      }),
  };
}

/** The types of the events of one aggregate, in order: `history(bench, 'ingestion', 'shop')`. */
export function history(bench: Pick<WorkerBench, 'events'>, noun: string, id: string): string[] {
  return bench.events.filter(({ stream }) => stream === `apps.${noun}-${id}`).map(({ type }) => type);
}

/** The newest event of this type that is of the app, build or launch; it must be there. */
export function found<T extends EventType>(
  bench: Pick<WorkerBench, 'events'>,
  type: T,
  id?: string,
): Recorded<EventOf<T>> {
  const isIts = (event: Recorded) => id === undefined || event.stream.endsWith(`-${id}`);
  const event = bench.events.findLast(each => each.type === type && isIts(each));
  if (event === undefined) {
    const seen = bench.events.filter(isIts).map(each => each.type);
    throw new Error(`no ${type} of ${id} among ${seen.join(', ') || 'nothing'}`);
  }
  return event as Recorded<EventOf<T>>;
}

/** Asks again until the answer no longer throws, and fails with the last error. */
export async function eventually<T>(ask: () => T | Promise<T>, ms = eventuallyMsMax): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(lookEveryMs);
    }
  }
}
