/** Follows the log and does what the reactions ask for. Enqueue first, remember after: a crash between repeats, never loses. */
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import { type EventStore, LogUnavailable, WrongRevision } from '../eventstore/store.ts';
import { Cancelled, type Effect } from './effect.ts';
import { pause } from './inline-queue.ts';
import { type JobQueue, type QueueLog, QueueUnavailable } from './queue.ts';
import { type Reaction, type Step, stepsOf } from './reaction.ts';

const triesMax = 8;
const retryMsMin = 100;
const retryMsMax = 5_000;
const checkpointName = 'workers';

export type ReactDeps = {
  readonly store: EventStore;
  readonly sql: Knex;
  readonly queue: JobQueue;
  readonly effects: readonly Effect[];
  readonly reactions: readonly Reaction[];
  readonly signal: AbortSignal;
  readonly log: QueueLog;
};

/** Where this process is, and how often each event behind its checkpoint has failed. */
type Place = { position: bigint | undefined; readonly tries: Map<string, number> };

/**
 * Runs until the signal aborts. What fails is logged and tried again from the checkpoint; an event that fails for itself,
 * whatever the weather, is passed over after `triesMax`.
 */
export async function react(deps: ReactDeps): Promise<void> {
  let retryMs = retryMsMin;
  const place: Place = { position: undefined, tries: new Map() };
  while (!deps.signal.aborted) {
    try {
      await reactOnce(deps, place, () => {
        retryMs = retryMsMin;
      });
    } catch (error) {
      if (deps.signal.aborted) return;
      deps.log.warn({ err: error, retryMs }, 'reactions stopped; trying again from the checkpoint');
      await pause(retryMs, deps.signal);
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
}

async function reactOnce(deps: ReactDeps, place: Place, onProgress: () => void): Promise<void> {
  const { store, sql, signal } = deps;
  // Its own place, once it has one: another process may be further on, and does not know what runs in this one.
  const from = place.position ?? (await storedPosition(sql)) ?? 'start';
  for await (const batch of store.subscribe({ from, streamPrefixes: everyContext, signal })) {
    for (const event of batch.events) await reactTo(event, deps, place.tries);
    if (batch.position !== null) {
      await remember(sql, batch.position);
      place.position = batch.position;
    }
    place.tries.clear();
    onProgress();
  }
}

/** How far any process has come: of nothing before it is a later start told again. */
export async function storedPosition(sql: Knex): Promise<bigint | undefined> {
  const known = await sql('reaction_checkpoints').where({ name: checkpointName }).first('position');
  return known === undefined ? undefined : BigInt(known.position);
}

async function reactTo(event: Recorded, deps: ReactDeps, tries: Map<string, number>): Promise<void> {
  const tried = tries.get(event.id) ?? 0;
  if (tried >= triesMax || event.unreadable !== undefined) return;
  try {
    for (const step of stepsOf(deps.reactions, event)) await take(step, deps);
  } catch (error) {
    if (deps.signal.aborted || isWeather(error)) throw error;
    tries.set(event.id, tried + 1);
    if (tried + 1 < triesMax) throw error;
    const { id, type, stream } = event;
    deps.log.error(
      { err: error, event: { id, type, stream } },
      'nothing is done about this event: it always fails',
    );
  }
}

/** The log or the queue is away, and will be back. */
function isWeather(error: unknown): boolean {
  return (
    error instanceof LogUnavailable || error instanceof WrongRevision || error instanceof QueueUnavailable
  );
}

async function take(step: Step, { queue, effects, signal }: ReactDeps): Promise<void> {
  if ('cancel' in step) return queue.cancel(step.cancel, new Cancelled());
  const effect = effects.find(({ name }) => name === step.run.effect);
  if (effect?.atOnce === 'inOrder') return effect.run(step.run.data, signal);
  return queue.add(step.run);
}

/** Never backwards: several worker processes may follow the same log. */
async function remember(sql: Knex, position: bigint): Promise<void> {
  await sql.raw(
    `insert into reaction_checkpoints (name, position, moved_at) values (?, ?::bigint, now())
     on conflict (name) do update
     set position = greatest(reaction_checkpoints.position, excluded.position), moved_at = now()`,
    [checkpointName, position.toString()],
  );
}
