/**
 * Launches: one confined container for each deployment, on the network of its launch. A container has the name of its
 * deployment, and the engine gives a name out once only, so that two workers with the same job end up with one container.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import { containerOptions, type Plug } from './docker-confine.ts';
import { ensureWayOut } from './docker-egress.ts';
import { endOf, inspectSettled } from './docker-end.ts';
import { engineFacts } from './docker-engine-facts.ts';
import { containerName, findContainer, findContainers, isStatus, unless } from './docker-found.ts';
import { ensureHostGuard } from './docker-host-guard.ts';
import { imageFacts } from './docker-image-facts.ts';
import { labelOf } from './docker-labels.ts';
import { lastLinesOf } from './docker-logs.ts';
import { ensureNetwork, isWithinReach, type LaunchNetwork, removeNetworks } from './docker-network.ts';
import { reachOf } from './docker-reach.ts';
import {
  type Engine,
  LaunchFailure,
  type StartContainerRequest,
  type StartedContainer,
} from './docker-types.ts';

const stopGraceSeconds = 5;
const reasonCharsMax = 500;
const nameAttemptsMax = 40;
const namePauseMs = 50;

export async function startContainer(
  engine: Engine,
  request: StartContainerRequest,
): Promise<StartedContainer> {
  const name = containerName(request.launchId, request.deployment);
  try {
    // The image is looked at meanwhile; and a network is not left to be made when that has failed.
    const [networks, images] = await Promise.allSettled([
      ensureNetwork(engine, request),
      imageFacts(engine, request.image),
    ]);
    const [image, network] = [outcomeOf(images), outcomeOf(networks)];
    const [{ publishAddress }, facts] = [await reachOf(engine), await engineFacts(engine)];
    await ensureHostGuard(engine);
    const plug = await plugOf(engine, network, publishAddress, request);
    const { instance } = engine;
    const options = () => containerOptions({ request, image, engine: facts, plug, instance, name });
    return await placeOf(engine, request, await ensureStarted(engine, request, options));
  } catch (error) {
    if (error instanceof LaunchFailure || !isStatus(error, 400, 404, 500)) throw error;
    throw await startFailure(engine, request, error);
  }
}

function outcomeOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

async function plugOf(
  engine: Engine,
  network: LaunchNetwork,
  publishAddress: string | undefined,
  { egress }: StartContainerRequest,
): Promise<Plug> {
  if (publishAddress === undefined && !isWithinReach(network)) {
    throw new LaunchFailure(
      'The networks of the engine cannot be seen from here; APPHUB_LAUNCH_PUBLISH has to name an address to publish at',
    );
  }
  if (egress.length > 0 && publishAddress !== undefined) {
    throw new LaunchFailure(
      'The app may reach hosts outside, which it can only on an engine of this machine',
    );
  }
  const egressProxy = await ensureWayOut(engine, network, egress);
  return { networkId: network.id, publishAddress, egressProxy };
}

async function placeOf(
  engine: Engine,
  { launchId, deployment, port }: StartContainerRequest,
  container: Dockerode.Container,
): Promise<StartedContainer> {
  const {
    Id: containerId,
    NetworkSettings: network,
    State: state,
    Config: config,
  } = await inspectSettled(container);
  const of = { containerId, engine: engine.name };
  const published = network.Ports[`${port}/tcp`]?.[0];
  if (state.Running && published !== undefined) {
    return { ...of, host: published.HostIp, hostPort: Number(published.HostPort) };
  }
  const address = Object.values(network.Networks)[0]?.IPAddress;
  if (state.Running && address) return { ...of, host: address, hostPort: port };
  throw new LaunchFailure(endOf(state, config.Labels), {
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    lastLines: await lastLinesOf(engine, launchId, deployment),
  });
}

/** Nothing else is left behind when a container cannot be started: a broken one would block its name. */
async function startFailure(
  engine: Engine,
  { launchId, deployment }: StartContainerRequest,
  error: unknown,
): Promise<LaunchFailure> {
  const message = error instanceof Error ? error.message.trim() : String(error);
  const missing = /no such image/i.test(message);
  // A command that is not in the image, or not executable: the repository's fault, and for ever.
  const command = /executable file not found|permission denied|no such file or directory|exec format/i.test(
    message,
  );
  const reason = missing ? 'The image of this build is no longer there' : message.slice(0, reasonCharsMax);
  const lastLines = await lastLinesOf(engine, launchId, deployment).catch(() => []);
  await removeDeployment(engine, launchId, deployment);
  return new LaunchFailure(reason, {
    lastLines,
    retryable: !missing && !command && !isStatus(error, 400),
    cause: error,
  });
}

