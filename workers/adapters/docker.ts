/**
 * The one door to the Docker engine: images are built and containers run behind it, and nowhere else.
 *
 * Every image, container and network made here carries labels that say what it was made for. After a crash
 * the effect is found again by its label instead of being done twice.
 */
import Dockerode from 'dockerode';
import type { Log } from '../../platform/log.ts';
import type { EgressProxy } from '../egress/egress-proxy.ts';
import { buildImage, findImage, papersOf, planBuild } from './docker-build.ts';
import { findContainers, listNetworks } from './docker-found.ts';
import { ensureHostGuard, removeHostGuard } from './docker-host-guard.ts';
import { engineStore } from './docker-images.ts';
import { removeDeployment, removeLaunch, startContainer } from './docker-launch.ts';
import { containerLogs, lastLinesOf, watchDeaths } from './docker-logs.ts';
import { protect } from './docker-protect.ts';
import { waitUntilReady } from './docker-ready.ts';
import { pullImage, pushImage } from './docker-registry.ts';
import { endOrphanedSteps, listBuildSteps, removeBuildStep } from './docker-steps.ts';
import type { BuildSettings, Docker, Engine, EngineAnswer, EngineSandbox } from './docker-types.ts';
import { workspacesOf } from './docker-workspace.ts';

const pingMsMax = 2_000;
const socketDefault = '/var/run/docker.sock';
const cgroupRoot = '/sys/fs/cgroup';

export type DockerOptions = {
  /** As in DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
  readonly host?: string | undefined;
  /** Whose containers these are, where several installations share one engine. */
  readonly instance?: string | undefined;
  readonly builds?: Omit<BuildSettings, 'cgroups'> | undefined;
  /** What is not given is as it is by default. */
  readonly sandbox?: Partial<EngineSandbox> | undefined;
  /** Needed by a process that starts launches which may reach hosts outside. */
  readonly egress?: EgressProxy | undefined;
  readonly log: Log;
};

const sandboxDefault: EngineSandbox = {
  subnets: '10.213.0.0/16',
  bridgePrefix: 'ahl',
  hostGuard: true,
  egressPort: 4_128,
  publish: undefined,
};

/** Opens the engine without asking it anything. A host that cannot be read throws at once. */
export function openDocker({
  host,
  instance = 'apphub',
  builds,
  sandbox,
  egress,
  log,
}: DockerOptions): Docker {
  const address = host === undefined || host === '' ? `unix://${socketDefault}` : host;
  const engine: Engine = {
    api: new Dockerode(connectionOf(address)),
    name: 'default',
    address,
    instance,
    sandbox: { ...sandboxDefault, ...sandbox },
    egress,
    log,
    builds: { buildkit: 'auto', ...builds, ...(address.startsWith('unix:') ? { cgroups: cgroupRoot } : {}) },
  };
  return {
    ping: () => ping(address),
    machine: async () => {
      const { NCPU: cpus, MemTotal: memoryBytes } = await engine.api.info();
      return { cpus, memoryBytes };
    },
    planBuild: request => planBuild(engine, request),
    buildImage: request => buildImage(engine, request),
    papersOf: plan => papersOf(engine, plan),
    listBuildSteps: () => listBuildSteps(engine),
    removeBuildStep: containerId => removeBuildStep(engine, containerId),
    endOrphanedSteps: () => endOrphanedSteps(engine),
    pushImage: request => pushImage(engine, request),
    pullImage: (image, signal) => pullImage(engine, image, signal),
    findImage: (labels, tag) => findImage(engine, labels, tag),
    startContainer: request => startContainer(engine, request),
    waitUntilReady: request => waitUntilReady(engine, request),
    removeDeployment: (launchId, deployment) => removeDeployment(engine, launchId, deployment),
    removeLaunch: launchId => removeLaunch(engine, launchId),
    listLaunches: () => findContainers(engine),
    listNetworks: () => listNetworks(engine),
    containerLogs: (launchId, request) => containerLogs(engine, launchId, request),
    guard: () => ensureHostGuard(engine),
    unguard: () => removeHostGuard(engine),
    protect: () => protect(engine),
    lastLines: (launchId, deployment) => lastLinesOf(engine, launchId, deployment),
    watchDeaths: signal => watchDeaths(engine, signal),
    ...engineStore(engine),
    workspaces: workspacesOf(engine),
  };
}

function connectionOf(address: string): Dockerode.DockerOptions {
  if (address.startsWith('unix://')) return { socketPath: address.slice('unix://'.length) };
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 'tcp:' && url?.protocol !== 'http:') {
    throw new Error(`DOCKER_HOST is unix:///path or tcp://host:port, not ${address}`);
  }
  return { protocol: 'http', host: url.hostname, port: url.port === '' ? 2375 : Number(url.port) };
}

async function ping(address: string): Promise<EngineAnswer> {
  const before = performance.now();
  try {
    await new Dockerode({ ...connectionOf(address), timeout: pingMsMax }).ping();
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: sentenceOf(error, address, performance.now() - before >= pingMsMax) };
  }
}

function sentenceOf(error: unknown, address: string, late: boolean): string {
  if (late) return `The Docker engine at ${address} did not answer within ${pingMsMax / 1000} s`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return `There is no Docker engine at ${address}`;
    case 'EACCES':
    case 'EPERM':
      return `This user may not use the Docker engine at ${address}`;
    case 'ECONNREFUSED':
      return `Nothing answers at ${address}: the Docker engine is not running`;
    case 'ENOTFOUND':
    case 'EHOSTUNREACH':
      return `The host of the Docker engine ${address} cannot be reached`;
    default:
      return `The Docker engine at ${address} does not work: ${error instanceof Error ? error.message : error}`;
  }
}
