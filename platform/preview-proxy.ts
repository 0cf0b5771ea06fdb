/**
 * Running apps behind addresses of their own, `http://<launch>.<domain>:<port>/` or a host name of somebody's own. Each
 * launch is an origin of its own: it shares no cookies, storage or frames with the platform or with another launch, and
 * nothing that opens the platform's doors is passed on to it. Who may not visit it is not let in; what is asleep is woken;
 * bodies and WebSockets are streamed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { clientAddress, trusts } from './client-address.ts';
import type { Log } from './log.ts';
import { type Gate, isLookedAt, openGate, placeOf, type Verdict } from './preview-access.ts';
import type { Activity } from './preview-activity.ts';
import { framedByOf, hostNameOf, nameOf, platformNear } from './preview-address.ts';
import { type Admitted, admit, bodyTooLarge, type RequestLimits } from './preview-admit.ts';
import { type CountLimits, type Counts, openCounts } from './preview-count.ts';
import { hasBody, type IsPlatformToken } from './preview-fields.ts';
import { type Outcome, pass, type Times } from './preview-forward.ts';
import type { Grants } from './preview-grant.ts';
import { type Held, type Holds, openHolds } from './preview-hold.ts';
import { type Page, sendPage, sendPageTo } from './preview-page.ts';
import type { Coming, Finder, Target, Up } from './preview-target.ts';
import { upgrade } from './preview-upgrade.ts';
import { openUpstreams, type Upstreams } from './preview-upstream.ts';
import { failedOf, lateOf, pageOf, pages, reasonOf } from './preview-words.ts';

/** People get a page that says what goes on when it takes longer. */
const patienceMsMax = 3_000;
const movedMsMax = 500;
/** A connection that was closed meanwhile, an app that has moved meanwhile, and then no more. */
const attemptsMax = 3;

type PreviewLimits = CountLimits &
  Times &
  RequestLimits & {
    /** How long a visit waits for a launch to come up. */
    readonly holdMsMax: number;
  };

const previewLimits: PreviewLimits = {
  perLaunchMax: 2_000,
  perVisitorMax: 256,
  allMax: 20_000,
  answerMsMax: 60_000,
  sendMsMax: 30_000,
  idleMsMax: 10 * 60_000,
  bodyBytesMax: 100 * 1024 * 1024,
  urlCharsMax: 16 * 1024,
  fieldsMax: 200,
  holdMsMax: 30_000,
};

export type PreviewProxyOptions = {
  /** What follows the launch's id in its host name, such as `preview.example.net`. */
  readonly domain: string;
  /** Names that mean the platform itself, whatever somebody claims. */
  readonly ownHosts?: readonly string[];
  readonly finder: Finder;
  readonly grants: Grants;
  /** Where people reach the platform, such as `https://apphub.example.org`; by default this machine at the visitor's port. */
  readonly platformUrl?: string | undefined;
  /** Asks for a sleeping launch to be brought up. Rejects, with a reason for people, when it cannot be. */
  readonly wake: (launchId: string) => Promise<void>;
  readonly activity: Pick<Activity, 'visit' | 'stay'>;
  readonly trustedProxies?: readonly string[];
  readonly limits?: Partial<PreviewLimits>;
  /** Tokens that are not for apps. By default every bearer token is held back. */
  readonly isPlatformToken?: IsPlatformToken;
  readonly now?: () => number;
  readonly log: Log;
};

export type PreviewProxy = {
  /** Whether the request is for a launch, going by its Host. Ask before anything else looks at it. */
  matches(request: IncomingMessage): boolean | Promise<boolean>;
  /** Answers, whatever happens. */
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Lets go of every connection to the apps. */
  close(): Promise<void>;
};

type Proxy = {
  readonly options: PreviewProxyOptions;
  readonly limits: PreviewLimits;
  readonly domain: string;
  readonly ownHosts: ReadonlySet<string>;
  readonly gate: Gate;
  readonly counts: Counts;
  readonly holds: Holds;
  readonly upstreams: Upstreams;
  readonly upgraded: Set<Duplex>;
  readonly isPlatformToken: IsPlatformToken;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly schemeOf: (request: IncomingMessage) => string;
  readonly framedBy: (request: IncomingMessage, scheme: string) => string;
};

