/** Follows the log and does what the reactions ask for. Enqueue first, remember after: a crash between repeats, never loses. */
import type { Knex } from 'knex';
import { everyContext } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';
import { Cancelled, type Effect } from './effect.ts';
import { pause } from './inline-queue.ts';
import type { JobQueue, QueueLog } from './queue.ts';
import { type Reaction, type Step, stepsOf } from './reaction.ts';

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

/** Runs until the signal aborts. What fails is logged and tried again from the stored checkpoint. */
export async function react(deps: ReactDeps): Promise<void> {
  let retryMs = retryMsMin;
  while (!deps.signal.aborted) {
    try {
      await reactOnce(deps, () => {
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

async function reactOnce(deps: ReactDeps, onProgress: () => void): Promise<void> {
  const { store, sql, signal, reactions } = deps;
  const known = await sql('reaction_checkpoints').where({ name: checkpointName }).first('position');
  const from = known === undefined ? 'start' : BigInt(known.position);
  for await (const batch of store.subscribe({ from, streamPrefixes: everyContext, signal })) {
    for (const event of batch.events) {
      for (const step of stepsOf(reactions, event)) await take(step, deps);
    }
    if (batch.position !== null) await remember(sql, batch.position);
    onProgress();
  }
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
