/** Signing in with a token of the installation, and ending sessions. Signing in at a provider is in sign-in.ts. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type SessionEnd, session } from '../../domain/access/session.ts';
import type { Metadata } from '../../domain/events.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { allows, requireSessionRights } from '../../platform/auth.ts';
import type { Operators } from '../../platform/operators.ts';
import { Problem } from '../../platform/problem.ts';
import { hostCookie, sessionCookie } from '../../platform/session-cookie.ts';
import { makeSessionToken } from '../../platform/token-format.ts';
import type { Clock } from '../clock.ts';
import { execute } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';

export type SessionTimes = { readonly idleSeconds: number; readonly absoluteSeconds: number };
export type SessionDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Whose tokens may open sessions. */
  readonly signInOperators: Operators;
  /** False where people sign in at the provider only. */
  readonly tokenSignIn: boolean;
  readonly sessionTimes: SessionTimes;
};

const tokenCharsMax = 512;
const urlOf = (sessionId: string) => `/auth/sessions/${sessionId}`;

export function sessionCommands(deps: SessionDeps): FastifyPluginAsyncTypebox {
  const { store, clock, signInOperators, tokenSignIn } = deps;
  return async app => {
    app.post(
      '/auth/sessions',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['access'],
          summary: 'Sign a browser in with a token: the answer sets its cookie',
          body: Type.Object(
            { token: Type.String({ minLength: 1, maxLength: tokenCharsMax }) },
            { additionalProperties: false },
          ),
          response: { 201: Accepted },
        },
      },
      async (request, reply) => {
        refuseForeignPage(request);
        if (!tokenSignIn)
          throw new Problem(403, 'token-sign-in-off', 'People sign in at the provider here, not by token');
        const identity = signInOperators.identify(request.body.token);
        if (identity === undefined) throw new Problem(401, 'unauthorized', 'Nobody has this token');
        const { sessionId, position } = await openSession(deps, request, reply, {
          subject: identity.subject,
          name: identity.name ?? identity.subject,
          how: 'token',
          scopes: [...identity.scopes],
          apps: identity.apps === null ? null : [...identity.apps],
          providerSessionId: null,
          endsBefore: identity.expiresAt,
        });
        return accepted(reply, sessionId, position, urlOf(sessionId), 201);
      },
    );

    app.delete(
      '/auth/sessions/:sessionId',
      {
        config: { scope: 'identified' },
        schema: {
          tags: ['access'],
          summary: 'End a session at once: one’s own, or anybody’s with the scope admin',
          params: Type.Object({ sessionId: Type.String({ format: 'uuid' }) }),
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { identity } = request;
        requireSessionRights(identity);
        const { sessionId } = request.params;
        const { metadata, once } = causeOf(request, clock);
        const isOwn = identity.credentialId === sessionId;
        const isAdmin = allows(identity, 'admin');
        const reason: SessionEnd = isOwn ? 'signed-out' : isAdmin ? 'ended-by-admin' : 'ended-by-owner';
        const by = isAdmin ? null : identity.subject;
        const command = { type: 'EndSession', data: { sessionId, at: metadata.time, by, reason } } as const;
        const { position } = await execute(store, session, sessionId, command, metadata, { once });
        if (isOwn)
          reply.header('set-cookie', hostCookie(sessionCookie, '', { maxAgeSeconds: 0, sameSite: 'strict' }));
        return accepted(reply, sessionId, position, urlOf(sessionId));
      },
    );
  };
}

export type SignedIn = {
  readonly subject: string;
  readonly name: string;
  readonly how: 'token' | 'oidc';
  readonly scopes: string[];
  readonly apps: string[] | null;
  readonly providerSessionId: string | null;
  /** The end of what was signed in with, which no session outlives. */
  readonly endsBefore: string | null;
  /** The id that the session is to have; it is refused when there is such a session. By default a new one. */
  readonly sessionId?: string;
  /** The session of this browser that this one takes the place of; by default that of who asks. */
  readonly before?: string | null;
};

/**
 * Opens a session under a new name, whatever the browser had before (ASVS 7.2.4), and sets its cookie. Rejects where a browser
 * would not keep such a cookie: over plain HTTP from another machine.
 */
export async function openSession(
  { store, clock, sessionTimes }: SessionDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { endsBefore, sessionId = clock.newId(), before = null, ...who }: SignedIn,
): Promise<{ sessionId: string; position: bigint | null }> {
  refuseUnprotected(request);
  const metadata: Metadata = { ...causeOf(request, clock).metadata, actor: who.subject };
  const { token, sha256 } = makeSessionToken(sessionId);
  const { idleSeconds, absoluteSeconds } = sessionTimes;
  const latest = new Date(Date.parse(metadata.time) + absoluteSeconds * 1_000).toISOString();
  const expiresAt = endsBefore !== null && endsBefore < latest ? endsBefore : latest;
  const data = { ...who, sessionId, at: metadata.time, sha256, expiresAt, idleSeconds };
  const { position } = await execute(store, session, sessionId, { type: 'OpenSession', data }, metadata);
  await endBefore(store, before ?? shownBy(request), metadata);
  reply.header(
    'set-cookie',
    hostCookie(sessionCookie, token, { maxAgeSeconds: absoluteSeconds, sameSite: 'strict' }),
  );
  return { sessionId, position };
}

/** The session that the browser can show it has. */
const shownBy = ({ identity }: FastifyRequest): string | null =>
  identity.kind === 'session' ? identity.credentialId : null;

/** The session this browser had is over. */
async function endBefore(store: EventStore, sessionId: string | null, metadata: Metadata): Promise<void> {
  if (sessionId === null) return;
  const data = { sessionId, at: metadata.time, by: null, reason: 'signed-in-again' } as const;
  await execute(store, session, sessionId, { type: 'EndSession', data }, metadata);
}

/** A page of somebody else must not sign a browser in as somebody its user does not mean to be (login CSRF). */
function refuseForeignPage({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  if (origin === undefined || URL.parse(origin)?.host === host?.toLowerCase()) return;
  throw new Problem(403, 'foreign-origin', 'This page may not sign anybody in here');
}

/** Whether the request came by HTTPS, or from this very machine, which browsers take for as good. */
export function isProtected({ protocol, hostname }: Pick<FastifyRequest, 'protocol' | 'hostname'>): boolean {
  const name = hostname.replace(/:\d+$/, '').toLowerCase();
  return protocol === 'https' || /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(name);
}

function refuseUnprotected(request: FastifyRequest): void {
  if (isProtected(request)) return;
  throw new Problem(400, 'not-protected', 'Signing in needs HTTPS, or the page of this very machine', {
    detail: 'Put a proxy with a certificate before AppHub and name it in APPHUB_TRUSTED_PROXIES.',
  });
}
