/**
 * Running apps behind addresses of their own, `http://<launch>.preview.localhost:<port>/`. Each launch is an
 * origin of its own: it shares no cookies, storage or frames with the platform or with another launch, and
 * nothing that opens the platform's doors is passed on to it. Bodies and WebSockets are streamed both ways.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log } from './log.ts';
import {
  type Fields,
  forwardedFields,
  hasBody,
  type IsPlatformToken,
  isEncrypted,
  returnedFields,
} from './preview-fields.ts';
import { type Page, renderPage, sendPage } from './preview-page.ts';

const resolveMsMax = 5_000;
const answerMsMax = 60_000;
const idleMsMax = 10 * 60_000;
const freeSocketMsMax = 4_000;
const socketsPerAppMax = 256;
const freeSocketsPerAppMax = 16;
const upgradesMax = 5_000;
const keepAliveMs = 30_000;
const launchPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Where a launch listens, or why it cannot be visited: `title` and `message` are shown to the visitor. */
export type Upstream = { readonly host: string; readonly port: number } | Page;

export type PreviewProxyOptions = {
  /** What follows the launch's id in its host name, such as `preview.localhost`. */
  readonly domain: string;
  readonly resolve: (launchId: string) => Promise<Upstream | undefined>;
  /**
   * The origins that may show a launch in a frame. By default `localhost`, `127.0.0.1` and the domain without
   * its first label, at the port by which the visitor came.
   */
  readonly frameOrigins?: readonly string[];
  /** Tokens that are not for apps. By default every bearer token is held back. */
  readonly isPlatformToken?: IsPlatformToken;
  readonly log: Log;
};

export type PreviewProxy = {
  /** Whether the request is for a launch, going by its Host. Ask before anything else looks at it. */
  matches(request: IncomingMessage): boolean;
  /** Answers, whatever happens. */
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Lets go of every connection to the apps. */
  close(): void;
};

type Visit = {
  readonly launchId: string;
  readonly host: string;
  readonly port: number;
  readonly framedBy: string;
};
type Proxy = {
  readonly options: PreviewProxyOptions;
  readonly agent: http.Agent;
  readonly isPlatformToken: IsPlatformToken;
  readonly upgraded: Set<Duplex>;
};

export function previewProxy(options: PreviewProxyOptions): PreviewProxy {
  const proxy: Proxy = {
    options,
    agent: new http.Agent({
      keepAlive: true,
      maxSockets: socketsPerAppMax,
      maxFreeSockets: freeSocketsPerAppMax,
      timeout: freeSocketMsMax,
    }),
    isPlatformToken: options.isPlatformToken ?? (() => true),
    upgraded: new Set(),
  };
  const suffix = `.${options.domain.toLowerCase()}`;
  return {
    matches(request) {
      const name = hostNameOf(request);
      return name.endsWith(suffix) || `.${name}` === suffix;
    },
    handleRequest(request, response) {
      const framedBy = framedByOf(options, request);
      const done = find(proxy, request, suffix).then(found => {
        if ('status' in found) sendPage(response, found, framedBy);
        else forward(proxy, { ...found, framedBy }, request, response, 'reuse');
      });
      done.catch(error => {
        options.log.error({ err: error }, 'a preview request broke');
        response.destroy();
      });
    },
    handleUpgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      const framedBy = framedByOf(options, request);
      const done = find(proxy, request, suffix).then(found => {
        if ('status' in found) refuseUpgrade(socket, found, framedBy);
        else upgrade(proxy, { ...found, framedBy }, request, socket, head);
      });
      done.catch(error => {
        options.log.error({ err: error }, 'a preview upgrade broke');
        socket.destroy();
      });
    },
    close() {
      proxy.agent.destroy();
      for (const socket of proxy.upgraded) socket.destroy();
    },
  };
}

/** The launch of the request and where it listens, or the page that says why not. Never throws. */
async function find(
  { options }: Proxy,
  request: IncomingMessage,
  suffix: string,
): Promise<{ launchId: string; host: string; port: number } | Page> {
  const launchId = hostNameOf(request).slice(0, -suffix.length);
  const nobody = { status: 404, title: 'There is nothing here', message: 'No launch has this address.' };
  if (!launchPattern.test(launchId)) return nobody;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('finding the launch took too long')), resolveMsMax);
  try {
    const upstream = await Promise.race([options.resolve(launchId), late.promise]);
    return upstream === undefined ? nobody : 'status' in upstream ? upstream : { ...upstream, launchId };
  } catch (error) {
    options.log.warn({ err: error, launchId }, 'cannot find a launch');
    const message = 'The platform cannot look it up right now. This page looks again by itself.';
    return { status: 503, title: 'One moment', message };
  } finally {
    clearTimeout(timer);
  }
}

function requestOptions(proxy: Proxy, visit: Visit, request: IncomingMessage): http.RequestOptions {
  return {
    host: visit.host,
    port: visit.port,
    method: request.method ?? 'GET',
    path: pathOf(request),
    headers: forwardedFields(request, proxy.isPlatformToken),
  };
}