export function previewProxy(options: PreviewProxyOptions): PreviewProxy {
  const proxy = openProxy(options);
  const nameOfHost = (request: IncomingMessage) => nameOf(hostNameOf(request), proxy);
  return {
    matches(request) {
      const named = nameOfHost(request);
      if (named?.kind !== 'host') return named !== undefined;
      // Whoever cannot be asked about a name of somebody's own is still to reach the platform by its names.
      const found = options.finder.find(named.name);
      if (!(found instanceof Promise)) return found !== undefined;
      return found.then(
        target => target !== undefined,
        () => false,
      );
    },
    handleRequest(request, response) {
      answer(proxy, request, response).catch(error => {
        options.log.error({ err: error }, 'a preview request broke');
        response.destroy();
      });
    },
    handleUpgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      proxy.upgraded.add(socket);
      socket.once('close', () => proxy.upgraded.delete(socket));
      answerUpgrade(proxy, request, socket, head).catch(error => {
        options.log.error({ err: error }, 'a preview upgrade broke');
        socket.destroy();
      });
    },
    async close() {
      proxy.holds.close();
      for (const socket of proxy.upgraded) socket.destroy();
      proxy.upstreams.close();
    },
  };
}

function openProxy(options: PreviewProxyOptions): Proxy {
  const { trustedProxies = [], grants, finder, wake } = options;
  const limits = { ...previewLimits, ...options.limits };
  const isTrusted = trusts(trustedProxies);
  const addressOf = clientAddress(trustedProxies);
  return {
    options,
    limits,
    domain: options.domain.toLowerCase(),
    ownHosts: new Set(options.ownHosts ?? ['localhost']),
    gate: openGate({
      grants,
      now: options.now ?? Date.now,
      openUrlOf: (launchId, { request, scheme }, path) => {
        const platform = options.platformUrl ?? platformNear(request, scheme);
        const at = hostNameOf(request).startsWith(`${launchId}.`) ? '' : `&host=${hostNameOf(request)}`;
        return `${platform}/launches/${launchId}/open?to=${placeOf(path)}${at}`;
      },
    }),
    counts: openCounts(limits),
    holds: openHolds({ finder, wake, holdMsMax: limits.holdMsMax }),
    upstreams: openUpstreams({ answerIdleMsMax: limits.idleMsMax }),
    upgraded: new Set(),
    isPlatformToken: options.isPlatformToken ?? (() => true),
    addressOf,
    framedBy: framedByOf(options.platformUrl),
    schemeOf: request => {
      if ('encrypted' in request.socket && request.socket.encrypted === true) return 'https';
      const said = request.headers['x-forwarded-proto'];
      return said === 'https' && isTrusted(request.socket.remoteAddress ?? '') ? 'https' : 'http';
    },
  };
}

async function answer(proxy: Proxy, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const framed = proxy.framedBy(request, proxy.schemeOf(request));
  const admitted = admit(proxy, request);
  const admission = admitted instanceof Promise ? await admitted : admitted;
  if (admission.kind === 'page') return sendPage(response, admission.page, framed);
  if (admission.kind !== 'in') return lead(response, admission);
  const stays = proxy.options.activity.stay(admission.target.launchId);
  try {
    const unserved = await serve(proxy, admission, { request, response, framed });
    if (unserved !== undefined && !response.destroyed) sendPage(response, unserved, framed);
  } finally {
    stays();
    admission.leave();
  }
}

/** The way in for a browser: a cookie is set, and the address is taken out of everybody's sight. */
function lead(response: ServerResponse, verdict: Extract<Verdict, { kind: 'redirect' | 'renewed' }>): void {
  const fields: Record<string, string | string[]> = {
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
  };
  if (verdict.cookies.length > 0) fields['set-cookie'] = [...verdict.cookies];
  if (verdict.kind === 'redirect')
    response.writeHead(303, { ...fields, location: verdict.location, 'content-length': '0' });
  else response.writeHead(204, fields);
  response.end();
}

type Asked = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly framed: string;
};

/** Answers what the visitor is told instead where the app has not answered. */
async function serve(proxy: Proxy, admitted: Admitted, asked: Asked): Promise<Page | undefined> {
  const { request, response, framed } = asked;
  const { limits, isPlatformToken } = proxy;
  const { path, scheme } = admitted;
  const isPerson = isLookedAt(request);
  let { target } = admitted;
  for (let attempt = 1; ; attempt += 1) {
    const up: Up | Page =
      target.state === 'up'
        ? target
        : await risen(proxy, admitted.name, target, { asked: response, isPerson });
    if ('status' in up) return up;
    if (attempt === 1 && request.headers.expect !== undefined && hasBody(request)) response.writeContinue();
    const forwarding = { scheme, address: proxy.addressOf(request), isPlatformToken };
    const passing = { request, response, target: up, path, forwarding, framedBy: framed, limits };
    const outcome = await pass(proxy.upstreams, passing, attempt > 1);
    if (outcome.end === 'over') return undefined;
    proxy.options.log.debug({ err: outcome.error, launchId: up.launchId }, 'an app did not answer');
    if (!outcome.isRepeatable || attempt === attemptsMax) return unservedOf(outcome, limits);
    const next = outcome.end === 'lost' ? up : await elsewhere(proxy, admitted.name, up);
    if (next === undefined) return unservedOf(outcome, limits);
    target = next;
  }
}

