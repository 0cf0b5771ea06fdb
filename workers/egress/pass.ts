/** What an app asks of the proxy, once it is known who asks: bytes by CONNECT, or one request by HTTP. */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { forward } from './forward.ts';
import { type Target, targetOf } from './rule.ts';

/** By which a process knows the proxy of another one. */
export const ownHeader = 'apphub-egress';

/** No, with what the app is told. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type Reach = (target: Target) => Promise<Socket>;

const refusalOf = (error: unknown): Refused =>
  error instanceof Refused ? error : new Refused(502, 'The connection could not be made.');

/** Bytes both ways, which nobody here looks at. */
export async function tunnel(
  request: IncomingMessage,
  inside: Socket,
  head: Buffer,
  reach: Reach,
): Promise<void> {
  // Whatever happens to one of the two ends the other.
  inside.on('error', () => inside.destroy());
  try {
    const target = targetOf(request.url ?? '');
    if (target === undefined) throw new Refused(400, 'CONNECT needs the name of a host and a port.');
    const outside = await reach(target);
    outside.on('error', () => inside.destroy());
    outside.once('close', () => inside.destroySoon());
    inside.once('close', () => outside.destroySoon());
    if (inside.destroyed) return void outside.destroy();
    inside.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) outside.write(head);
    inside.pipe(outside);
    outside.pipe(inside);
  } catch (error) {
    const { status, message } = refusalOf(error);
    const body = `${message}\n`;
    inside.end(
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\ncontent-type: text/plain; charset=utf-8\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
}

/** One request by HTTP, whose address is whole. */
export async function plain(
  request: IncomingMessage,
  response: ServerResponse,
  launchId: string,
  reach: Reach,
): Promise<void> {
  response.setHeader(ownHeader, launchId);
  try {
    const url = URL.parse(request.url ?? '');
    const target = url?.protocol === 'http:' ? targetOf(url.host, 80) : undefined;
    if (url === null || target === undefined) {
      throw new Refused(400, 'This is a proxy. It takes whole addresses by HTTP, and CONNECT for the rest.');
    }
    await forward(request, response, url, await reach(target));
  } catch (error) {
    const { status, message } = refusalOf(error);
    if (response.headersSent) return void response.destroy();
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end(`${message}\n`);
  }
}
