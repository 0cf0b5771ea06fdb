/**
 * Tells whose a token or a cookie is. Keys and sessions are asked of the log itself, one short stream each, so what was ended a
 * moment ago opens nothing more; the tables, which follow, have no say. Cost: one read of a stream of a few events a request.
 */
import { createHmac } from 'node:crypto';
import { apiKey, openedBy } from '../domain/access/api-key.ts';
import { isFromProvider } from '../domain/access/person.ts';
import { isOpen, session } from '../domain/access/session.ts';
import type { PlatformEvent } from '../domain/events.ts';
import { fold, type Message } from '../domain/kernel/decider.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { Credentials, Given, Identity } from './auth.ts';
import type { LastSeen } from './last-seen.ts';
import type { Operators } from './operators.ts';
import { isAmongDigests, looksLikeApiKey, readApiKey, readSessionToken } from './token-format.ts';

export type CredentialsDeps = {
  readonly operators: Operators;
  /** Everybody who has a token of the installation, whether it is taken or not: keys of others who had one are good no more. */
  readonly subjects: Pick<Operators, 'has'>;
  /** Whose tokens may open sessions. */
  readonly signInOperators: Operators;
  readonly store: Pick<EventStore, 'load'>;
  readonly lastSeen: LastSeen;
  readonly clock: { now(): string };
};

export function openCredentials(deps: CredentialsDeps): Credentials {
  return {
    async identify({ bearer, session: cookie, ip }: Given): Promise<Identity | undefined> {
      if (bearer === undefined) return cookie === undefined ? undefined : bySession(deps, cookie, ip);
      return looksLikeApiKey(bearer) ? byApiKey(deps, bearer, ip) : deps.operators.identify(bearer);
    },
  };
}

async function byApiKey(deps: CredentialsDeps, token: string, ip: string): Promise<Identity | undefined> {
  const found = readApiKey(token);
  if (found === undefined) return undefined;
  const { keyId } = found;
  const state = await stateOf(deps, apiKey, keyId);
  if (!isAmongDigests(openedBy(state, deps.clock.now()), token)) return undefined;
  if (!isFromProvider(state.owner) && !deps.subjects.has(state.owner)) return undefined;
  deps.lastSeen.note(keyId, ip);
  const { owner, name, scopes, apps, expiresAt } = state;
  return {
    subject: owner,
    name,
    kind: 'api-key',
    scopes,
    apps,
    expiresAt,
    credentialId: keyId,
    csrfToken: null,
  };
}

async function bySession(deps: CredentialsDeps, token: string, ip: string): Promise<Identity | undefined> {
  const found = readSessionToken(token);
  if (found === undefined) return undefined;
  const { sessionId } = found;
  const state = await stateOf(deps, session, sessionId);
  if (state.opened === null || !isAmongDigests([state.opened.sha256], token)) return undefined;
  // Whoever was struck off the list of operators is signed out.
  if (state.opened.how === 'token' && !deps.signInOperators.has(state.opened.subject)) return undefined;
  if (!isOpen(state, await deps.lastSeen.get(sessionId), deps.clock.now())) return undefined;
  deps.lastSeen.note(sessionId, ip);
  const { subject, name, scopes, apps, expiresAt } = state.opened;
  const csrfToken = createHmac('sha256', token).update('csrf').digest('base64url');
  return { subject, name, kind: 'session', scopes, apps, expiresAt, credentialId: sessionId, csrfToken };
}

async function stateOf<State, Event extends Message>(
  { store }: CredentialsDeps,
  decider: { category: string; initialState: State; evolve(state: State, event: Event): State },
  id: string,
): Promise<State> {
  const { events } = await store.load(`${decider.category}-${id}`);
  return fold(decider, events as readonly PlatformEvent[] as readonly unknown[] as readonly Event[]);
}
