/** Attempts that were refused. What one actor tries again and again within a minute is one event with its true count. */
import type { Decider } from '../kernel/decider.ts';

export type RefusedAttempt = {
  /** Who asked, as far as it is known: a subject, else `anonymous`. */
  actor: string;
  /** The scope or the problem's code by which it was refused, such as `forbidden`. */
  outcome: string;
  status: number;
  method: string;
  /** The address by its pattern, such as `/apps/:appId`. */
  route: string;
  /** What of it was meant, such as `apps/shop`; null where the route names nothing. */
  target: string | null;
  ip: string;
  userAgent: string;
  correlationId: string;
};

type Refused = RefusedAttempt & { count: number; since: string; at: string };

export type AttemptEvent = { type: 'AttemptsRefused'; data: Refused };
export type AttemptCommand = { type: 'RecordRefusals'; data: { refusals: Refused[]; at: string } };

/** A stream a batch: nothing is ever decided on what came before. */
export const attempt: Decider<null, AttemptCommand, AttemptEvent> = {
  category: 'access.attempt',
  initialState: null,
  evolve: state => state,
  decide: ({ data }) => data.refusals.map(refused => ({ type: 'AttemptsRefused', data: refused })),
};
