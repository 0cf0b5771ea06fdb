/** What a projection is: tables, and a pure function from an event to operations on them. */
import type { Knex } from 'knex';
import type { EventOf, EventType, Json, Recorded } from '../domain/events.ts';

export type Row = { readonly [column: string]: Json };

/**
 * What a projection may do to its own tables, said as data: it can be tested without a database, and the projector can merge
 * the operations of many events into few statements. A row is always named by its whole primary key.
 */
export type Op =
  /** The row is this now; columns that are not named keep their value, or their default in a new row. */
  | { readonly op: 'put'; readonly table: string; readonly row: Row }
  /** These columns are this now, if the row is there. */
  | { readonly op: 'patch'; readonly table: string; readonly key: Row; readonly set: Row }
  /** Numbers to add to columns; a row that is not there starts at zero, which has to be the columns' default. */
  | {
      readonly op: 'add';
      readonly table: string;
      readonly key: Row;
      readonly by: { readonly [column: string]: number };
    }
  /** The row is gone. */
  | { readonly op: 'drop'; readonly table: string; readonly key: Row }
  /** Every row is gone whose key begins with these columns: a set that is about to be said anew. */
  | { readonly op: 'dropAll'; readonly table: string; readonly where: Row };

export const put = (table: string, row: Row): Op => ({ op: 'put', table, row });
export const patch = (table: string, key: Row, set: Row): Op => ({ op: 'patch', table, key, set });
export const add = (table: string, key: Row, by: { readonly [column: string]: number }): Op => ({
  op: 'add',
  table,
  key,
  by,
});
export const drop = (table: string, key: Row): Op => ({ op: 'drop', table, key });
export const dropAll = (table: string, where: Row): Op => ({ op: 'dropAll', table, where });

export type Projection = {
  /** Name and version name the checkpoint: raise the version and the tables are made and filled anew from the first event. */
  readonly name: string;
  readonly version: number;
  /** Primary key of each table, in the order of the table's definition. These are all the tables the projection owns. */
  readonly tables: { readonly [table: string]: readonly string[] };
  /**
   * What this version leaves as it was in version `from`: the columns of each table whose values are the same; of a table without
   * columns, only how many rows it has. It is held against that before this version is shown.
   */
  readonly stays?: {
    readonly from: number;
    readonly tables: { readonly [table: string]: readonly string[] };
  };
  createTables(schema: Knex.SchemaBuilder): Knex.SchemaBuilder;
  /** Set where each row is written once, with the `position` of its event, and never changes: looking back needs no versions. */
  readonly isWrittenOnce?: true;
  /** For tables that are read in the order of a time, its column. It is the `at` of an event, and of no later one. */
  readonly madeAt?: { readonly [table: string]: string };
  readonly on: { readonly [T in EventType]?: (event: Recorded<EventOf<T>>) => readonly Op[] };
};

/** What this event does to the projection's tables; nothing, where the projection does not listen to its type. */
export function opsOf(projection: Projection, event: Recorded): readonly Op[] {
  const handler = projection.on[event.type] as ((event: Recorded) => readonly Op[]) | undefined;
  if (handler !== undefined && event.unreadable !== undefined) throw new TypeError(event.unreadable);
  return handler?.(event) ?? [];
}
