/**
 * Keeps the live tables of every projection true to the log, and fills the next ones beside them: those of a version that is new
 * in the code, and those that were asked for. Two subscriptions run side by side, one for what is live and one for all the rest,
 * so that what is filled holds up nothing that is read. Once it has caught up it is compared, where only the code has moved, and
 * shown.
 */
import type { Knex } from 'knex';
import type { EventStore } from '../eventstore/store.ts';
import { createAuditTables } from './audit-tables.ts';
import { type Digests, differing, digestsOf } from './digest.ts';
import { bringTo, follow, type Hooks } from './follow.ts';
import { answer, createGenerations, type Generation, openGenerations, switchTo } from './generation.ts';
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
  let isPrepared = false;
  while (!options.signal.aborted) {
    try {
      // Once: changing a table that is read holds up its readers.
      if (!isPrepared) await prepare(sql);
      isPrepared = true;
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

async function prepare(sql: Knex): Promise<void> {
  await createDeferred(sql);
  await createGenerations(sql);
  await createAuditTables(sql);
}

/** Follows until the signal aborts, or until what is filled can be compared or shown: both stop the followers for a moment. */
async function round(deps: Deps, onProgress: () => void): Promise<void> {
  const { sql, store, projections, signal } = deps;
  const all = await openGenerations(sql, projections);
  const live = all.filter(({ role }) => role === 'live');
  const beside = all.filter(({ role }) => role !== 'live');
  const next = beside.filter(({ role }) => role === 'next');
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let isReady = false;
  const ready = () => {
    if (next.length === 0) return;
    isReady = true;
    stop.abort();
  };
  // What is to be followed besides changes: from here on it is begun anew.
  const asked: NonNullable<Hooks['onRequest']> = async (tx, of, request) => {
    if (await answer(tx, of, request)) isAsked = true;
  };
  let isAsked = false;
  const progress = () => {
    onProgress();
    if (isAsked) stop.abort();
  };
  const runs = [
    ...(live.length === 0
      ? []
      : [follow(sql, store, live, either, { onProgress: progress, onRequest: asked })]),
    ...(beside.length === 0 ? [] : [follow(sql, store, beside, either, { onProgress, onCaughtUp: ready })]),
  ].map(running => running.finally(() => stop.abort()));
  const ends = await Promise.allSettled(runs);
  const failed = ends.find(end => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (!signal.aborted && isReady) await finish(deps, live, next);
}

const onRequest: NonNullable<Hooks['onRequest']> = async (tx, of, request) =>
  void (await answer(tx, of, request));

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
    // One of the two may be ahead, and both have to hold the same part of the log.
    const to = [one.position, shown?.position ?? newest].reduce<bigint>(
      (most, position) => (position !== null && position > most ? position : most),
      0n,
    );
    await bringTo(sql, store, one, to, signal);
    if (shown !== undefined) await bringTo(sql, store, shown, to, signal, { onRequest });
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
