/**
 * A network for each launch: a bridge with a handful of addresses, on which containers cannot talk to each other and from which
 * no way leads anywhere. The address range is our own and small, because the engine itself has room for about thirty networks.
 *
 * The name of the bridge is made from the launch, and the engine gives it out once only: of two processes that make the network
 * of one launch at the same time, one finds that of the other. All these names begin alike, so that one rule of the host's
 * firewall is about all of them.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { reachOf } from './docker-reach.ts';
import { type Engine, LaunchFailure, type StartContainerRequest } from './docker-types.ts';
import { freeSubnets, type Range, rangeOf } from './subnets.ts';

const interfaceCharsMax = 15;
const subnetsTriedMax = 64;
const bridgesTriedMax = 4;
const lookEveryMs = 200;
const looksMax = 8;
/** Routes as wide as this are somebody's whole world, and a few addresses of it will not be missed. */
const routeBitsMin = 16;
const interfaceFolder = '/sys/class/net';

export type LaunchNetwork = {
  readonly id: string;
  readonly launchId: string;
  readonly name: string;
  readonly bridge: string;
  /** The host's own address on it. */
  readonly gateway: string;
  readonly subnet: string;
};

type Wanted = Pick<StartContainerRequest, 'launchId' | 'eventId' | 'appId'>;

/** The bridge of a launch, as the host sees it: its own name, or another one where that cannot be had any more. */
function bridgeOf(engine: Engine, launchId: string, number: number): string {
  const { bridgePrefix } = engine.sandbox;
  const of = number === 0 ? launchId : `${launchId}/${number}`;
  const digest = createHash('sha256').update(`${engine.instance}/${of}`).digest('hex');
  return `${bridgePrefix}${digest}`.slice(0, interfaceCharsMax);
}

/** Finds the network of a launch or makes it. */
export async function ensureNetwork(engine: Engine, wanted: Wanted): Promise<LaunchNetwork> {
  const found = await findNetwork(engine, wanted.launchId);
  if (found !== undefined) return found;
  const { publishAddress } = await reachOf(engine);
  const present = await engine.api.listNetworks();
  const taken = [...present.flatMap(rangesOf), ...(publishAddress === undefined ? ownRanges() : [])];
  const candidates = freeSubnets(engine.sandbox.subnets, taken, `${engine.instance}/${wanted.launchId}`);
  const isInternal = publishAddress === undefined;
  let tried = 0;
  let said = '';
  for (const subnet of candidates) {
    if (tried === subnetsTriedMax) break;
    tried += 1;
    const answer = await makeNetwork(engine, wanted, { subnet, isInternal });
    if (typeof answer !== 'string') return answer;
    said = answer;
  }
  throw new LaunchFailure(
    tried === 0
      ? `All addresses of ${engine.sandbox.subnets} (APPHUB_LAUNCH_SUBNETS) are taken`
      : `No network could be made of the addresses of ${engine.sandbox.subnets}: ${said}`,
    { retryable: true },
  );
}

type How = { readonly subnet: string; readonly isInternal: boolean };

/**
 * With these addresses; or why not. An engine that is killed while it makes a network forgets it, and may hold its bridge for
 * taken for ever after: then the launch gets a bridge of another name.
 */
async function makeNetwork(engine: Engine, wanted: Wanted, how: How): Promise<LaunchNetwork | string> {
  const { launchId } = wanted;
  let said = '';
  for (let number = 0; number < bridgesTriedMax; number += 1) {
    let isBridge = false;
    try {
      await engine.api.createNetwork(
        optionsOf(engine, wanted, { ...how, bridge: bridgeOf(engine, launchId, number) }),
      );
    } catch (error) {
      // 403: these addresses or the bridge are somebody's already; 409: the name is.
      if (!isStatus(error, 403, 409)) throw error;
      said = wordsOf(error);
      isBridge = /bridge name/.test(said);
    }
    const made = await (isBridge ? findSoon(engine, launchId) : findNetwork(engine, launchId));
    if (made !== undefined) return made;
    if (!isBridge) break;
  }
  return said;
}

/** Whoever else is making it just now is nearly done. */
async function findSoon(engine: Engine, launchId: string): Promise<LaunchNetwork | undefined> {
  for (let look = 1; ; look += 1) {
    const found = await findNetwork(engine, launchId);
    if (found !== undefined || look === looksMax) return found;
    await wait(lookEveryMs);
  }
}

