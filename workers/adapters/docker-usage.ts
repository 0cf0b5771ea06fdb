/** What containers use just now, by the counters of the kernel that the engine reads for us. */
import { findContainers, isStatus } from './docker-found.ts';
import type { Engine, FoundLaunch } from './docker-types.ts';
import type { ContainerUsage } from './docker-usage-types.ts';

/** Each costs the engine a read of a few files; many at once would hold up those who want something of it. */
const readingsAtOnce = 8;
/** One that takes longer is left out: the others are not to wait for it. */
const readingMsMax = 4_000;
const nsPerMs = 1_000_000;

/** The parts of the engine's answer that are looked at; all are missing for a container that does not run. */
type Stats = {
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats?: { readonly current?: number; readonly limit?: number };
};

/** Every container of this installation that runs, or those of one launch; one that cannot be read is left out. */
export async function usageOf(engine: Engine, launchId?: string): Promise<ContainerUsage[]> {
  const running = (await findContainers(engine, launchId)).filter(({ state }) => state === 'running');
  const readings: ContainerUsage[] = [];
  const waiting = [...running];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const reading = await readingOf(engine, next);
      if (reading !== undefined) readings.push(reading);
    }
  };
  await Promise.all(Array.from({ length: readingsAtOnce }, work));
  return readings;
}

async function readingOf(engine: Engine, found: FoundLaunch): Promise<ContainerUsage | undefined> {
  const late = AbortSignal.timeout(readingMsMax);
  // Without `one-shot` the engine would wait a second for a second reading, to compare the two.
  const options = { stream: false, 'one-shot': true, abortSignal: late } as const;
  try {
    const stats = await engine.api.getContainer(found.containerId).stats(options as { stream: false });
    return usageIn(stats as Stats, found);
  } catch (error) {
    if (late.aborted || isStatus(error, 404, 409)) return undefined;
    throw error;
  }
}

/** Undefined: it does not run, so nothing is known. */
export function usageIn(
  { cpu_stats: cpu, memory_stats: memory, pids_stats: pids }: Stats,
  { launchId, deployment, containerId, engine, startedAt, cpus }: FoundLaunch,
): ContainerUsage | undefined {
  const cpuNs = cpu?.cpu_usage?.total_usage;
  const bytes = memory?.usage;
  if (cpuNs === undefined || bytes === undefined) return undefined;
  // Files that nobody has asked for lately are given back as soon as somebody needs the room: version 1 and 2 of cgroups.
  const idle = memory?.stats?.total_inactive_file ?? memory?.stats?.inactive_file ?? 0;
  return {
    launchId,
    deployment,
    containerId,
    engine,
    startedAt,
    cpuMs: Math.floor(cpuNs / nsPerMs),
    memoryBytes: Math.max(0, bytes - idle),
    memoryBytesMax: memory?.limit ?? 0,
    cpusMax: cpus,
    processes: pids?.current ?? 0,
    processesMax: pids?.limit ?? 0,
  };
}
