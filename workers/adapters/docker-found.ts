/** Finding what a launch has on the engine, by the labels it was given; and what an answer of the engine means. */
import { labelOf } from './docker-labels.ts';
import type { Engine, FoundLaunch } from './docker-types.ts';
import type { FoundNetwork } from './docker-usage-types.ts';

const swarmLabel = 'com.docker.swarm.service.id';
const launchIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** True for an answer of the engine with one of these statuses; 404 is that the thing asked for is not there. */
export function isStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof Error && 'statusCode' in error && statuses.includes(Number(error.statusCode));
}

/** For `.catch`: these answers say that it is done already. */
export function unless(...statuses: number[]): (error: unknown) => void {
  return error => {
    if (!isStatus(error, ...statuses)) throw error;
  };
}

/** The engine gives a name out once only: two workers with the same job end up with one container. */
export function containerName(launchId: string, deployment: number): string {
  if (!launchIdPattern.test(launchId)) throw new Error(`not the id of a launch: ${JSON.stringify(launchId)}`);
  return `apphub-${launchId}-${deployment}`;
}

/** Containers from before deployments had numbers carry none: they were all the first. */
export function deploymentOf(labels: Readonly<Record<string, string>>): number {
  return Number(labels[labelOf.deployment] ?? 1);
}

/** Where the engine is also a node of a swarm: what runs there for the swarm is looked after by its manager. */
export const isOfSwarm = (labels: Readonly<Record<string, string>>) => labels[swarmLabel] !== undefined;

/** Every container of this installation, or of one of its launches; the newest deployment first. */
export async function findContainers(engine: Engine, launchId?: string): Promise<FoundLaunch[]> {
  const launch = launchId === undefined ? labelOf.launch : `${labelOf.launch}=${launchId}`;
  const label = [`${labelOf.instance}=${engine.instance}`, launch];
  const containers = await engine.api.listContainers({ all: true, filters: { label } });
  return containers
    .filter(({ Labels: labels }) => !isOfSwarm(labels))
    .map(
      ({ Id: containerId, Labels: labels, State, Ports: ports, Created }): FoundLaunch => ({
        launchId: labels[labelOf.launch] ?? '',
        deployment: deploymentOf(labels),
        appId: labels[labelOf.app] ?? '',
        buildId: labels[labelOf.build] ?? '',
        eventId: labels[labelOf.event] ?? null,
        containerId,
        engine: engine.name,
        // One that stands still for a moment is alive.
        state: State === 'paused' ? 'running' : State === 'running' || State === 'created' ? State : 'ended',
        hostPort: ports.find(({ PublicPort }) => PublicPort !== undefined)?.PublicPort ?? null,
        memoryBytes: Number(labels[labelOf.memory] ?? 0),
        cpus: Number(labels[labelOf.cpus] ?? 0),
        startedAt: new Date(Created * 1_000).toISOString(),
      }),
    )
    .sort((a, b) => b.deployment - a.deployment);
}

/** The container of this deployment, or of the newest. */
export async function findContainer(
  engine: Engine,
  launchId: string,
  deployment?: number,
): Promise<FoundLaunch | undefined> {
  const found = await findContainers(engine, launchId);
  return deployment === undefined ? found[0] : found.find(each => each.deployment === deployment);
}

/** Every network that was made for a launch of this installation. */
export async function listNetworks(engine: Engine): Promise<FoundNetwork[]> {
  const label = [`${labelOf.instance}=${engine.instance}`, labelOf.launch];
  const networks = await engine.api.listNetworks({ filters: { label, scope: ['local'] } });
  return networks.map(({ Id: networkId, Labels: labels = {} }) => ({
    launchId: labels[labelOf.launch] ?? '',
    networkId,
    engine: engine.name,
    eventId: labels[labelOf.event] ?? null,
  }));
}
