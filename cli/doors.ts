/** The HTTP server of a process, before whatever of commands, reads, page and previews is in it. */
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { isLoopback, trusts } from '../platform/client-address.ts';
import { freePort } from '../platform/free-port.ts';
import { type Gateway, openGateway } from '../platform/gateway.ts';
import { Problem } from '../platform/problem.ts';
import { hurry, openServer, refuse } from '../platform/server.ts';
import type { EventStream } from '../read-api/events/stream.ts';
import { openAccess } from './access.ts';
import { atDoor, openPreviews, type Previews } from './previews.ts';
import type { Closing, RoomsOptions, Shared } from './rooms.ts';

const answersMsMax = 4_000;

type Doors = {
  app?: FastifyInstance;
  stream?: EventStream;
  gateway?: Gateway;
  previews?: Previews;
};

/** One HTTP server for whatever of commands, reads and page is in this process. */
export async function openDoors(options: RoomsOptions, shared: Shared, closings: Closing[]): Promise<string> {
  const { rooms, secrets, log, host } = options;
  const isApart = rooms.length === 1;
  const port = options.port === 0 ? await freePort(host) : options.port;
  const { operatorToken: firstToken, sessionSecret } = secrets;
  const publicUrl = options.publicUrl ?? `http://localhost:${port}`;
  const access = await openAccess(options, { ...shared, log, firstToken, sessionSecret, publicUrl });
  closings.push(() => access.close());
  // The door of rooms that are apart is a process on this machine.
  const trustedProxies = isApart ? ['127.0.0.0/8', '::1', ...options.trustedProxies] : options.trustedProxies;
  const doors: Doors = {};
  let handler: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const isProxy = trusts(options.trustedProxies);
  const server = openServer(
    (request, response) =>
      atDoor(doors.previews, request, proxy => {
        if (proxy !== undefined) return proxy.handleRequest(request, response);
        hurry(request, response);
        handler(request, response);
      }),
    {
      seesToBodies: true,
      isTrusted: address => isLoopback(address) || isProxy(address),
      isShutOut: trusts([options.sandbox.subnets]),
    },
  );
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    atDoor(doors.previews, request, proxy => {
      if (proxy !== undefined) proxy.handleUpgrade(request, socket, head);
      else if (doors.stream?.handles(request)) doors.stream.handleUpgrade(request, socket, head);
      else if (doors.gateway !== undefined) doors.gateway.handleUpgrade(request, socket, head);
      else refuse(socket, new Problem(404, 'not-found', 'There is no WebSocket at this address'));
    });
  });
  if (!isApart || rooms[0] === 'web') {
    doors.previews = await openPreviews({ ...options, port }, { ...shared, ...access, secrets, log });
    closings.push(() => doors.previews?.close());
  }
  if (rooms[0] === 'web' && isApart) {
    doors.gateway = openGateway({ ...gatewayOptions(), trustedProxies: options.trustedProxies });
    closings.push(() => doors.gateway?.close());
    handler = doors.gateway.handleRequest;
  } else {
    const { openApi, openStream } = await import('./api-rooms.ts');
    doors.app = await openApi({ ...options, port, trustedProxies }, shared, access, closings, serve => {
      handler = serve;
      return server;
    });
    if (rooms.includes('read-api'))
      doors.stream = await openStream({ log, trustedProxies }, shared, access, closings);
    await doors.app.ready();
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  closings.push(() => doors.app?.close());
  closings.push(() => {
    return Promise.all([drain(server, sockets), doors.stream?.close()]);
  });
  const url = `http://${host === '0.0.0.0' || host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  if (!isApart || rooms[0] === 'web') noteUrl(options.dataDir, url, closings);
  return url;
}

/** Takes no more connections. What is under way gets a while to end: an answer, a followed log, an app's own WebSocket. */
async function drain(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const late = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, answersMsMax);
  await closed;
  clearTimeout(late);
}

function gatewayOptions() {
  const { APPHUB_COMMANDS_URL: commandsUrl, APPHUB_READ_API_URL: readUrl } = process.env;
  if (commandsUrl === undefined || readUrl === undefined) {
    throw new Error('The room web alone needs APPHUB_COMMANDS_URL and APPHUB_READ_API_URL.');
  }
  return { commandsUrl, readUrl };
}

/** For the command line on the same machine. */
function noteUrl(dataDir: string, url: string, closings: Closing[]): void {
  const file = path.join(dataDir, 'url');
  writeFileSync(file, `${url}\n`);
  closings.push(() => rmSync(file, { force: true }));
}
