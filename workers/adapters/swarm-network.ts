/**
 * Networks of launches in a swarm: an overlay for each, on which nobody else is. The way in to a published port, and the only
 * other way out, is the bridge that each node has for all its overlays. That one is made by whoever prepares the node, and is
 * guarded.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { LaunchFailure, type StartContainerRequest } from './docker-types.ts';
import type { FoundNetwork } from './docker-usage-types.ts';
import { NoEngine } from './engine-types.ts';
import { isTaken, type Swarm } from './swarm-types.ts';

/** The bridge of a node, by the name that the engine has for it. */
const nodeBridge = 'docker_gwbridge';
const goneMsMax = 15_000;
const lookEveryMs = 100;

const networkName = (launchId: string) => `apphub-${launchId}`;

/** Gives the name of the launch's network, having made it where it was not there. */
export async function ensureOverlay(swarm: Swarm, wanted: StartContainerRequest): Promise<string> {
  const { api, engine } = swarm;
  const { instance } = engine;
  const name = networkName(wanted.launchId);
  if ((await findOverlays(swarm, wanted.launchId)).length > 0) return name;
  await requirePrepared(swarm);
  const options = {
    Name: name,
    Driver: 'overlay',
    CheckDuplicate: true,
    Labels: {
      [labelOf.instance]: instance,
      [labelOf.app]: wanted.appId,
      [labelOf.launch]: wanted.launchId,
      [labelOf.event]: wanted.eventId,
    },
  };
  await api.createNetwork(options).catch(error => {
    if (!isTaken(error)) throw error;
  });
  return name;
}

/** Looked at where it can be, on the manager: whoever has prepared that one will have prepared the others. */
async function requirePrepared({ api }: Swarm): Promise<void> {
  const network = await api
    .getNetwork(nodeBridge)
    .inspect()
    .catch(error => {
      if (isStatus(error, 404)) return undefined;
      throw error;
    });
  const option = (name: string) => network?.Options?.[`com.docker.network.bridge.${name}`];
  const address = option('host_binding_ipv4') ?? '0.0.0.0';
  const wrong = [
    ...(option('enable_icc') === 'false' ? [] : ['lets containers talk to each other']),
    ...(option('enable_ip_masquerade') === 'false' ? [] : ['lets them speak with the voice of their host']),
    ...(address === '0.0.0.0' ? ['publishes ports at all addresses of its node'] : []),
  ];
  if (wrong.length === 0) return;
  const what = `The network ${nodeBridge} of the swarm's manager ${wrong.join(', and ')}`;
  throw new LaunchFailure(`${what}, so nothing is run in the swarm`);
}

/** The networks of this installation's launches, or of one of them. */
export async function findOverlays({ engine, api }: Swarm, launchId?: string): Promise<FoundNetwork[]> {
  const launch = launchId === undefined ? labelOf.launch : `${labelOf.launch}=${launchId}`;
  const label = [`${labelOf.instance}=${engine.instance}`, launch];
  const networks = await api.listNetworks({ filters: { label, scope: ['swarm'] } });
  return networks.map(({ Id: networkId, Labels: labels = {} }) => ({
    launchId: labels[labelOf.launch] ?? '',
    networkId,
    engine: engine.name,
    eventId: labels[labelOf.event] ?? null,
  }));
}

/** A task that has not ended yet holds its network: it is waited for. */
export async function removeOverlays(swarm: Swarm, launchId: string): Promise<void> {
  const until = performance.now() + goneMsMax;
  for (const { networkId } of await findOverlays(swarm, launchId)) {
    while (!(await isRemoved(swarm, networkId))) {
      if (performance.now() > until) throw new NoEngine(`The network of the launch ${launchId} is in use`);
      await wait(lookEveryMs);
    }
  }
}

async function isRemoved({ api }: Swarm, networkId: string): Promise<boolean> {
  try {
    await api.getNetwork(networkId).remove().catch(unless(404));
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    if (/in use|active endpoints/i.test(message)) return false;
    // As 500 where it is being removed for somebody else.
    if (/network \S+ not found/i.test(message)) return true;
    throw error;
  }
}
