/** One port before several processes: requests that change something go to one, everything else to the other. Streams both ways. */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const socketsMax = 512;

export type GatewayOptions = { readonly commandsUrl: string; readonly readUrl: string };

export type Gateway = {
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  close(): void;
};

export function openGateway({ commandsUrl, readUrl }: GatewayOptions): Gateway {
  const agent = new http.Agent({ keepAlive: true, maxSockets: socketsMax });
  const targetOf = (request: IncomingMessage) => {
    const isRead = ['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? '');
    return isRead && !request.url?.startsWith('/webhooks/') ? readUrl : commandsUrl;
  };
  return {
    handleRequest(request, response) {
      const { hostname, port } = new URL(targetOf(request));
      const { method, url: path, headers } = request;
      const onward = http.request({ hostname, port, method, path, headers, agent }, answer => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        answer.once('error', () => response.destroy());
      });
      onward.once('error', () => sayUnavailable(response));
      response.once('close', () => onward.destroy());
      request.pipe(onward);
    },
    handleUpgrade(request, socket, head) {
      const { hostname, port } = new URL(readUrl);
      const onward = http.request({ hostname, port, path: request.url, headers: request.headers });
      const end = () => socket.destroy();
      socket.once('error', () => onward.destroy());
      onward.once('error', end);
      onward.once('response', answer => {
        socket.write(headOf(answer));
        answer.pipe(socket);
      });
      onward.once('upgrade', (answer, upstream, upstreamHead) => {
        socket.write(headOf(answer));
        socket.write(upstreamHead);
        upstream.once('error', end);
        socket.once('error', () => upstream.destroy());
        socket.pipe(upstream).pipe(socket);
      });
      onward.end(head);
    },
    close: () => agent.destroy(),
  };
}

function headOf(answer: IncomingMessage): string {
  const fields: string[] = [];
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    fields.push(`${answer.rawHeaders[at]}: ${answer.rawHeaders[at + 1]}`);
  }
  return `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${fields.join('\r\n')}\r\n\r\n`;
}

function sayUnavailable(response: ServerResponse): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const title = 'This part of the platform is starting or down; try again';
  const problem = { type: 'urn:apphub:problem:unavailable', title, status: 503, code: 'unavailable' };
  response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '1' });
  response.end(JSON.stringify(problem));
}
