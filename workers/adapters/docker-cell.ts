/**
 * Limits for the steps of BuildKit. The engine takes none for them in its API, but runs all of them in one control group, which
 * holds them together to its limits where AppHub is on the same machine and may write there.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuildLimits, cpuSharesDefault, type Engine, pidsMaxDefault } from './docker-types.ts';

const periodUs = 100_000;
const sharesOfContainer = 1_024;
const weightOfContainer = 100;
/** Below the group that the engine makes containers in, unless its `--cgroup-parent` says otherwise. */
const group = 'docker/buildkit';

/** Null when the steps are held to these limits; else why they are not. */
export async function capBuildKit({ api, builds }: Engine, limits: BuildLimits): Promise<string | null> {
  const { cgroups } = builds;
  if (cgroups === undefined) return 'the engine is not on this machine.';
  const { CgroupDriver: driver } = await api.info();
  if (driver !== 'cgroupfs') return `the engine’s cgroup driver is ${driver}; with cgroupfs they would be.`;
  return capGroup(cgroups, limits);
}

export async function capGroup(root: string, limits: BuildLimits): Promise<string | null> {
  try {
    const isUnified = await stat(path.join(root, 'cgroup.controllers')).then(
      () => true,
      () => false,
    );
    await (isUnified ? capUnified(root, limits) : capSeparate(root, limits));
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    return `the control group ${group} of the engine cannot be written (${code}).`;
  }
}

/** Version 1: a tree for each controller. */
async function capSeparate(root: string, limits: BuildLimits): Promise<void> {
  const write = (controller: string, file: string, value: number) =>
    put(path.join(root, controller, group), file, value);
  // The kernel wants memory with swap never below memory alone: which of them goes first depends on whether the limit rises.
  await write('memory', 'memory.limit_in_bytes', limits.memoryBytes).catch(ignoreInvalid);
  // Only there where the kernel counts swap.
  await write('memory', 'memory.memsw.limit_in_bytes', limits.memoryBytes).catch(ignoreMissing);
  await write('memory', 'memory.limit_in_bytes', limits.memoryBytes);
  await write('cpu', 'cpu.cfs_period_us', periodUs);
  await write('cpu', 'cpu.cfs_quota_us', Math.round(limits.cpus * periodUs));
  await write('cpu', 'cpu.shares', limits.cpuShares ?? cpuSharesDefault);
  await write('pids', 'pids.max', limits.pidsMax ?? pidsMaxDefault);
}

/** Version 2: one tree, in which each group passes controllers on to those below it. */
async function capUnified(root: string, limits: BuildLimits): Promise<void> {
  const folder = path.join(root, group);
  await mkdir(folder, { recursive: true });
  for (const parent of [root, path.dirname(folder)]) {
    await put(parent, 'cgroup.subtree_control', '+memory +cpu +pids');
  }
  await put(folder, 'memory.max', limits.memoryBytes);
  await put(folder, 'memory.swap.max', 0).catch(ignoreMissing);
  await put(folder, 'cpu.max', `${Math.round(limits.cpus * periodUs)} ${periodUs}`);
  const weight = Math.max(
    1,
    Math.round(((limits.cpuShares ?? cpuSharesDefault) / sharesOfContainer) * weightOfContainer),
  );
  await put(folder, 'cpu.weight', weight);
  await put(folder, 'pids.max', limits.pidsMax ?? pidsMaxDefault);
}

/** Lowering a limit below what is used may be refused; what is the same already need not be written. */
async function put(folder: string, file: string, value: number | string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const place = path.join(folder, file);
  const present = (await readFile(place, 'utf8')).trim();
  if (present !== String(value)) await writeFile(place, String(value));
}

function ignoreMissing(error: unknown): void {
  if (!isCode(error, 'ENOENT', 'EINVAL')) throw error;
}

function ignoreInvalid(error: unknown): void {
  if (!isCode(error, 'EINVAL')) throw error;
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
