/** WebSockets on their way to an app and back: bytes both ways until one side ends. */
import http, { type IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Fields, type Forwarding, forwardedFields, returnedFields } from './preview-fields.ts';
import type { Up } from './preview-target.ts';

const keepAliveMs = 30_000;

export type Upgrading = {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly target: Up;
  readonly path: string;
  readonly forwarding: Forwarding;
  readonly framedBy: string;
  readonly answerMsMax: number;
};

/** `isUnreached`: the app has seen nothing of it. */
export type UpgradeOutcome =
  | { readonly end: 'over' }
  | { readonly end: 'failed' | 'slow'; readonly isUnreached: boolean };

/** Resolves once both sides have ended, or when the visitor has not been answered. Never rejects. */
export function upgrade(upgrading: Upgrading): Promise<UpgradeOutcome> {
  const { request, socket, head, target, path, forwarding, framedBy, answerMsMax } = upgrading;
  const { promise, resolve } = Promise.withResolvers<UpgradeOutcome>();
  const headers = [...forwardedFields(request, forwarding), 'connection', 'Upgrade', 'upgrade', 'websocket'];
  const { host, port, launchId } = target;
  const outgoing = http.request({ host, port, path, method: 'GET', headers, agent: false, setHost: false });
  let isSlow = false;
  const timer = setTimeout(() => {
    isSlow = true;
    outgoing.destroy();
  }, answerMsMax);
  const onGone = () => {
    clearTimeout(timer);
    outgoing.destroy();
    resolve({ end: 'over' });
  };
  socket.once('close', onGone);
  outgoing.on('error', () => {
    clearTimeout(timer);
    socket.removeListener('close', onGone);
    const isUnreached = outgoing.socket?.connecting !== false;
    resolve(socket.destroyed ? { end: 'over' } : { end: isSlow ? 'slow' : 'failed', isUnreached });
  });
  outgoing.on('response', answer => {
    // The app declined: its answer is passed on, and ends with the connection.
    clearTimeout(timer);
    const fields = [...returnedFields(answer.rawHeaders, { launchId, framedBy }), 'connection', 'close'];
    socket.write(startOf(answer.statusCode ?? 502, answer.statusMessage ?? '', fields));
    answer.on('error', () => socket.destroy());
    answer.pipe(socket);
  });
  outgoing.on('upgrade', (answer, upstream, upstreamHead) => {
    clearTimeout(timer);
    for (const one of [upstream, socket]) if (one instanceof Socket) one.setKeepAlive(true, keepAliveMs);
    const fields = returnedFields(answer.rawHeaders, { launchId, framedBy });
    fields.push('connection', 'Upgrade', 'upgrade', 'websocket');
    socket.write(startOf(101, 'Switching Protocols', fields));
    if (upstreamHead.length > 0) socket.write(upstreamHead);
    if (head.length > 0) upstream.write(head);
    upstream.on('error', () => socket.destroy());
    upstream.once('close', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
    upstream.pipe(socket).pipe(upstream);
  });
  outgoing.end();
  return promise;
}

function startOf(status: number, said: string, fields: Fields): string {
  let text = `HTTP/1.1 ${status} ${said}\r\n`;
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return `${text}\r\n`;
}
