/**
 * What becomes of header fields between a visitor and an app. RFC 9110 section 7.6.1 says which end at each hop; the rest of
 * the rules keep the platform and the apps apart. Fields are lists of name, value, name, value as they came, since most pass
 * as they are.
 */
import type { IncomingMessage } from 'node:http';
import { grantParameter } from './preview-access.ts';
import { withoutParameter } from './preview-address.ts';
import { looksLikeGrant } from './preview-grant.ts';

export type Fields = string[];

const hopByHop = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Only this proxy knows who asked; what a visitor claims about it is dropped. */
const claims = /^(?:forwarded|x-forwarded-.*|x-real-ip|x-apphub-.*)$/;
const platformCookie = /^(?:__host-|__secure-)?apphub/i;
const bearerProtocol = /^bearer\./;
const tokenParameters = ['access_token', 'api_key', 'token'];
/** Of the answer: what is said to hold for more than the app's own origin, or what the platform says itself. */
const notReturned = new Set([
  'x-frame-options',
  'alt-svc',
  'origin-agent-cluster',
  'content-security-policy',
]);

/** By which an app says how long its answer may be kept. */
const howLong = new Set(['cache-control', 'expires']);
/**
 * All files of an image are of this time, whatever is in them. Who says so has no news of it: the next build would say the same,
 * and so would an ETag that is made of time and length.
 */
const noTime = 'Thu, 01 Jan 1970 00:00:00 GMT';
const ofNoTime = new Set(['last-modified', 'etag']);

export type IsPlatformToken = (token: string) => boolean;

export type Forwarding = {
  readonly scheme: string;
  readonly address: string;
  readonly isPlatformToken: IsPlatformToken;
};

/** The fields of a request as the app gets them. */
export function forwardedFields(request: IncomingMessage, forwarding: Forwarding): Fields {
  const { rawHeaders } = request;
  const ofThisHop = hopsOf(request.headers.connection);
  const fields: Fields = [];
  const cookies: string[] = [];
  const protocols: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]];
    const lower = name.toLowerCase();
    if (lower === 'host' || hopByHop.has(lower) || ofThisHop?.has(lower) || isClaim(lower)) continue;
    if (lower === 'cookie') cookies.push(...keptCookies(value));
    else if (lower === 'sec-websocket-protocol') protocols.push(...keptProtocols(value, forwarding));
    else if (lower === 'authorization' && opensThePlatform(value, forwarding)) continue;
    else if (lower === 'referer') fields.push(name, withoutParameter(value, grantParameter).path);
    else fields.push(name, value);
  }
  if (cookies.length > 0) fields.push('cookie', cookies.join('; '));
  if (protocols.length > 0) fields.push('sec-websocket-protocol', protocols.join(', '));
  const { host = '' } = request.headers;
  fields.push('host', host);
  fields.push('x-forwarded-for', forwarding.address);
  fields.push('x-forwarded-host', host);
  fields.push('x-forwarded-proto', forwarding.scheme);
  return fields;
}

/** The fields of an app's answer as the visitor gets them. `frameAncestors` are the origins that may frame it. */
export function returnedFields(
  raw: readonly string[],
  { launchId, framedBy }: { readonly launchId: string; readonly framedBy: string },
): Fields {
  const fields: Fields = [];
  let ofThisHop: ReadonlySet<string> | undefined;
  let cluster = '?1';
  let saysHowLong = false;
  let isOfNoTime = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'connection') ofThisHop = hopsOf(value, ofThisHop);
    if (hopByHop.has(lower) || isClaim(lower)) continue;
    saysHowLong ||= howLong.has(lower);
    isOfNoTime ||= lower === 'last-modified' && value === noTime;
    if (lower === 'set-cookie') {
      if (!platformCookie.test(value)) fields.push(name, withoutDomain(value));
    } else if (lower === 'clear-site-data') {
      const cleared = clearedData(value);
      if (cleared !== '') fields.push(name, cleared);
    } else if (lower === 'content-security-policy') {
      const policy = withoutFrameAncestors(value);
      if (policy !== '') fields.push(name, policy);
    } else if (lower === 'origin-agent-cluster') {
      cluster = value;
    } else if (!notReturned.has(lower)) {
      fields.push(name, value);
    }
  }
  // Another build may answer at this address any moment. A browser that is told nothing would keep what it has for as long as
  // it likes.
  if (!saysHowLong) fields.push('cache-control', 'no-cache');
  // Policies add up: the platform's own is one more, and the app cannot widen it.
  fields.push('content-security-policy', `frame-ancestors ${framedBy}`);
  fields.push('origin-agent-cluster', cluster);
  fields.push('x-apphub-launch', launchId);
  const said = isOfNoTime ? withoutNamed(fields, ofNoTime) : fields;
  return ofThisHop === undefined ? said : withoutNamed(said, ofThisHop);
}

