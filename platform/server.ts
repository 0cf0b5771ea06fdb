/** The listening socket below everything: limits of HTTP itself, and an answer to what is not HTTP. */
import http, {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isLoopback } from './client-address.ts';
import { Problem } from './problem.ts';
import { networkOf } from './rate-limit.ts';

const headersMsMax = 15_000;
/** Milliseconds for the body of a request to the platform; a slow sender must not keep a socket for ever. */
const bodyMsMax = 30_000;
const idleMsMax = 75_000;
const checkEveryMs = 5_000;
/** 10 kB of text to search for take three times the room in a URL, and more where they are not ASCII. */
const headBytesMax = 64 * 1024;
/** Node drops what is above it without a word, so it is far more than anybody is let through with. */
const fieldsReadMax = 1_000;
const connectionsPerAddressMax = 1_024;

export type ServerOptions = {
  /** Whoever answers sees to bodies, with `hurry` or in another way. By default they have to arrive in time, and may at once. */
  readonly seesToBodies?: boolean;
  /** Whether nobody at this address has any business here: apps, whose way out does not lead back in. */
  readonly isShutOut?: (address: string) => boolean;
  /** Whose connections are not counted: those of proxies, which speak for many. */
  readonly isTrusted?: (address: string) => boolean;
  readonly headersMsMax?: number;
  readonly bodyMsMax?: number;
  readonly connectionsPerAddressMax?: number;
};

/** A server with the platform's limits. Only WebSockets are upgrades; any other wish to upgrade is ignored (RFC 9110 7.8). */
export function openServer(onRequest: RequestListener, options: ServerOptions = {}): Server {
  const isShutOut = ({ socket }: IncomingMessage) => options.isShutOut?.(socket.remoteAddress ?? '') === true;
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (isShutOut(request)) return refuse(request.socket, shutOut());
    if (options.seesToBodies !== true) hurry(request, response, options.bodyMsMax);
    onRequest(request, response);
  };
  const server = http.createServer(
    {
      requestTimeout: 0,
      headersTimeout: options.headersMsMax ?? headersMsMax,
      keepAliveTimeout: idleMsMax,
      connectionsCheckingInterval: Math.min(checkEveryMs, options.headersMsMax ?? headersMsMax),
      maxHeaderSize: headBytesMax,
      shouldUpgradeCallback: request =>
        request.headers.upgrade?.toLowerCase() === 'websocket' && !isShutOut(request),
    },
    serve,
  );
  server.maxHeadersCount = fieldsReadMax;
  server.on('clientError', answerBroken);
  server.on('checkContinue', serve);
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    refuse(socket, new Problem(405, 'method-not-allowed', 'This is no proxy to other servers'));
  });
  server.on('connection', counter(options));
  return server;
}

const shutOut = () => new Problem(403, 'launch-network', 'The platform does not answer apps it runs');

/** Lets the body come (RFC 9110 10.1.1). One that does not arrive in time is answered and cut off. */
export function hurry(request: IncomingMessage, response: ServerResponse, msMax = bodyMsMax): void {
  const { 'content-length': length, 'transfer-encoding': coding, expect } = request.headers;
  if (coding === undefined && (length === undefined || length === '0')) return;
  if (expect !== undefined) response.writeContinue();
  const { socket } = request;
  const timer = setTimeout(() => {
    const error: ParseError = Object.assign(new Error('the body came too slowly'), { code: tooSlowCode });
    answerBroken(error, socket);
    request.destroy();
  }, msMax);
  const stop = () => {
    clearTimeout(timer);
    socket.off('close', stop);
  };
  request.once('end', stop).once('close', stop);
  // A request that nobody has read to its end is not told that its connection is gone.
  socket.once('close', stop);
}

/** Whoever opens one connection after another and says nothing on them has enough at some point. */
function counter(options: ServerOptions): (socket: Socket) => void {
  const most = options.connectionsPerAddressMax ?? connectionsPerAddressMax;
  const open = new Map<string, number>();
  return socket => {
    const { remoteAddress: address = '' } = socket;
    if (options.isTrusted?.(address) ?? isLoopback(address)) return;
    const key = networkOf(address);
    const before = open.get(key) ?? 0;
    if (before >= most) {
      socket.destroy();
      return;
    }
    open.set(key, before + 1);
    socket.once('close', () => {
      const left = (open.get(key) ?? 1) - 1;
      if (left === 0) open.delete(key);
      else open.set(key, left);
    });
  };
}

type ParseError = Error & { code?: string };

const tooSlowCode = 'ERR_HTTP_REQUEST_TIMEOUT';

/** Answers bytes that are no request, and ends their connection. A second call for the same socket does nothing. */
export function answerBroken(error: ParseError, socket: Duplex): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  refuse(socket, brokenOf(error));
}

function brokenOf({ code }: ParseError): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') {
    const detail = `Address and header fields may have ${headBytesMax / 1024} KiB together.`;
    return new Problem(431, 'too-large', 'The request is too large', { detail });
  }
  if (code === tooSlowCode) {
    const detail = `A request has to be sent within ${bodyMsMax / 1_000} s.`;
    return new Problem(408, 'too-slow', 'The request came too slowly', { detail });
  }
  return new Problem(400, 'invalid', 'The request is not valid', {
    errors: [{ field: 'request', message: 'must be HTTP/1.1 as RFC 9112 has it' }],
  });
}

/** A problem as a whole answer on a socket that no response belongs to, such as one that asked for an upgrade. */
export function refuse(socket: Duplex, problem: Problem): void {
  const body = JSON.stringify(problem.toDocument());
  const fields = problem.status === 401 ? ['www-authenticate: Bearer realm="apphub"'] : [];
  const head = [
    `HTTP/1.1 ${problem.status} ${http.STATUS_CODES[problem.status] ?? problem.code}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    ...fields,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
