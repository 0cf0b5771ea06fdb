/**
 * Who is asking, and what a route needs. Closed from the first request: a route without a scope cannot be registered, and a
 * request without it is refused before its body is read.
 */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { grants, isAmong, type Scope } from '../domain/access/scope.ts';
import { Problem } from './problem.ts';
import { countedAs, networkOf, type RateLimiter } from './rate-limit.ts';
import { sessionCookieOf } from './session-cookie.ts';

export type Identity = {
  readonly subject: string;
  /** For people, where it is known. */
  readonly name?: string;
  readonly kind: 'operator' | 'api-key' | 'session' | 'anonymous';
  /** Scopes, `apps:*` for those of a context, and `*` for every one; that is only ever written out. */
  readonly scopes: readonly string[];
  /** Patterns of the only apps it is good for; null: all of them. */
  readonly apps: readonly string[] | null;
  readonly expiresAt: string | null;
  /** Of the API key or the session; null for a token of the installation. */
  readonly credentialId: string | null;
  /** What a page sends back with every change it asks for by its cookie; null where there is no cookie. */
  readonly csrfToken: string | null;
};

/** What a request brought along to say who asks. */
export type Given = { readonly bearer?: string; readonly session?: string; readonly ip: string };

export type Credentials = {
  /** Whose this is; undefined for what nobody has, has ended, or was never whole. Takes as long for each of them. */
  identify(given: Given): Promise<Identity | undefined>;
};

/** What a route names: a scope, `identified` for whoever is somebody, or, written out, `public` for everybody. */
export type Needed = Scope | 'identified' | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    scope?: Needed;
    /** Set where what is read by everybody says more to somebody who is known. */
    asksWho?: true;
    /** False where an Idempotency-Key is refused, as the answer is kept nowhere. */
    isRepeatable?: false;
  }
  interface FastifyRequest {
    identity: Identity;
  }
}

export const anonymous: Identity = {
  subject: 'anonymous',
  kind: 'anonymous',
  scopes: [],
  apps: null,
  expiresAt: null,
  credentialId: null,
  csrfToken: null,
};

export function allows(identity: Identity, needed: Needed): boolean {
  if (needed === 'public') return true;
  return needed === 'identified' ? identity.kind !== 'anonymous' : grants(identity.scopes, needed);
}

/** Whether the identity may have to do with this app at all, whatever its scopes. */
export const reaches = ({ apps }: Identity, appId: string): boolean => isAmong(apps, appId);

/** Sessions are people's own business: a program sees and ends none with a key of theirs, unless it is an administrator's. */
export function requireSessionRights(identity: Identity): void {
  if (identity.kind === 'api-key') requireScope(identity, 'admin');
}

/** Rejects with 403 what concerns an app that the credential is not good for, whether there is such an app or not. */
export function requireApp(identity: Identity, appId: string): void {
  if (reaches(identity, appId)) return;
  throw new Problem(403, 'foreign-resource', 'This is not among what you may reach', { extra: { appId } });
}

/** The token in the Authorization header (RFC 6750), or for a program's WebSocket in the subprotocol `bearer.<token>`. */
function bearerOf(headers: IncomingHttpHeaders): string | undefined {
  const [scheme = '', token] = (headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() === 'bearer' && token !== undefined && token !== '') return token;
  const offered = headers['sec-websocket-protocol']?.split(',').map(part => part.trim());
  return offered?.find(part => part.startsWith('bearer.'))?.slice('bearer.'.length);
}

export function givenBy(headers: IncomingHttpHeaders, ip: string): Given {
  const bearer = bearerOf(headers);
  const session = sessionCookieOf(headers);
  return { ip, ...(bearer === undefined ? (session === undefined ? {} : { session }) : { bearer }) };
}

/** The identity behind what was given, or a Problem: 401 where there is none, 403 where it lacks the scope. */
export async function authenticate(credentials: Credentials, given: Given, scope: Scope): Promise<Identity> {
  const identity = await identityOf(credentials, given);
  if (identity === undefined) throw unauthorized(given, scope);
  requireScope(identity, scope);
  return identity;
}

const hasAny = ({ bearer, session }: Given) => bearer !== undefined || session !== undefined;

async function identityOf(credentials: Credentials, given: Given): Promise<Identity | undefined> {
  return hasAny(given) ? credentials.identify(given) : undefined;
}

