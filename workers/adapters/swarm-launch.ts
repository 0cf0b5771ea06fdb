/**
 * Launches in a swarm: one service with one task for each deployment. A service has the name of its deployment, and the manager
 * gives a name out once only, so that two workers with the same job end up with one service.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { containerName, deploymentOf, isStatus, unless } from './docker-found.ts';
import { imageFacts } from './docker-image-facts.ts';
import { labelOf } from './docker-labels.ts';
import { pullImage } from './docker-registry.ts';
import { imageOf } from './docker-transfer.ts';
import {
  LaunchFailure,
  type PushedImage,
  type StartContainerRequest,
  type StartedContainer,
} from './docker-types.ts';
import { NoEngine } from './engine-types.ts';
import { deathOf, type FoundService, findService, findServices, hostPortOf, stateOf } from './swarm-found.ts';
import { noRegistry } from './swarm-guard.ts';
import { lastLinesOf } from './swarm-logs.ts';
import { ensureOverlay, removeOverlays } from './swarm-network.ts';
import { addressOf, constraintsFor, hasPlaceFor } from './swarm-nodes.ts';
import { notAsService, serviceOptions } from './swarm-service.ts';
import { comingStates, isTaken, type Swarm, type SwarmTask } from './swarm-types.ts';

const lookEveryMs = 100;
/** Its image comes to the node meanwhile, and it is well by its HEALTHCHECK. */
const startMsMax = 300_000;
/** A task that no node has room for. */
const pendingMsMax = 5_000;
/** One that runs, and nobody knows where. */
const portlessMsMax = 10_000;
const goneMsMax = 20_000;
const nameAttemptsMax = 40;
const namePauseMs = 50;
const intervalDefault = 30e9;

/** Why the swarm will never run it; what only may change by itself is no reason. */
export async function refuses(
  swarm: Swarm,
  labels: Readonly<Record<string, string>>,
  request: StartContainerRequest,
): Promise<string | undefined> {
  const refusal = notAsService(request);
  if (refusal !== undefined) return refusal;
  if (!(await hasPlaceFor(swarm, request, labels))) return 'No node of the swarm has such labels';
  return (await pushedOf(swarm, request)) === undefined ? noRegistry : undefined;
}

async function pushedOf(
  { registry }: Swarm,
  { inRegistry }: StartContainerRequest,
): Promise<PushedImage | undefined> {
  return registry === undefined ? undefined : await inRegistry?.();
}

export async function startService(
  swarm: Swarm,
  labels: Readonly<Record<string, string>>,
  request: StartContainerRequest,
): Promise<StartedContainer> {
  const { launchId, deployment } = request;
  for (let attempt = 1; ; attempt += 1) {
    const found = await findService(swarm, launchId, deployment);
    if (found !== undefined) return await placeOf(swarm, request);
    try {
      await create(swarm, labels, request);
      return await placeOf(swarm, request);
    } catch (error) {
      // A name is somebody's for a moment before its service can be found.
      if (!isTaken(error) || attempt === nameAttemptsMax) throw error;
    }
    await wait(namePauseMs);
  }
}

async function create(
  swarm: Swarm,
  labels: Readonly<Record<string, string>>,
  request: StartContainerRequest,
): Promise<void> {
  const { engine } = swarm;
  const pushed = await pushedOf(swarm, request);
  if (pushed === undefined) throw new LaunchFailure(noRegistry);
  await bringToManager(swarm, request.image, pushed);
  const [constraints, image, healthInterval] = await Promise.all([
    constraintsFor(swarm, request, labels),
    imageFacts(engine, request.image),
    healthIntervalOf(swarm, request.image),
  ]);
  const name = containerName(request.launchId, request.deployment);
  const own = { request, image, healthInterval, pushed, instance: engine.instance, name, constraints };
  // What is refused leaves no network behind.
  serviceOptions({ ...own, networkId: '' });
  const options = serviceOptions({ ...own, networkId: await ensureOverlay(swarm, request) });
  const { auth } = engine.builds;
  await (auth === undefined
    ? swarm.api.createService(options)
    : swarm.api.createService({ ...auth, serveraddress: auth.host }, options));
}

/** There it is looked into; each node fetches it for itself. */
async function bringToManager({ engine }: Swarm, image: string, pushed: PushedImage): Promise<void> {
  if ((await imageOf(engine, image)) !== undefined) return;
  const { imageId } = await pullImage(engine, pushed, AbortSignal.timeout(startMsMax));
  if (!image.startsWith('sha256:') || imageId === image) return;
  throw new LaunchFailure(`${pushed.repository}@${pushed.digest} is not the image that was built`);
}

async function healthIntervalOf({ engine }: Swarm, image: string): Promise<number | undefined> {
  const { Config: config } = await engine.api.getImage(image).inspect();
  const { Test: test, Interval: interval } = (
    config as { Healthcheck?: { Test?: string[] | null; Interval?: number } | null }
  ).Healthcheck ?? { Test: null };
  const kind = test?.[0];
  return kind === undefined || kind === 'NONE' ? undefined : interval || intervalDefault;
}

