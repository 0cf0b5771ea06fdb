/** One page of a table that is read newest first. A page costs its rows, wherever it lies: its place is found by an index. */
import type { Knex } from 'knex';
import { cursorOf, placeOf, querySum, timeValue } from './cursor.ts';
import { type Reach, within } from './reach.ts';
import { limitOf } from './shapes.ts';

export type PageQuery = { readonly status?: string; readonly cursor?: string; readonly limit?: number };
export type PageRow = { readonly requested_at: string } & Readonly<Record<string, unknown>>;

/** Rows of the app, or of all apps; `id` is the column that tells rows of the same time apart. */
export async function newestFirst<Row extends PageRow>(
  sql: Knex,
  of: { table: string; id: string; appId?: string | undefined; apps: Reach },
  query: PageQuery,
): Promise<{ rows: Row[]; nextCursor: string | null }> {
  const limit = limitOf(query);
  const sum = querySum([of.table, of.appId, query.status]);
  const place = query.cursor === undefined ? undefined : placeOf(query.cursor, sum, timeValue);
  const found = sql(of.table)
    .orderBy([
      { column: 'requested_at', order: 'desc' },
      { column: of.id, order: 'desc' },
    ])
    .limit(limit + 1);
  if (of.appId !== undefined) found.where({ app_id: of.appId });
  if (of.apps !== null) {
    const { where, bind } = within(of.apps);
    found.whereRaw(where, bind as never);
  }
  if (query.status !== undefined) found.where({ status: query.status });
  if (place !== undefined) {
    found.whereRaw('(requested_at, ??) < (?::timestamptz, ?)', [of.id, place.value, place.id]);
  }
  const rows = (await found) as Row[];
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  const nextCursor =
    last === undefined ? null : cursorOf({ tier: 0, value: last.requested_at, id: String(last[of.id]) }, sum);
  return { rows: rows.slice(0, limit), nextCursor };
}
