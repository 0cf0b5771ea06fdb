/**
 * Streams that stopped in the past and have gone on in the live tables since: their dead letter was applied, or skipped. What
 * they did belongs between what others did, so the versions of that projection are made anew. Once for each stream: where it
 * stops again, it is the past that cannot take it.
 */
import type { Knex } from 'knex';
import { createSkips } from './letters.ts';
import type { Projection } from './projection.ts';

export async function createStopped(tx: Knex): Promise<void> {
  await createSkips(tx);
  await tx.raw(`
    create table if not exists past_stopped (
      name text not null, stream text not null, position bigint not null, error text not null, primary key (name, stream));
    alter table past_stopped add column if not exists is_stopped boolean not null default true;
    alter table past_stopped add column if not exists was_mended boolean not null default false`);
}

/** The projections that have such streams. */
export async function mendedOf(sql: Knex): Promise<readonly string[]> {
  const { rows: known } = await sql.raw(`select to_regclass('projection_letters') is not null as is_there`);
  if (!known[0].is_there) return [];
  const { rows } = await sql.raw(`
    select distinct s.name from past_stopped s
    join projection_checkpoints c on c.name = s.name and c.position >= s.position
    join past_checkpoints p on p.name = s.name and p.version = c.version
    where s.is_stopped and not s.was_mended and not exists (
      select from projection_letters l
      where l.projection = s.name and l.generation = c.generation and l.stream = s.stream)`);
  return rows.map(({ name }: { name: string }) => name);
}

/** What has stopped in them so far is gone with their versions. */
export async function beginAnew(tx: Knex, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await tx('past_stopped').whereIn('name', names).update({ is_stopped: false, was_mended: true });
  await tx('past_checkpoints').whereIn('name', names).delete();
}

export async function stoppedOf(tx: Knex, { name }: Projection): Promise<Set<string>> {
  return new Set<string>(await tx('past_stopped').where({ name, is_stopped: true }).pluck('stream'));
}

/** Of a projection that is begun anew. Other code gets another try at all of them. */
export async function forgetStopped(tx: Knex, { name }: Projection): Promise<void> {
  const before = await tx('past_checkpoints').where({ name }).first('version');
  await tx('past_stopped')
    .where(before === undefined ? { name, is_stopped: true } : { name })
    .delete();
}

export type Stop = {
  readonly name: string;
  readonly stream: string;
  readonly position: string;
  readonly error: string;
};

export async function noteStopped(tx: Knex, stops: readonly Stop[]): Promise<void> {
  if (stops.length === 0) return;
  await tx('past_stopped')
    .insert(stops.map(stop => ({ ...stop, is_stopped: true })))
    .onConflict(['name', 'stream'])
    .merge();
}
