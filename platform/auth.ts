/** Who is asking, and what a route needs. Closed from the first request: a route without a scope cannot be registered. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

/** `public` is written out where a route is meant for everybody. */
const scopes = ['public', 'apps:read', 'apps:write', 'apps:launch', 'stream:read', 'admin'] as const;
export type Scope = (typeof scopes)[number];

export type Identity = {
  readonly subject: string;
  readonly kind: 'operator' | 'webhook' | 'anonymous';
  /** `*` stands for every scope and is only ever written out. */
  readonly scopes: readonly (Scope | '*')[];
};

declare module 'fastify' {
  interface FastifyContextConfig {
    scope?: Scope;
  }
  interface FastifyRequest {
    identity: Identity;
  }
}

export const anonymous: Identity = { subject: 'anonymous', kind: 'anonymous', scopes: [] };

/** A token is kept as its SHA-256 only. */
export type KnownToken = { readonly sha256: Buffer; readonly identity: Identity };

export function knownToken(token: string, identity: Identity): KnownToken {
  return { sha256: createHash('sha256').update(token).digest(), identity };
}

/** The identity behind `Authorization: Bearer …` (RFC 6750), undefined for a token nobody has. Takes the same time for each. */
export function identify(tokens: readonly KnownToken[], token: string): Identity | undefined {
  const sha256 = createHash('sha256').update(token).digest();
  let found: Identity | undefined;
  for (const known of tokens) if (timingSafeEqual(known.sha256, sha256)) found = known.identity;
  return found;
}

export function allows(identity: Identity, scope: Scope): boolean {
  return scope === 'public' || identity.scopes.includes('*') || identity.scopes.includes(scope);
}

/** The token a request carries: in its Authorization header, or for a browser's WebSocket as a subprotocol `bearer.<token>`. */
export function tokenOf(headers: FastifyRequest['headers']): string | undefined {
  const [scheme = '', token] = (headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() === 'bearer' && token !== undefined && token !== '') return token;
  const offered = headers['sec-websocket-protocol']?.split(',').map(part => part.trim());
  return offered?.find(part => part.startsWith('bearer.'))?.slice('bearer.'.length);
}

/** Every route of the app names its scope, and a request without it is refused before its body is read. */
export function requireScopes(app: FastifyInstance, tokens: readonly KnownToken[]): void {
  app.decorateRequest('identity');
  app.addHook('onRoute', route => {
    if (route.config?.scope === undefined) throw new Error(`${route.method} ${route.url} names no scope`);
  });
  app.addHook('onRequest', async (request, reply) => {
    const scope = request.routeOptions.config.scope ?? (request.is404 ? 'public' : 'admin');
    const token = tokenOf(request.headers);
    const identity = token === undefined ? anonymous : identify(tokens, token);
    if (identity === undefined || (identity === anonymous && scope !== 'public')) {
      const isWrong = token === undefined ? '' : ', error="invalid_token"';
      if (scope !== 'public') reply.header('www-authenticate', `Bearer realm="apphub"${isWrong}`);
      const why = token === undefined ? 'This needs a token' : 'Nobody has this token';
      if (scope !== 'public') throw new Problem(401, 'unauthorized', why, { extra: { scope } });
    }
    const known = identity ?? anonymous;
    request.identity = known;
    if (!allows(known, scope)) {
      throw new Problem(403, 'forbidden', `This needs the scope ${scope}`, { extra: { scope } });
    }
  });
}
