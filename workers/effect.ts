/** An effect is the impure half of a worker: it may run more than once for one job, and ends in a command. */

import type { Clock } from '../commands/clock.ts';
import { type Executed, execute } from '../commands/execute.ts';
import type { Metadata, Recorded } from '../domain/events.ts';
import type { Decider, Message } from '../domain/kernel/decider.ts';
import { Refusal, type RefusalCode } from '../domain/kernel/refusal.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { JobData } from './reaction.ts';

export type Effect = {
  readonly name: string;
  /** How many may run side by side in a process; `inOrder`: run by the reaction itself, one after another, before it goes on. */
  readonly atOnce: number | 'inOrder';
  /**
   * Rejects when it is worth another try. The signal's reason is Shutdown, or Cancelled when nobody wants the
   * outcome any more.
   */
  run(data: JobData, signal: AbortSignal): Promise<void>;
};

/** The process is going down: leave everything as it is, the next start goes on. */
export class Shutdown extends Error {
  override readonly name = 'Shutdown';
}

/** The log already says that this is over. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

export const actor = 'workers';

export type Send = {
  readonly store: EventStore;
  readonly clock: Clock;
};

/** What a command of a worker carries: the event that led to it, and what that one was part of. */
export function causedBy(event: Pick<Recorded, 'id' | 'metadata'>, clock: Clock): Metadata {
  const { correlationId } = event.metadata;
  return { actor, correlationId, causationId: event.id, time: clock.now() };
}

/** Executes a command. A refusal with one of these codes means that the log has moved on: undefined. */
export async function attempt<State, Command extends Message, Event extends Message>(
  { store }: Send,
  decider: Decider<State, Command, Event>,
  id: string,
  command: Command,
  metadata: Metadata,
  overtaken: readonly RefusalCode[],
): Promise<Executed<State> | undefined> {
  try {
    return await execute(store, decider, id, command, metadata);
  } catch (error) {
    if (error instanceof Refusal && overtaken.includes(error.code)) return undefined;
    throw error;
  }
}

export function textOf(data: JobData, field: string): string {
  const value = data[field];
  if (typeof value !== 'string') throw new Error(`a job without ${field}`);
  return value;
}
