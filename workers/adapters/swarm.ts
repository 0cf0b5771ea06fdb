/**
 * A swarm as one engine among several. Its manager is asked for everything, and is an engine too, on which images are looked
 * into; what is launched runs on any of the nodes.
 */
import Dockerode from 'dockerode';
import { type DockerOptions, dockerOn, engineOf } from './docker.ts';
import { waitUntilWell } from './docker-ready.ts';
import { type EngineAnswer, LaunchFailure } from './docker-types.ts';
import { usageIn } from './docker-usage.ts';
import type { ContainerUsage } from './docker-usage-types.ts';
import { WorkspaceFailure, type Workspaces } from './docker-workspace-types.ts';
import type { OneEngine } from './engine-types.ts';
import { findServices, launchOf, stateOf } from './swarm-found.ts';
import { ensureNodeGuard, guardedNodes, removeNodeGuard } from './swarm-guard.ts';
import {
  lastLinesOfService,
  refuses,
  removeDeployment,
  removeLaunch,
  requireAlive,
  startService,
} from './swarm-launch.ts';
import { lastLinesOf, serviceLogs, watchDeaths } from './swarm-logs.ts';
import { findOverlays } from './swarm-network.ts';
import { launchNodes, machineOf, nameOf } from './swarm-nodes.ts';
import type { Swarm } from './swarm-types.ts';

const pingMsMax = 2_000;
const answerMsMax = 10_000;
const readingMsMax = 4_000;

export type SwarmOptions = DockerOptions & {
  /** What goes before the name of an image in the registry, such as `registry.example.org:5000/team/`. */
  readonly registry: string | undefined;
  /** Of all its nodes. */
  readonly labels: Readonly<Record<string, string>>;
};

export function openSwarm({ registry, labels, ...options }: SwarmOptions): OneEngine {
  const opened = engineOf(options);
  const { engine, connection } = opened;
  const api = new Dockerode({ ...connection, timeout: answerMsMax });
  const swarm: Swarm = { engine, api, registry };
  const docker = dockerOn(opened);
  return {
    ...docker,
    async ping() {
      const answer = await docker.ping();
      return answer.ok ? await managerAnswer(connection) : answer;
    },
    machine: () => machineOf(swarm),
    refuses: request => refuses(swarm, labels, request),
    startContainer: request => startService(swarm, labels, request),
    waitUntilReady: request =>
      waitUntilWell(request, {
        // The swarm has asked it before it said that the app is running.
        command: () => undefined,
        requireAlive: () => requireAlive(swarm, request.containerId),
        lastLines: () => lastLinesOfService(swarm, request.containerId),
      }),
    removeDeployment: (launchId, deployment) => removeDeployment(swarm, launchId, deployment),
    removeLaunch: launchId => removeLaunch(swarm, launchId),
    listLaunches: async () => (await findServices(swarm)).map(found => launchOf(swarm, found)),
    listNetworks: () => findOverlays(swarm),
    usage: launchId => usageOf(swarm, launchId),
    containerLogs: (launchId, request) => serviceLogs(swarm, launchId, request),
    lastLines: (launchId, deployment) => lastLinesOf(swarm, launchId, deployment),
    watchDeaths: signal => watchDeaths(swarm, signal),
    guard: () => ensureNodeGuard(swarm),
    unguard: () => removeNodeGuard(swarm),
    protect: () => protect(swarm),
    workspaces: noWorkspaces,
  };
}

/** Whether it is a manager, of a swarm that has a leader. */
async function managerAnswer(connection: Dockerode.DockerOptions): Promise<EngineAnswer> {
  try {
    await new Dockerode({ ...connection, timeout: pingMsMax }).listNodes();
    return { ok: true };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: `The manager of the swarm does not answer for it: ${why.trim()}` };
  }
}

/** Nodes that could run launches and are not guarded. */
async function protect(swarm: Swarm): Promise<EngineAnswer> {
  try {
    await ensureNodeGuard(swarm);
    const nodes = await launchNodes(swarm);
    const { nodes: guarded, whyNot } = await guardedNodes(swarm, nodes);
    const open = nodes.filter(({ ID }) => !guarded.has(ID) && whyNot.has(ID));
    if (open.length === 0) return { ok: true };
    const reasons = open.map(node => `the node ${nameOf(node)} is not guarded: ${whyNot.get(node.ID)}`);
    return { ok: false, reason: reasons.join('; ') };
  } catch (error) {
    if (error instanceof LaunchFailure) return { ok: false, reason: error.reason };
    throw error;
  }
}

/** Only the engine of a node can read what its containers use, and of these the manager's alone can be asked. */
async function usageOf(swarm: Swarm, launchId?: string): Promise<ContainerUsage[]> {
  const { api } = swarm;
  const { Swarm: own } = await api.info();
  const readings = (await findServices(swarm, launchId)).map(async found => {
    const containerId = found.task?.Status.ContainerStatus?.ContainerID;
    if (containerId === undefined || stateOf(found) !== 'running') return [];
    if (found.task?.NodeID !== own?.NodeID) return [];
    const options = { stream: false, 'one-shot': true, abortSignal: AbortSignal.timeout(readingMsMax) };
    const stats = await api
      .getContainer(containerId)
      .stats(options as { stream: false })
      .catch(() => undefined);
    const reading = stats === undefined ? undefined : usageIn(stats, launchOf(swarm, found));
    return reading === undefined ? [] : [reading];
  });
  return (await Promise.all(readings)).flat();
}

const noFolders = async () => {
  throw new WorkspaceFailure('A swarm keeps no files');
};

const noWorkspaces: Workspaces = {
  prepare: noFolders,
  async *pack() {
    yield await noFolders();
  },
  unpack: noFolders,
  freeze: noFolders,
  stateOf: noFolders,
  thaw: noFolders,
  frozen: async () => [],
  weigh: async () => [],
  list: async () => [],
  remove: async () => undefined,
};
