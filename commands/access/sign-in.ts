/**
 * Signing in at an OIDC provider. What the browser has to bring back lies sealed in a cookie of its own, so nothing is kept here
 * for whoever only began; what goes wrong on the way ends at the page with a word, and in the record of refused attempts.
 */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  admit,
  type Person,
  type PersonClaims,
  type PersonPolicy,
  type PersonRefusal,
} from '../../domain/access/person.ts';
import { session } from '../../domain/access/session.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type Credentials, givenBy } from '../../platform/auth.ts';
import { type Expected, type Oidc, SignInFailed } from '../../platform/oidc.ts';
import { invalid, Problem } from '../../platform/problem.ts';
import { type OnRefused, refusedAttempt } from '../../platform/refused.ts';
import type { Seal } from '../../platform/sealed.ts';
import { cookieOf, hostCookie, sessionCookie } from '../../platform/session-cookie.ts';
import { execute, stateOf } from '../execute.ts';
import { causeOf, NoBody } from '../request.ts';
import { joinProviderSession } from './provider-session.ts';
import { isProtected, openSession, type SessionDeps } from './session.ts';

export type SignInDeps = SessionDeps & {
  /** Undefined where people do not sign in at a provider. */
  readonly oidc: { readonly provider: Oidc; readonly policy: PersonPolicy; readonly seal: Seal } | undefined;
  readonly credentials: Credentials;
  readonly onRefused: OnRefused;
};
type Configured = SignInDeps & { readonly oidc: NonNullable<SignInDeps['oidc']> };

const loginCookie = '__Host-apphub-login';
const loginSeconds = 600;
const placeCharsMax = 1_024;

/** What the page is told, as `/?signInError=<code>`, and the record of refused attempts as its outcome. */
type SignInError = SignInFailed['code'] | PersonRefusal | 'missing-login' | 'not-protected';

/** Between the way to the provider and the way back. */
type Login = Expected & {
  readonly redirectTo: string;
  /** Of the session that this leads to: it can be opened once. */
  readonly sessionId: string;
  /** The session that the browser has meanwhile. Its cookie does not come along on the way back from another site. */
  readonly before: string | null;
  readonly until: string;
};

const OnTheWay = Type.Null({ description: 'The field Location says where to go on' });

export function signInCommands(deps: SignInDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/auth/login',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['access'],
          summary: 'Send a browser to the provider to sign in, and back to a place here afterwards',
          querystring: Type.Object({
            redirectTo: Type.String({
              default: '/',
              maxLength: placeCharsMax,
              description: 'A path of this platform, beginning with one /',
            }),
          }),
          response: { 303: OnTheWay },
        },
      },
      async (request, reply) => {
        const redirectTo = placeOf(request.query.redirectTo);
        if (!isProtected(request)) return refuse(deps, request, reply, 'not-protected');
        return begin(configured(deps), request, reply, redirectTo);
      },
    );

    app.get(
      '/auth/callback',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['access'],
          summary: 'Where the provider sends a browser back to; opens its session',
          response: { 303: OnTheWay },
        },
      },
      async (request, reply) => {
        reply.header('set-cookie', hostCookie(loginCookie, '', { maxAgeSeconds: 0, sameSite: 'lax' }));
        return finish(configured(deps), request, reply);
      },
    );

    app.post(
      '/auth/logout',
      {
        config: { scope: 'identified' },
        schema: {
          tags: ['access'],
          summary: 'Sign this browser out, and say where the provider signs it out too',
          body: NoBody,
          response: {
            200: Type.Object({
              data: Type.Object({ redirect: Type.Union([Type.String(), Type.Null()]) }),
            }),
          },
        },
      },
      async (request, reply) => ({ data: { redirect: await signOut(deps, request, reply) } }),
    );
  };
}

function configured(deps: SignInDeps): Configured {
  const { oidc } = deps;
  if (oidc === undefined) throw new Problem(404, 'not-found', 'There is no provider to sign in at');
  return { ...deps, oidc };
}

/** The path, if it stays here whatever a browser makes of it. */
function placeOf(path: string): string {
  const here = 'http://here.invalid';
  const isPath = /^\/(?![/\\])[^\\\p{C}\p{Z}]*$/u.test(path);
  const url = isPath ? URL.parse(path, here) : null;
  // Dots are taken out of it: `/.//elsewhere` would be `//elsewhere`.
  if (url !== null && url.origin === here && !url.pathname.startsWith('//'))
    return `${url.pathname}${url.search}${url.hash}`;
  throw invalid([{ field: 'redirectTo', message: 'must be a path of this platform, beginning with one /' }]);
}

