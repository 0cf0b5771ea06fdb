/**
 * Who may visit a launch. Of a private one: whoever brings a grant, in the address on the first visit and in a cookie of the
 * launch's own origin from then on, or, as a program, in a header field. The app gets to see none of them.
 */
import type { IncomingMessage } from 'node:http';
import { parseCookie, stringifySetCookie } from 'cookie';
import { previewPathPattern } from '../domain/kernel/limits.ts';
import { hostNameOf, isThisMachine, originOf, withoutParameter } from './preview-address.ts';
import { type Grant, type Grants, type WhyNot, whyNot } from './preview-grant.ts';
import type { Target } from './preview-target.ts';

export const grantParameter = '__apphub_grant';
const grantField = 'x-apphub-grant';
/** Answered by the proxy itself: takes a new grant in the place of one that is about to end. */
const renewalPath = '/.well-known/apphub/grant';
const boundCookie = '__Host-apphub-preview';
const plainCookie = 'apphub-preview';
const cookieCharsMax = 16_384;
const cookiesMax = 4;
/** Of a path that signing in leads back to, as it is written there. */
const placeCharsMax = 700;
const pathPattern = new RegExp(previewPathPattern);

type Visit = {
  readonly request: IncomingMessage;
  /** `http` or `https`, as the visitor came. */
  readonly scheme: string;
  /** Path and query, as the visitor asked for them. */
  readonly path: string;
};

/** Why somebody is not let in. `elsewhere`: a page of another origin asks with the cookie of somebody who may. */
export type Refused = 'none' | 'elsewhere' | Exclude<WhyNot, ''>;

export type Verdict =
  /** `path`: what the app is asked for. */
  | { readonly kind: 'pass'; readonly path: string }
  | { readonly kind: 'redirect'; readonly location: string; readonly cookies: readonly string[] }
  /** The visitor only wanted to be let in for longer. */
  | { readonly kind: 'renewed'; readonly cookies: readonly string[] }
  | { readonly kind: 'refuse'; readonly why: Refused; readonly openUrl: string };

export type Gate = (visit: Visit, target: Target) => Verdict;

export type GateOptions = {
  readonly grants: Grants;
  /** Where people who are signed in get a grant, for a path of this launch. */
  readonly openUrlOf: (launchId: string, visit: Visit, path: string) => string;
  readonly now: () => number;
};

export function openGate({ grants, openUrlOf, now }: GateOptions): Gate {
  return (visit, target) => {
    const { request, scheme } = visit;
    const { path, value: given } = withoutParameter(visit.path, grantParameter);
    const isRenewal = path === renewalPath;
    if (target.access === 'public' && given === undefined && !isRenewal) return { kind: 'pass', path };
    const nowMs = now();
    const judge = (token: string | undefined): { why: Refused | ''; grant?: Grant } => {
      const grant = token === undefined ? undefined : grants.read(token);
      return grant === undefined ? { why: 'none' } : { why: whyNot(grant, target, nowMs), grant };
    };
    const clean = { kind: 'redirect', location: originOf(request, scheme) + path } as const;
    const fresh = judge(given);
    if (fresh.why === '' && fresh.grant !== undefined) {
      const cookies = [cookieFor(visit, given ?? '', fresh.grant, nowMs)];
      if (isRenewal) return { kind: 'renewed', cookies };
      return isLookedAt(request) ? { ...clean, cookies } : { kind: 'pass', path };
    }
    const refuse = (why: Refused): Verdict => ({
      kind: 'refuse',
      why,
      openUrl: openUrlOf(target.launchId, visit, path),
    });
    if (isRenewal) return refuse(fresh.why || 'none');
    if (target.access === 'public')
      return isLookedAt(request) ? { ...clean, cookies: [] } : { kind: 'pass', path };

    const sent = request.headers[grantField];
    if (typeof sent === 'string' && judge(sent).why === '') return { kind: 'pass', path };
    const known = cookiesOf(request).map(judge);
    if (known.some(({ why }) => why === '')) {
      if (isFromElsewhere(request)) return refuse('elsewhere');
      // An old link in a browser that has been let in since.
      return given !== undefined && isLookedAt(request) ? { ...clean, cookies: [] } : { kind: 'pass', path };
    }
    if (given !== undefined) return refuse(fresh.why || 'none');
    const past = known.find(({ grant }) => grant !== undefined);
    // Whoever was let in as somebody who is signed in is let in again without a word, if he still is.
    if (past?.grant?.kind === 'session' && isOpened(request)) {
      return { kind: 'redirect', location: openUrlOf(target.launchId, visit, path), cookies: [] };
    }
    return refuse(past?.why || 'none');
  };
}

/** The path as a parameter of the platform's address, which leads back to it. */
export function placeOf(path: string): string {
  const place = encodeURIComponent(pathPattern.test(path) ? path : '/');
  return place.length > placeCharsMax ? encodeURIComponent('/') : place;
}

/**
 * The grant as a cookie of this very host. In a frame of the platform's page it is a cookie of another site, which a browser
 * keeps apart for that page (CHIPS), and only over HTTPS or on this machine. Elsewhere it is good in a window of its own.
 */
function cookieFor({ request, scheme }: Visit, token: string, grant: Grant, nowMs: number): string {
  const maxAge = Math.max(1, Math.ceil(grant.expiresAtSeconds - nowMs / 1_000));
  const common = { value: token, path: '/', httpOnly: true, maxAge } as const;
  const isBound = scheme === 'https' || isThisMachine(hostNameOf(request));
  return isBound
    ? stringifySetCookie({ name: boundCookie, ...common, secure: true, sameSite: 'none', partitioned: true })
    : stringifySetCookie({ name: plainCookie, ...common, sameSite: 'lax' });
}

/** An app can set one of the same name beside ours, so each of them is tried. */
function cookiesOf({ headers }: IncomingMessage): readonly string[] {
  const { cookie = '' } = headers;
  if (cookie.length > cookieCharsMax || !cookie.includes(plainCookie)) return [];
  const values = cookie.split(';').flatMap(part => {
    const found = parseCookie(part);
    return [found[boundCookie] ?? [], found[plainCookie] ?? []].flat();
  });
  return values.slice(0, cookiesMax);
}

/** Somebody looks at the answer: a page, in a window or a frame. Programs, and what a page loads, take no detour. */
export function isLookedAt({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const mode = headers['sec-fetch-mode'];
  return mode === undefined ? wantsPage(headers.accept) : mode === 'navigate';
}

/** In a window: there the platform can be gone through, as it lets itself be framed by nobody. */
function isOpened(request: IncomingMessage): boolean {
  const { 'sec-fetch-dest': to } = request.headers;
  return isLookedAt(request) && (to === undefined || to === 'document');
}

export const wantsPage = (accept = ''): boolean => /\btext\/html\b/i.test(accept);

/**
 * A cookie comes along with what pages of other origins send, and another launch may be of the same site. Whoever is let in by it
 * asks from a page of the launch itself, or goes to one. WebSockets and browsers without Fetch Metadata say where from by Origin.
 */
function isFromElsewhere(request: IncomingMessage): boolean {
  const { 'sec-fetch-site': site, origin } = request.headers;
  if (site !== undefined) return site !== 'same-origin' && site !== 'none' && !isLookedAt(request);
  return origin !== undefined && URL.parse(origin)?.host !== request.headers.host?.toLowerCase();
}
