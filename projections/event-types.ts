/** Which types of events the log holds, as far as it was read: code that does not know one of them is not started on it. */
import type { Knex } from 'knex';
import type { Recorded } from '../domain/events.ts';

/** Types by the position of their first event. */
export type Types = ReadonlyMap<string, string>;

export async function createEventTypes(sql: Knex): Promise<void> {
  await sql.raw(
    'create table if not exists log_event_types (type text primary key, position bigint not null)',
  );
}

export function typesOf(events: readonly Recorded[]): Types {
  const types = new Map<string, string>();
  for (const { type, position } of events) if (!types.has(type)) types.set(type, position.toString());
  return types;
}

/** By database, what is stored there already. There are few types. */
const stored = new WeakMap<Knex, Set<string>>();

/** Stores those that were not seen before. Answers what is to be called when the transaction has been committed. */
export async function noteTypes(sql: Knex, tx: Knex, types: Types): Promise<() => void> {
  const known = stored.get(sql) ?? new Set<string>();
  stored.set(sql, known);
  const fresh = [...types].filter(([type]) => !known.has(type));
  if (fresh.length > 0) {
    const rows = fresh.map(([type, position]) => ({ type, position }));
    await tx('log_event_types').insert(rows).onConflict('type').ignore();
  }
  return () => {
    for (const [type] of fresh) known.add(type);
  };
}
