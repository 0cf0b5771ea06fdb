/**
 * A third fold, of nothing but the streams that a row is made of, into tables that are gone with their transaction. It says who
 * is right where two folds differ, and which event was the first that the row does not hold.
 */
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';
import { makeScratch } from './audit-tables.ts';
import { applyCarefully, soundOpsOf } from './careful.ts';
import { type Generation, schemaOf } from './generation.ts';
import { isOfEvent } from './poison.ts';
import type { Op, Projection } from './projection.ts';
import { isSame, type Key, type Keyed, names, rowOf, type Written } from './ranges.ts';

const eventsPerBatch = 2_000;

export type Suspect = { readonly keyed: Keyed; readonly key: Key };

/** What cannot be applied does nothing, as in the live tables. */
function opsOf(projection: Projection, event: Recorded): readonly Op[] {
  try {
    return soundOpsOf(projection, event);
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    return [];
  }
}

const whereOf = (op: Op) => (op.op === 'put' ? op.row : op.op === 'dropAll' ? op.where : op.key);
const touches = (op: Op, { keyed, key }: Suspect) =>
  op.table === keyed.table && names(keyed, key, whereOf(op));

type ReadDeps = { readonly store: EventStore; readonly signal: AbortSignal };

/** Everything up to and with `to`, in the order of the log. */
async function* eventsUpTo({ store, signal }: ReadDeps, to: bigint): AsyncGenerator<readonly Recorded[]> {
  const stop = new AbortController();
  const batches = store.subscribe({
    from: 'start',
    streamPrefixes: everyContext,
    signal: AbortSignal.any([signal, stop.signal]),
  });
  try {
    for await (const batch of batches) {
      yield batch.events.filter(({ position }) => position <= to);
      if (batch.caughtUp || (batch.position ?? 0n) >= to) return;
    }
  } finally {
    stop.abort();
  }
}

/**
 * The streams whose events name each suspect; null where no operation ever names its table, which then is made by triggers.
 * Reads the whole log once.
 */
export async function streamsOf(
  deps: ReadDeps,
  projection: Projection,
  suspects: readonly Suspect[],
  to: bigint,
): Promise<readonly (readonly string[] | null)[]> {
  const found = suspects.map(() => new Set<string>());
  const named = new Set<string>();
  for await (const events of eventsUpTo(deps, to)) {
    for (const event of events) {
      for (const op of opsOf(projection, event)) {
        named.add(op.table);
        for (const [at, suspect] of suspects.entries())
          if (touches(op, suspect)) found[at]?.add(event.stream);
      }
    }
  }
  return suspects.map(({ keyed }, at) => (named.has(keyed.table) ? [...(found[at] ?? [])] : null));
}

/** Rows as a third fold has them. */
export type Verdict = {
  readonly row: Written;
  /** The first event that `live` does not hold; null where no event names the row. */
  readonly position: bigint | null;
};

class Done extends Error {}

/** Runs in tables of the projection that nobody else sees and that are gone afterwards. */
async function inScratch(
  sql: Knex,
  projection: Projection,
  work: (tx: Knex) => Promise<void>,
): Promise<void> {
  await sql
    .transaction(async tx => {
      await makeScratch(tx, projection, scratchOf(projection));
      await tx.raw(`set local timezone = 'UTC'`);
      await tx.raw('set local statement_timeout = 0');
      await work(tx);
      throw new Done();
    })
    .catch(error => {
      if (!(error instanceof Done)) throw error;
    });
}

/** Of the tables of a third fold: below that of every other generation. */
const scratchGeneration = -2;

export const scratchOf = (projection: Pick<Projection, 'name'>) => schemaOf(projection, scratchGeneration);

export async function loadStreams(
  store: EventStore,
  streams: Iterable<string>,
  to: bigint,
): Promise<readonly Recorded[]> {
  const events: Recorded[] = [];
  for (const stream of streams) events.push(...(await store.load(stream, { isLenient: true })).events);
  return events
    .filter(({ position }) => position <= to)
    .sort((one, other) => (one.position < other.position ? -1 : 1));
}

/** One after the other, to the tables of the third fold. An event that cannot be applied stops its stream, as elsewhere. */
export function openApplying(tx: Knex, projection: Projection) {
  const of: Generation = {
    projection,
    generation: scratchGeneration,
    role: 'shadow',
    isChecked: false,
    position: null,
  };
  const blocked = new Map<string, bigint>();
  return async (events: readonly Recorded[]): Promise<void> => {
    const { poison } = await applyCarefully(tx, of, events, blocked);
    for (const [stream, { event }] of poison) blocked.set(stream, event.position);
  };
}

/** Folds these streams event by event, and looks after each whether a suspect is what the live table has. */
export async function judge(
  { sql, store }: { readonly sql: Knex; readonly store: EventStore },
  projection: Projection,
  suspects: readonly (Suspect & { readonly live: Written; readonly streams: readonly string[] })[],
  to: bigint,
): Promise<readonly Verdict[]> {
  const schema = scratchOf(projection);
  const events = await loadStreams(store, new Set(suspects.flatMap(({ streams }) => streams)), to);
  const verdicts: Verdict[] = [];
  await inScratch(sql, projection, async tx => {
    const apply = openApplying(tx, projection);
    const writers = suspects.map(() => [] as bigint[]);
    /** How many of its writers a suspect may hold, from the last time it was what the live table has. */
    const held = suspects.map(() => -1);
    for (const event of events) {
      await apply([event]);
      const ops = opsOf(projection, event);
      for (const [at, suspect] of suspects.entries()) {
        if (!ops.some(op => touches(op, suspect))) continue;
        writers[at]?.push(event.position);
        const isHeld = isSame(await rowOf(tx, suspect.keyed, schema, suspect.key), suspect.live);
        if (isHeld && suspect.live !== undefined) held[at] = writers[at]?.length ?? 0;
      }
    }
    for (const [at, { keyed, key }] of suspects.entries()) {
      const row = await rowOf(tx, keyed, schema, key);
      const of = writers[at] ?? [];
      verdicts.push({ row, position: of[held[at] ?? -1] ?? of.at(-1) ?? null });
    }
  });
  return verdicts;
}

/** As `judge`, of rows that no operation names because the tables make them by themselves: folds the whole log. */
export async function judgeByAll(
  { sql, store, signal }: ReadDeps & { readonly sql: Knex },
  projection: Projection,
  suspects: readonly Suspect[],
  to: bigint,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  await inScratch(sql, projection, async tx => {
    const apply = openApplying(tx, projection);
    let due: Recorded[] = [];
    for await (const events of eventsUpTo({ store, signal }, to)) {
      due.push(...events.filter(({ type }) => type in projection.on));
      if (due.length < eventsPerBatch) continue;
      await apply(due);
      due = [];
    }
    await apply(due);
    for (const { keyed, key } of suspects)
      verdicts.push({ row: await rowOf(tx, keyed, scratchOf(projection), key), position: null });
  });
  return verdicts;
}
