/** One page of what somebody owns, keys or sessions, newest first, each with when it was last used and from where. */
import { Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { allows, type Identity } from '../../platform/auth.ts';
import { Problem } from '../../platform/problem.ts';
import { cursorOf, placeOf, querySum, timeValue } from '../cursor.ts';
import { AfterOnly } from '../fresh.ts';
import { limitOf, Paging } from '../shapes.ts';

/** Names of the table and of its columns; `at` is the time it began. */
type Owned = {
  readonly table: string;
  readonly id: string;
  readonly owner: string;
  readonly at: string;
};

export const OwnedQuery = Type.Object({
  ...AfterOnly,
  ...Paging,
  all: Type.Optional(Type.Boolean({ description: 'Those of everybody; needs the scope admin' })),
});

export type Row = Readonly<Record<string, unknown>> & {
  readonly last_seen_at: string | null;
  readonly last_seen_ip: string | null;
};

/** Rejects with 403 who asks for all and is no administrator. */
export async function ownedPage(
  sql: Knex,
  { table, id, owner, at }: Owned,
  identity: Identity,
  query: { all?: boolean; limit?: number; cursor?: string },
): Promise<{ rows: readonly Row[]; nextCursor: string | null }> {
  const { all = false } = query;
  if (all && !allows(identity, 'admin')) {
    throw new Problem(403, 'forbidden', 'This needs the scope admin', { extra: { scope: 'admin' } });
  }
  const limit = limitOf(query);
  const sum = querySum([table, all ? null : identity.subject]);
  const place = query.cursor === undefined ? undefined : placeOf(query.cursor, sum, timeValue);
  const found = sql(table)
    .leftJoin('access_last_seen as seen', 'seen.id', `${table}.${id}`)
    .orderBy([
      { column: at, order: 'desc' },
      { column: id, order: 'desc' },
    ])
    .limit(limit + 1)
    .select(`${table}.*`, 'seen.at as last_seen_at', 'seen.ip as last_seen_ip');
  if (!all) found.where({ [owner]: identity.subject });
  if (place !== undefined) found.whereRaw('(??, ??) < (?::timestamptz, ?)', [at, id, place.value, place.id]);
  const rows: Row[] = await found;
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  const nextCursor =
    last === undefined ? null : cursorOf({ tier: 0, value: String(last[at]), id: String(last[id]) }, sum);
  return { rows: rows.slice(0, limit), nextCursor };
}
