/** What the self-audit keeps: its shadow of each projection, how it stands, and what is wrong. */
import type { Knex } from 'knex';
import { dropGeneration, enter, type Generation, schemaOf } from './generation.ts';
import type { Projection } from './projection.ts';

/** Every other generation has a number above it. */
const shadowGeneration = 0;

export async function createAuditTables(sql: Knex): Promise<void> {
  await sql.raw(`
    create table if not exists projection_audits (
      name text primary key,
      state text not null default 'filling',
      repair_wanted boolean not null default false,
      repair_problem text,
      rows bigint not null default 0,
      wrong_rows bigint not null default 0,
      sound_up_to bigint,
      checked_at timestamptz);
    create table if not exists projection_audit_tables (
      name text not null, "table" text not null, ranges integer not null, rows bigint not null, digest text not null,
      sound_up_to bigint, checked_at timestamptz not null, primary key (name, "table"));
    create table if not exists projection_divergences (
      name text not null, "table" text not null, key text not null, kind text not null, columns text[] not null,
      position bigint, sound_up_to bigint, compared_at bigint not null, streams text[], found_at timestamptz not null,
      primary key (name, "table", key))`);
}

/**
 * The shadow of each projection, made where it is missing or of another version. It has its triggers and unique indexes and no
 * others: it is only ever read by key.
 */
export async function openShadows(sql: Knex, projections: readonly Projection[]): Promise<Generation[]> {
  const shadows: Generation[] = [];
  for (const projection of projections) shadows.push(await sql.transaction(tx => openShadow(tx, projection)));
  return shadows;
}

async function openShadow(tx: Knex, projection: Projection): Promise<Generation> {
  const { name, version } = projection;
  const generation = shadowGeneration;
  const found = await tx('projection_generations').where({ name, generation }).first('version', 'position');
  if (found !== undefined && found.version !== version) await dropGeneration(tx, name, generation);
  const isThere = found?.version === version;
  if (!isThere) {
    const schema = schemaOf(projection, generation);
    await tx.raw('drop schema if exists ?? cascade', [schema]);
    await makeScratch(tx, projection, schema);
    const row = { name, generation, version, role: 'shadow', position: null, is_checked: false, events: 0 };
    await tx('projection_generations').insert({ ...row, started_at: tx.fn.now() });
  }
  await tx('projection_audits').insert({ name }).onConflict('name').ignore();
  const position = isThere && found.position !== null ? BigInt(found.position) : null;
  return { projection, generation, role: 'shadow', isChecked: false, position };
}

/** A schema with the projection's tables, without indexes that nobody would use. Left with the plain search path. */
export async function makeScratch(tx: Knex, projection: Projection, schema: string): Promise<void> {
  await tx.raw('create schema ??', [schema]);
  await enter(tx, schema);
  await projection.createTables(tx.schema);
  for (const table of Object.keys(projection.tables)) {
    const { rows } = await tx.raw(
      `select indexrelid::regclass::text as name from pg_index where indrelid = quote_ident(?)::regclass and not indisunique`,
      [table],
    );
    for (const { name } of rows) await tx.raw(`drop index ${name}`);
  }
  await tx.raw('set local search_path to public');
}

/** Its rows are not to be trusted any more: it is filled again from the first event. */
export async function forgetShadow(sql: Knex, { name }: Projection): Promise<void> {
  await sql.transaction(tx => dropGeneration(tx, name, shadowGeneration));
}
