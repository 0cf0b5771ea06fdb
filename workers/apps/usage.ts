/**
 * The meters of launches: containers are read every few seconds, what they use is noted in a table, and told to the log every now
 * and then and when a container is gone. A process that is killed leaves its notes to the next; what the log has counted already
 * the decider knows, so that no interval is counted twice. Of memory between two readings that lie far apart nothing is known,
 * and nothing is counted.
 */
import type { Knex } from 'knex';
import { stateOf } from '../../commands/execute.ts';
import { launch } from '../../domain/apps/launch.ts';
import { usage } from '../../domain/apps/usage.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { UsageConfig } from '../../platform/usage-config.ts';
import type { ContainerUsage } from '../adapters/docker-usage-types.ts';
import type { Engines } from '../adapters/engine-types.ts';
import { attempt, causedBy, type Send } from '../effect.ts';
import { enforceQuotas, nearlyOver } from './quota.ts';

const table = 'worker_usage';
const rowsMax = 5_000;
const bytesPerMb = 1_000_000;
/** Readings that lie further apart say nothing about the memory between them. */
const gapMsMax = 60_000;
/** How many of the last readings are kept for those who look at the launch. */
const recentMax = 60;
const over = ['stopped', 'expired', 'failed'];

export type UsageDeps = Send & {
  readonly sql: Knex;
  readonly docker: Engines;
  readonly usage: UsageConfig;
};

type Row = {
  readonly launch_id: string;
  readonly deployment: number;
  readonly started_at: string;
  readonly read_at: string;
  /** As the kernel has it; it begins anew where somebody has started the container again by hand. */
  readonly counter_ms: number;
  readonly cpu_ms: number;
  readonly memory_mb_seconds: number;
  readonly memory_bytes: number;
  readonly recent: readonly Sample[];
  readonly told_at: string | null;
};

/** When it was read in seconds since 1970, cores in use, and bytes of memory. */
type Sample = readonly [number, number, number];

/** One round: everything is read, what is due is told, and whoever has used too much goes to sleep. */
export async function meterLaunches(deps: UsageDeps): Promise<void> {
  if ((await deps.docker.ping()).ok) {
    for (const reading of await deps.docker.usage()) await note(deps, reading);
  }
  await tellUsage(deps);
  await enforceQuotas(deps);
}

/** A last look at a container that is about to be removed. Nobody waits for one that cannot be read. */
export async function readMeters(
  deps: Pick<UsageDeps, 'sql' | 'docker' | 'store' | 'clock'>,
  launchId: string,
  log: { warn(detail: object, line: string): void },
): Promise<void> {
  try {
    for (const reading of await deps.docker.usage(launchId)) await note(deps, reading);
  } catch (error) {
    log.warn({ err: error, launchId }, 'what a launch has used last is not known');
  }
}

/** Adds what is new since the last reading. Of two processes that read at the same time one adds, and the other does not. */
async function note(
  deps: Pick<UsageDeps, 'sql' | 'store' | 'clock'>,
  reading: ContainerUsage,
): Promise<void> {
  const { sql, clock } = deps;
  const { launchId, deployment, cpuMs, memoryBytes } = reading;
  const key = { launch_id: launchId, deployment };
  const now = clock.now();
  const shown = {
    engine: reading.engine,
    read_at: now,
    counter_ms: cpuMs,
    memory_bytes: memoryBytes,
    memory_bytes_max: reading.memoryBytesMax,
    cpus_max: reading.cpusMax,
    processes: reading.processes,
    processes_max: reading.processesMax,
  };
  const row: Row | undefined = await sql(table).where(key).first();
  if (row === undefined) return begin(deps, reading, { ...key, ...shown });
  const passedMs = Date.parse(now) - Date.parse(row.read_at);
  if (passedMs <= 0) return;
  const usedMs = cpuMs >= row.counter_ms ? cpuMs - row.counter_ms : cpuMs;
  const cpus = Math.round((usedMs / passedMs) * 1_000) / 1_000;
  const sample: Sample = [Math.round(Date.parse(now) / 1_000), cpus, memoryBytes];
  await sql(table)
    .where({ ...key, read_at: row.read_at })
    .update({
      ...shown,
      cpus,
      cpu_ms: row.cpu_ms + usedMs,
      memory_mb_seconds: row.memory_mb_seconds + mbSeconds(row.memory_bytes, memoryBytes, passedMs),
      recent: JSON.stringify([...row.recent, sample].slice(-recentMax)),
    });
}

