/** One moment of the live tables: where each of them is in the log, and a transaction in which nothing moves. */
import type { Knex } from 'knex';
import { type Generation, schemaOf } from './generation.ts';

export type Live = { readonly schema: string; readonly position: bigint; readonly version: number };

/** Runs with everything as it was at one moment, times in UTC and no limit to a statement. */
export async function snapshot<T>(
  sql: Knex,
  work: (tx: Knex, lives: ReadonlyMap<string, Live>) => Promise<T>,
): Promise<T> {
  return sql.transaction(
    async tx => {
      await tx.raw(`set local timezone = 'UTC'`);
      await tx.raw('set local statement_timeout = 0');
      return work(tx, await livesOf(tx));
    },
    { isolationLevel: 'repeatable read', readOnly: true },
  );
}

/** Which generation of each projection is read, and where it is; without those in which events wait, and so rows are missing. */
export async function livesOf(sql: Knex): Promise<ReadonlyMap<string, Live>> {
  const rows = await sql('projection_checkpoints')
    .whereNotNull('position')
    .where('generation', '>', 0)
    .where({ letters: 0 })
    .select('name', 'version', 'generation', sql.raw('position::text as position'));
  return new Map(
    rows.map(row => [
      row.name as string,
      {
        schema: schemaOf({ name: row.name }, row.generation),
        position: BigInt(row.position),
        version: row.version as number,
      },
    ]),
  );
}

/** What is live cannot be held against what is ahead of it, or of another version. */
export const isBefore = (live: Live, { projection, position }: Generation) =>
  live.version !== projection.version || (position !== null && position > live.position);
