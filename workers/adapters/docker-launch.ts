/**
 * Launches: one confined container each. A container has the name of its launch, and the engine gives a name
 * out once only, so that two workers with the same job end up with one container.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import {
  containerName,
  findContainer,
  findContainers,
  isStatus,
  listNetworks,
  unless,
} from './docker-found.ts';
import { lastLinesOf } from './docker-logs.ts';
import {
  type Engine,
  LaunchFailure,
  labelOf,
  type StartContainerRequest,
  type StartedContainer,
} from './docker-types.ts';

/** Published here and nowhere else; the way in is the preview proxy. */
const publishAddress = '127.0.0.1';
const networkName = 'apphub-launches';
const stopGraceSeconds = 5;
const logBytesMax = '10m';
const logFilesMax = '2';
const openFilesMax = 4_096;
const reasonCharsMax = 500;
const nameAttemptsMax = 40;
const namePauseMs = 50;

export async function startContainer(
  engine: Engine,
  request: StartContainerRequest,
): Promise<StartedContainer> {
  try {
    const container = engine.api.getContainer(await ensureContainer(engine, request));
    const { State: state } = await container.inspect();
    // 304: somebody else started it in between.
    if (state.Status === 'created') await container.start().catch(unless(304));
    return await portOf(engine, request, container);
  } catch (error) {
    if (error instanceof LaunchFailure || !isStatus(error, 400, 404, 500)) throw error;
    throw await startFailure(engine, request, error);
  }
}

async function portOf(
  engine: Engine,
  { launchId, deployment, port }: StartContainerRequest,
  container: Dockerode.Container,
): Promise<StartedContainer> {
  const { Id: containerId, NetworkSettings: network, State: state } = await container.inspect();
  const hostPort = Number(network.Ports[`${port}/tcp`]?.[0]?.HostPort ?? 0);
  if (state.Running && hostPort > 0) {
    return { containerId, engine: engine.name, host: publishAddress, hostPort };
  }
  throw new LaunchFailure(endOf(state), {
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    lastLines: await lastLinesOf(engine, launchId, deployment),
  });
}

/** What shells, the container's init and the kernel mean by an exit code. */
const meaningOf: Readonly<Record<number, string>> = {
  126: 'its command cannot be executed',
  127: 'its command was not found',
  137: 'it was killed',
  139: 'it touched memory that is not its own',
};

/** How a container ended, in a sentence. */
export function endOf(state: { ExitCode: number; OOMKilled: boolean; Error?: string }): string {
  if (state.OOMKilled) return 'The app used more memory than it may and was killed';
  if (state.Error) return state.Error.slice(0, reasonCharsMax);
  const meaning = meaningOf[state.ExitCode];
  return `The app ended by itself with exit code ${state.ExitCode}${meaning === undefined ? '' : `: ${meaning}`}`;
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
  // Another process makes the network at the same time.
  const isAmbiguous = /network \S+ is ambiguous/.test(message);
  const reason = missing ? 'The image of this build is no longer there' : message.slice(0, reasonCharsMax);
  const lastLines = await lastLinesOf(engine, launchId, deployment).catch(() => []);
  await removeDeployment(engine, launchId, deployment);
  return new LaunchFailure(reason, {
    lastLines,
    retryable: !missing && !command && (!isStatus(error, 400) || isAmbiguous),
    cause: error,
  });
}

/**
 * Finds the container or makes it. The engine reserves a name before it can be looked up, and keeps it for a
 * moment while a container goes: then it is asked again.
 */
async function ensureContainer(engine: Engine, request: StartContainerRequest): Promise<string> {
  const { launchId, deployment } = request;
  const name = containerName(launchId, deployment);
  for (let attempt = 1; ; attempt += 1) {
    const found = await findContainer(engine, launchId, deployment);
    if (found !== undefined) return found.containerId;
    try {
      const network = await ensureNetwork(engine);
      return (await engine.api.createContainer(containerOptions(engine, request, name, network))).id;
    } catch (error) {
      if (!isStatus(error, 409) || attempt === nameAttemptsMax) throw error;
    }
    await wait(namePauseMs);
  }
}

