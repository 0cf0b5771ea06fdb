/**
 * What a run of events does to tables that keep every version of a row. Changes of different rows are put together, so that
 * few statements do what many events did; two changes of one row stay apart, and each row says of which event it is. Where the
 * projection's own triggers reach from one row to others, events are done one after the other.
 */
import type { Recorded } from '../domain/events.ts';
import { type Statement, statementsOf } from './apply.ts';
import { mergeOps, type Step } from './merge.ts';
import { type Kept, rowAt } from './past-tables.ts';
import { Poisoned } from './poison.ts';
import { type Op, opsOf, type Projection, type Row } from './projection.ts';
import type { SchemaStatement } from './statements.ts';

type OfEvent = { readonly at: string; readonly ops: readonly Op[] };

/** Statements: with `at` all of one is of that event, else each row says so. Throws Poisoned where an event is to blame. */
export function pastSteps(of: Kept, events: readonly Recorded[]): readonly SchemaStatement[] {
  try {
    return stepsFor(of, events);
  } catch (error) {
    throw new Poisoned('cannot be applied', { cause: error });
  }
}

function stepsFor(of: Kept, events: readonly Recorded[]): readonly SchemaStatement[] {
  const { projection, schema, position, reachesOut, stopped } = of;
  const { tables, isWrittenOnce } = projection;
  const changes = events.flatMap((event): OfEvent[] => {
    const isKept = position !== null && event.position <= position;
    const ops = isKept || stopped.has(event.stream) ? [] : opsOf(projection, event);
    return ops.length === 0 ? [] : [{ at: event.position.toString(), ops }];
  });
  const stepsOf = (at: string, steps: readonly Step[]) =>
    statementsOf(tables, steps).map(statement => ({ ...statement, schema, at }));
  if (isWrittenOnce === true) {
    const ops = changes.flatMap(change => change.ops);
    return stepsOf('', mergeOps(tables, ops));
  }
  if (reachesOut || changes.some(({ ops }) => ops.some(({ op }) => op === 'add')))
    return changes.flatMap(({ at, ops }) => stepsOf(at, mergeOps(tables, ops)));
  return roundsOf(tables, changes).flatMap(round => [
    ...marksOf(tables, round).map(step => ({ ...step, schema, at: '' })),
    ...stepsOf('', mergeOps(tables, round.flatMap(signed))),
  ]);
}

/** Each event comes in the first round after those in which a row of its own is changed already. */
function roundsOf(
  tables: Projection['tables'],
  changes: readonly OfEvent[],
): readonly (readonly OfEvent[])[] {
  const rounds: OfEvent[][] = [];
  const lastOf = new Map<string, number>();
  for (const change of changes) {
    const names = change.ops.map(op => groupOf(tables, op));
    const round = Math.max(...names.map(name => (lastOf.get(name) ?? -1) + 1));
    for (const name of names) lastOf.set(name, round);
    rounds[round] ??= [];
    rounds[round].push(change);
  }
  return rounds;
}

/** Rows whose keys begin alike, as they may be dropped together. */
function groupOf(tables: Projection['tables'], op: Op): string {
  const first = tables[op.table]?.[0] ?? '';
  const key = op.op === 'put' ? op.row : op.op === 'dropAll' ? op.where : op.key;
  return JSON.stringify([op.table, key[first] ?? null]);
}

/** The same operations, which say of which event they are. */
function signed({ at, ops }: OfEvent): readonly Op[] {
  return ops.map(op => {
    if (op.op === 'put') return { ...op, row: { ...op.row, [rowAt]: at } };
    return op.op === 'patch' ? { ...op, set: { ...op.set, [rowAt]: at } } : op;
  });
}

/** A row that goes can say nothing, so it is told before. */
function marksOf(tables: Projection['tables'], round: readonly OfEvent[]): readonly Statement[] {
  const marks = new Map<string, { table: string; rows: Row[] }>();
  for (const { at, ops } of round) {
    for (const op of ops) {
      if (op.op !== 'drop' && op.op !== 'dropAll') continue;
      const key = op.op === 'drop' ? op.key : op.where;
      const name = JSON.stringify([op.table, Object.keys(key).sort()]);
      const mark = marks.get(name) ?? { table: op.table, rows: [] };
      marks.set(name, mark);
      mark.rows.push({ ...key, [rowAt]: at });
    }
  }
  return [...marks.values()].flatMap(({ table, rows }) => {
    const keys = Object.keys(rows[0] ?? {}).filter(column => column !== rowAt);
    const patches = rows.map(row => ({ key: pick(row, keys), set: { [rowAt]: row[rowAt] ?? null } }));
    const step = { table, deleteWhere: [], deleteKeys: [], puts: [], patches, adds: [] };
    // The key of what is dropped together is the beginning of the table's own.
    return statementsOf({ ...tables, [table]: keys }, [step]);
  });
}

const pick = (row: Row, keys: readonly string[]): Row =>
  Object.fromEntries(keys.map(key => [key, row[key] ?? null]));
