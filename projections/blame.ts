/**
 * Who set each value of a row: the events that a row was made from are folded once more, and each change of a column is kept
 * with its event. Needs no database, and is as true as the projection itself, whose own operations it follows.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json, Recorded } from '../domain/events.ts';
import { type Op, opsOf, type Projection, type Row } from './projection.ts';

/** A column came to this value by this event. */
type Change = { readonly value: Json; readonly event: Recorded };

/** A row that is there now, and all changes of each of its columns, oldest first; the last one is the present value. */
export type BlamedRow = {
  readonly table: string;
  readonly key: Row;
  readonly columns: ReadonlyMap<string, readonly Change[]>;
};

type Columns = Map<string, Change[]>;
type Rows = Map<string, { readonly key: Row; readonly columns: Columns }>;

/**
 * Folds these events, which have to be all that touched the wanted rows, in the order of the log. `wanted` names tables, and of
 * each the beginning of the keys that are asked for. Costs one call of a handler for each event and projection.
 */
export function blame(
  projections: readonly Projection[],
  wanted: Readonly<Record<string, Row>>,
  events: readonly Recorded[],
): readonly BlamedRow[] {
  const tables = new Map(Object.keys(wanted).map(table => [table, new Map() as Rows]));
  const owners = projections.filter(({ tables: its }) => Object.keys(its).some(table => tables.has(table)));
  for (const event of events) {
    for (const projection of owners) {
      for (const op of opsOf(projection, event)) {
        const rows = tables.get(op.table);
        if (rows !== undefined) follow(rows, projection.tables[op.table] ?? [], op, event);
      }
    }
  }
  return [...tables].flatMap(([table, rows]) =>
    [...rows.values()]
      .filter(({ key }) => matches(key, wanted[table] ?? {}))
      .map(({ key, columns }) => ({ table, key, columns })),
  );
}

function follow(rows: Rows, keys: readonly string[], op: Op, event: Recorded): void {
  switch (op.op) {
    case 'put': {
      const key = Object.fromEntries(keys.map(column => [column, op.row[column] ?? null]));
      const columns = rowOf(rows, key);
      for (const [column, value] of Object.entries(op.row)) {
        if (!keys.includes(column)) note(columns, column, value, event);
      }
      return;
    }
    case 'patch': {
      const columns = rows.get(nameOf(op.key))?.columns;
      if (columns === undefined) return;
      for (const [column, value] of Object.entries(op.set)) note(columns, column, value, event);
      return;
    }
    case 'add': {
      const columns = rowOf(rows, op.key);
      for (const [column, by] of Object.entries(op.by)) {
        const before = Number(columns.get(column)?.at(-1)?.value ?? 0);
        note(columns, column, before + by, event);
      }
      return;
    }
    case 'drop':
      rows.delete(nameOf(op.key));
      return;
    case 'dropAll':
      for (const [name, { key }] of rows) if (matches(key, op.where)) rows.delete(name);
  }
}

const nameOf = (key: Row) =>
  JSON.stringify(Object.entries(key).sort(([one], [other]) => (one < other ? -1 : 1)));

function rowOf(rows: Rows, key: Row): Columns {
  const name = nameOf(key);
  const known = rows.get(name) ?? { key, columns: new Map() };
  rows.set(name, known);
  return known.columns;
}

/** What says the same again has set nothing. */
function note(columns: Columns, column: string, value: Json, event: Recorded): void {
  const changes = columns.get(column) ?? [];
  columns.set(column, changes);
  const last = changes.at(-1);
  if (last === undefined || !isDeepStrictEqual(last.value, value)) changes.push({ value, event });
}

const matches = (key: Row, beginning: Row) =>
  Object.entries(beginning).every(([column, value]) => key[column] === value);
