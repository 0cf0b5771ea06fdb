/**
 * Tables that are filled from the first event get their indexes at the end: an index made at once costs a part of
 * what it costs to
 * keep it through every change. What is still to be made is written down beside the checkpoints, so a crash loses nothing.
 * Primary keys and unique indexes are there from the beginning.
 */
import type { Knex } from 'knex';
import type { Projection } from './projection.ts';

const lanesMax = 2;

export async function createDeferred(sql: Knex): Promise<void> {
  await sql.raw(`create table if not exists projection_indexes (
    projection text not null, "table" text not null, definition text not null)`);
}

/** Takes the plain indexes of these empty tables away until `makeIndexes`. To be called where the schema is entered. */
export async function deferIndexes(tx: Knex, schema: string, { tables }: Projection): Promise<void> {
  await tx('projection_indexes').where({ projection: schema }).delete();
  for (const table of Object.keys(tables)) {
    const { rows } = await tx.raw(
      `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
       from pg_index where indrelid = quote_ident(?)::regclass and not indisunique`,
      [table],
    );
    for (const { name, definition } of rows) {
      await tx.raw(`drop index ${name}`);
      await tx('projection_indexes').insert({ projection: schema, table, definition });
    }
  }
}

export async function areIndexesDeferred(sql: Knex, schemas: readonly string[]): Promise<boolean> {
  return (await sql('projection_indexes').whereIn('projection', schemas).first('definition')) !== undefined;
}

/** Makes what was put off, two schemas at a time, and tells the planner what its tables hold. Writes to them wait meanwhile. */
export async function makeIndexes(sql: Knex, schemas: readonly string[]): Promise<void> {
  const left = schemas.values();
  const ends = await Promise.allSettled(Array.from({ length: lanesMax }, () => makeSome(sql, left)));
  const failed = ends.find(end => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function makeSome(sql: Knex, schemas: Iterable<string>): Promise<void> {
  for (const schema of schemas) {
    await sql.transaction(async tx => {
      // However large the tables are.
      await tx.raw('set local statement_timeout = 0');
      const due = await tx('projection_indexes')
        .where({ projection: schema })
        .delete()
        .returning(['table', 'definition']);
      for (const { definition } of due) await tx.raw(definition);
      for (const table of new Set(due.map(row => row.table))) await tx.raw('analyze ??.??', [schema, table]);
    });
  }
}
