/**
 * The one door to the Docker engine: images are built and containers run behind it, and nowhere else.
 *
 * Every image, container and network made here carries labels that say what it was made for. After a crash
 * the effect is found again by its label instead of being done twice.
 */
import Dockerode from 'dockerode';
import { type EngineTls, localEngine } from '../../platform/engines-config.ts';
import type { Log } from '../../platform/log.ts';
import type { EgressProxy } from '../egress/egress-proxy.ts';
import { buildImage, findImage, papersOf, planBuild } from './docker-build.ts';
import { connectTo, ping } from './docker-connect.ts';
import { findContainers, listNetworks } from './docker-found.ts';
import { ensureHostGuard, removeHostGuard } from './docker-host-guard.ts';
import { engineStore } from './docker-images.ts';
import { removeDeployment, removeLaunch, startContainer } from './docker-launch.ts';
import { containerLogs, lastLinesOf, watchDeaths } from './docker-logs.ts';
import { protect } from './docker-protect.ts';
import { waitUntilReady } from './docker-ready.ts';
import { pullImage, pushImage } from './docker-registry.ts';
import { endOrphanedSteps, listBuildSteps, removeBuildStep } from './docker-steps.ts';
import { exportImage, imageOf, importImage, machine } from './docker-transfer.ts';
import type { BuildSettings, Engine, EngineSandbox } from './docker-types.ts';
import { usageOf } from './docker-usage.ts';
import { workspacesOf } from './docker-workspace.ts';
import type { OneEngine } from './engine-types.ts';

const socketDefault = '/var/run/docker.sock';
const cgroupRoot = '/sys/fs/cgroup';

export type DockerOptions = {
  /** As in DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
  readonly host?: string | undefined;
  readonly tls?: EngineTls | undefined;
  /** What it is called among the engines of the installation. */
  readonly name?: string | undefined;
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
export function openDocker(options: DockerOptions): OneEngine {
  return dockerOn(engineOf(options));
}

export type Opened = { readonly engine: Engine; readonly connection: Dockerode.DockerOptions };

export function engineOf({ host, tls, builds, sandbox, egress, log, ...options }: DockerOptions): Opened {
  const { name = localEngine, instance = 'apphub' } = options;
  const address = host === undefined || host === '' ? `unix://${socketDefault}` : host;
  const connection = connectTo({ url: address, tls });
  const engine: Engine = {
    api: new Dockerode(connection),
    name,
    address,
    instance,
    sandbox: { ...sandboxDefault, ...sandbox },
    egress,
    log,
    builds: { buildkit: 'auto', ...builds, ...(address.startsWith('unix:') ? { cgroups: cgroupRoot } : {}) },
  };
  return { engine, connection };
}

export function dockerOn({ engine, connection }: Opened): OneEngine {
  return {
    ping: () => ping(connection, engine.address),
    machine: () => machine(engine),
    imageOf: image => imageOf(engine, image),
    exportImage: imageId => exportImage(engine, imageId),
    importImage: (archive, imageId, tags) => importImage(engine, archive, imageId, tags),
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
    usage: launchId => usageOf(engine, launchId),
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
