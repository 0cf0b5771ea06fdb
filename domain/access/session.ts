/**
 * A session is somebody signed in on one browser.
 *
 *   opened ──► ended       it also ends by itself at `expiresAt`, and when nothing was heard of it for `idleSeconds`
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';

type OfSession = { sessionId: string; at: string };
type Opened = OfSession & {
  subject: string;
  /** For people: a name or an address. */
  name: string;
  /** By the token of this installation, or by the OIDC provider. */
  how: 'token' | 'oidc';
  scopes: string[];
  apps: string[] | null;
  /** Of what the browser's cookie holds. */
  sha256: string;
  expiresAt: string;
  idleSeconds: number;
  /** What the provider calls the session, so that it can end it from there. */
  providerSessionId: string | null;
};
export type SessionEnd =
  | 'signed-out'
  | 'ended-by-owner'
  | 'ended-by-admin'
  | 'signed-in-again'
  | 'ended-by-provider';

export type SessionEvent =
  | { type: 'SessionOpened'; data: Opened }
  | { type: 'SessionEnded'; data: OfSession & { subject: string; reason: SessionEnd } };

export type SessionCommand =
  | { type: 'OpenSession'; data: Opened }
  /** `by`: whose it has to be; null for an administrator, and for the platform itself. */
  | { type: 'EndSession'; data: OfSession & { by: string | null; reason: SessionEnd } };

export type SessionState = {
  readonly status: 'absent' | 'open' | 'ended';
  readonly opened: Opened | null;
};

export const session: Decider<SessionState, SessionCommand, SessionEvent> = {
  category: 'access.session',
  initialState: { status: 'absent', opened: null },

  evolve(state, event) {
    switch (event.type) {
      case 'SessionOpened':
        return { status: 'open', opened: event.data };
      case 'SessionEnded':
        return { ...state, status: 'ended' };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { sessionId, at } = command.data;
    switch (command.type) {
      case 'OpenSession':
        if (state.status !== 'absent') throw new Refusal('already-exists', { sessionId });
        return [{ type: 'SessionOpened', data: command.data }];
      case 'EndSession': {
        const { by, reason } = command.data;
        const { opened } = state;
        if (opened === null || (by !== null && by !== opened.subject))
          throw new Refusal('not-found', { sessionId });
        if (state.status === 'ended') return [];
        return [{ type: 'SessionEnded', data: { sessionId, subject: opened.subject, reason, at } }];
      }
      default:
        return unreachable(command);
    }
  },
};

/** Whether the session is good at this time, when it was last heard of at `seenAt`. */
export function isOpen({ status, opened }: SessionState, seenAt: string | null, at: string): boolean {
  if (status !== 'open' || opened === null || opened.expiresAt <= at) return false;
  const last = seenAt !== null && seenAt > opened.at ? seenAt : opened.at;
  return Date.parse(at) - Date.parse(last) < opened.idleSeconds * 1_000;
}
