/** The whole vocabulary of the write side: an event, a command, and three pure functions. */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type Message = { readonly type: string; readonly data: { readonly [key: string]: Json } };

/**
 * How one kind of aggregate decides. `decide` and `evolve` are pure: time and ids arrive in the command.
 * The pattern is Jérémie Chassaing's "Functional Event Sourcing Decider".
 */
export type Decider<State, Command extends Message, Event extends Message> = {
  /** Stream category. The stream of one instance is `${category}-${id}`. */
  readonly category: string;
  readonly initialState: State;
  /** What happened changes the state. Never throws, never asks the clock. */
  evolve(state: State, event: Event): State;
  /** What is asked becomes what happened. Refuses by throwing Refusal; returns [] when there is nothing to do. */
  decide(command: Command, state: State): readonly Event[];
};

/** The state after these events, from the decider's initial state. Costs one `evolve` an event. */
export function fold<State, Event extends Message>(
  decider: { initialState: State; evolve(state: State, event: Event): State },
  events: Iterable<Event>,
): State {
  let state = decider.initialState;
  for (const event of events) state = decider.evolve(state, event);
  return state;
}

/** Marks a switch as complete: the compiler rejects the call while a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unhandled case ${JSON.stringify(value)}`);
}