function requireScope(identity: Identity, scope: Needed): void {
  if (allows(identity, scope)) return;
  throw new Problem(403, 'forbidden', `This needs the scope ${scope}`, { extra: { scope } });
}

/** The answer to somebody who is nobody (RFC 6750 section 3). */
function nobody(given: Given, reply: FastifyReply, scope: Needed): Problem {
  const isWrong = given.bearer === undefined ? '' : ', error="invalid_token"';
  reply.header('www-authenticate', `Bearer realm="apphub"${isWrong}`);
  return unauthorized(given, scope);
}

function unauthorized({ bearer, session }: Given, scope: Needed): Problem {
  const none = session === undefined ? 'This needs a token' : 'This session has ended';
  const why = bearer === undefined ? none : 'Nobody has this token';
  return new Problem(401, 'unauthorized', why, { extra: { scope } });
}

const safeMethods = ['GET', 'HEAD', 'OPTIONS'];
const tokenParameters = ['access_token', 'api_key', 'token'];

export function requireScopes(app: FastifyInstance, credentials: Credentials, limiter?: RateLimiter): void {
  app.decorateRequest('identity');
  app.addHook('onRoute', route => {
    if (route.config?.scope === undefined) throw new Error(`${route.method} ${route.url} names no scope`);
  });
  app.addHook('onRequest', async (request, reply) => {
    refuseTokenInAddress(request);
    const scope = request.routeOptions.config.scope ?? (request.is404 ? 'public' : 'admin');
    const given = givenBy(request.headers, request.ip);
    const { asksWho = false } = request.routeOptions.config;
    const isForAll = scope === 'public' && safeMethods.includes(request.method) && !asksWho;
    // What is for everybody is not worth a look at who it is: a page is made of many files.
    const identity = isForAll ? undefined : await identityOf(credentials, given);
    request.identity = identity ?? anonymous;
    if (limiter !== undefined) await limit(limiter, request, reply, !isForAll && hasAny(given));
    if (identity === undefined && scope !== 'public') throw nobody(given, reply, scope);
    requireScope(request.identity, scope);
    if (request.identity.kind === 'session' && !safeMethods.includes(request.method)) refuseForgery(request);
  });
  // Before what was sent is looked at, which is nobody's business who may not.
  app.addHook('preValidation', async request => {
    const { appId } = (request.params ?? {}) as { appId?: unknown };
    if (typeof appId === 'string') requireApp(request.identity, appId);
  });
}

/** Counts the request (draft-ietf-httpapi-ratelimit-headers), and a credential that is nobody's once more. */
async function limit(
  limiter: RateLimiter,
  { identity, ip }: FastifyRequest,
  reply: FastifyReply,
  isGiven: boolean,
): Promise<void> {
  if (isGiven && identity.kind === 'anonymous') await limiter.count('refused', networkOf(ip));
  const { kind, key } = countedAs(identity, ip);
  const { limit: most, remaining, resetSeconds } = await limiter.count(kind, key);
  reply.header('ratelimit-policy', `"${kind}";q=${most};w=60`);
  reply.header('ratelimit', `"${kind}";r=${remaining};t=${resetSeconds}`);
}

/** An address is kept in histories and logs (RFC 6750 section 5.3), so a token in one has already been lost. */
function refuseTokenInAddress({ query }: FastifyRequest): void {
  const found = tokenParameters.find(name => Object.hasOwn((query as object | null) ?? {}, name));
  if (found === undefined) return;
  throw new Problem(400, 'token-in-address', 'A token does not belong in an address', {
    extra: { field: found },
  });
}

/**
 * A cookie comes along with whatever a browser sends, also for a page of somebody else. So a change asked for by cookie has to
 * come from a page of ours, and know what only such a page can have read.
 */
function refuseForgery({ headers, identity }: FastifyRequest): void {
  const { origin, host } = headers;
  const isOurs = origin !== undefined && URL.parse(origin)?.host === host?.toLowerCase();
  const token = headers['x-csrf-token'];
  if (isOurs && isSame(token, identity.csrfToken)) return;
  throw new Problem(403, 'csrf', 'This was not asked for by a page of this platform', {
    extra: { field: isOurs ? 'X-CSRF-Token' : 'Origin' },
  });
}

function isSame(given: unknown, right: string | null): boolean {
  if (typeof given !== 'string' || right === null) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
