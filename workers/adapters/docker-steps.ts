/**
 * Steps of builds that nobody waits for any more: an engine that is killed leaves containers of its classic builder behind, and
 * processes of its BuildKit. The containers are known by a host name that is given to them for this, as labels would be a part
 * of the image, and of what its cache is known by.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { stepsGroup } from './docker-cell.ts';
import { isStatus } from './docker-found.ts';
import type { BuildStep, Engine } from './docker-types.ts';

const suffix = '.build.apphub.internal';
const knownMax = 10_000;
const ancestorsMax = 64;
/** Programs that wait for the steps they have begun. */
const waiting = /^(dockerd|buildkitd|containerd)/;

/** As an extra host of a step: leads nowhere but to the step itself. */
export const markOf = (buildId: string) => `${buildId}${suffix}:127.0.0.1`;

/** Containers that are known to be no steps, so that each is looked at once. */
const others = new WeakMap<Engine, Set<string>>();

export async function listBuildSteps(engine: Engine): Promise<BuildStep[]> {
  const known = others.get(engine) ?? new Set();
  others.set(engine, known);
  if (known.size > knownMax) known.clear();
  const steps: BuildStep[] = [];
  for (const { Id: containerId } of await engine.api.listContainers({ all: true })) {
    if (known.has(containerId)) continue;
    const found = await inspectStep(engine, containerId);
    if (found === undefined) known.add(containerId);
    else steps.push(found);
  }
  return steps;
}

async function inspectStep(engine: Engine, containerId: string): Promise<BuildStep | undefined> {
  try {
    const { HostConfig, State } = await engine.api.getContainer(containerId).inspect();
    const mark = HostConfig.ExtraHosts?.find((host: string) => host.split(':')[0]?.endsWith(suffix));
    if (mark === undefined) return undefined;
    const endedMs = State.Running ? 0 : Date.now() - Date.parse(State.FinishedAt);
    return { containerId, buildId: mark.slice(0, mark.indexOf(suffix)), isRunning: State.Running, endedMs };
  } catch (error) {
    // It has gone meanwhile.
    if (isStatus(error, 404)) return undefined;
    throw error;
  }
}

export async function removeBuildStep(engine: Engine, containerId: string): Promise<void> {
  await engine.api
    .getContainer(containerId)
    .remove({ force: true, v: true })
    .catch(error => {
      if (!isStatus(error, 404) && !isStatus(error, 409)) throw error;
    });
}

/**
 * Ends processes in BuildKit's control group that have no engine above them, where AppHub may see and end them. Answers how many
 * there were.
 */
export async function endOrphanedSteps({ builds }: Pick<Engine, 'builds'>): Promise<number> {
  if (builds.cgroups === undefined) return 0;
  const group = stepsGroup(builds);
  const trees = [path.join(builds.cgroups, 'pids', group), path.join(builds.cgroups, group)];
  let ended = 0;
  for (const tree of trees) {
    const folders = await readdir(tree, { withFileTypes: true }).catch(() => []);
    for (const folder of folders.filter(each => each.isDirectory())) {
      const text = await readFile(path.join(tree, folder.name, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const pid of text.split('\n').map(Number)) {
        if (pid > 1 && (await isOrphan(pid)) && end(pid)) ended += 1;
      }
    }
  }
  return ended;
}

/** Whether the way up to the first process leads past nobody who waits for it. What cannot be read is nobody's orphan. */
async function isOrphan(pid: number): Promise<boolean> {
  let at = pid;
  for (let ancestors = 0; at > 1 && ancestors < ancestorsMax; ancestors += 1) {
    const stat = await readFile(`/proc/${at}/stat`, 'utf8').catch(() => '');
    const [, name = '', parent = ''] = /^\d+ \(([\s\S]*)\) \S (\d+)/.exec(stat) ?? [];
    if (parent === '' || waiting.test(name)) return false;
    at = Number(parent);
  }
  return true;
}

function end(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
