/**
 * Events that a projection could not apply, and what is asked of them. One stops its stream in that projection, until it can be
 * applied after all or somebody says why it is to be left out.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';

type Asked = { projection: string; at: string };

/** Named by the place of its event in the log. */
type FoundLetter = {
  position: string;
  stream: string;
  eventType: string;
  error: string;
};

export type DeadLetterEvent =
  | { type: 'DeadLetterFound'; data: Asked & FoundLetter }
  | { type: 'DeadLetterResolved'; data: Asked & { position: string; stream: string; skipped: boolean } }
  | { type: 'DeadLetterReplayRequested'; data: Asked & { position: string | null } }
  | { type: 'DeadLetterSkipped'; data: Asked & { position: string; reason: string } }
  | { type: 'ProjectionShowRequested'; data: Asked & { reason: string } };

export type DeadLetterCommand =
  /** All that the tables have of this projection now. */
  | { type: 'ReportDeadLetters'; data: Asked & { letters: FoundLetter[] } }
  /** One, or all of them. */
  | { type: 'ReplayDeadLetters'; data: Asked & { position: string | null } }
  | { type: 'SkipDeadLetter'; data: Asked & { position: string; reason: string } }
  /** A generation that has more of them than the one that is shown is shown all the same. */
  | { type: 'ShowProjection'; data: Asked & { reason: string } };

export type DeadLetterState = {
  /** Streams by the position of the letter they wait for. */
  readonly open: { readonly [position: string]: string };
  readonly skipped: readonly string[];
};

export const deadLetters: Decider<DeadLetterState, DeadLetterCommand, DeadLetterEvent> = {
  category: 'platform.dead-letter',
  initialState: { open: {}, skipped: [] },

  evolve(state, event) {
    switch (event.type) {
      case 'DeadLetterFound':
        return { ...state, open: { ...state.open, [event.data.position]: event.data.stream } };
      case 'DeadLetterResolved': {
        const { [event.data.position]: _gone, ...open } = state.open;
        return { open, skipped: state.skipped.filter(position => position !== event.data.position) };
      }
      case 'DeadLetterSkipped':
        return { ...state, skipped: [...state.skipped, event.data.position] };
      default:
        return state;
    }
  },

  decide(command, state) {
    switch (command.type) {
      case 'ReportDeadLetters':
        return report(command.data, state);
      case 'ReplayDeadLetters':
        return [{ type: 'DeadLetterReplayRequested', data: command.data }];
      case 'SkipDeadLetter':
        return state.skipped.includes(command.data.position)
          ? []
          : [{ type: 'DeadLetterSkipped', data: command.data }];
      case 'ShowProjection':
        return [{ type: 'ProjectionShowRequested', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};

function report(
  { projection, at, letters }: Asked & { letters: FoundLetter[] },
  { open, skipped }: DeadLetterState,
): DeadLetterEvent[] {
  const there = new Set(letters.map(({ position }) => position));
  const gone = Object.entries(open).filter(([position]) => !there.has(position));
  const found = letters.filter(({ position }) => !Object.hasOwn(open, position));
  return [
    ...gone.map(([position, stream]) => ({
      type: 'DeadLetterResolved' as const,
      data: { projection, at, position, stream, skipped: skipped.includes(position) },
    })),
    ...found.map(letter => ({ type: 'DeadLetterFound' as const, data: { projection, at, ...letter } })),
  ];
}