/** The path and query as the app gets them: a token of the platform in them is taken out, as in the platform's own addresses. */
export function forwardedPath(
  path: string,
  { isPlatformToken }: Pick<Forwarding, 'isPlatformToken'>,
): string {
  if (!path.includes('?')) return path;
  let kept = path;
  for (const parameter of tokenParameters) {
    const without = withoutParameter(kept, parameter);
    if (without.value !== undefined && isPlatformToken(without.value)) kept = without.path;
  }
  return kept;
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Names that one end says are for this hop alone; nothing in the two common cases. */
function hopsOf(value: string | undefined, before?: ReadonlySet<string>): ReadonlySet<string> | undefined {
  if (value === undefined || value === 'keep-alive' || value === 'close') return before;
  return new Set([...(before ?? []), ...value.toLowerCase().split(/[\s,]+/)]);
}

function withoutNamed(fields: Fields, names: ReadonlySet<string>): Fields {
  const isOurs = (at: number) => at >= fields.length - 6;
  return fields.filter((_one, at) => isOurs(at) || !names.has((fields[at - (at % 2)] ?? '').toLowerCase()));
}

const isClaim = (name: string): boolean => (name[0] === 'x' || name[0] === 'f') && claims.test(name);

function keptCookies(value: string): readonly string[] {
  const cookies = value.split(';').map(cookie => cookie.trim());
  return cookies.filter(cookie => cookie !== '' && !platformCookie.test(cookie));
}

function keptProtocols(value: string, { isPlatformToken }: Forwarding): readonly string[] {
  const offered = value.split(',').map(name => name.trim());
  const isToken = (name: string) =>
    bearerProtocol.test(name) && isPlatformToken(name.slice('bearer.'.length));
  return offered.filter(name => name !== '' && !isToken(name));
}

/** A token of the platform or a grant, as a bearer (RFC 6750) or as the name or password of somebody (RFC 7617). */
function opensThePlatform(authorization: string, { isPlatformToken }: Forwarding): boolean {
  const [, scheme = '', rest = ''] = /^(\S+) +(.*)$/.exec(authorization) ?? [];
  const isToken = (text: string) => looksLikeGrant(text) || isPlatformToken(text);
  if (scheme.toLowerCase() === 'bearer') return isToken(rest.trim());
  if (scheme.toLowerCase() !== 'basic') return false;
  const pair = Buffer.from(rest, 'base64').toString();
  const at = pair.indexOf(':');
  return isToken(pair.slice(0, at < 0 ? undefined : at)) || isToken(pair.slice(at + 1));
}

/** A cookie without Domain stays with the host that set it, which is this launch alone. */
function withoutDomain(cookie: string): string {
  if (!/domain/i.test(cookie)) return cookie;
  return cookie
    .split(';')
    .filter((part, index) => index === 0 || !/^\s*domain\s*(?:=|$)/i.test(part))
    .join(';');
}

/** Cookies are cleared for the whole registrable domain (Clear Site Data, section 3.1), the others for the origin. */
function clearedData(value: string): string {
  const own = '"cache", "storage", "executionContexts"';
  const kinds = value.split(',').map(kind => kind.trim());
  return [...new Set(kinds.flatMap(kind => (kind === '"*"' ? own : kind === '"cookies"' ? [] : kind)))].join(
    ', ',
  );
}

function withoutFrameAncestors(value: string): string {
  if (!/frame-ancestors/i.test(value)) return value;
  return value
    .split(',')
    .map(policy =>
      policy
        .split(';')
        .filter(directive => !/^\s*frame-ancestors(?:\s|$)/i.test(directive))
        .join(';'),
    )
    .filter(policy => policy.trim() !== '')
    .join(',');
}
