/**
 * A digest of a table's rows that does not depend on their order: equal rows give equal digests, however they came to be there.
 * Each row is hashed to twice 64 bits, column by column in the order of their names, and the hashes are added up; a row that is
 * there twice, or changed in any column, gives another sum. Costs one pass over the table.
 */
import type { Knex } from 'knex';
import { schemaOf } from './generation.ts';
import type { Projection } from './projection.ts';

export type Digests = { readonly [table: string]: string };

/** Types that PostgreSQL hashes by value. Everything else is hashed as it is written, which costs more. */
const hashed = new Set([
  ...[
    'text',
    'varchar',
    'bool',
    'int2',
    'int4',
    'int8',
    'float8',
    'numeric',
    'uuid',
    'date',
    'timestamptz',
    'jsonb',
  ],
  ...['_text', '_int4', '_int8'],
]);

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/**
 * `sum` and `rows` of whatever `t` is selected from. The hash of a row adds up its columns, so it is hashed once more. `only`: of
 * these columns.
 */
export async function digestColumns(
  tx: Knex,
  schema: string,
  table: string,
  only?: readonly string[],
): Promise<string> {
  const { rows } = await tx.raw(
    `select a.attname as name, y.typname as type from pg_attribute a join pg_type y on y.oid = a.atttypid
     where a.attrelid = (quote_ident(?) || '.' || quote_ident(?))::regclass and a.attnum > 0 and not a.attisdropped
     order by a.attname collate "C"`,
    [schema, table],
  );
  const wanted = rows.filter(({ name }: { name: string }) => only?.includes(name) ?? true);
  const columns = wanted.map(({ name, type }: { name: string; type: string }) =>
    hashed.has(type) ? `t.${quoted(name)}` : `t.${quoted(name)}::text`,
  );
  const sum = (seed: number) =>
    `coalesce(sum(hashint8extended(hash_record_extended(row(${columns.join(', ')}), ${seed}), ${seed})::numeric), 0)::text`;
  return `count(*)::integer as rows, ${sum(0)} || '-' || ${sum(1)} as sum`;
}

/** To be read in the transaction whose snapshot is meant. `<rows>-<sum>-<sum>` for each table. */
export async function digestsOf(tx: Knex, projection: Projection, generation: number): Promise<Digests> {
  const found: Record<string, string> = {};
  await tx.raw(`set local timezone = 'UTC'`);
  await tx.raw('set local statement_timeout = 0');
  const schema = schemaOf(projection, generation);
  for (const table of Object.keys(projection.tables)) {
    const columns = await digestColumns(tx, schema, table);
    const { rows } = await tx.raw(`select ${columns} from ${quoted(schema)}.${quoted(table)} as t`);
    found[table] = `${rows[0].rows}-${rows[0].sum}`;
  }
  return found;
}

/** The tables that differ. */
export function differing(one: Digests, other: Digests): readonly string[] {
  return Object.keys(one).filter(table => one[table] !== other[table]);
}