/** Waits until it runs, and for the engine of its node to say at which port. */
async function placeOf(swarm: Swarm, request: StartContainerRequest): Promise<StartedContainer> {
  const { launchId, deployment } = request;
  const begun = performance.now();
  let pendingSince: number | undefined;
  let portlessSince: number | undefined;
  for (;;) {
    const found = await findService(swarm, launchId, deployment);
    if (found === undefined) throw new LaunchFailure('The service was removed');
    const place = runningAt(swarm, found);
    if (place !== undefined) {
      await keepPort(swarm, found, place.hostPort);
      return place;
    }
    if (stateOf(found) === 'ended') throw await failureOf(swarm, found);
    const now = performance.now();
    pendingSince = found.task?.Status.State === 'pending' ? (pendingSince ?? now) : undefined;
    if (pendingSince !== undefined && now - pendingSince > pendingMsMax) {
      const why = found.task?.Status.Err ?? 'it has no room';
      await removeDeployment(swarm, launchId, deployment);
      throw new NoEngine(`No node of the swarm takes it at present: ${why}`);
    }
    portlessSince = stateOf(found) === 'running' ? (portlessSince ?? now) : undefined;
    if (portlessSince !== undefined && now - portlessSince > portlessMsMax) {
      await removeDeployment(swarm, launchId, deployment);
      throw new NoEngine('The swarm does not say at which port it runs');
    }
    if (now - begun > startMsMax) {
      const lastLines = await lastLinesOf(swarm, launchId, deployment);
      await removeDeployment(swarm, launchId, deployment);
      throw new LaunchFailure(`The swarm has not started it within ${startMsMax / 1_000} s`, { lastLines });
    }
    await wait(lookEveryMs);
  }
}

/** Labels of a service are not those of its task, which goes on. Of several who do it at once one succeeds. */
async function keepPort({ api }: Swarm, { service }: FoundService, hostPort: number): Promise<void> {
  if (service.Spec.Labels[labelOf.port] !== undefined) return;
  const handle = api.getService(service.ID);
  const { Version: version, Spec: spec } = await handle.inspect();
  const labels = { ...spec.Labels, [labelOf.port]: String(hostPort) };
  await handle.update({ version: Number(version.Index), ...spec, Labels: labels }).catch((error: unknown) => {
    if (!/out of sequence/i.test(String(error))) throw error;
  });
}

function runningAt({ engine }: Swarm, found: FoundService): StartedContainer | undefined {
  const { service, node } = found;
  const hostPort = hostPortOf(found);
  const host = node === undefined ? undefined : addressOf(node);
  if (stateOf(found) !== 'running' || hostPort === undefined || host === undefined) return undefined;
  return { containerId: service.ID, engine: engine.name, host, hostPort };
}

/** What never came to be a container is in nobody's way. */
async function failureOf(swarm: Swarm, found: FoundService): Promise<LaunchFailure> {
  const labels = found.service.Spec.Labels;
  const [launchId = '', deployment] = [labels[labelOf.launch], deploymentOf(labels)];
  const { reason, exitCode, oomKilled } = deathOf(found);
  const lastLines = await lastLinesOf(swarm, launchId, deployment);
  const isRejected = found.task?.Status.State === 'rejected';
  const isRepository = /executable file not found|permission denied|no such file|exec format/i.test(reason);
  if (isRejected) await removeDeployment(swarm, launchId, deployment);
  return new LaunchFailure(reason, {
    exitCode: exitCode === -1 ? null : exitCode,
    oomKilled,
    lastLines,
    retryable: isRejected && !isRepository,
  });
}

/** Throws where it does not run any more; by the id that `startService` has given. */
export async function requireAlive(swarm: Swarm, serviceId: string): Promise<void> {
  const found = (await findServices(swarm)).find(({ service }) => service.ID === serviceId);
  if (found === undefined) throw new LaunchFailure('The service was removed');
  if (stateOf(found) === 'ended') throw await failureOf(swarm, found);
}

export async function lastLinesOfService(swarm: Swarm, serviceId: string): Promise<string[]> {
  const found = (await findServices(swarm)).find(({ service }) => service.ID === serviceId);
  const labels = found?.service.Spec.Labels;
  return labels === undefined ? [] : lastLinesOf(swarm, labels[labelOf.launch] ?? '', deploymentOf(labels));
}

export async function removeDeployment(swarm: Swarm, launchId: string, deployment: number): Promise<void> {
  const found = await findService(swarm, launchId, deployment);
  if (found !== undefined) await removeServices(swarm, [found]);
}

/** The network goes last: what is left behind by a crash is found by it, and removed with it. */
export async function removeLaunch(swarm: Swarm, launchId: string): Promise<void> {
  await removeServices(swarm, await findServices(swarm, launchId));
  await removeOverlays(swarm, launchId);
}

/** Done once no container is left on any node that answers; a node that comes back removes what it still has by itself. */
async function removeServices({ api }: Swarm, found: readonly FoundService[]): Promise<void> {
  for (const { service } of found) await api.getService(service.ID).remove().catch(unless(404));
  const until = performance.now() + goneMsMax;
  for (const { task, node } of found) {
    if (task === undefined || node?.Status.State === 'down') continue;
    while (await isStillThere(task)) {
      if (performance.now() > until) throw new NoEngine('A node of the swarm does not end what it runs');
      await wait(lookEveryMs);
    }
  }
  async function isStillThere({ ID: taskId }: SwarmTask): Promise<boolean> {
    try {
      const { Status: status }: SwarmTask = await api.getTask(taskId).inspect();
      return status.State === 'running' || comingStates.slice(3).includes(status.State);
    } catch (error) {
      if (isStatus(error, 404)) return false;
      throw error;
    }
  }
}
