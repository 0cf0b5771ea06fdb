/**
 * One port before several processes: requests that change something go to one, everything else to the other.
 * Streams both ways.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { trusts } from './client-address.ts';
import { Problem } from './problem.ts';
import { refuse } from './server.ts';

const socketsMax = 512;
/** Reads that make history: where a provider sends somebody back to, and a webhook's own page. */
const commandGets = /^\/(webhooks\/|auth\/(login|callback)\b)/;

export type GatewayOptions = {
  readonly commandsUrl: string;
  readonly readUrl: string;
  readonly trustedProxies: readonly string[];
};

export type Gateway = {
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  close(): void;
};

export function openGateway({ commandsUrl, readUrl, trustedProxies }: GatewayOptions): Gateway {
  const forwarded = forwardedBy(trustedProxies);
  const agent = new http.Agent({ keepAlive: true, maxSockets: socketsMax });
  const targetOf = (request: IncomingMessage) => {
    const isRead = ['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? '');
    return isRead && !commandGets.test(request.url ?? '') ? readUrl : commandsUrl;
  };
  return {
    handleRequest: (request, response) => forward(forwarded(request), response, targetOf(request), agent),
    handleUpgrade(asked, socket, head) {
      const request = forwarded(asked);
      const { hostname, port } = new URL(readUrl);
      const onward = http.request({ hostname, port, path: request.url, headers: request.headers });
      const end = () => socket.destroy();
      socket.on('error', end);
      socket.once('close', () => onward.destroy());
      onward.once('error', () => refuse(socket, away()));
      onward.once('response', answer => {
        socket.write(headOf(answer));
        answer.pipe(socket);
      });
      onward.once('upgrade', (answer, upstream, upstreamHead) => {
        socket.write(headOf(answer));
        socket.write(upstreamHead);
        upstream.on('error', end);
        upstream.once('close', end);
        socket.once('close', () => upstream.destroy());
        socket.pipe(upstream).pipe(socket);
      });
      onward.end(head);
    },
    close: () => agent.destroy(),
  };
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  agent: http.Agent | false,
): void {
  const { hostname, port } = new URL(target);
  const { method, url: path, headers } = request;
  const onward = http.request({ hostname, port, method, path, headers, agent }, answer => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  });
  onward.once('error', () => {
    // The other process closed a connection that had been idle, so it has not seen this request.
    const isUnseen = onward.reusedSocket && method === 'GET' && !response.headersSent;
    if (isUnseen && !response.destroyed) forward(request, response, target, false);
    else sayUnavailable(response);
  });
  response.once('close', () => onward.destroy());
  request.pipe(onward);
}

/**
 * The same request, saying where it came from. What a client says of itself by `X-Forwarded-Proto` and `-Host` counts only when
 * it is a proxy that is trusted.
 */
function forwardedBy(trustedProxies: readonly string[]): (request: IncomingMessage) => IncomingMessage {
  const isTrusted = trusts(trustedProxies);
  return request => {
    const remote = request.socket.remoteAddress ?? '';
    const before = request.headers['x-forwarded-for'];
    request.headers['x-forwarded-for'] = before === undefined ? remote : `${before}, ${remote}`;
    if (!isTrusted(remote)) {
      delete request.headers['x-forwarded-proto'];
      delete request.headers['x-forwarded-host'];
    }
    return request;
  };
}

function headOf(answer: IncomingMessage): string {
  const fields: string[] = [];
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    fields.push(`${answer.rawHeaders[at]}: ${answer.rawHeaders[at + 1]}`);
  }
  return `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${fields.join('\r\n')}\r\n\r\n`;
}

const away = () =>
  new Problem(503, 'unavailable', 'This part of the platform is starting or down; try again');

function sayUnavailable(response: ServerResponse): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '1' });
  response.end(JSON.stringify(away().toDocument()));
}
