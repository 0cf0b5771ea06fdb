/**
 * A container engine as the log knows it: what was found on it that no log wants, and was removed. Each thing made there carries
 * the labels of the event that asked for it; what nothing asks for any more is an orphan.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';

export type Orphan = {
  kind: 'container' | 'network' | 'volume' | 'image';
  /** Its name or id on the engine. */
  name: string;
  /** Of what it was made for, as its labels say. */
  launchId: string | null;
  reason: string;
};

export type EngineEvent = { type: 'OrphanRemoved'; data: { engine: string; at: string } & Orphan };

export type EngineCommand = { type: 'RecordOrphan'; data: { engine: string; at: string } & Orphan };

export type EngineState = { readonly removed: number };

export const engine: Decider<EngineState, EngineCommand, EngineEvent> = {
  category: 'apps.engine',
  initialState: { removed: 0 },

  evolve(state, event) {
    switch (event.type) {
      case 'OrphanRemoved':
        return { removed: state.removed + 1 };
      default:
        return unreachable(event.type);
    }
  },

  decide(command) {
    return [{ type: 'OrphanRemoved', data: command.data }];
  },
};
