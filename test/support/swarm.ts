/**
 * A swarm of a test's own: a manager and a worker, each an engine on a machine of its own, made ready for launches as
 * docs/engines.md says, and a registry on the manager's machine. The worker is an engine of the installation too, which builds.
 */
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { readEngines } from '../../platform/engines-config.ts';
import { openLogger } from '../../platform/log.ts';
import { openDocker } from '../../workers/adapters/docker.ts';
import type { PushedImage } from '../../workers/adapters/docker-types.ts';
import type { Engines, OneEngine } from '../../workers/adapters/engine-types.ts';
import { openEngines } from '../../workers/adapters/engines.ts';
import { openSwarm } from '../../workers/adapters/swarm.ts';
import { claimsIn, createClaimTable } from '../../workers/claims.ts';
import { joinEngines, startTestEngine, type TestEngine } from './engine.ts';
import { busyboxImage, ensureTestImages } from './images.ts';
import { startTestRegistry, type TestRegistry } from './registry.ts';

const managerPort = 2_377;
const second = 1e9;

export type TestSwarm = {
  readonly instance: string;
  readonly manager: TestEngine;
  readonly worker: TestEngine;
  readonly registry: TestRegistry;
  /** The swarm itself, as one process sees it. */
  one(changes?: { readonly registry?: undefined }): OneEngine;
  /** Both entries together: `swarm`, with the label `place=swarm`, and `plain`, which is the worker. */
  open(sql: Knex): Promise<Engines>;
  /** Pushes an image that this machine's engine has. */
  push(image: string, name: string): Promise<PushedImage>;
  /** By node, the containers of launches there that run, or all; those of the guard are left out. */
  containers(which?: { readonly all: boolean }): Promise<{ manager: number; worker: number }>;
  close(): Promise<void>;
};

export async function startTestSwarm(): Promise<TestSwarm> {
  const instance = `test-${randomBytes(4).toString('hex')}`;
  await ensureTestImages();
  const args = ['--no-new-privileges', '--insecure-registry=198.18.0.0/15'];
  const [manager, worker] = await Promise.all([startTestEngine({ args }), startTestEngine({ args })]);
  let registry: TestRegistry | undefined;
  const close = async () => {
    await registry?.close();
    await Promise.all([manager.close(), worker.close()]);
  };
  try {
    await joinEngines(manager, worker);
    registry = await startTestRegistry({ at: manager });
    for (const { api, address } of [manager, worker]) await api.createNetwork(bridgeFor(address));
    await form(manager, worker);
    await worker.load(busyboxImage);
  } catch (error) {
    await close();
    throw error;
  }
  const { host } = registry;
  const log = openLogger({ level: 'silent' });
  const hosts = [
    { name: 'swarm', url: `swarm+${manager.host}`, labels: { place: 'swarm' } },
    { name: 'plain', url: worker.host, address: worker.address, labels: { place: 'plain' } },
  ];
  const [swarmConfig, plainConfig] = readEngines({ DOCKER_HOSTS: JSON.stringify(hosts) }).list;
  if (swarmConfig === undefined || plainConfig === undefined) throw new Error('there are two');
  const one: TestSwarm['one'] = (changes = {}) => {
    const { url, name, labels } = swarmConfig;
    return openSwarm({ host: url, name, labels, instance, registry: `${host}/team/`, log, ...changes });
  };
  const sandbox = { publish: worker.address };
  const plain = () => openDocker({ host: plainConfig.url, name: 'plain', instance, sandbox, log });
  const count = async ({ api }: TestEngine, all: boolean) => {
    const label = [`apphub.instance=${instance}`, 'apphub.launch'];
    return (await api.listContainers({ all, filters: { label } })).length;
  };
  return {
    instance,
    manager,
    worker,
    registry,
    one,
    async open(sql) {
      await createClaimTable(sql);
      const engines = [
        { config: swarmConfig, docker: one() },
        { config: plainConfig, docker: plain() },
      ];
      return openEngines({ engines, awaySeconds: 60, claims: claimsIn(sql), log });
    },
    async push(image, name) {
      await worker.load(image);
      const repository = `${host}/team/${name}`;
      const signal = AbortSignal.timeout(30_000);
      return plain().pushImage({ imageId: image, repository, tag: '1', signal, onLine: () => undefined });
    },
    async containers({ all } = { all: false }) {
      return { manager: await count(manager, all), worker: await count(worker, all) };
    },
    close,
  };
}

/** The manager notices within seconds that the worker is away. */
async function form(manager: TestEngine, worker: TestEngine): Promise<void> {
  await manager.api.swarmInit({
    ListenAddr: `${manager.address}:${managerPort}`,
    AdvertiseAddr: manager.address,
    SubnetSize: 24,
    Spec: { Dispatcher: { HeartbeatPeriod: second } },
  });
  const { JoinTokens: tokens } = (await manager.api.swarmInspect()) as unknown as {
    JoinTokens: { Worker: string };
  };
  await worker.api.swarmJoin({
    ListenAddr: `${worker.address}:${managerPort}`,
    AdvertiseAddr: worker.address,
    RemoteAddrs: [`${manager.address}:${managerPort}`],
    JoinToken: tokens.Worker,
  });
  for (const { ID: id, Version: version, Spec: spec } of await manager.api.listNodes()) {
    const labels = { 'apphub.launches': 'true', disk: spec.Role === 'worker' ? 'ssd' : 'none' };
    await manager.api.getNode(id).update({ version: version.Index, ...spec, Labels: labels });
  }
}

const bridgeFor = (address: string) => ({
  Name: 'docker_gwbridge',
  Driver: 'bridge',
  Options: {
    'com.docker.network.bridge.name': 'docker_gwbridge',
    'com.docker.network.bridge.enable_icc': 'false',
    'com.docker.network.bridge.enable_ip_masquerade': 'false',
    'com.docker.network.bridge.host_binding_ipv4': address,
  },
});
