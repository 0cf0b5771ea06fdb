/** Passes one request on over a connection that is there already, and its answer back. */
import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** About this connection alone (RFC 9110 7.6.1), or for this proxy. */
const ofOneHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  socket: Socket,
): Promise<void> {
  const outgoing = http.request({
    method: request.method ?? 'GET',
    path: `${url.pathname}${url.search}`,
    // The host of the address counts, whatever its header says: only that was looked at.
    headers: { ...passedOn(request.headers), host: url.host, connection: 'close' },
    createConnection: () => socket,
  });
  const given = once(outgoing, 'response');
  given.catch(() => undefined);
  // Also when nobody listens any more: the connection may break after its answer.
  outgoing.on('error', () => undefined);
  // Whoever goes away is not waited for.
  response.once('close', () => outgoing.destroy());
  const sent = pipeline(request, outgoing);
  // An answer may come before all was sent, and end it.
  sent.catch(() => undefined);
  const [answer]: [IncomingMessage] = await Promise.race([given as Promise<[IncomingMessage]>, failed(sent)]);
  response.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
  await pipeline(answer, response);
}

/** Rejects when this does, and else waits for ever. */
async function failed(work: Promise<unknown>): Promise<never> {
  await work;
  return new Promise(() => undefined);
}

function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map(name => name.trim().toLowerCase());
  const dropped = new Set([...ofOneHop, ...named]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped.has(name)));
}
