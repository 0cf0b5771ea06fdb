/** The listening socket below everything: limits of HTTP itself, and an answer to what is not HTTP. */
import http, { type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { Problem } from './problem.ts';

/** Milliseconds from the first byte of a request to its last; a slow sender must not keep a socket for ever. */
const requestMsMax = 30_000;
const headersMsMax = 15_000;
const idleMsMax = 75_000;
/** 10 kB of text to search for take three times the room in a URL, and more where they are not ASCII. */
const headBytesMax = 64 * 1024;

/** A server with the platform's limits. Only WebSockets are upgrades; any other wish to upgrade is ignored (RFC 9110 7.8). */
export function openServer(onRequest: RequestListener): Server {
  const server = http.createServer(
    {
      requestTimeout: requestMsMax,
      headersTimeout: headersMsMax,
      keepAliveTimeout: idleMsMax,
      maxHeaderSize: headBytesMax,
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    },
    onRequest,
  );
  server.on('clientError', answerBroken);
  return server;
}

type ParseError = Error & { code?: string };

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
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const detail = `A request has to be sent within ${requestMsMax / 1_000} s.`;
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