async function begin(
  deps: Configured,
  request: FastifyRequest,
  reply: FastifyReply,
  redirectTo: string,
): Promise<FastifyReply> {
  const { clock, oidc } = deps;
  try {
    const { url, ...expected } = await oidc.provider.begin();
    const login: Login = {
      ...expected,
      redirectTo,
      sessionId: clock.newId(),
      before: await sessionOf(deps, request),
      until: new Date(Date.parse(clock.now()) + loginSeconds * 1_000).toISOString(),
    };
    const sealed = oidc.seal.seal(login);
    reply.header(
      'set-cookie',
      hostCookie(loginCookie, sealed, { maxAgeSeconds: loginSeconds, sameSite: 'lax' }),
    );
    return reply.redirect(url, 303);
  } catch (error) {
    if (error instanceof SignInFailed) return refuse(deps, request, reply, error.code);
    throw error;
  }
}

async function finish(deps: Configured, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { provider, policy } = deps.oidc;
  const login = await loginOf(deps, request);
  if (login === undefined) return refuse(deps, request, reply, 'missing-login');
  let claims: PersonClaims;
  try {
    claims = await provider.finish(queryOf(request.url), login);
  } catch (error) {
    if (error instanceof SignInFailed) return refuse(deps, request, reply, error.code);
    throw error;
  }
  const person = admit(claims, policy);
  if (typeof person === 'string') return refuse(deps, request, reply, person, `oidc:${claims.sub}`);
  try {
    const isOpen = await openSessionOf(deps, request, reply, { login, claims, person });
    return isOpen
      ? reply.redirect(login.redirectTo, 303)
      : refuse(deps, request, reply, 'provider-refused', person.subject);
  } catch (error) {
    const isRepeated = error instanceof Refusal && error.code === 'already-exists';
    if (isRepeated) return refuse(deps, request, reply, 'missing-login', person.subject);
    throw error;
  }
}

/** False when the provider ended its own session while this one was opened. */
async function openSessionOf(
  deps: Configured,
  request: FastifyRequest,
  reply: FastifyReply,
  { login, claims, person }: { login: Login; claims: PersonClaims; person: Person },
): Promise<boolean> {
  const { sessionId } = login;
  const { sid: providerSessionId } = claims;
  const { subject, name, scopes, apps } = person;
  await openSession(deps, request, reply, {
    subject,
    name,
    how: 'oidc',
    scopes: [...scopes],
    apps: apps === null ? null : [...apps],
    providerSessionId,
    endsBefore: null,
    sessionId,
    before: login.before ?? (await sessionOf(deps, request)),
  });
  if (providerSessionId === null) return true;
  const metadata = { ...causeOf(request, deps.clock).metadata, actor: subject };
  const { issuer } = deps.oidc.provider;
  return joinProviderSession(deps.store, issuer, { providerSessionId, sessionId }, metadata);
}

/** The session that the browser has by now: for what is public nobody has looked yet. */
async function sessionOf(
  { credentials }: Configured,
  { headers, ip }: FastifyRequest,
): Promise<string | null> {
  const given = givenBy(headers, ip);
  const identity = given.session === undefined ? undefined : await credentials.identify(given);
  return identity?.credentialId ?? null;
}

/** What this browser began with, unless it took too long, or has led to a session before. */
async function loginOf(
  { oidc, clock, store }: Configured,
  request: FastifyRequest,
): Promise<Login | undefined> {
  const sealed = cookieOf(request.headers, loginCookie);
  // Nobody but this platform can have sealed it.
  const login = sealed === undefined ? undefined : (oidc.seal.open(sealed) as Login | undefined);
  if (login === undefined || login.until <= clock.now()) return undefined;
  return (await stateOf(store, session, login.sessionId)) === null ? login : undefined;
}

const queryOf = (url: string): string => (url.includes('?') ? url.slice(url.indexOf('?')) : '');

const statusOf: { readonly [code in SignInError]: number } = {
  'missing-login': 401,
  'wrong-state': 401,
  'provider-refused': 401,
  'unverified-email': 403,
  'foreign-domain': 403,
  'no-groups': 403,
  'provider-away': 503,
  'not-protected': 400,
};

/** Back to the page with a word, and a line in the record. `actor`: whom the provider told of, if it came to that. */
function refuse(
  { onRefused }: SignInDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  code: SignInError,
  actor = request.identity.subject,
): FastifyReply {
  onRefused({ ...refusedAttempt(request, { code, status: statusOf[code] }), actor });
  return reply.redirect(`/?signInError=${code}`, 303);
}

/** Ends the session that asks. Answers where the provider's own ends; null for what has none. */
async function signOut(
  { store, clock, oidc }: SignInDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string | null> {
  const { kind, credentialId } = request.identity;
  if (kind !== 'session' || credentialId === null) return null;
  const { metadata } = causeOf(request, clock);
  const data = { sessionId: credentialId, at: metadata.time, by: null, reason: 'signed-out' } as const;
  const { state } = await execute(store, session, credentialId, { type: 'EndSession', data }, metadata);
  reply.header('set-cookie', hostCookie(sessionCookie, '', { maxAgeSeconds: 0, sameSite: 'strict' }));
  const { opened } = state;
  if (oidc === undefined || opened?.how !== 'oidc') return null;
  return oidc.provider.endSessionUrl(opened.providerSessionId);
}