function mbSeconds(beforeBytes: number, nowBytes: number, passedMs: number): number {
  if (passedMs > gapMsMax) return 0;
  return ((beforeBytes + nowBytes) / 2 / bytesPerMb) * (passedMs / 1_000);
}

/** The first reading of a container goes on from what the log has counted of it, should the notes have been lost. */
async function begin(
  { sql, store }: Pick<UsageDeps, 'sql' | 'store'>,
  { launchId, deployment, cpuMs, startedAt }: ContainerUsage,
  row: { readonly read_at: string } & Readonly<Record<string, unknown>>,
): Promise<void> {
  const state = (await stateOf(store, usage, launchId))?.state;
  if (state?.closed.includes(deployment)) return;
  const counted = state?.counted[deployment];
  await sql(table)
    .insert({
      ...row,
      // The engine may be on a machine whose clock goes ahead.
      started_at: startedAt < row.read_at ? startedAt : row.read_at,
      cpu_ms: Math.max(cpuMs, counted?.cpuMs ?? 0),
      memory_mb_seconds: counted?.memoryMbSeconds ?? 0,
      told_at: counted?.to ?? null,
      told_cpu_ms: counted?.cpuMs ?? 0,
      told_memory_mb_seconds: counted?.memoryMbSeconds ?? 0,
      recent: '[]',
    })
    .onConflict(['launch_id', 'deployment'])
    .ignore();
}

/** Tells what is due: after a while, on another day, where a quota may be reached by it, and of containers that are gone. */
async function tellUsage(deps: UsageDeps): Promise<void> {
  const { sql, clock } = deps;
  const gone: Row[] = await sql(`${table} as u`)
    .join('apps_launches as l', 'l.launch_id', 'u.launch_id')
    .join('apps_deployments as d', join =>
      join.on('d.launch_id', 'u.launch_id').andOn('d.deployment', 'u.deployment'),
    )
    .where(either => either.where({ 'd.status': 'gone' }).orWhereIn('l.status', over))
    .limit(rowsMax)
    .select('u.*');
  for (const row of gone) await tell(deps, row, true);
  const now = clock.now();
  const dueBefore = new Date(Date.parse(now) - deps.usage.eventSeconds * 1_000).toISOString();
  const near = await nearlyOver(deps);
  const rows: (Row & { owner: string | null })[] = await sql(`${table} as u`)
    .leftJoin('apps_launches as l', 'l.launch_id', 'u.launch_id')
    .limit(rowsMax)
    .select('u.*', 'l.owner');
  for (const row of rows) {
    const since = row.told_at ?? row.started_at;
    if (row.read_at <= since) continue;
    const isDue = since <= dueBefore || since.slice(0, 10) !== now.slice(0, 10);
    if (isDue || near(row.owner)) await tell(deps, row, false);
  }
}

async function tell(deps: UsageDeps, row: Row, isLast: boolean): Promise<void> {
  const { sql, store, clock } = deps;
  const { launch_id: launchId, deployment, read_at: at } = row;
  const key = { launch_id: launchId, deployment };
  const found = await stateOf(store, launch, launchId);
  const [first] = found?.events ?? [];
  const spec = found?.state.spec;
  // A container that the log has never heard of is removed as an orphan, and is nobody's.
  if (first === undefined || spec == null) return void (await sql(table).where(key).delete());
  const meters = { cpuMs: row.cpu_ms, memoryMbSeconds: Math.floor(row.memory_mb_seconds) };
  const { appId, owner } = spec;
  const data = { launchId, appId, owner, deployment, startedAt: row.started_at, at, isLast, ...meters };
  const command = { type: 'ReadMeters', data } as const;
  await attempt(deps, usage, launchId, command, causedBy(first, clock), []);
  faultPoint('usage.told');
  if (isLast) await sql(table).where(key).delete();
  else {
    const told = { told_cpu_ms: meters.cpuMs, told_memory_mb_seconds: meters.memoryMbSeconds };
    await sql(table)
      .where(key)
      .update({ told_at: at, ...told });
  }
}
