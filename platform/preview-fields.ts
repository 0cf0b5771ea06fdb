/**
 * What becomes of header fields between a visitor and an app. RFC 9110 section 7.6.1 says which end at each hop;
 * the rest of the rules keep the platform and the apps apart.
 */
import type { IncomingMessage } from 'node:http';

export type Fields = Record<string, string | string[]>;

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

export type IsPlatformToken = (token: string) => boolean;

/** The fields of a request as the app gets them. */
export function forwardedFields(request: IncomingMessage, isPlatformToken: IsPlatformToken): Fields {
  const fields = passingFields(request.headersDistinct, name => claims.test(name));
  const bearer = /^bearer +(.*)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined && isPlatformToken(bearer.trim())) delete fields.authorization;
  replace(fields, 'cookie', keepCookies(request.headers.cookie));
  replace(fields, 'sec-websocket-protocol', keepProtocols(request, isPlatformToken));

  const { host = '' } = request.headers;
  fields.host = host;
  fields['x-forwarded-for'] = request.socket.remoteAddress ?? '';
  fields['x-forwarded-host'] = host;
  fields['x-forwarded-proto'] = isEncrypted(request) ? 'https' : 'http';
  // Without a length Node would not frame the body of some methods, and the app would read it as a next request.
  if (hasBody(request) && fields['content-length'] === undefined) fields['transfer-encoding'] = 'chunked';
  return fields;
}

/** The fields of an app's answer as the visitor gets them. `frameAncestors` are the origins that may frame it. */
export function returnedFields(answer: IncomingMessage, launchId: string, frameAncestors: string): Fields {
  const fields = passingFields(
    answer.headersDistinct,
    name => name === 'x-frame-options' || name === 'alt-svc' || claims.test(name),
  );
  const cookies = answer.headers['set-cookie'];
  if (cookies !== undefined) fields['set-cookie'] = cookies.map(withoutDomain);
  const policies = (answer.headersDistinct['content-security-policy'] ?? []).map(withoutFrameAncestors);
  // Policies add up: the platform's own is one more, and the app cannot widen it.
  fields['content-security-policy'] = [
    ...policies.filter(policy => policy !== ''),
    `frame-ancestors ${frameAncestors}`,
  ];
  fields['origin-agent-cluster'] ??= '?1';
  fields['x-apphub-launch'] = launchId;
  return fields;
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

export function isEncrypted(request: IncomingMessage): boolean {
  return 'encrypted' in request.socket && request.socket.encrypted === true;
}

function passingFields(headers: NodeJS.Dict<string[]>, isDropped: (name: string) => boolean): Fields {
  const ofThisHop = new Set((headers.connection ?? []).flatMap(value => value.toLowerCase().split(/[\s,]+/)));
  const fields: Fields = {};
  for (const [name, values = []] of Object.entries(headers)) {
    if (hopByHop.has(name) || ofThisHop.has(name) || isDropped(name)) continue;
    fields[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return fields;
}

function replace(fields: Fields, name: string, value: string): void {
  if (value === '') delete fields[name];
  else if (fields[name] !== undefined) fields[name] = value;
}

function keepCookies(cookies = ''): string {
  const kept = cookies.split(';').filter(cookie => !platformCookie.test(cookie.trim()));
  return kept.map(cookie => cookie.trim()).join('; ');
}

function keepProtocols(request: IncomingMessage, isPlatformToken: IsPlatformToken): string {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim());
  const isToken = (name: string) =>
    bearerProtocol.test(name) && isPlatformToken(name.slice('bearer.'.length));
  return offered.filter(name => name !== '' && !isToken(name)).join(', ');
}

/** A cookie without Domain stays with the host that set it, which is this launch alone. */
function withoutDomain(cookie: string): string {
  return cookie
    .split(';')
    .filter((part, index) => index === 0 || !/^\s*domain\s*(?:=|$)/i.test(part))
    .join(';');
}

function withoutFrameAncestors(value: string): string {
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