/** The engine lists a container a moment before it knows it by its id: where it knows none, it is asked once more. */
async function ensureStarted(
  engine: Engine,
  request: StartContainerRequest,
  options: () => Dockerode.ContainerCreateOptions,
): Promise<Dockerode.Container> {
  for (let attempt = 1; ; attempt += 1) {
    const container = engine.api.getContainer(await ensureContainer(engine, request, options));
    try {
      const { State: state } = await container.inspect();
      // 304: somebody else started it in between.
      if (state.Status === 'created') await container.start().catch(unless(304));
      return container;
    } catch (error) {
      const isUnknown = isStatus(error, 404) && /no such container/i.test(String(error));
      if (!isUnknown || attempt === nameAttemptsMax) throw error;
    }
    await wait(namePauseMs);
  }
}

/**
 * Finds the container or makes it. The engine reserves a name before it can be looked up, and keeps it for a
 * moment while a container goes: then it is asked again.
 */
async function ensureContainer(
  engine: Engine,
  { launchId, deployment }: StartContainerRequest,
  options: () => Dockerode.ContainerCreateOptions,
): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await findContainer(engine, launchId, deployment);
    if (found !== undefined) return found.containerId;
    try {
      return (await engine.api.createContainer(options())).id;
    } catch (error) {
      if (!isStatus(error, 409) || attempt === nameAttemptsMax) throw error;
    }
    await wait(namePauseMs);
  }
}

export async function removeDeployment(engine: Engine, launchId: string, deployment: number): Promise<void> {
  const found = await findContainer(engine, launchId, deployment);
  if (found !== undefined) await removeContainer(engine, found.containerId);
  await removeCopies(engine, launchId, deployment);
}

/** The network goes last: what is left behind by a crash is found by it, and removed with it. */
export async function removeLaunch(engine: Engine, launchId: string): Promise<void> {
  const found = await findContainers(engine, launchId);
  await Promise.all(found.map(({ containerId }) => removeContainer(engine, containerId)));
  await removeCopies(engine, launchId);
  await engine.egress?.close(launchId);
  await removeNetworks(engine, launchId);
}

async function removeContainer(engine: Engine, containerId: string): Promise<void> {
  const container = engine.api.getContainer(containerId);
  // 304: it had stopped before; 404: it is gone.
  await container.stop({ t: stopGraceSeconds }).catch(unless(304, 404));
  // 409: somebody else is removing it right now.
  await container.remove({ force: true, v: true }).catch(unless(404, 409));
}

/** Volumes that were made of what an image has, for one deployment or for all of a launch. */
async function removeCopies(engine: Engine, launchId: string, deployment?: number): Promise<void> {
  const label = [`${labelOf.instance}=${engine.instance}`, `${labelOf.launch}=${launchId}`, labelOf.copy];
  if (deployment !== undefined) label.push(`${labelOf.deployment}=${deployment}`);
  const { Volumes: volumes } = await engine.api.listVolumes({ filters: { label } });
  for (const { Name: name } of volumes ?? []) {
    // 409: its container is going, or has come back; whoever removes that comes here again.
    await engine.api.getVolume(name).remove().catch(unless(404, 409));
  }
}
