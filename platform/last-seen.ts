/**
 * When a key or a session was last used. It changes with every request, so it is no history and not in the log: a small table
 * remembers it, at most once a minute for each; this process knows to the moment. When the table is lost, sessions count as idle
 * since they were opened.
 */
import type { Knex } from 'knex';

const table = 'access_last_seen';
const noteMs = 60_000;
const rememberedMax = 10_000;

export type LastSeen = {
  /** Remembers that it was used now. Never rejects: a use that is not remembered does no harm. */
  note(id: string, ip: string): void;
  /** RFC 3339; null when nothing is known. */
  get(id: string): Promise<string | null>;
};

export async function openLastSeen(
  sql: Knex,
  clock: { now(): string },
  log: { warn(detail: object, line: string): void },
): Promise<LastSeen> {
  await sql.raw(
    `create table if not exists ${table} (id text primary key, at timestamptz not null, ip text not null)`,
  );
  const known = new Map<string, { at: string; storedAt: string }>();
  const isWithin = (from: string, to: string) => Date.parse(to) - Date.parse(from) < noteMs;
  return {
    note(id, ip) {
      const at = clock.now();
      const before = known.get(id);
      if (before !== undefined && isWithin(before.storedAt, at)) {
        before.at = at;
        return;
      }
      if (known.size >= rememberedMax) known.clear();
      known.set(id, { at, storedAt: at });
      const later = sql.raw('excluded.at');
      sql(table)
        .insert({ id, at, ip })
        .onConflict('id')
        .merge()
        .where(`${table}.at`, '<', later)
        .then(undefined, error => log.warn({ err: error }, 'the use of a credential was not noted'));
    },
    async get(id) {
      const own = known.get(id)?.at ?? null;
      if (own !== null && isWithin(own, clock.now())) return own;
      // Another process may have heard of it since.
      const row = await sql(table).where({ id }).first('at');
      const stored = row === undefined ? null : new Date(row.at).toISOString();
      return stored === null || (own !== null && own > stored) ? own : stored;
    },
  };
}
