/**
 * A session at the OIDC provider, and the sessions here that were opened by it, so that their end there is their end here.
 *
 *   joined* ──► ended
 */
import { type Decider, unreachable } from '../kernel/decider.ts';

const sessionsMax = 100;

/** `providerSessionId`: what the provider calls it (`sid`). */
type OfProvider = { providerSessionId: string; at: string };

export type ProviderSessionEvent =
  | { type: 'ProviderSessionJoined'; data: OfProvider & { sessionId: string } }
  | { type: 'ProviderSessionEnded'; data: OfProvider };

export type ProviderSessionCommand =
  | { type: 'JoinProviderSession'; data: OfProvider & { sessionId: string } }
  | { type: 'EndProviderSession'; data: OfProvider };

export type ProviderSessionState = {
  readonly status: 'open' | 'ended';
  /** Sessions here, the newest last; of very many the oldest are forgotten. */
  readonly sessionIds: readonly string[];
};

export const providerSession: Decider<ProviderSessionState, ProviderSessionCommand, ProviderSessionEvent> = {
  category: 'access.provider-session',
  initialState: { status: 'open', sessionIds: [] },

  evolve(state, event) {
    switch (event.type) {
      case 'ProviderSessionJoined':
        return { ...state, sessionIds: [...state.sessionIds, event.data.sessionId].slice(-sessionsMax) };
      case 'ProviderSessionEnded':
        return { ...state, status: 'ended' };
      default:
        return unreachable(event);
    }
  },

  /** Nothing joins what has ended: whoever wants to looks at the state, and ends what he opened. */
  decide(command, state) {
    if (state.status === 'ended') return [];
    switch (command.type) {
      case 'JoinProviderSession':
        if (state.sessionIds.includes(command.data.sessionId)) return [];
        return [{ type: 'ProviderSessionJoined', data: command.data }];
      case 'EndProviderSession':
        return [{ type: 'ProviderSessionEnded', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};
