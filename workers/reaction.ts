/** A reaction is the pure half of a worker: what happened → what must be done about it. */
import type { EventOf, EventType, Recorded } from '../domain/events.ts';

export type JobData = Readonly<Record<string, string | number>>;

/**
 * Which effect to run and on what. Data only: it crosses Redis. While a job waits or runs, another one with the same id is not
 * taken: the id names the work, not the event, so that a sweep and a reaction never do it side by side. No `:` in it (BullMQ).
 */
export type Job = { readonly effect: string; readonly id: string; readonly data: JobData };

/** What a reaction asks for: a job, or the end of one that may be running. */
export type Step = { readonly run: Job } | { readonly cancel: string };

export type Reaction = {
  readonly on: { readonly [T in EventType]?: (event: Recorded<EventOf<T>>) => readonly Step[] };
};

export const run = (effect: string, id: string, data: JobData): Step => ({
  run: { effect, id: `${effect}.${id}`, data },
});
export const cancel = (effect: string, id: string): Step => ({ cancel: `${effect}.${id}` });

/** What this event asks of the reactions, in their order. */
export function stepsOf(reactions: readonly Reaction[], event: Recorded): readonly Step[] {
  return reactions.flatMap(reaction => {
    // An event's type comes from the log, which may hold any.
    if (!Object.hasOwn(reaction.on, event.type)) return [];
    const handler = reaction.on[event.type] as ((event: Recorded) => readonly Step[]) | undefined;
    return handler?.(event) ?? [];
  });
}
