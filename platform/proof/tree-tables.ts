/**
 * Where the tree is kept: tables beside those of the projections, written by the one worker that keeps it and read by whoever
 * proves something by it. A tree that is made again from the log grows as another generation and is shown when it is whole.
 *
 *   audit_trees        a row a generation: size, chain, and the position up to which the log has been read
 *   audit_tiles        256 hashes a row (tiles.ts); those of level 0 with the positions of their events
 *   audit_edge         the leaves of the open tile of level 0, one by one
 *   audit_ids          where the event of an id is among the leaves
 *   audit_heads        the newest signed checkpoint of each origin, which need not have been handed to anybody
 *   audit_checkpoints  those that were published, and audit_cosignatures what witnesses said of them
 *   audit_witnesses    how far each witness has been brought
 */
import type { Knex } from 'knex';

/** The channel on which a new head is announced, and the one on which somebody asks for one. */
export const headChannel = 'apphub_audit';
export const wantedChannel = 'apphub_audit_wanted';

export async function createTreeTables(sql: Knex): Promise<void> {
  await sql.transaction(async tx => {
    await tx.raw("select pg_advisory_xact_lock(hashtext('audit tables'))");
    await tx.raw(`
      create table if not exists audit_trees (
        generation integer primary key, is_current boolean not null, size bigint not null, position bigint,
        read_position bigint, chain bytea not null, moved_at timestamptz not null default now());
      create unique index if not exists audit_trees_current on audit_trees (is_current) where is_current;
      create table if not exists audit_tiles (
        generation integer not null, level integer not null, at bigint not null, hashes bytea not null,
        positions bytea, first_position bigint, primary key (generation, level, at));
      alter table audit_tiles alter column hashes set storage external, alter column positions set storage external;
      create index if not exists audit_tiles_position on audit_tiles (generation, first_position)
        where first_position is not null;
      create table if not exists audit_edge (
        generation integer not null, leaf bigint not null, hash bytea not null, position bigint not null,
        primary key (generation, leaf));
      create table if not exists audit_ids (generation integer not null, id uuid not null, leaf bigint not null);
      create index if not exists audit_ids_id on audit_ids (id);
      create table if not exists audit_heads (
        origin text primary key, size bigint not null, position bigint, note text not null, at timestamptz not null);
      create table if not exists audit_checkpoints (
        origin text not null, size bigint not null, root bytea not null, note text not null, at timestamptz not null,
        primary key (origin, size));
      create table if not exists audit_cosignatures (
        origin text not null, size bigint not null, witness text not null, line text not null, at timestamptz not null,
        primary key (origin, size, witness));
      create table if not exists audit_witnesses (
        name text primary key, kind text not null, origin text not null, size bigint not null, seen_at timestamptz,
        problem text, failing_since timestamptz)`);
  });
}
