/**
 * What is asked of a projection's tables: to be made anew beside the ones that are read, to go back to those of before, or to be
 * mended; and what the self-audit found of them. What it found is reported once, until it is mended.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';

type Asked = { projection: string; at: string };

export type Divergence = {
  table: string;
  /** The row's primary key, as JSON. */
  key: string;
  /**
   * `missing` and `extra`: a row that is not there, or should not be. `changed`: it is not what the log says. `unstable`: the log
   * says something else each time it is folded, so the projection is not a pure function.
   */
  kind: 'missing' | 'extra' | 'changed' | 'unstable';
  /** Which columns differ; all of them, where the row is missing or extra. */
  columns: readonly string[];
  /**
   * The first event that the row does not hold: the one after the last state it was ever in, or the last one that wrote it. Null
   * where no event names the row.
   */
  position: string | null;
  /** Up to here the table was looked at and found sound; null: never yet. */
  soundUpTo: string | null;
};

type Diverged = Asked & {
  /** Both sides held the log up to here. */
  position: string;
  /** So many rows; the divergences may name the first of them only. */
  rows: number;
  divergences: readonly Divergence[];
};
type Repaired = Asked & { position: string; rows: number; how: 'refolded' | 'overwritten' };

export type ProjectionEvent =
  | { type: 'ProjectionRebuildRequested'; data: Asked }
  | { type: 'ProjectionRollbackRequested'; data: Asked }
  | { type: 'ProjectionDiverged'; data: Diverged }
  | { type: 'ProjectionRepairRequested'; data: Asked }
  | { type: 'ProjectionRepaired'; data: Repaired };

export type ProjectionCommand =
  | { type: 'RebuildProjection'; data: Asked }
  | { type: 'RollBackProjection'; data: Asked }
  | { type: 'ReportProjectionDiverged'; data: Diverged }
  | { type: 'RepairProjection'; data: Asked }
  | { type: 'ReportProjectionRepaired'; data: Repaired };

export type ProjectionState = {
  readonly asked: number;
  /** What was reported and is not mended. */
  readonly open: readonly string[];
};

/** One wrong row, whenever it is looked at. */
const nameOf = ({ table, key, kind, columns }: Divergence) => JSON.stringify([table, key, kind, columns]);

export const projectionRequests: Decider<ProjectionState, ProjectionCommand, ProjectionEvent> = {
  category: 'platform.projection',
  initialState: { asked: 0, open: [] },

  evolve(state, event) {
    switch (event.type) {
      case 'ProjectionRebuildRequested':
      case 'ProjectionRollbackRequested':
      case 'ProjectionRepairRequested':
        return { ...state, asked: state.asked + 1 };
      case 'ProjectionDiverged':
        return { ...state, open: event.data.divergences.map(nameOf) };
      case 'ProjectionRepaired':
        return { ...state, open: [] };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    switch (command.type) {
      case 'RebuildProjection':
        return [{ type: 'ProjectionRebuildRequested', data: command.data }];
      case 'RollBackProjection':
        return [{ type: 'ProjectionRollbackRequested', data: command.data }];
      case 'RepairProjection':
        return [{ type: 'ProjectionRepairRequested', data: command.data }];
      case 'ReportProjectionDiverged': {
        const isKnown = command.data.divergences.every(one => state.open.includes(nameOf(one)));
        return isKnown ? [] : [{ type: 'ProjectionDiverged', data: command.data }];
      }
      case 'ReportProjectionRepaired':
        return state.open.length === 0 ? [] : [{ type: 'ProjectionRepaired', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};
