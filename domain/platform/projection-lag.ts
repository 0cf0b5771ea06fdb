/** How far a projection is behind the log: told when it is too far, and when it no longer is. */
import type { Decider } from '../kernel/decider.ts';

type Lag = { projection: string; lagEvents: number; lagSeconds: number; at: string };

export type ProjectionLagEvent =
  | { type: 'ProjectionFellBehind'; data: Lag }
  | { type: 'ProjectionCaughtUp'; data: Lag };

export type ProjectionLagCommand = { type: 'ReportProjectionLag'; data: Lag & { isTooFar: boolean } };

export const projectionLags: Decider<{ isBehind: boolean }, ProjectionLagCommand, ProjectionLagEvent> = {
  category: 'platform.projection-lag',
  initialState: { isBehind: false },

  evolve: (_state, { type }) => ({ isBehind: type === 'ProjectionFellBehind' }),

  decide({ data: { isTooFar, ...lag } }, { isBehind }) {
    if (isTooFar === isBehind) return [];
    return [{ type: isTooFar ? 'ProjectionFellBehind' : 'ProjectionCaughtUp', data: lag }];
  },
};
