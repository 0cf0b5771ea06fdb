/**
 * Many statements in one message: the database goes from one to the next by itself, whatever the process that sent them does
 * meanwhile.
 */
import type { Knex } from 'knex';

/** One statement about the tables of a schema, named plainly; `?` in it is the JSON of its rows. */
export type SchemaStatement = {
  readonly schema: string;
  readonly text: string;
  readonly rows: string;
  /** The position of the event all of it is of, where somebody has to know. */
  readonly at?: string;
};

/**
 * To be called before `runAll`, by each process; may be called by several at once. What is there stays as it is, so one that
 * does something else needs another name.
 */
export async function createRunAll(sql: Knex): Promise<void> {
  await sql.transaction(async tx => {
    await tx.raw(`select pg_advisory_xact_lock(hashtext('projections_run'))`);
    const { rows } = await tx.raw(`select to_regproc('public.projections_run') is null as is_missing`);
    if (rows[0].is_missing) await tx.raw(definition);
  });
}

const definition = `
  create function public.projections_run(schemas text[], ats text[], texts text[], rows json[]) returns void
  language plpgsql as $$
  begin
    for n in 1 .. cardinality(texts) loop
      perform set_config('search_path', quote_ident(schemas[n]) || ', public', true);
      perform set_config('apphub.at', ats[n], true);
      execute texts[n] using rows[n];
    end loop;
    perform set_config('search_path', 'public', true);
  end $$`;

/** A message may have 65,535 parameters. */
const statementsMax = 2_000;

/** Runs them in order, inside the caller's transaction. */
export async function runAll(tx: Knex, statements: readonly SchemaStatement[]): Promise<void> {
  for (let from = 0; from < statements.length; from += statementsMax) {
    const some = statements.slice(from, from + statementsMax);
    const rows = some.map(() => '?::json').join();
    await tx.raw(`select public.projections_run(?::text[], ?::text[], ?::text[], array[${rows}])`, [
      some.map(({ schema }) => schema),
      some.map(({ at }) => at ?? ''),
      some.map(({ text }) => text.replace('?', '$1')),
      ...some.map(({ rows }) => rows),
    ]);
  }
}