function forward(
  proxy: Proxy,
  visit: Visit,
  request: IncomingMessage,
  response: ServerResponse,
  sockets: 'reuse' | 'fresh',
): void {
  // A body is sent once only, so it does not go over a connection that the app may be about to close.
  const fresh = sockets === 'fresh' || hasBody(request);
  const { agent } = proxy;
  const outgoing = http.request({ ...requestOptions(proxy, visit, request), agent: fresh ? false : agent });
  const fail = (page: Page) => {
    if (response.headersSent) response.destroy();
    else sendPage(response, page, visit.framedBy);
  };
  outgoing.setTimeout(answerMsMax, () => outgoing.destroy(new AnswerTimeout()));
  outgoing.on('error', error => {
    if (response.destroyed) return;
    // The app closed a connection that had been idle: it has not seen this request.
    if (outgoing.reusedSocket && !fresh && !response.headersSent) {
      forward(proxy, visit, request, response, 'fresh');
    } else {
      proxy.options.log.debug({ err: error, launchId: visit.launchId }, 'an app did not answer');
      fail(error instanceof AnswerTimeout ? tooSlow : notAnswering);
    }
  });
  outgoing.on('response', answer => {
    outgoing.setTimeout(idleMsMax, () => outgoing.destroy());
    answer.on('error', () => response.destroy());
    try {
      const fields = returnedFields(answer, visit.launchId, visit.framedBy);
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, fields);
    } catch (error) {
      proxy.options.log.debug({ err: error, launchId: visit.launchId }, 'an answer that cannot be passed on');
      answer.destroy();
      return fail(notAnswering);
    }
    response.flushHeaders();
    answer.pipe(response);
  });
  // The visitor has gone: nobody waits for the answer any more.
  response.once('close', () => response.writableFinished || outgoing.destroy());
  if (!hasBody(request)) return void outgoing.end();
  // The app may answer before there is a first part of the body.
  outgoing.flushHeaders();
  request.pipe(outgoing);
}

function upgrade(proxy: Proxy, visit: Visit, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { launchId, framedBy } = visit;
  const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
  if (!isWebSocket || proxy.upgraded.size >= upgradesMax) {
    refuseUpgrade(socket, isWebSocket ? tooMany : notWebSocket, framedBy);
    return;
  }
  proxy.upgraded.add(socket);
  const options = requestOptions(proxy, visit, request);
  const headers = { ...(options.headers as Fields), connection: 'Upgrade', upgrade: 'websocket' };
  const outgoing = http.request({ ...options, headers, agent: false });
  socket.once('close', () => {
    proxy.upgraded.delete(socket);
    outgoing.destroy();
  });
  outgoing.setTimeout(answerMsMax, () => outgoing.destroy(new AnswerTimeout()));
  outgoing.on('error', error => {
    if (!socket.destroyed)
      refuseUpgrade(socket, error instanceof AnswerTimeout ? tooSlow : notAnswering, framedBy);
  });
  outgoing.on('response', answer => {
    // The app declined: its answer is passed on, and ends with the connection.
    const fields = { ...returnedFields(answer, launchId, framedBy), connection: 'close' };
    socket.write(startOf(answer.statusCode ?? 502, answer.statusMessage ?? '', fields));
    answer.on('error', () => socket.destroy());
    answer.pipe(socket);
  });
  outgoing.on('upgrade', (answer, upstream, upstreamHead) => {
    upstream.setTimeout(0);
    upstream.setKeepAlive(true, keepAliveMs);
    const fields = {
      ...returnedFields(answer, launchId, framedBy),
      connection: 'Upgrade',
      upgrade: 'websocket',
    };
    socket.write(startOf(101, 'Switching Protocols', fields));
    if (upstreamHead.length > 0) socket.write(upstreamHead);
    if (head.length > 0) upstream.write(head);
    upstream.on('error', () => socket.destroy());
    upstream.once('close', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
    upstream.pipe(socket).pipe(upstream);
  });
  outgoing.end();
}

class AnswerTimeout extends Error {}

const notAnswering: Page = {
  status: 502,
  title: 'The app does not answer',
  message: 'It is running, but nothing listens on its port. This page looks again by itself.',
};
const tooSlow: Page = {
  status: 504,
  title: 'The app takes too long',
  message: `It did not answer within ${answerMsMax / 1000} s. This page looks again by itself.`,
};
const tooMany: Page = {
  status: 503,
  title: 'Too many connections',
  message: 'Please come back in a moment.',
};
const notWebSocket: Page = {
  status: 400,
  title: 'Not a WebSocket',
  message: 'No other upgrade is passed on.',
};

function refuseUpgrade(socket: Duplex, page: Page, framedBy: string): void {
  const { fields, body } = renderPage(page, framedBy);
  socket.end(startOf(page.status, http.STATUS_CODES[page.status] ?? '', fields) + body);
}

function startOf(
  status: number,
  message: string,
  fields: Record<string, string | number | string[]>,
): string {
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map(one => `${name}: ${one}`),
  );
  return `${[`HTTP/1.1 ${status} ${message}`, ...lines].join('\r\n')}\r\n\r\n`;
}

function hostNameOf(request: IncomingMessage): string {
  return (request.headers.host ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

/** A target in absolute form (RFC 9112 section 3.2.2) is for the same host as far as the app is concerned. */
function pathOf({ url = '/' }: IncomingMessage): string {
  if (url.startsWith('/') || url === '*') return url;
  if (!URL.canParse(url)) return '/';
  const { pathname, search } = new URL(url);
  return `${pathname}${search}`;
}

function framedByOf({ domain, frameOrigins }: PreviewProxyOptions, request: IncomingMessage): string {
  if (frameOrigins !== undefined) return ["'self'", ...frameOrigins].join(' ');
  const port = /:\d+$/.exec(request.headers.host ?? '')?.[0] ?? '';
  const scheme = isEncrypted(request) ? 'https' : 'http';
  const parent = domain.split('.').slice(1).join('.');
  const names = new Set(['localhost', '127.0.0.1', ...(parent === '' ? [] : [parent])]);
  return ["'self'", ...[...names].map(name => `${scheme}://${name}${port}`)].join(' ');
}
