/**
 * Rows of one table by ranges of its primary key, and their digests. A range is so many rows at most, found in the index of the
 * key, so that each look is short however large the table is.
 */
import type { Knex } from 'knex';
import { digestColumns } from './digest.ts';
import type { Row } from './projection.ts';

/** The values of a primary key as PostgreSQL writes them. */
export type Key = readonly string[];

/** Of a table in some schemas that hold it. */
export type Keyed = {
  readonly table: string;
  readonly columns: readonly string[];
  readonly types: readonly string[];
  /** What to select for a digest. */
  readonly digest: string;
};

/** Everything behind `from` up to and with `to`; null: from the beginning, to the end. */
export type Range = { readonly from: Key | null; readonly to: Key | null };

type Bound = { readonly text: string; readonly values: readonly string[] };

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const placed = ({ table }: Keyed, schema: string) => `${quoted(schema)}.${quoted(table)}`;

export async function keyOf(
  sql: Knex,
  schema: string,
  table: string,
  columns: readonly string[],
): Promise<Keyed> {
  const { rows } = await sql.raw(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type from pg_attribute a
     where a.attrelid = (quote_ident(?) || '.' || quote_ident(?))::regclass and a.attnum > 0`,
    [schema, table],
  );
  const typeOf = new Map(rows.map((row: { name: string; type: string }) => [row.name, row.type]));
  const types = columns.map(column => String(typeOf.get(column)));
  return { table, columns, types, digest: await digestColumns(sql, schema, table) };
}

const list = ({ columns }: Keyed) => columns.map(quoted).join(', ');
const asText = ({ columns }: Keyed) =>
  columns.map((column, at) => `${quoted(column)}::text as c${at}`).join(', ');
const values = ({ types }: Keyed) => types.map(type => `?::${type}`).join(', ');

function within(keyed: Keyed, { from, to }: Range): Bound {
  const parts: string[] = [];
  if (from !== null) parts.push(`(${list(keyed)}) > (${values(keyed)})`);
  if (to !== null) parts.push(`(${list(keyed)}) <= (${values(keyed)})`);
  return {
    text: parts.length === 0 ? 'true' : parts.join(' and '),
    values: [...(from ?? []), ...(to ?? [])],
  };
}

const keyFrom = (keyed: Keyed, row: Record<string, string>): Key =>
  keyed.columns.map((_column, at) => String(row[`c${at}`]));

/** The last key of the next range: none of the schemas holds more than `rowsMax` rows in it. */
export async function nextRange(
  tx: Knex,
  keyed: Keyed,
  schemas: readonly string[],
  from: Key | null,
  rowsMax: number,
): Promise<Range> {
  const { text, values } = within(keyed, { from, to: null });
  const ends = schemas.map(
    schema =>
      `(select ${list(keyed)} from ${placed(keyed, schema)} where ${text} order by ${list(keyed)} offset ${rowsMax - 1} limit 1)`,
  );
  const order = keyed.columns.map(column => `u.${quoted(column)}`).join(', ');
  const { rows } = await tx.raw(
    `select ${asText(keyed)} from (${ends.join(' union all ')}) as u order by ${order} limit 1`,
    schemas.flatMap(() => [...values]),
  );
  return { from, to: rows.length === 0 ? null : keyFrom(keyed, rows[0]) };
}

export type RangeDigest = { readonly rows: number; readonly sum: string };

/** In the time zone UTC. Equal rows give equal digests, in whatever order. */
export async function digestOf(tx: Knex, keyed: Keyed, schema: string, range: Range): Promise<RangeDigest> {
  const { text, values } = within(keyed, range);
  const { rows } = await tx.raw(`select ${keyed.digest} from ${placed(keyed, schema)} as t where ${text}`, [
    ...values,
  ]);
  return rows[0];
}

/** The hash of each row of a range, by its key. */
export async function hashesOf(
  tx: Knex,
  keyed: Keyed,
  schema: string,
  range: Range,
): Promise<ReadonlyMap<string, string>> {
  const { text, values } = within(keyed, range);
  const { rows } = await tx.raw(
    `select ${asText(keyed)}, md5(to_jsonb(t)::text) as hash from ${placed(keyed, schema)} as t where ${text}`,
    [...values],
  );
  return new Map(
    rows.map((row: Record<string, string>) => [JSON.stringify(keyFrom(keyed, row)), row.hash as string]),
  );
}

/** Each column of a row as text of JSON, as PostgreSQL writes it; undefined: there is no such row. */
export type Written = { readonly [column: string]: string } | undefined;

export async function rowOf(tx: Knex, keyed: Keyed, schema: string, key: Key): Promise<Written> {
  const { rows } = await tx.raw(
    `select (select jsonb_object_agg(e.key, e.value::text) from jsonb_each(to_jsonb(t)) as e) as written
     from ${placed(keyed, schema)} as t where (${list(keyed)}) = (${values(keyed)})`,
    [...key],
  );
  return rows[0]?.written;
}

export const isSame = (one: Written, other: Written) => differing(one, other).length === 0;

/** The columns that differ; all of them, where only one of the rows is there. */
export function differing(one: Written, other: Written): readonly string[] {
  const columns = new Set([...Object.keys(one ?? {}), ...Object.keys(other ?? {})]);
  return [...columns].filter(column => one?.[column] !== other?.[column]).sort();
}

/** `{"app_id": "todo"}` */
export const keyText = ({ columns }: Keyed, key: Key) =>
  JSON.stringify(Object.fromEntries(columns.map((column, at) => [column, key[at]])));

/** Replaces the row of one schema by that of another, or takes it away where there is none. */
export async function replaceRow(tx: Knex, keyed: Keyed, to: string, from: string, key: Key): Promise<void> {
  const where = `(${list(keyed)}) = (${values(keyed)})`;
  await tx.raw(`delete from ${placed(keyed, to)} where ${where}`, [...key]);
  await tx.raw(`insert into ${placed(keyed, to)} select * from ${placed(keyed, from)} where ${where}`, [
    ...key,
  ]);
}

/** Makes all rows of a table those of another schema, and leaves alone what is equal. Answers how many were not. */
export async function replaceRows(tx: Knex, keyed: Keyed, to: string, from: string): Promise<number> {
  const same = keyed.columns.map(column => `s.${quoted(column)} = t.${quoted(column)}`).join(' and ');
  const gone = await tx.raw(
    `delete from ${placed(keyed, to)} as t where not exists (
       select from ${placed(keyed, from)} as s where ${same} and to_jsonb(s)::text = to_jsonb(t)::text)`,
  );
  const come = await tx.raw(
    `insert into ${placed(keyed, to)} select * from ${placed(keyed, from)} on conflict (${list(keyed)}) do nothing`,
  );
  return Math.max(gone.rowCount, come.rowCount);
}

/** Whether an operation names this row by its whole key, or by the beginning of it. */
export function names({ columns }: Keyed, key: Key, where: Row): boolean {
  return columns.every((column, at) => !(column in where) || String(where[column]) === key[at]);
}
