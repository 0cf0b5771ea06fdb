/**
 * The whole log folded by the code at hand, into tables that nobody reads and that go when the check is over. The log is read as
 * it is stored, so that what cannot be lifted to today's shape, and what nobody knows any more, is seen.
 */
import { setTimeout as rest } from 'node:timers/promises';
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import type { StoredEvent, StoredLog } from '../eventstore/store.ts';
import { run, statementsOf } from './apply.ts';
import { makeScratch } from './audit-tables.ts';
import { applyCarefully } from './careful.ts';
import { enter, type Generation, schemaOf } from './generation.ts';
import { lettersMax } from './letters.ts';
import { mergeOps } from './merge.ts';
import { isOfEvent } from './poison.ts';
import { opsOf, type Projection } from './projection.ts';

/** Of the check's tables: below that of every other generation. */
const checkGeneration = -1;
const eventsMax = 10_000;
/** Of each kind so many are named. */
const namedMax = 10;

type Data = Recorded['data'];
export type Strange = { type: string; count: number; first: string; error?: string };

export type FoldDeps = {
  readonly sql: Knex;
  readonly stored: StoredLog;
  readonly upcast: (type: string, data: never) => unknown;
  readonly knownTypes: ReadonlySet<string>;
  readonly signal: AbortSignal;
  /** After each piece it rests for so much of the time that this took; by default not at all. */
  readonly restShare?: number;
  /** Called with the position up to which everything is folded, and how many events that were. */
  onProgress?(position: bigint, events: number): void;
};

/** One projection in the check's tables. */
export type Folded = {
  readonly of: Generation;
  /** Streams that have an event which cannot be applied, with its position. */
  readonly blocked: Map<string, bigint>;
  readonly poison: { stream: string; position: string; type: string; error: string }[];
  ms: number;
};

export type Fold = {
  readonly all: readonly Folded[];
  readonly unknown: Map<string, Strange>;
  readonly unliftable: Map<string, Strange>;
  events: number;
  position: bigint | null;
};

/** Only one at a time: whoever holds it owns the tables. */
export const checkLock = `hashtext('upgrade check')`;

/** Tables that a check which was killed has left behind. To be called with the lock. */
export async function dropCheckTables(sql: Knex): Promise<number> {
  const { rows } = await sql.raw(
    `select nspname as schema from pg_namespace where nspname like 'p\\_%\\_${checkGeneration}'`,
  );
  for (const { schema } of rows) await sql.raw('drop schema if exists ?? cascade', [schema]);
  return rows.length;
}

export async function openFold(sql: Knex, projections: readonly Projection[]): Promise<Fold> {
  const all: Folded[] = [];
  for (const projection of projections) {
    const schema = schemaOf(projection, checkGeneration);
    await sql.transaction(tx => makeScratch(tx, projection, schema));
    const of: Generation = {
      projection,
      generation: checkGeneration,
      role: 'shadow',
      isChecked: false,
      position: null,
    };
    all.push({ of, blocked: new Map(), poison: [], ms: 0 });
  }
  return { all, unknown: new Map(), unliftable: new Map(), events: 0, position: null };
}

/** Folds up to and with `to`; each projection up to what `limitOf` says, where that is less. */
export async function foldTo(
  deps: FoldDeps,
  fold: Fold,
  to: bigint,
  limitOf: (name: string) => bigint = () => to,
): Promise<void> {
  if (fold.position !== null && fold.position >= to) return;
  const stop = new AbortController();
  const signal = AbortSignal.any([deps.signal, stop.signal]);
  let due: Recorded[] = [];
  let begun = performance.now();
  const flush = async (position: bigint | null) => {
    for (const one of fold.all) {
      const limit = limitOf(one.of.projection.name);
      const events = due.filter(event => event.position <= limit);
      await apply(deps.sql, one, events);
    }
    fold.position = position ?? fold.position;
    due = [];
    deps.onProgress?.(fold.position ?? 0n, fold.events);
    await rest((performance.now() - begun) * (deps.restShare ?? 0), undefined, { signal });
    begun = performance.now();
  };
  try {
    for await (const batch of deps.stored.follow({ from: fold.position ?? 'start', signal })) {
      for (const event of batch.events) {
        if (event.position > to) break;
        const read = readEvent(deps, fold, event);
        if (read !== undefined) due.push(read);
      }
      const isThere = batch.caughtUp || (batch.position ?? 0n) >= to;
      if (isThere || due.length >= eventsMax) await flush(isThere ? to : batch.position);
      if (isThere) break;
    }
  } finally {
    stop.abort();
  }
  deps.signal.throwIfAborted();
}

/** As projections see it; undefined where they never do. */
function readEvent({ upcast, knownTypes }: FoldDeps, fold: Fold, event: StoredEvent): Recorded | undefined {
  const { type, stream, position, isJson } = event;
  if (!isJson || !everyContext.some(prefix => stream.startsWith(prefix))) return undefined;
  fold.events += 1;
  if (!knownTypes.has(type)) note(fold.unknown, type, position);
  try {
    return { ...event, data: upcast(type, event.data as never) as Data } as unknown as Recorded;
  } catch (error) {
    note(fold.unliftable, type, position, error);
    return undefined;
  }
}

function note(noted: Map<string, Strange>, type: string, position: bigint, error?: unknown): void {
  const known = noted.get(type);
  if (known !== undefined) known.count += 1;
  else {
    const said = error === undefined ? {} : { error: String(error) };
    noted.set(type, { type, count: 1, first: position.toString(), ...said });
  }
}

async function apply(sql: Knex, one: Folded, events: readonly Recorded[]): Promise<void> {
  const { of, blocked } = one;
  // With so many it is the code, and nothing is gained by going on.
  if (blocked.size > lettersMax) return;
  const own = events.filter(({ type, stream }) => type in of.projection.on && !blocked.has(stream));
  if (own.length === 0) return;
  const from = performance.now();
  try {
    await applyAll(sql, of, own);
  } catch (error) {
    if (!isOfEvent(error) && !(error instanceof Unsound)) throw error;
    const undone = await sql.transaction(tx => applyCarefully(tx, of, own, blocked));
    for (const [stream, { event, error: said }] of undone.poison) {
      blocked.set(stream, event.position);
      const { position, type } = event;
      if (one.poison.length < namedMax)
        one.poison.push({ stream, position: position.toString(), type, error: said });
    }
  }
  one.ms += performance.now() - from;
}

/** A handler threw, or what it gave fits no table. */
class Unsound extends Error {}

async function applyAll(sql: Knex, of: Generation, events: readonly Recorded[]): Promise<void> {
  const { projection } = of;
  const statements = (() => {
    try {
      const ops = events.flatMap(event => [...opsOf(projection, event)]);
      return statementsOf(projection.tables, mergeOps(projection.tables, ops));
    } catch (error) {
      throw new Unsound('cannot be applied', { cause: error });
    }
  })();
  if (statements.length === 0) return;
  await sql.transaction(async tx => {
    await tx.raw('set local statement_timeout = 0');
    await enter(tx, schemaOf(projection, of.generation));
    for (const statement of statements) await run(tx, statement);
  });
}
