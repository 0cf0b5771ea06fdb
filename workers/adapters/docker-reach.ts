/**
 * How containers of an engine are reached from here. Where it runs on this machine they are reached directly, and nothing of
 * theirs is published anywhere. Else the engine publishes each port at one address, which should be one that nobody else
 * reaches.
 */
import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import type Dockerode from 'dockerode';
import type { Engine } from './docker-types.ts';

const loopback = '127.0.0.1';
const interfaceFolder = '/sys/class/net';

export type Reach = {
  /** Undefined: containers are reached directly. */
  readonly publishAddress: string | undefined;
};

const found = new WeakMap<Engine, Promise<Reach>>();

export function reachOf(engine: Engine): Promise<Reach> {
  const before = found.get(engine);
  if (before !== undefined) return before;
  const reach = findOut(engine).then(publishAddress => ({ publishAddress }));
  found.set(engine, reach);
  reach.catch(() => found.delete(engine));
  return reach;
}

async function findOut(engine: Engine): Promise<string | undefined> {
  if (engine.sandbox.publish !== undefined) return engine.sandbox.publish;
  const host = remoteHostOf(engine.address);
  if (host !== undefined) return isIP(host) ? host : (await lookup(host, { family: 4 })).address;
  const bridges = (await engine.api.listNetworks()).filter(({ Driver }) => Driver === 'bridge');
  if (process.platform === 'linux' && bridges.every(isSeen)) return undefined;
  const { OperatingSystem: system } = await engine.api.info();
  // An engine in a virtual machine that passes on what is published there.
  if (process.platform !== 'linux' || system === 'Docker Desktop') return loopback;
  // This process is in a container of the engine: the engine's own bridge is what both have in common.
  const own = bridges.find(({ Name }) => Name === 'bridge');
  return own?.IPAM?.Config?.[0]?.Gateway ?? loopback;
}

/** Undefined: a socket, or this very machine. */
function remoteHostOf(address: string): string | undefined {
  const url = address.startsWith('unix:') ? null : URL.parse(address);
  if (url === null || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)) return undefined;
  return url.hostname;
}

function isSeen({ Id, Options }: Dockerode.NetworkInspectInfo): boolean {
  const name = Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`;
  return existsSync(`${interfaceFolder}/${name}`);
}