function containerOptions(
  engine: Engine,
  request: StartContainerRequest,
  name: string,
  network: string,
): Dockerode.ContainerCreateOptions {
  const { port, memoryBytes } = request;
  const given = request.env.map(({ key, value }) => `${key}=${value}`);
  const hasPort = request.env.some(({ key }) => key === 'PORT');
  return {
    name,
    Image: request.image,
    Env: hasPort ? given : [`PORT=${port}`, ...given],
    ExposedPorts: { [`${port}/tcp`]: {} },
    Labels: {
      ...request.labels,
      [labelOf.instance]: engine.instance,
      [labelOf.app]: request.appId,
      [labelOf.build]: request.buildId,
      [labelOf.launch]: request.launchId,
      [labelOf.deployment]: String(request.deployment),
      [labelOf.event]: request.eventId,
    },
    HostConfig: {
      Memory: memoryBytes,
      MemorySwap: memoryBytes,
      NanoCpus: Math.round(request.cpus * 1e9),
      PidsLimit: request.pidsMax,
      Ulimits: [{ Name: 'nofile', Soft: openFilesMax, Hard: openFilesMax }],
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      IpcMode: 'private',
      Init: true,
      NetworkMode: network,
      PortBindings: { [`${port}/tcp`]: [{ HostIp: publishAddress, HostPort: '' }] },
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': logBytesMax, 'max-file': logFilesMax } },
    },
  };
}

const networks = new WeakMap<Engine, Promise<string>>();

/**
 * One bridge for all launches, on which containers cannot talk to each other. One for each launch would end at
 * about thirty: the engine has no more address ranges to give out by default. One at a time in a process.
 */
function ensureNetwork(engine: Engine): Promise<string> {
  const underWay = networks.get(engine);
  if (underWay !== undefined) return underWay;
  const made = makeNetwork(engine).finally(() => networks.delete(engine));
  networks.set(engine, made);
  return made;
}

/** Two processes that ask the engine at once both get a network of this name, and then the name is good for neither. */
async function makeNetwork(engine: Engine): Promise<string> {
  const name = `${networkName}-${engine.instance}`;
  let found = await networksOf(engine, name);
  if (found.length === 0) {
    const options = {
      Name: name,
      Driver: 'bridge',
      CheckDuplicate: true,
      Options: { 'com.docker.network.bridge.enable_icc': 'false' },
      Labels: { [labelOf.instance]: engine.instance },
    };
    await engine.api.createNetwork(options).catch(unless(409));
    found = await networksOf(engine, name);
  }
  const [oldest, ...others] = found;
  let isUsed = false;
  for (const other of others) isUsed = !(await removeNetwork(engine, other)) || isUsed;
  if (oldest !== undefined && isUsed) await removeNetwork(engine, oldest);
  return name;
}

/** Those of exactly this name, the oldest first: each process has the same order. */
async function networksOf(engine: Engine, name: string): Promise<string[]> {
  const similar = await engine.api.listNetworks({ filters: { name: [name] } });
  return similar
    .filter(({ Name }) => Name === name)
    .map(({ Id, Created }) => ({ id: Id, order: `${Created} ${Id}` }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .map(({ id }) => id);
}

/** False: containers are on it. */
async function removeNetwork(engine: Engine, id: string): Promise<boolean> {
  try {
    await engine.api.getNetwork(id).remove();
    return true;
  } catch (error) {
    if (isStatus(error, 403)) return false;
    if (!isStatus(error, 404)) throw error;
    return true;
  }
}

export async function removeDeployment(engine: Engine, launchId: string, deployment: number): Promise<void> {
  const found = await findContainer(engine, launchId, deployment);
  if (found !== undefined) await removeContainer(engine, found.containerId);
}

export async function removeLaunch(engine: Engine, launchId: string): Promise<void> {
  const found = await findContainers(engine, launchId);
  await Promise.all(found.map(({ containerId }) => removeContainer(engine, containerId)));
  for (const network of await listNetworks(engine)) {
    if (network.launchId === launchId) await removeNetwork(engine, network.networkId);
  }
}

async function removeContainer(engine: Engine, containerId: string): Promise<void> {
  const container = engine.api.getContainer(containerId);
  // 304: it had stopped before; 404: it is gone.
  await container.stop({ t: stopGraceSeconds }).catch(unless(304, 404));
  // 409: somebody else is removing it right now.
  await container.remove({ force: true, v: true }).catch(unless(404, 409));
}