/** The engine's own, without what the client puts before them. */
const wordsOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/^\(HTTP code \d+\) [^-]*- /, '').trim();

function optionsOf(
  engine: Engine,
  { launchId, appId, eventId }: Wanted,
  { subnet, isInternal, bridge }: How & { readonly bridge: string },
) {
  return {
    Name: `apphub-${launchId}`,
    Driver: 'bridge',
    CheckDuplicate: true,
    // The engine publishes no port of such a network. Where that is the only way in, the firewall alone closes the ways out.
    Internal: isInternal,
    IPAM: { Driver: 'default', Config: [{ Subnet: subnet }] },
    Options: {
      'com.docker.network.bridge.name': bridge,
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': 'false',
    },
    Labels: {
      [labelOf.instance]: engine.instance,
      [labelOf.app]: appId,
      [labelOf.launch]: launchId,
      [labelOf.event]: eventId,
    },
  };
}

async function findNetwork(engine: Engine, launchId: string): Promise<LaunchNetwork | undefined> {
  return (await findNetworks(engine, launchId))[0];
}

/** Every network of this installation's launches, or of one of them. */
export async function findNetworks(engine: Engine, launchId?: string): Promise<LaunchNetwork[]> {
  const launch = launchId === undefined ? labelOf.launch : `${labelOf.launch}=${launchId}`;
  const label = [`${labelOf.instance}=${engine.instance}`, launch];
  const networks = await engine.api.listNetworks({ filters: { label, scope: ['local'] } });
  return networks.map(network => ({
    id: network.Id,
    launchId: network.Labels?.[labelOf.launch] ?? '',
    name: network.Name,
    bridge: network.Options?.['com.docker.network.bridge.name'] ?? '',
    gateway: gatewayOf(network),
    subnet: network.IPAM?.Config?.[0]?.Subnet ?? '',
  }));
}

/** An internal network of newer engines tells of no gateway; it is the first address all the same. */
function gatewayOf({ IPAM: ipam }: Dockerode.NetworkInspectInfo): string {
  const { Gateway: gateway, Subnet: subnet = '' } = ipam?.Config?.[0] ?? {};
  return gateway ?? subnet.replace(/\d+\/\d+$/, last => String(Number.parseInt(last, 10) + 1));
}

function rangesOf({ IPAM: ipam }: Dockerode.NetworkInspectInfo): Range[] {
  return (ipam?.Config ?? []).flatMap(({ Subnet: subnet = '' }) => rangeOf(subnet) ?? []);
}

/** What this machine is itself connected to. */
function ownRanges(): Range[] {
  const addresses = Object.values(os.networkInterfaces()).flatMap(each => each ?? []);
  const connected = addresses.flatMap(({ cidr }) => rangeOf(cidr ?? '') ?? []);
  try {
    return [...connected, ...parseRoutes(readFileSync('/proc/net/route', 'utf8'))];
  } catch {
    return connected;
  }
}

/** The kernel's table: destination and mask are hexadecimal, with the last byte first. */
export function parseRoutes(text: string): Range[] {
  return text.split('\n').flatMap(line => {
    const [, destination = '', , , , , , mask = ''] = line.split('\t');
    const bits = [...mask].reduce((sum, digit) => sum + bitsOf(Number.parseInt(digit, 16)), 0);
    if (!/^[0-9A-F]{8}$/i.test(destination) || !(bits >= routeBitsMin)) return [];
    const address = [6, 4, 2, 0].map(at => Number.parseInt(destination.slice(at, at + 2), 16)).join('.');
    return rangeOf(`${address}/${bits}`) ?? [];
  });
}

function bitsOf(digit: number): number {
  return [8, 4, 2, 1].filter(bit => (digit & bit) !== 0).length;
}

/** Whether this process sees the bridge, and with it the containers on it: the engine runs on this machine, in this network. */
export function isWithinReach({ bridge }: LaunchNetwork): boolean {
  return existsSync(`${interfaceFolder}/${bridge}`);
}

export async function removeNetworks(engine: Engine, launchId: string): Promise<void> {
  for (const { id } of await findNetworks(engine, launchId)) {
    // 403: a container is on it still, of somebody who has started one in between; who removes that comes here again.
    await engine.api.getNetwork(id).remove().catch(unless(403, 404));
  }
}
