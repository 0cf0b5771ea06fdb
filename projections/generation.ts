/**
 * A generation is one set of a projection's tables, in a schema of its own. One of them is live: views of its tables' names, in
 * the schema everybody reads, show it. Another may be filled beside it, and takes its place in one transaction, so that readers
 * never see a table that is half full. The one before is kept for a while and followed, so that it can take its place back.
 */
import type { Knex } from 'knex';
import { deferIndexes } from './indexes.ts';
import type { Projection } from './projection.ts';

/** Waiting for the readers of a view is ended long before PostgreSQL would look for a deadlock, which may end a reader. */
const lockMsMax = 200;
const switchesMax = 50;
const keptHoursMax = 24;

/** `shadow`: what the self-audit compares the live one with. It is never shown. */
type Role = 'live' | 'next' | 'kept' | 'shadow';

export type Generation = {
  readonly projection: Projection;
  readonly generation: number;
  readonly role: Role;
  /** Whether its rows have been compared with the live ones, or need not be. */
  readonly isChecked: boolean;
  /** Up to where it holds the log; null: nothing yet. Moves on as it is followed. */
  position: bigint | null;
};

export const schemaOf = ({ name }: Pick<Projection, 'name'>, generation: number) => `p_${name}_${generation}`;

/** Everything in the transaction is about this generation's tables, by their plain names. */
export async function enter(tx: Knex, schema: string): Promise<void> {
  await tx.raw('set local search_path to ??, public', [schema]);
}

export async function createGenerations(sql: Knex): Promise<void> {
  await sql.raw(`
    create table if not exists projection_checkpoints (
      name text primary key, version integer not null, position bigint, event_at timestamptz, moved_at timestamptz);
    alter table projection_checkpoints add column if not exists generation integer not null default 0;
    alter table projection_checkpoints add column if not exists shown_at timestamptz not null default now();
    create table if not exists projection_generations (
      name text not null, generation integer not null, version integer not null, role text not null, position bigint,
      is_checked boolean not null, problem text, started_at timestamptz not null, moved_at timestamptz,
      primary key (name, generation));
    alter table projection_checkpoints add column if not exists events bigint;
    alter table projection_generations add column if not exists events bigint;
    alter table projection_generations add column if not exists events_per_second real`);
}

/**
 * What this code has to follow of each projection. A version that has never been live is filled beside the one that is, which
 * stands still meanwhile: only its own code can go on with it.
 */
export async function openGenerations(sql: Knex, projections: readonly Projection[]): Promise<Generation[]> {
  const all: Generation[] = [];
  for (const projection of projections) all.push(...(await openOne(sql, projection)));
  return all;
}

type Row = {
  name: string;
  generation: number;
  version: number;
  role: Role;
  position: string | null;
  is_checked: boolean;
  problem: string | null;
  is_old: boolean;
};

async function openOne(sql: Knex, projection: Projection): Promise<Generation[]> {
  const { name, version } = projection;
  return sql.transaction(async tx => {
    await tx.raw('select pg_advisory_xact_lock(hashtext(?))', [`projection ${name}`]);
    const live = await tx('projection_checkpoints')
      .where({ name })
      .first('version', 'position', 'generation');
    if (live === undefined || live.generation === 0) return [await makeFirst(tx, projection)];
    const followed: Generation[] = [];
    const isOurs = live.version === version;
    if (isOurs) followed.push(generationOf(projection, { ...live, role: 'live', is_checked: true }));
    const rows: Row[] = await tx('projection_generations')
      .where({ name })
      .whereNot({ role: 'shadow' })
      .orderBy('generation', 'desc')
      .select('*', tx.raw(`started_at < now() - interval '${keptHoursMax} hours' as is_old`));
    for (const row of rows) {
      const isOld = row.role === 'kept' && row.is_old;
      if (isOld || (row.role === 'next' && row.version !== version)) {
        await dropGeneration(tx, name, row.generation);
      } else if (row.version === version && row.problem === null) {
        const isWanted = row.role === 'kept' && !isOurs;
        if (isWanted)
          await tx('projection_generations')
            .where({ name, generation: row.generation })
            .update({ role: 'next' });
        followed.push(generationOf(projection, isWanted ? { ...row, role: 'next' } : row));
      }
    }
    // What was not as it was declared would not be the next time either.
    const isHeld = rows.some(row => row.role === 'next' && row.version === version && row.problem !== null);
    if (followed.length === 0 && !isHeld) {
      const isDeclared = !isOurs && projection.stays?.from === live.version && live.position !== null;
      followed.push(await makeNext(tx, projection, !isDeclared));
    }
    return followed;
  });
}

