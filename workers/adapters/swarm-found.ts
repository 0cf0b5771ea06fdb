/**
 * What launches have in a swarm, found by the labels of their services. A service has one task and is never started again, so
 * that it is what a container is on an engine: it is there from its making on, and its id names it.
 */

import { endOf } from './docker-end.ts';
import { deploymentOf } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import type { ContainerDeath, FoundLaunch } from './docker-types.ts';
import {
  byLabels,
  comingStates,
  type Swarm,
  type SwarmNode,
  type SwarmService,
  type SwarmTask,
} from './swarm-types.ts';

const reasonCharsMax = 500;
const killed = 137;
const firstTaskMsMax = 60_000;

/** A service with its task, and the node that this is on. */
export type FoundService = {
  readonly service: SwarmService;
  /** Undefined: the manager has not made it yet. */
  readonly task: SwarmTask | undefined;
  readonly node: SwarmNode | undefined;
};

/** Every service of a launch of this installation, or of one launch; the newest deployment first. */
export async function findServices({ engine, api }: Swarm, launchId?: string): Promise<FoundService[]> {
  const { instance } = engine;
  const launch = launchId === undefined ? labelOf.launch : `${labelOf.launch}=${launchId}`;
  const labels = byLabels(`${labelOf.instance}=${instance}`, launch);
  // Tasks after services: one that is made in between is missing, and not one that is said to have none.
  const services = (await api.listServices(labels)) as SwarmService[];
  if (services.length === 0) return [];
  const [tasks, nodes]: [SwarmTask[], SwarmNode[]] = await Promise.all([
    api.listTasks(labels),
    api.listNodes(),
  ]);
  return services
    .map(service => {
      const task = taskOf(service, tasks);
      return { service, task, node: nodes.find(({ ID }) => ID === task?.NodeID) };
    })
    .sort((a, b) => deploymentOf(b.service.Spec.Labels) - deploymentOf(a.service.Spec.Labels));
}

/** The first that there was. */
function taskOf({ ID: serviceId }: SwarmService, tasks: readonly SwarmTask[]): SwarmTask | undefined {
  const own = tasks.filter(({ ServiceID }) => ServiceID === serviceId);
  return own.sort((a, b) => a.CreatedAt.localeCompare(b.CreatedAt))[0];
}

export async function findService(
  swarm: Swarm,
  launchId: string,
  deployment?: number,
): Promise<FoundService | undefined> {
  const found = await findServices(swarm, launchId);
  if (deployment === undefined) return found[0];
  return found.find(({ service }) => deploymentOf(service.Spec.Labels) === deployment);
}

/**
 * Where a node is taken out of the swarm by force its tasks are forgotten, and the swarm makes others: elsewhere, and without
 * being asked to. A first task is there as soon as its service is.
 */
function isSecond({ service, task }: FoundService): boolean {
  if (task === undefined) return false;
  return Date.parse(task.CreatedAt) - Date.parse(service.CreatedAt) > firstTaskMsMax;
}

export function stateOf(found: FoundService): FoundLaunch['state'] {
  const { task, node } = found;
  if (task === undefined) return 'created';
  if (isSecond(found)) return 'ended';
  const { State: state } = task.Status;
  // What the manager last heard of a node that is down.
  const isLost = node?.Status.State === 'down' && task.NodeID !== undefined;
  if (isLost || ['shutdown', 'remove'].includes(task.DesiredState)) return 'ended';
  if (comingStates.includes(state)) return 'created';
  return state === 'running' ? 'running' : 'ended';
}

/** How a task ended, in words. */
export function deathOf(
  found: FoundService,
): Omit<ContainerDeath, 'launchId' | 'deployment' | 'containerId'> {
  const { task, node, service } = found;
  const { State: state, Err: error = '', ContainerStatus: container } = task?.Status ?? { State: 'remove' };
  const name = node?.Description?.Hostname ?? node?.ID ?? '';
  if (node?.Status.State === 'down') {
    return { reason: `The node ${name} of the swarm is away`, exitCode: -1, oomKilled: false };
  }
  if (isSecond(found)) {
    return { reason: 'The node of the app was taken out of the swarm', exitCode: -1, oomKilled: false };
  }
  const exitCode = container?.ExitCode ?? -1;
  if (state === 'rejected' || state === 'orphaned' || exitCode === -1) {
    const said = error === '' ? 'The swarm has taken the app off its node' : error;
    return { reason: said.slice(0, reasonCharsMax), exitCode, oomKilled: false };
  }
  if (/unhealthy/i.test(error)) {
    return {
      reason: 'The app was not healthy by its HEALTHCHECK, and was ended',
      exitCode,
      oomKilled: false,
    };
  }
  const reason = endOf({ ExitCode: exitCode, OOMKilled: false }, service.Spec.Labels);
  // The manager is told the exit code and nothing else.
  const perhaps = exitCode === killed ? ', as it is for more memory than it may use' : '';
  return { reason: `${reason}${perhaps}`, exitCode, oomKilled: false };
}

/**
 * The port of its node that leads to it. A manager that was away for a moment may have forgotten it (20.10 does: the node says
 * again that the task runs, and not where), so it is written down at the service as well.
 */
export function hostPortOf({ service, task }: FoundService): number | undefined {
  const kept = service.Spec.Labels[labelOf.port];
  return (
    task?.Status.PortStatus?.Ports?.[0]?.PublishedPort ?? (kept === undefined ? undefined : Number(kept))
  );
}

export function launchOf(swarm: Swarm, found: FoundService): FoundLaunch {
  const { service } = found;
  const { Labels: labels } = service.Spec;
  return {
    launchId: labels[labelOf.launch] ?? '',
    deployment: deploymentOf(labels),
    appId: labels[labelOf.app] ?? '',
    buildId: labels[labelOf.build] ?? '',
    eventId: labels[labelOf.event] ?? null,
    containerId: service.ID,
    engine: swarm.engine.name,
    state: stateOf(found),
    hostPort: hostPortOf(found) ?? null,
    memoryBytes: Number(labels[labelOf.memory] ?? 0),
    cpus: Number(labels[labelOf.cpus] ?? 0),
    startedAt: service.CreatedAt,
  };
}
