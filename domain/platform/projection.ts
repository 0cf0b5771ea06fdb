/** What is asked of a projection's tables: to be made anew beside the ones that are read, or to go back to those of before. */
import { type Decider, unreachable } from '../kernel/decider.ts';

type Asked = { projection: string; at: string };

export type ProjectionEvent =
  | { type: 'ProjectionRebuildRequested'; data: Asked }
  | { type: 'ProjectionRollbackRequested'; data: Asked };

export type ProjectionCommand =
  | { type: 'RebuildProjection'; data: Asked }
  | { type: 'RollBackProjection'; data: Asked };

export type ProjectionState = { readonly asked: number };

export const projectionRequests: Decider<ProjectionState, ProjectionCommand, ProjectionEvent> = {
  category: 'platform.projection',
  initialState: { asked: 0 },

  evolve: state => ({ asked: state.asked + 1 }),

  decide(command) {
    switch (command.type) {
      case 'RebuildProjection':
        return [{ type: 'ProjectionRebuildRequested', data: command.data }];
      case 'RollBackProjection':
        return [{ type: 'ProjectionRollbackRequested', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};
