/**
 * A digest of a table's rows that does not depend on their order: equal rows give equal digests, however they came to be there.
 * Each row is written as canonical JSON (jsonb, times in UTC), hashed to twice 64 bits, and the hashes are added up; a row that
 * is there twice, or changed in any column, gives another sum. Costs one pass over the table.
 */
import type { Knex } from 'knex';
import { schemaOf } from './generation.ts';
import type { Projection } from './projection.ts';

export type Digests = { readonly [table: string]: string };

/** To be read in the transaction whose snapshot is meant. `<rows>-<sum>-<sum>` for each table. */
export async function digestsOf(tx: Knex, projection: Projection, generation: number): Promise<Digests> {
  const found: Record<string, string> = {};
  await tx.raw(`set local timezone = 'UTC'`);
  await tx.raw('set local statement_timeout = 0');
  for (const table of Object.keys(projection.tables)) {
    const { rows } = await tx.raw(
      `select count(*) as n, coalesce(sum(hashtextextended(j, 0)::numeric), 0)::text as a,
         coalesce(sum(hashtextextended(j, 1)::numeric), 0)::text as b
       from (select to_jsonb(t)::text as j from ??.?? as t) as rows`,
      [schemaOf(projection, generation), table],
    );
    found[table] = `${rows[0].n}-${rows[0].a}-${rows[0].b}`;
  }
  return found;
}

/** The tables that differ. */
export function differing(one: Digests, other: Digests): readonly string[] {
  return Object.keys(one).filter(table => one[table] !== other[table]);
}
