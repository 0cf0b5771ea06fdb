/**
 * Limits for the steps of BuildKit. The engine takes none for them in its API, but runs all of them in one control group, which
 * holds them together to its limits where AppHub is on the same machine and may write there.
 *
 * The group is shared by all builds of the engine, of other processes too. So each build leaves a claim in it while it runs, an
 * empty group whose name says what it may use, and what is written is the sum of the claims: every now and then anew, by each.
 */
import { mkdir, readdir, readFile, readlink, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type BuildLimits,
  type BuildSettings,
  cpuSharesDefault,
  type Engine,
  pidsMaxDefault,
} from './docker-types.ts';

const periodUs = 100_000;
const sharesOfContainer = 1_024;
const weightOfContainer = 100;
/** How often the sum is made anew: another process may have begun or ended a build, or have been killed in one. */
const renewMs = 1_000;
/** A claim of a process that cannot be seen from here is void so long after its build had to be over. */
const graceSeconds = 300;
const claimed = /^apphub\.(\d+)\.(\d+)\.(\d+)\.\d+\.(\d+)\.(\d+)\.(\d+)\.(\d+)\.(\d+)$/;

/** What all builds together may use. */
type Sum = { memoryBytes: number; cpuUs: number; shares: number; pids: number };

export type Cell = {
  /** Null while the steps are held to limits; else why they are not. */
  readonly uncapped: string | null;
  /** The build is over. */
  close(): Promise<void>;
};

/** Where BuildKit makes the groups of its steps, below the tree of each controller. */
export const stepsGroup = ({ cgroupParent = 'docker' }: Pick<BuildSettings, 'cgroupParent'>): string =>
  path.join(cgroupParent, 'buildkit');

/** Holds the steps of a build to its limits until it is closed. */
export async function openCell({ api, builds }: Engine, limits: BuildLimits): Promise<Cell> {
  const open = (uncapped: string): Cell => ({ uncapped, close: async () => undefined });
  const { cgroups } = builds;
  if (cgroups === undefined) return open('the engine is not on this machine.');
  const { CgroupDriver: driver } = await api.info();
  if (driver !== 'cgroupfs')
    return open(`the engine’s cgroup driver is ${driver}; with cgroupfs they would be.`);
  return openGroup(cgroups, stepsGroup(builds), limits);
}

export async function openGroup(root: string, group: string, limits: BuildLimits): Promise<Cell> {
  const isUnified = await stat(path.join(root, 'cgroup.controllers')).then(
    () => true,
    () => false,
  );
  const folder = path.join(root, isUnified ? '' : 'pids', group);
  const claim = path.join(folder, await claimOf(limits));
  const write = async () => {
    await (isUnified ? prepareUnified(root, group) : prepareSeparate(root, group));
    await mkdir(claim, { recursive: true });
    const sum = await sumOf(folder);
    if (sum !== undefined) await (isUnified ? capUnified : capSeparate)(root, group, sum);
  };
  try {
    await write();
  } catch (error) {
    await rmdir(claim).catch(() => undefined);
    const code = error instanceof Error && 'code' in error ? error.code : error;
    const uncapped = `the control group ${group} of the engine cannot be written (${code}).`;
    return { uncapped, close: async () => undefined };
  }
  let renewing: Promise<void> | undefined;
  const timer = setInterval(() => {
    // What cannot be lowered yet, because more is used, is lowered later.
    renewing ??= write()
      .catch(() => undefined)
      .finally(() => {
        renewing = undefined;
      });
  }, renewMs).unref();
  return {
    uncapped: null,
    async close() {
      clearInterval(timer);
      await renewing;
      await rmdir(claim).catch(() => undefined);
      const rest = await sumOf(folder).catch(() => undefined);
      // The last one leaves its limits to whatever it has left behind.
      if (rest !== undefined)
        await (isUnified ? capUnified : capSeparate)(root, group, rest).catch(() => undefined);
    },
  };
}

let claims = 0;

/** The name of a claim: whose it is, when it is void, and what it is for. */
async function claimOf({ timeMsMax, memoryBytes, cpus, cpuShares, pidsMax }: BuildLimits): Promise<string> {
  claims += 1;
  const deadline = Math.ceil((Date.now() + timeMsMax) / 1_000) + graceSeconds;
  const whose = [await processSpace(), process.pid, (await startOf(process.pid)) ?? 0, claims, deadline];
  const cpuUs = Math.round(cpus * periodUs);
  const what = [Math.round(memoryBytes), cpuUs, cpuShares ?? cpuSharesDefault, pidsMax ?? pidsMaxDefault];
  return ['apphub', ...whose, ...what].join('.');
}

