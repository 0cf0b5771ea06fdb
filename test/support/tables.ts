/** A projection's tables in a real database: events in, whole rows out. */
import type { Recorded } from '../../domain/events.ts';
import { applySteps } from '../../projections/apply.ts';
import { mergeOps } from '../../projections/merge.ts';
import { opsOf, type Projection } from '../../projections/projection.ts';
import { testDatabase } from './postgres.ts';

export type Tables = {
  /** The rows of a table after these events, from empty tables: once in one batch and once one by one. */
  rowsAfter(events: readonly Recorded[], table?: string): Promise<readonly object[]>;
  close(): Promise<void>;
};

export async function openTables(projection: Projection): Promise<Tables> {
  const { sql, drop } = await testDatabase();
  await projection.createTables(sql.schema);
  const [first = ''] = Object.keys(projection.tables);

  async function rowsOf(
    batches: readonly (readonly Recorded[])[],
    table: string,
  ): Promise<readonly object[]> {
    for (const own of Object.keys(projection.tables)) await sql(own).delete();
    for (const batch of batches) {
      const ops = batch.flatMap(event => opsOf(projection, event));
      await applySteps(sql, projection.tables, mergeOps(projection.tables, ops));
    }
    const keys = projection.tables[table] ?? [];
    return sql(table)
      .select()
      .orderBy([...keys]);
  }

  return {
    async rowsAfter(events, table = first) {
      const together = await rowsOf([events], table);
      const apart = await rowsOf(
        events.map(event => [event]),
        table,
      );
      if (JSON.stringify(together) !== JSON.stringify(apart)) {
        throw new Error(`a batch and its parts differ: ${JSON.stringify([together, apart], null, 2)}`);
      }
      return together;
    },
    close: drop,
  };
}
