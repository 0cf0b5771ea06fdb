/** The room of the projections makes the tables, here or in a process that is starting too. */
import type { Knex } from 'knex';
import { projections } from '../projections/index.ts';

const tablesMsMax = 30_000;
const tablesLookMs = 50;

export async function tablesAreThere({ sql }: { readonly sql: Knex }): Promise<void> {
  const wanted = projections.length;
  for (let waitedMs = 0; ; waitedMs += tablesLookMs) {
    const count = await sql('projection_checkpoints')
      .count('* as count')
      .first()
      .then(
        row => Number(row?.count),
        () => 0,
      );
    if (count >= wanted) return;
    if (waitedMs > tablesMsMax) throw new Error('The tables are not there: does the room projections run?');
    await new Promise(resolve => setTimeout(resolve, tablesLookMs));
  }
}
