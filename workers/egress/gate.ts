/** The listener of one launch, and what it lets through: hosts on its app's list, at public addresses, so many bytes an hour. */
import { lookup as lookUp } from 'node:dns/promises';
import { once } from 'node:events';
import http, { type Server } from 'node:http';
import net, { type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { isPublic } from './address.ts';
import type { DenialReason } from './denials.ts';
import type { EgressOptions, WayOut } from './egress-proxy.ts';
import { ownHeader, plain, Refused, tunnel } from './pass.ts';
import { isAllowed, parseRules, type Target } from './rule.ts';

const connectionsMax = 128;
const lookupMsMax = 5_000;
const connectMsMax = 10_000;
const addressesMax = 4;
const idleMsMax = 300_000;
const headersMsMax = 10_000;
const headerBytesMax = 16 * 1024;
const budgetEveryMs = 1_000;
const budgetMs = 3_600_000;
const bytesPerHourDefault = 4 * 1024 ** 3;

export type Gate = { close(): Promise<void> };

type Deny = (target: Target, reason: DenialReason) => void;

/** Another process of this installation has it open for the same launch; when that ends it can be taken over. */
export class OpenElsewhere extends Error {}

export async function openGate(way: WayOut, options: EgressOptions, onDenied: Deny): Promise<Gate> {
  const { port, lookup = addressesOf, isAllowedAddress = isPublic } = options;
  const rules = parseRules(way.hosts);
  const budget = openBudget(options.bytesPerHourMax ?? bytesPerHourDefault);
  const deny = (target: Target, reason: DenialReason): Refused => {
    onDenied(target, reason);
    return new Refused(403, sentences[reason](target));
  };

  /** A connection to what was asked for, or the reason why not. */
  const reach = async (target: Target): Promise<Socket> => {
    if (!isAllowed(rules, target.host, target.port)) throw deny(target, 'not-allowed');
    if (budget.isSpent()) throw deny(target, 'too-much');
    const addresses = await within(lookupMsMax, lookup(target.host)).catch(() => []);
    if (addresses.length === 0) throw new Refused(502, `There is no address of ${target.host}.`);
    const open = addresses.filter(isAllowedAddress).slice(0, addressesMax);
    if (open.length === 0) throw deny(target, 'private-address');
    for (const address of open) {
      const socket = await connected(address, target.port);
      if (socket === undefined) continue;
      budget.count(socket);
      return socket.setTimeout(idleMsMax, () => socket.destroy());
    }
    throw new Refused(502, `${target.host}:${target.port} does not answer.`);
  };

  const limits = { maxHeaderSize: headerBytesMax, headersTimeout: headersMsMax, requestTimeout: 0 };
  const server = http.createServer(limits);
  server.maxConnections = connectionsMax;
  const inside = new Set<Socket>();
  const clients = new net.BlockList();
  const [network = '', bits] = way.subnet.split('/');
  clients.addSubnet(network, Number(bits));
  server.on('connection', socket => {
    // The host has all its addresses on each of its networks: another launch gets here too.
    if (!clients.check(socket.remoteAddress ?? '')) return void socket.destroy();
    inside.add(socket);
    socket.once('close', () => inside.delete(socket));
    socket.setTimeout(idleMsMax, () => socket.destroy());
  });
  server.on('connect', (request, socket, head) => tunnel(request, socket as Socket, head, reach));
  server.on('request', (request, response) => plain(request, response, way.launchId, reach));
  await listen(server, way, port).catch(error => {
    budget.end();
    throw error;
  });
  return {
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of inside) socket.destroy();
      budget.end();
      await closed;
    },
  };
}

const sentences: Readonly<Record<DenialReason, (target: Target) => string>> = {
  'not-allowed': ({ host, port }) => `This app may not reach ${host}:${port}. Its owner has to allow it.`,
  'private-address': ({ host }) => `${host} has no public address, and no other may be reached.`,
  'too-much': () => 'This app has sent and received as much as it may in an hour.',
};

async function listen(server: Server, way: WayOut, port: number): Promise<void> {
  server.listen({ port, host: way.gateway });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw (await isOpenElsewhere(way, port)) ? new OpenElsewhere() : error;
  }
}

/** Whether what listens there is a way out for the same launch, and not somebody who would let everybody through. */
async function isOpenElsewhere({ gateway, launchId }: WayOut, port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(lookupMsMax);
    const request = http.get({ host: gateway, port, localAddress: gateway, agent: false, signal });
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
    request.on('error', () => undefined).destroy();
    return answer.headers[ownHeader] === launchId;
  } catch {
    return false;
  }
}

/** Whoever has moved more than he may is cut off; the next hour begins with nothing. */
function openBudget(bytesPerHourMax: number) {
  const sockets = new Set<Socket>();
  let bytes = 0;
  let since = performance.now();
  const spent = () => {
    let sum = bytes;
    for (const socket of sockets) sum += socket.bytesRead + socket.bytesWritten;
    return sum;
  };
  const round = () => {
    if (performance.now() - since > budgetMs) {
      since = performance.now();
      bytes -= spent();
    }
    if (spent() > bytesPerHourMax) for (const socket of sockets) socket.destroy();
  };
  const timer = setInterval(round, budgetEveryMs).unref();
  return {
    isSpent: () => spent() >= bytesPerHourMax,
    count(socket: Socket): void {
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
        bytes += socket.bytesRead + socket.bytesWritten;
      });
    },
    end(): void {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function connected(address: string, port: number): Promise<Socket | undefined> {
  const socket = net.connect({ host: address, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectMsMax) });
    return socket;
  } catch {
    socket.destroy();
    return undefined;
  }
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookUp(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const limit = wait(ms, undefined, { signal: late.signal }).then(() => {
    throw new Error(`not within ${ms} ms`);
  });
  limit.catch(() => undefined);
  try {
    return await Promise.race([work, limit]);
  } finally {
    late.abort();
  }
}