function generationOf(
  projection: Projection,
  row: Pick<Row, 'generation' | 'role' | 'position' | 'is_checked'>,
): Generation {
  return {
    projection,
    generation: row.generation,
    role: row.role,
    isChecked: row.is_checked,
    position: row.position === null ? null : BigInt(row.position),
  };
}

/** The first generation is live at once: there is nothing else to show. Tables of before there were generations go. */
async function makeFirst(tx: Knex, projection: Projection): Promise<Generation> {
  const { name, version, tables } = projection;
  const generation = 1;
  for (const table of Object.keys(tables)) await tx.raw('drop table if exists public.?? cascade', [table]);
  await makeTables(tx, projection, generation);
  await showTables(tx, projection, generation);
  const now = tx.fn.now();
  await dropLetters(tx, name, generation);
  const none = { position: null, event_at: null, events: 0, letters: 0, problem: null };
  const row = { name, version, ...none, moved_at: now, shown_at: now, generation };
  await tx('projection_checkpoints').insert(row).onConflict('name').merge();
  return { projection, generation, role: 'live', isChecked: true, position: null };
}

/** Begins to fill a generation beside the live one. */
async function makeNext(tx: Knex, projection: Projection, isChecked: boolean): Promise<Generation> {
  const { name, version } = projection;
  const { rows } = await tx.raw(
    `select coalesce(max(generation), 0) + 1 as free from (
       select generation from projection_generations where name = ?
       union all select generation from projection_checkpoints where name = ?) as g`,
    [name, name],
  );
  const generation: number = rows[0].free;
  await makeTables(tx, projection, generation);
  await dropLetters(tx, name, generation);
  const role = 'next' as const;
  await tx('projection_generations').insert({
    name,
    generation,
    version,
    role,
    position: null,
    is_checked: isChecked,
    events: 0,
    started_at: tx.fn.now(),
  });
  return { projection, generation, role, isChecked, position: null };
}

/**
 * Does what was asked of a live projection, in the transaction that says the request has been read. One that is older than the
 * live tables was done before they were there. Answers whether there is something to do now.
 */
export async function answer(
  tx: Knex,
  { projection, generation }: Generation,
  { type, created }: { readonly type: string; readonly created: string },
): Promise<boolean> {
  const { name, version } = projection;
  if (type === 'ProjectionRepairRequested') {
    await tx('projection_audits').insert({ name, repair_wanted: true }).onConflict('name').merge();
    return false;
  }
  const live = await tx('projection_checkpoints').where({ name, generation }).first('shown_at');
  if (live === undefined || Date.parse(created) < Date.parse(live.shown_at)) return false;
  const rows: Row[] = await tx('projection_generations').where({ name });
  if (type === 'ProjectionRollbackRequested') {
    const changed = await tx('projection_generations')
      .where({ name, role: 'kept', version })
      .update({ role: 'next', is_checked: true, letters_accepted: true });
    return changed > 0;
  }
  for (const row of rows) {
    if (row.role === 'next') await dropGeneration(tx, name, row.generation);
  }
  await makeNext(tx, projection, false);
  return true;
}

/**
 * A generation has to be made anew, because what waited in it can only be applied in its place in the log. Nothing is begun where
 * one is being filled already, nor for one that is kept or a shadow.
 */
