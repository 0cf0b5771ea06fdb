/**
 * Merged operations as SQL. Rows travel as one JSON array a statement; `json_populate_recordset` gives them the types of the
 * table, so a projection declares its columns once, in createTables.
 */
import type { Knex } from 'knex';
import { clean } from '../domain/apps/words.ts';
import type { Step } from './merge.ts';
import type { Projection, Row } from './projection.ts';

export type Statement = { readonly text: string; readonly rows: string };

/** Runs the steps in order inside the caller's transaction. One statement for each kind and set of columns. */
export async function applySteps(
  tx: Knex,
  tables: Projection['tables'],
  steps: readonly Step[],
): Promise<void> {
  for (const statement of statementsOf(tables, steps)) await run(tx, statement);
}

export async function run(tx: Knex, { text, rows }: Statement): Promise<void> {
  await tx.raw(text, [rows]);
}

/** What `applySteps` runs, in order. Needs no database, so it can be made while another transaction is stored. */
export function statementsOf(tables: Projection['tables'], steps: readonly Step[]): readonly Statement[] {
  return steps.flatMap(step => {
    const { table } = step;
    const keys = tables[table] ?? [];
    const patches = step.patches.map(({ key, set }) => ({ ...set, ...key }));
    const adds = step.adds.map(({ key, by }) => ({ ...by, ...key }));
    return [
      ...byColumns(step.deleteWhere).map(rows => remove(table, rows)),
      ...byColumns(step.deleteKeys).map(rows => remove(table, rows)),
      ...byColumns(step.puts).map(rows => upsert(table, keys, rows, column => `excluded.${column}`)),
      ...byColumns(patches).map(rows => update(table, keys, rows)),
      ...byColumns(adds).map(rows => upsert(table, keys, rows, column => `t.${column} + excluded.${column}`)),
    ];
  });
}

/** Rows that name the same columns, together. */
function byColumns(rows: readonly Row[]): readonly (readonly Row[])[] {
  return [...Map.groupBy(rows, row => Object.keys(row).sort().join()).values()];
}

/** What JSON may say and a text of PostgreSQL cannot hold: NUL, and a half of a surrogate pair. */
const unusable = /\\u(?:0000|[dD][89abAB])/;

/** Rows as JSON. The log may hold such text, and no event may be able to stop the projections. */
function jsonOf(rows: readonly Row[]): string {
  const json = JSON.stringify(rows);
  if (!unusable.test(json)) return json;
  return JSON.stringify(rows, (_key, value) => (typeof value === 'string' ? clean(value) : value));
}

const columnsOf = (rows: readonly Row[]) => Object.keys(rows[0] ?? {}).sort();
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const source = (table: string) => `json_populate_recordset(null::${quoted(table)}, ?::json)`;

function upsert(
  table: string,
  keys: readonly string[],
  rows: readonly Row[],
  valueFor: (column: string) => string,
): Statement {
  const columns = columnsOf(rows);
  const values = columns.filter(column => !keys.includes(column));
  const list = columns.map(quoted).join(', ');
  const sets = values.map(column => `${quoted(column)} = ${valueFor(quoted(column))}`);
  const conflict = sets.length === 0 ? 'nothing' : `update set ${sets.join(', ')}`;
  return {
    text: `insert into ${quoted(table)} as t (${list}) select ${list} from ${source(table)}
     on conflict (${keys.map(quoted).join(', ')}) do ${conflict}`,
    rows: jsonOf(rows),
  };
}

function update(table: string, keys: readonly string[], rows: readonly Row[]): Statement {
  const values = columnsOf(rows).filter(column => !keys.includes(column));
  const sets = values.map(column => `${quoted(column)} = v.${quoted(column)}`);
  const joins = keys.map(column => `t.${quoted(column)} = v.${quoted(column)}`);
  return {
    text: `update ${quoted(table)} as t set ${sets.join(', ')} from ${source(table)} as v where ${joins.join(' and ')}`,
    rows: jsonOf(rows),
  };
}

function remove(table: string, rows: readonly Row[]): Statement {
  const joins = columnsOf(rows).map(column => `t.${quoted(column)} = v.${quoted(column)}`);
  return {
    text: `delete from ${quoted(table)} as t using ${source(table)} as v where ${joins.join(' and ')}`,
    rows: jsonOf(rows),
  };
}
