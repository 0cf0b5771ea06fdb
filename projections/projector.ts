/**
 * Keeps the live tables of every projection true to the log, and fills the next ones beside them: those of a version that is new in
 * the code, and those that were asked for. Two subscriptions run side by side, one for what is live and one for all the rest, so
 * that what is filled holds up nothing that is read. Once it has caught up it is compared, where only the code has moved, and shown.
 */
import type { Knex } from 'knex';
import type { EventStore } from '../eventstore/store.ts';
import { type Digests, differing, digestsOf } from './digest.ts';
import { bringTo, follow } from './follow.ts';
import { type Generation, openGenerations, switchTo } from './generation.ts';
import { createDeferred } from './indexes.ts';
import type { Projection } from './projection.ts';

export { checkpointChannel } from './follow.ts';

const retryMsMin = 100;
const retryMsMax = 5_000;

export type ProjectorLog = {
  info(detail: object, line: string): void;
  error(detail: object, line: string): void;
};

type Deps = {
  readonly sql: Knex;
  readonly store: EventStore;
  readonly projections: readonly Projection[];
  readonly signal: AbortSignal;
  readonly log: ProjectorLog;
};

/** Runs until the signal aborts. What goes wrong is logged and tried again from the stored checkpoints. */
export async function project(
  sql: Knex,
  store: EventStore,
  projections: readonly Projection[],
  options: { signal: AbortSignal; log: ProjectorLog },
): Promise<void> {
  const deps = { sql, store, projections, ...options };
  let retryMs = retryMsMin;
  while (!options.signal.aborted) {
    try {
      await round(deps, () => {
        retryMs = retryMsMin;
      });
    } catch (error) {
      if (options.signal.aborted) return;
      options.log.error({ err: error, retryMs }, 'projections stopped; trying again from the checkpoints');
      await new Promise(resolve => setTimeout(resolve, retryMs));
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
}

/** Follows until the signal aborts, or until what is filled can be compared or shown: both stop the followers for a moment. */
async function round(deps: Deps, onProgress: () => void): Promise<void> {
  const { sql, store, projections, signal } = deps;
  await createDeferred(sql);
  const all = await openGenerations(sql, projections);
  const live = all.filter(({ role }) => role === 'live');
  const beside = all.filter(({ role }) => role !== 'live');
  const next = beside.filter(({ role }) => role === 'next');
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const ready = () => {
    if (next.length > 0) stop.abort();
  };
  const runs = [
    ...(live.length === 0 ? [] : [follow(sql, store, live, either, { onProgress })]),
    ...(beside.length === 0 ? [] : [follow(sql, store, beside, either, { onProgress, onCaughtUp: ready })]),
  ].map(running => running.finally(() => stop.abort()));
  const ends = await Promise.allSettled(runs);
  const failed = ends.find(end => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (!signal.aborted && next.length > 0) await finish(deps, live, next);
}

/** Nothing moves meanwhile. What differs from what it is to replace stays beside it, to be looked at. */
async function finish(
  { sql, store, signal, log }: Deps,
  live: readonly Generation[],
  next: readonly Generation[],
): Promise<void> {
  const chosen: Generation[] = [];
  const newest = live.reduce<bigint>(
    (most, { position }) => (position !== null && position > most ? position : most),
    0n,
  );
  for (const one of next) {
    const { name } = one.projection;
    const shown = live.find(({ projection }) => projection.name === name);
    await bringTo(sql, store, one, shown?.position ?? newest, signal);
    if (signal.aborted) return;
    const wrong = shown === undefined || one.isChecked ? [] : await compare(sql, shown, one);
    if (wrong.length === 0) chosen.push(one);
    else {
      const problem = `Its rows differ from the live ones in ${wrong.join(', ')}.`;
      await sql('projection_generations').where({ name, generation: one.generation }).update({ problem });
      log.error(
        { projection: name, generation: one.generation, tables: wrong },
        'a rebuild gives other rows',
      );
    }
  }
  if (chosen.length === 0) return;
  await switchTo(sql, chosen);
  log.info({ projections: chosen.map(({ projection }) => projection.name) }, 'rebuilt projections are shown');
}

async function compare(sql: Knex, shown: Generation, one: Generation): Promise<readonly string[]> {
  return sql.transaction(
    async tx => {
      const before: Digests = await digestsOf(tx, shown.projection, shown.generation);
      return differing(before, await digestsOf(tx, one.projection, one.generation));
    },
    { isolationLevel: 'repeatable read', readOnly: true },
  );
}