export async function beginAnew(tx: Knex, { projection, role, generation }: Generation): Promise<boolean> {
  const { name, version } = projection;
  if (role !== 'live' && role !== 'next') return false;
  await tx.raw('select pg_advisory_xact_lock(hashtext(?))', [`projection ${name}`]);
  const filled = await tx('projection_generations')
    .where({ name, version, role: 'next', problem: null })
    .first();
  if (role === 'live' && filled !== undefined) return false;
  if (role === 'next') await dropGeneration(tx, name, generation);
  await makeNext(tx, projection, true);
  return true;
}

/** Those of the generations to come that may be shown: with no more dead letters than what is shown now, unless they may. */
export async function showable(sql: Knex, next: readonly Generation[]): Promise<Generation[]> {
  if (next.length === 0) return [];
  const rows: { name: string; generation: number }[] = await sql('projection_generations as g')
    .join('projection_checkpoints as c', 'c.name', 'g.name')
    .where('g.role', 'next')
    .where(sql.raw('g.letters <= c.letters or g.letters_accepted'))
    .select('g.name', 'g.generation');
  return next.filter(one =>
    rows.some(({ name, generation }) => name === one.projection.name && generation === one.generation),
  );
}

async function dropLetters(tx: Knex, name: string, generation: number): Promise<void> {
  await tx('projection_letters').where({ projection: name, generation }).delete();
}

async function makeTables(tx: Knex, projection: Projection, generation: number): Promise<void> {
  const schema = schemaOf(projection, generation);
  await tx.raw('drop schema if exists ?? cascade', [schema]);
  await tx.raw('create schema ??', [schema]);
  await enter(tx, schema);
  await projection.createTables(tx.schema);
  await deferIndexes(tx, schema, projection);
  await tx.raw('set local search_path to public');
}

/** From here on the plain names are this generation's tables. */
async function showTables(tx: Knex, projection: Projection, generation: number): Promise<void> {
  const schema = schemaOf(projection, generation);
  for (const table of Object.keys(projection.tables)) {
    await tx.raw('drop view if exists public.??', [table]);
    await tx.raw('create view public.?? as select * from ??.??', [table, schema, table]);
  }
}

export async function dropGeneration(tx: Knex, name: string, generation: number): Promise<void> {
  await tx.raw('drop schema if exists ?? cascade', [schemaOf({ name }, generation)]);
  await tx('projection_indexes')
    .where({ projection: schemaOf({ name }, generation) })
    .delete();
  await tx('projection_generations').where({ name, generation }).delete();
  await dropLetters(tx, name, generation);
}

/**
 * These become live, all in one transaction. Readers wait for it for a moment at most, and none is ended for it: when one is in
 * the way, it is tried again. What was live is kept, and what was kept before goes.
 */
export async function switchTo(sql: Knex, chosen: readonly Generation[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sql.transaction(async tx => {
        await tx.raw(`set local lock_timeout = ${lockMsMax}`);
        for (const one of chosen) await switchOne(tx, one);
      });
      return;
    } catch (error) {
      const isInTheWay = error instanceof Error && 'code' in error && error.code === '55P03';
      if (!isInTheWay || attempt === switchesMax) throw error;
    }
  }
}

async function switchOne(tx: Knex, { projection, generation }: Generation): Promise<void> {
  const { name, version } = projection;
  const before = await tx('projection_checkpoints').where({ name }).forUpdate().first();
  const next = await tx('projection_generations').where({ name, generation }).first();
  const kept: number[] = await tx('projection_generations').where({ name, role: 'kept' }).pluck('generation');
  for (const old of kept) if (old !== generation) await dropGeneration(tx, name, old);
  await showTables(tx, projection, generation);
  await tx('projection_generations').where({ name, generation }).delete();
  await tx('projection_generations').insert({
    name,
    generation: before.generation,
    version: before.version,
    role: 'kept',
    position: before.position,
    events: before.events,
    letters: before.letters,
    is_checked: true,
    started_at: tx.fn.now(),
    moved_at: tx.fn.now(),
  });
  await tx('projection_checkpoints').where({ name }).update({
    version,
    generation,
    position: next.position,
    events: next.events,
    letters: next.letters,
    problem: null,
    moved_at: tx.fn.now(),
    shown_at: tx.fn.now(),
  });
}
