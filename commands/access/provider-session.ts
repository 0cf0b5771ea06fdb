/** Sessions that end here because they ended at the provider (OpenID Connect Back-Channel Logout 1.0). */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { providerSession } from '../../domain/access/provider-session.ts';
import { session } from '../../domain/access/session.ts';
import type { Metadata } from '../../domain/events.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { type Oidc, SignInFailed } from '../../platform/oidc.ts';
import { Problem } from '../../platform/problem.ts';
import { type OnRefused, refusedAttempt } from '../../platform/refused.ts';
import type { Clock } from '../clock.ts';
import { deriveId } from '../derive-id.ts';
import { execute } from '../execute.ts';
import { causeOf } from '../request.ts';

const bodyBytesMax = 64 * 1_024;
const tokenCharsMax = 16 * 1_024;

export type ProviderSessionDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly oidc: { readonly provider: Oidc } | undefined;
  readonly onRefused: OnRefused;
};

const streamIdOf = (issuer: string, providerSessionId: string) =>
  deriveId('session of a provider', issuer, providerSessionId);

/** Notes that the session here hangs on one there. False where that one has ended meanwhile; then so has the one here. */
export async function joinProviderSession(
  store: EventStore,
  issuer: string,
  joined: { readonly providerSessionId: string; readonly sessionId: string },
  metadata: Metadata,
): Promise<boolean> {
  const at = metadata.time;
  const command = { type: 'JoinProviderSession', data: { ...joined, at } } as const;
  const id = streamIdOf(issuer, joined.providerSessionId);
  const { state } = await execute(store, providerSession, id, command, metadata);
  if (state.status === 'open') return true;
  await endHere(store, joined.sessionId, metadata);
  return false;
}

export function providerSessionCommands(deps: ProviderSessionDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: bodyBytesMax },
      (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    app.post(
      '/auth/backchannel-logout',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['access'],
          summary: 'The provider reports the end of a session there, in a token it has signed',
          consumes: ['application/x-www-form-urlencoded'],
          body: Type.Object({ logout_token: Type.String({ minLength: 1, maxLength: tokenCharsMax }) }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        await end(deps, request, request.body.logout_token);
        return reply.code(204).send(null);
      },
    );
  };
}

async function end(deps: ProviderSessionDeps, request: FastifyRequest, logoutToken: string): Promise<void> {
  const { store, clock, oidc } = deps;
  if (oidc === undefined) throw new Problem(404, 'not-found', 'There is no provider to sign in at');
  const { issuer } = oidc.provider;
  const providerSessionId = await endedSession(deps, oidc.provider, request, logoutToken);
  const metadata: Metadata = { ...causeOf(request, clock).metadata, actor: 'provider:oidc' };
  const data = { providerSessionId, at: metadata.time };
  const id = streamIdOf(issuer, providerSessionId);
  const command = { type: 'EndProviderSession', data } as const;
  const { state } = await execute(store, providerSession, id, command, metadata);
  for (const sessionId of state.sessionIds) await endHere(store, sessionId, metadata);
}

async function endedSession(
  { onRefused }: ProviderSessionDeps,
  provider: Oidc,
  request: FastifyRequest,
  logoutToken: string,
): Promise<string> {
  try {
    return await provider.endedSession(logoutToken);
  } catch (error) {
    if (!(error instanceof SignInFailed)) throw error;
    if (error.code === 'provider-away')
      throw new Problem(503, 'unavailable', 'The keys of the provider cannot be had');
    const problem = new Problem(400, 'bad-logout-token', 'This is no token about the end of a session');
    onRefused(refusedAttempt(request, problem));
    throw problem;
  }
}

/** A session that never came to be has ended, too. */
async function endHere(store: EventStore, sessionId: string, metadata: Metadata): Promise<void> {
  const data = { sessionId, at: metadata.time, by: null, reason: 'ended-by-provider' } as const;
  try {
    await execute(store, session, sessionId, { type: 'EndSession', data }, metadata);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}
