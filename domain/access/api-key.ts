/**
 * An API key lets a program act for the one who made it, with no more than its maker may do.
 *
 *   created ──► rotated* ──► revoked       it also ends by itself at `expiresAt`
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';

/** What is kept of the key itself: a digest nobody can sign in with, and its last characters for people to know it by. */
type Verifier = { sha256: string; hint: string };

type OfKey = { keyId: string; at: string };
type Created = OfKey & {
  owner: string;
  name: string;
  scopes: string[];
  /** Patterns of app ids that it is good for; null: all that its scopes reach. */
  apps: string[] | null;
  expiresAt: string | null;
} & Verifier;
type Rotated = OfKey & { owner: string; previousUntil: string } & Verifier;

export type ApiKeyEvent =
  | { type: 'ApiKeyCreated'; data: Created }
  | { type: 'ApiKeyRotated'; data: Rotated }
  | { type: 'ApiKeyRevoked'; data: OfKey & { owner: string } };

/** `by`: whose key it has to be; null for an administrator. To everybody else it is not there. */
type Asked = OfKey & { by: string | null };
export type ApiKeyCommand =
  | { type: 'CreateApiKey'; data: Created }
  | { type: 'RotateApiKey'; data: Asked & { previousUntil: string } & Verifier }
  | { type: 'RevokeApiKey'; data: Asked };

export type ApiKeyState = {
  readonly status: 'absent' | 'active' | 'revoked';
  readonly owner: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly apps: readonly string[] | null;
  readonly expiresAt: string | null;
  readonly sha256: string;
  /** The key before the last rotation, good until then. */
  readonly previous: { readonly sha256: string; readonly until: string } | null;
};

export const apiKey: Decider<ApiKeyState, ApiKeyCommand, ApiKeyEvent> = {
  category: 'access.api-key',
  initialState: {
    status: 'absent',
    owner: '',
    name: '',
    scopes: [],
    apps: null,
    expiresAt: null,
    sha256: '',
    previous: null,
  },

  evolve(state, event) {
    switch (event.type) {
      case 'ApiKeyCreated': {
        const { owner, name, scopes, apps, expiresAt, sha256 } = event.data;
        return { ...state, status: 'active', owner, name, scopes, apps, expiresAt, sha256 };
      }
      case 'ApiKeyRotated': {
        const previous = { sha256: state.sha256, until: event.data.previousUntil };
        return { ...state, sha256: event.data.sha256, previous };
      }
      case 'ApiKeyRevoked':
        return { ...state, status: 'revoked' };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { keyId, at } = command.data;
    if (command.type === 'CreateApiKey') {
      if (state.status !== 'absent') throw new Refusal('already-exists', { keyId });
      return [{ type: 'ApiKeyCreated', data: command.data }];
    }
    const { by } = command.data;
    const { owner } = state;
    if (state.status === 'absent' || (by !== null && by !== owner)) throw new Refusal('not-found', { keyId });
    switch (command.type) {
      case 'RotateApiKey': {
        const isOver = state.expiresAt !== null && state.expiresAt <= at;
        if (state.status === 'revoked' || isOver) throw new Refusal('api-key/ended', { keyId });
        const { sha256, hint, previousUntil } = command.data;
        return [{ type: 'ApiKeyRotated', data: { keyId, owner, sha256, hint, previousUntil, at } }];
      }
      case 'RevokeApiKey':
        if (state.status === 'revoked') return [];
        return [{ type: 'ApiKeyRevoked', data: { keyId, owner, at } }];
      default:
        return unreachable(command);
    }
  },
};

/** Digests of what opens this key at the time; none once it has ended. */
export function openedBy(state: ApiKeyState, at: string): readonly string[] {
  if (state.status !== 'active' || (state.expiresAt !== null && state.expiresAt <= at)) return [];
  const { previous } = state;
  return previous !== null && at < previous.until ? [state.sha256, previous.sha256] : [state.sha256];
}