/** Numbers of processes mean something within one name space only. */
async function processSpace(): Promise<number> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '');
  return Number(/\d+/.exec(link)?.[0] ?? 0);
}

/** When the process was started, as the kernel counts; undefined: there is none. A number is given out again one day. */
async function startOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const start = text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  return start === undefined ? undefined : Number(start);
}

/** Of all claims whose builds may still run; the others are removed. Undefined: there are none. */
async function sumOf(folder: string): Promise<Sum | undefined> {
  const space = await processSpace();
  let sum: Sum | undefined;
  for (const name of await readdir(folder)) {
    const [, ...numbers] = (claimed.exec(name) ?? []).map(Number);
    const [where, pid = 0, start, deadline = 0, memoryBytes = 0, cpuUs = 0, shares = 0, pids = 0] = numbers;
    if (where === undefined) continue;
    const isGone = where === space && (await startOf(pid)) !== start;
    if (isGone || deadline * 1_000 < Date.now()) {
      await rmdir(path.join(folder, name)).catch(() => undefined);
      continue;
    }
    sum = {
      memoryBytes: (sum?.memoryBytes ?? 0) + memoryBytes,
      cpuUs: (sum?.cpuUs ?? 0) + cpuUs,
      shares: Math.max(sum?.shares ?? 0, shares),
      pids: (sum?.pids ?? 0) + pids,
    };
  }
  return sum;
}

/** Of an engine that was just started there are no groups yet. */
async function prepareSeparate(root: string, group: string): Promise<void> {
  for (const controller of ['memory', 'cpu', 'pids'])
    await mkdir(path.join(root, controller, group), { recursive: true });
}

/** Version 1: a tree for each controller. */
async function capSeparate(root: string, group: string, sum: Sum): Promise<void> {
  const write = (controller: string, file: string, value: number) =>
    put(path.join(root, controller, group), file, value);
  // A step of before may use more still; it is tried again.
  const memory = async () => write('memory', 'memory.limit_in_bytes', sum.memoryBytes).catch(ignoreBusy);
  // Only there where the kernel counts swap.
  const both = async () =>
    write('memory', 'memory.memsw.limit_in_bytes', sum.memoryBytes).catch(ignoreMissing);
  const present = await readFile(path.join(root, 'memory', group, 'memory.limit_in_bytes'), 'utf8');
  // The kernel takes no limit of memory above the one of memory and swap: the higher one is raised first.
  for (const step of Number(present) < sum.memoryBytes ? [both, memory] : [memory, both]) await step();
  await write('cpu', 'cpu.cfs_period_us', periodUs);
  await write('cpu', 'cpu.cfs_quota_us', sum.cpuUs);
  await write('cpu', 'cpu.shares', sum.shares);
  await write('pids', 'pids.max', sum.pids);
}

/** Version 2: one tree, in which each group passes controllers on to those below it. */
async function prepareUnified(root: string, group: string): Promise<void> {
  const folder = path.join(root, group);
  await mkdir(folder, { recursive: true });
  for (const parent of [root, path.dirname(folder)]) {
    await put(parent, 'cgroup.subtree_control', '+memory +cpu +pids');
  }
}

async function capUnified(root: string, group: string, sum: Sum): Promise<void> {
  const folder = path.join(root, group);
  await put(folder, 'memory.max', sum.memoryBytes);
  await put(folder, 'memory.swap.max', 0).catch(ignoreMissing);
  await put(folder, 'cpu.max', `${sum.cpuUs} ${periodUs}`);
  await put(
    folder,
    'cpu.weight',
    Math.max(1, Math.round((sum.shares / sharesOfContainer) * weightOfContainer)),
  );
  await put(folder, 'pids.max', sum.pids);
}

/** Lowering a limit below what is used may be refused; what is the same already need not be written. */
async function put(folder: string, file: string, value: number | string): Promise<void> {
  const place = path.join(folder, file);
  const present = (await readFile(place, 'utf8')).trim();
  if (present !== String(value)) await writeFile(place, String(value));
}

function ignoreBusy(error: unknown): void {
  if (!isCode(error, 'EBUSY')) throw error;
}

function ignoreMissing(error: unknown): void {
  if (!isCode(error, 'ENOENT', 'EINVAL', 'EBUSY')) throw error;
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
