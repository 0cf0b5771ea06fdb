/** Where launches are reached: the addresses the platform gives out, and which launch the address of a request means. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

const launchPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const hostPattern =
  /^(?=.{4,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/;
const framedByMax = 100;
const defaultPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export type PreviewAddresses = {
  /** Where a launch is reached, without a path: `https://<launch>.<domain>`. */
  originOf(launchId: string): string;
  /** Where a host name of somebody's own is reached. */
  originOfHost(host: string): string;
  /** Every launch, as a policy of a page names them (CSP 3). */
  readonly pattern: string;
};

/** The scheme is that of the platform's own address: whoever stands before one stands before the other. */
export function previewAddresses(options: {
  readonly domain: string;
  readonly port: number;
  readonly publicUrl: string;
}): PreviewAddresses {
  const { protocol } = new URL(options.publicUrl);
  const port = options.port === defaultPorts[protocol] ? '' : `:${options.port}`;
  const originOfHost = (host: string) => `${protocol}//${host}${port}`;
  return {
    originOf: launchId => originOfHost(`${launchId}.${options.domain}`),
    originOfHost,
    pattern: originOfHost(`*.${options.domain}`),
  };
}

export const hostNameOf = ({ headers }: IncomingMessage): string =>
  (headers.host ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();

/**
 * What a finder is asked for: the launch's id for a name directly below the domain, or the host name itself where it may be
 * somebody's own. `nobody`: below the domain, and no launch can have this name. Undefined: the platform is meant.
 */
export function nameOf(
  hostName: string,
  { domain, ownHosts }: { readonly domain: string; readonly ownHosts: ReadonlySet<string> },
): { readonly kind: 'launch' | 'host'; readonly name: string } | { readonly kind: 'nobody' } | undefined {
  if (ownHosts.has(hostName)) return undefined;
  if (hostName === domain) return { kind: 'nobody' };
  if (hostName.endsWith(`.${domain}`)) {
    const name = hostName.slice(0, -domain.length - 1);
    return launchPattern.test(name) ? { kind: 'launch', name } : { kind: 'nobody' };
  }
  const isHost = hostPattern.test(hostName) && isIP(hostName) === 0;
  return isHost ? { kind: 'host', name: hostName } : undefined;
}

/** What comes before the path, in the words of the visitor: only for a Host that `nameOf` has read. */
export function originOf(request: IncomingMessage, scheme: string): string {
  const port = /:\d{1,5}$/.exec(request.headers.host ?? '')?.[0] ?? '';
  return `${scheme}://${hostNameOf(request)}${port}`;
}

/** A target in absolute form (RFC 9112 section 3.2.2) is for the same host as far as the app is concerned. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  if (url.startsWith('/') || url === '*') return url;
  const parsed = URL.parse(url);
  return parsed === null ? '/' : `${parsed.pathname}${parsed.search}`;
}

/**
 * The path without a parameter, however its name is written, the others left as they are; and what the parameter said first.
 */
export function withoutParameter(
  path: string,
  parameter: string,
): { path: string; value: string | undefined } {
  const at = path.indexOf('?');
  if (at < 0) return { path, value: undefined };
  const parts = path.slice(at + 1).split('&');
  const kept = parts.filter(part => textOf(part.split('=', 1)[0] ?? '') !== parameter);
  if (kept.length === parts.length) return { path, value: undefined };
  const [first = ''] = parts.filter(part => !kept.includes(part));
  const query = kept.length === 0 ? '' : `?${kept.join('&')}`;
  return {
    path: path.slice(0, at) + query,
    value: textOf(first.slice(first.indexOf('=') + 1 || first.length)),
  };
}

function textOf(encoded: string): string {
  if (!encoded.includes('%')) return encoded;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** `localhost` and every name below it, which a browser takes for as good as HTTPS. */
export const isThisMachine = (hostName: string): boolean =>
  hostName === 'localhost' || hostName.endsWith('.localhost');

/** The platform at the port by which a visitor came, where it has no address that is told to everybody. */
export function platformNear(request: IncomingMessage, scheme: string): string {
  const port = /:\d{1,5}$/.exec(request.headers.host ?? '')?.[0] ?? '';
  return `${scheme}://localhost${port}`;
}

/**
 * The origins that may show a launch in a frame, as a policy lists them: the platform's, by each name it has on its own
 * machine. They are few, so they are remembered.
 */
export function framedByOf(
  platformUrl: string | undefined,
): (request: IncomingMessage, scheme: string) => string {
  const known = new Map<string, string>();
  return (request, scheme) => {
    const near = platformUrl ?? platformNear(request, scheme);
    const found = known.get(near);
    if (found !== undefined) return found;
    const url = new URL(near);
    const port = url.port === '' ? '' : `:${url.port}`;
    const more = isThisMachine(url.hostname) ? ` ${url.protocol}//127.0.0.1${port}` : '';
    if (known.size >= framedByMax) known.clear();
    known.set(near, `'self' ${near}${more}`);
    return `'self' ${near}${more}`;
  };
}

/**
 * Whether a launch could set cookies that the platform gets, as far as names tell: which of them are registrable is a list of
 * its own (publicsuffix.org). Below `localhost` each name is.
 */
export function sharesSite(platformUrl: string, domain: string): boolean {
  const { hostname } = new URL(platformUrl);
  if (isThisMachine(hostname) || isIP(hostname) !== 0) return false;
  return siteOf(hostname) === siteOf(domain);
}

/** The last two labels, or three where the second one looks like one that others register below, as in `co.uk`. */
function siteOf(hostName: string): string {
  const labels = hostName.split('.');
  const [second = '', first = ''] = labels.slice(-2);
  const isBelowCountry = first.length === 2 && second.length <= 3 && labels.length > 2;
  return labels.slice(isBelowCountry ? -3 : -2).join('.');
}