function unservedOf({ end }: Outcome, limits: PreviewLimits): Page {
  if (end === 'too-large') return bodyTooLarge(limits);
  if (end === 'sent-too-slowly') return pages.sentTooSlowly;
  return end === 'slow' ? pages.tooSlow : pages.notAnswering;
}

/** Nothing listens there any more: where the launch is now, if it is somewhere else or coming up; undefined if it is not. */
async function elsewhere(
  { options: { finder } }: Proxy,
  name: string,
  before: Up,
): Promise<Target | undefined> {
  const isElsewhere = (target: Target | undefined) =>
    target !== undefined &&
    (target.state !== 'up' || target.host !== before.host || target.port !== before.port);
  try {
    const moved = finder.moved(movedMsMax);
    const now = await finder.look(name);
    if (isElsewhere(now)) return now;
    // The end of a container may be heard of a little later than it is felt.
    await moved;
    const then = await finder.look(name);
    return isElsewhere(then) ? then : undefined;
  } catch {
    return undefined;
  }
}

/** The launch once it is up, or what is said of it. */
async function risen(
  proxy: Proxy,
  name: string,
  target: Target,
  { asked, isPerson }: { asked: ServerResponse | Duplex; isPerson: boolean },
): Promise<Up | Page> {
  if (target.state === 'up') return target;
  if (target.state === 'over') return pageOf(target);
  const gone = new AbortController();
  const leave = () => gone.abort();
  asked.once('close', leave);
  const msMax = isPerson ? patienceMsMax : proxy.limits.holdMsMax;
  const held = await proxy.holds.wait(name, target, { msMax, signal: gone.signal });
  asked.removeListener('close', leave);
  return heldTo(proxy, target, held, isPerson);
}

function heldTo({ options: { log } }: Proxy, target: Coming, held: Held, isPerson: boolean): Up | Page {
  if (held === undefined) return pages.nobody;
  switch (held.state) {
    case 'up':
      return held;
    case 'over':
      return pageOf(held);
    case 'late':
      return isPerson ? pageOf(target) : lateOf(target);
    case 'full':
      return pages.tooMany;
    case 'coming':
      return failedOf(held.message);
    case 'failed':
      log.warn({ err: held.error, launchId: target.launchId }, 'a launch was not woken');
      return failedOf(reasonOf(held.error));
  }
}

async function answerUpgrade(
  proxy: Proxy,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const framed = proxy.framedBy(request, proxy.schemeOf(request));
  const refuse = (one: Page) => sendPageTo(socket, request, one, framed);
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') return refuse(pages.notWebSocket);
  const admission = await admit(proxy, request);
  if (admission.kind === 'page') return refuse(admission.page);
  if (admission.kind !== 'in') return refuse(pages.notWebSocket);
  const stays = proxy.options.activity.stay(admission.target.launchId);
  try {
    const unserved = await serveUpgrade(proxy, admission, { request, socket, head, framed });
    if (unserved !== undefined && !socket.destroyed) refuse(unserved);
  } finally {
    stays();
    admission.leave();
  }
}

async function serveUpgrade(
  proxy: Proxy,
  { name, target: first, path, scheme }: Admitted,
  asked: { request: IncomingMessage; socket: Duplex; head: Buffer; framed: string },
): Promise<Page | undefined> {
  const { request, socket, head, framed } = asked;
  const { limits, isPlatformToken } = proxy;
  let target = first;
  for (let attempt = 1; ; attempt += 1) {
    const up = await risen(proxy, name, target, { asked: socket, isPerson: false });
    if ('status' in up) return up;
    const forwarding = { scheme, address: proxy.addressOf(request), isPlatformToken };
    const { answerMsMax } = limits;
    const outcome = await upgrade({
      request,
      socket,
      head,
      target: up,
      path,
      forwarding,
      framedBy: framed,
      answerMsMax,
    });
    if (outcome.end === 'over') return undefined;
    const page = outcome.end === 'slow' ? pages.tooSlow : pages.notAnswering;
    if (!outcome.isUnreached || attempt === attemptsMax) return page;
    const now = await elsewhere(proxy, name, up);
    if (now === undefined) return page;
    target = now;
  }
}
