/**
 * Keeps the live tables of every projection true to the log, and fills the next ones beside them: those of a version that is new
 * in the code, and those that were asked for. Two subscriptions run side by side, one for what is live and one for all the rest,
 * so that what is filled holds up nothing that is read. Once it has caught up it is compared, where only the code has moved, and
 * shown.
 */
import type { Knex } from 'knex';
import type { EventStore } from '../eventstore/store.ts';
import { createAuditTables } from './audit-tables.ts';
import { createEventTypes } from './event-types.ts';
import { bringTo, checkpointChannel, follow, type Hooks } from './follow.ts';
import {
  answer,
  createGenerations,
  type Generation,
  openGenerations,
  schemaOf,
  showable,
  switchTo,
} from './generation.ts';
import { createDeferred } from './indexes.ts';
import { createLetters, lettersOf, retryAllLetters, TooManyLetters } from './letters.ts';
import { openPace } from './pace.ts';
import type { Projection } from './projection.ts';
import { retryLetters } from './retry.ts';
import { createRunAll } from './statements.ts';
import { cutsOf } from './stays.ts';
import { openVerifying, type Pair, type Verifying } from './verify.ts';

export { checkpointChannel } from './follow.ts';

const retryMsMin = 100;
const retryMsMax = 5_000;
/** One that stands still, because of more dead letters than are kept, is looked at again after so long. */
const standMs = 60_000;

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
  /** How often it is looked whether a dead letter is to be tried again. */
  readonly lookMs?: number | undefined;
  /** Until when each of those that stand still does so, by the name of its schema. */
  readonly standing: Map<string, number>;
  /** What is compared while everything goes on, and how to have a look at what came of it. */
  readonly verifying: Verifying;
  lookAgain: () => void;
};

/** Runs until the signal aborts. What goes wrong is logged and tried again from the stored checkpoints. */
export async function project(
  sql: Knex,
  store: EventStore,
  projections: readonly Projection[],
  options: Pick<Deps, 'signal' | 'log' | 'lookMs'>,
): Promise<void> {
  const verifying = openVerifying({ sql, ...options });
  const deps: Deps = {
    ...{ sql, store, projections, ...options },
    standing: new Map(),
    verifying,
    lookAgain: () => undefined,
  };
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
      if (options.signal.aborted) break;
      if (error instanceof TooManyLetters) await letStand(deps, error);
      options.log.error({ err: error, retryMs }, 'projections stopped; trying again from the checkpoints');
      await new Promise(resolve => setTimeout(resolve, retryMs));
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
  await verifying.ended();
}

export async function prepare(sql: Knex): Promise<void> {
  await createDeferred(sql);
  await createGenerations(sql);
  await createRunAll(sql);
  await createLetters(sql);
  await createEventTypes(sql);
  await retryAllLetters(sql);
  // Last: where these are, the self-audit takes the others to be there too.
  await createAuditTables(sql);
}

/** The others go on without it. */
async function letStand({ sql, standing }: Deps, { of, message }: TooManyLetters): Promise<void> {
  const { projection, generation, role } = of;
  const row = { name: projection.name, generation };
  standing.set(schemaOf(projection, generation), performance.now() + standMs);
  const table = role === 'live' ? 'projection_checkpoints' : 'projection_generations';
  await sql(table)
    .where(row)
    .update({ problem: `It stands still: ${message}.` })
    .catch(() => undefined);
}

/** Follows until the signal aborts, or until what is filled can be compared or shown: both stop the followers for a moment. */
async function round(deps: Deps, onProgress: () => void): Promise<void> {
  const { sql, store, projections, signal, standing } = deps;
  const all = (await openGenerations(sql, projections)).filter(one => !stands(standing, one));
  const live = all.filter(({ role }) => role === 'live');
  const beside = all.filter(({ role }) => role !== 'live');
  const next = beside.filter(({ role }) => role === 'next');
  const stop = new AbortController();
  const pace = openPace();
  const cuts = await cutsOf({ ...deps, lookAgain: () => stop.abort() }, next);
  const either = AbortSignal.any([signal, stop.signal]);
  let isReady = false;
  deps.lookAgain = () => stop.abort();
  let hasCaughtUp = false;
  // What has more dead letters than what is shown waits, is followed, and is looked at again and again.
  const look = async () => {
    const due = next.filter(one => !deps.verifying.has(one));
    if (!hasCaughtUp || (await showable(sql, due)).length === 0) return;
    isReady = true;
    stop.abort();
  };
  const ready = () => {
    hasCaughtUp = true;
    return look();
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
  const retrying = retryLetters({ sql, store, signal: either, lookMs: deps.lookMs }, all, {
    onLook: look,
    onBegun: () => stop.abort(),
    onApplied: async (tx, position) =>
      void (await tx.raw(`select pg_notify('${checkpointChannel}', ?)`, [position.toString()])),
  });
  const runs = [
    retrying,
    ...(live.length === 0
      ? []
      : [follow(sql, store, live, either, { onProgress: progress, onRequest: asked, pace })]),
    ...(beside.length === 0
      ? []
      : [follow(sql, store, beside, either, { onProgress, onCaughtUp: ready, pace, cuts })]),
  ].map(running => running.finally(() => stop.abort()));
  const timer = setTimeout(() => stop.abort(), standsUntil(standing) - performance.now());
  const ends = await Promise.allSettled(runs);
  clearTimeout(timer);
  const failed = ends.find(end => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (signal.aborted || !isReady) return;
  const due = next.filter(one => !deps.verifying.has(one));
  await finish(deps, live, await showable(sql, due));
}

function stands(standing: Deps['standing'], { projection, generation }: Generation): boolean {
  const schema = schemaOf(projection, generation);
  const isOver = (standing.get(schema) ?? 0) <= performance.now();
  if (isOver) standing.delete(schema);
  return !isOver;
}

/** When the next of them is to be looked at again; without any, as late as a timer can be set. */
const standsUntil = (standing: Deps['standing']) =>
  Math.min(performance.now() + 0x7fff_ffff, ...standing.values());

const onRequest: NonNullable<Hooks['onRequest']> = async (tx, of, request) =>
  void (await answer(tx, of, request));

/** Nothing moves meanwhile, so it is short: what has to be compared is compared later, as it is now. */
async function finish(deps: Deps, live: readonly Generation[], next: readonly Generation[]): Promise<void> {
  const { sql, store, signal, log, verifying } = deps;
  const chosen: Generation[] = [];
  const pairs: Pair[] = [];
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
    const isPlain = shown === undefined || one.isChecked || !(await haveSameLetters(sql, shown, one));
    if (isPlain) chosen.push(one);
    else pairs.push({ shown, one });
  }
  if (pairs.length > 0) await verifying.begin(pairs, () => deps.lookAgain());
  if (chosen.length === 0) return;
  await switchTo(sql, chosen);
  log.info({ projections: chosen.map(({ projection }) => projection.name) }, 'rebuilt projections are shown');
}

/** Where other events wait, other rows are there. */
async function haveSameLetters(sql: Knex, shown: Generation, one: Generation): Promise<boolean> {
  return `${await lettersOf(sql, shown)}` === `${await lettersOf(sql, one)}`;
}
