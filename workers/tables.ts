/** The few tables workers keep for themselves: how far they have read, what they know of the machine, when they last looked. */
import type { Knex } from 'knex';
import type { EngineState } from './adapters/engine-types.ts';
import { pause } from './inline-queue.ts';

const believedSecondsMax = 30;
const lookEveryMs = 50;
const waitMsMax = 30_000;

export async function createWorkerTables(sql: Knex): Promise<void> {
  await sql.transaction(async tx => {
    await tx.raw("select pg_advisory_xact_lock(hashtext('worker tables'))");
    await tx.raw(`
      create table if not exists reaction_checkpoints (
        name text primary key, position bigint not null, moved_at timestamptz not null);
      create table if not exists worker_status (
        name text primary key, ok boolean not null, reason text, at timestamptz not null);
      create table if not exists worker_engines (
        name text primary key, state jsonb not null, at timestamptz not null);
      create table if not exists worker_syncs (
        app_id text primary key, checked_at timestamptz not null, problem text);
      create table if not exists preview_activity (
        launch_id text primary key, last_visit_at timestamptz not null, visits bigint not null default 0);
      create table if not exists launch_egress_denials (
        launch_id text, host text, port integer, reason text, count bigint not null,
        first_at timestamptz not null, last_at timestamptz not null, primary key (launch_id, host, port, reason));
      create table if not exists worker_workspaces (
        workspace_id text primary key, generation int not null, bytes bigint not null,
        weighed_at timestamptz not null);
      create table if not exists worker_usage (
        launch_id text, deployment int, engine text not null, started_at timestamptz not null,
        read_at timestamptz not null, counter_ms bigint not null, cpu_ms bigint not null,
        memory_mb_seconds double precision not null, cpus double precision, cpus_max double precision not null,
        memory_bytes bigint not null, memory_bytes_max bigint not null, processes int not null,
        processes_max int not null, recent jsonb not null, told_at timestamptz, told_cpu_ms bigint not null,
        told_memory_mb_seconds double precision not null, primary key (launch_id, deployment))`);
  });
}

/** Resolves when every table has what was written up to here, or after a while: whoever misses something is found by a sweep. */
export async function tablesHave(sql: Knex, position: bigint, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < waitMsMax && !signal.aborted; waitedMs += lookEveryMs) {
    const reached = await sql('projection_checkpoints').first(
      sql.raw('min(coalesce(position, 0))::text as position'),
    );
    if (reached?.position != null && BigInt(reached.position) >= position) return;
    await pause(lookEveryMs, signal);
  }
}

/** Null when there is room for another image, or nobody has looked for long; else a sentence for people. */
export async function whyFullDisk(sql: Knex): Promise<string | null> {
  const row = await sql('worker_status')
    .where({ name: 'disk', ok: false })
    .whereRaw(`at > now() - ${believedSecondsMax} * interval '1 second'`)
    .first('reason');
  return row === undefined ? null : (row.reason ?? 'There is no room for another image.');
}

/** What the read side shows of an outside system. A row that is not refreshed for long is not believed. */
export async function reportStatus(
  sql: Knex,
  name: string,
  ok: boolean,
  reason: string | null,
): Promise<void> {
  await sql('worker_status')
    .insert({ name, ok, reason, at: sql.fn.now() })
    .onConflict('name')
    .merge(['ok', 'reason', 'at']);
}

/** What the read side shows of the engines: those there are, and no others. */
export async function reportEngines(sql: Knex, states: readonly EngineState[]): Promise<void> {
  const rows = states.map(state => ({ name: state.name, state: JSON.stringify(state), at: sql.fn.now() }));
  await sql.transaction(async tx => {
    await tx('worker_engines')
      .whereNotIn(
        'name',
        rows.map(({ name }) => name),
      )
      .delete();
    if (rows.length > 0) await tx('worker_engines').insert(rows).onConflict('name').merge(['state', 'at']);
  });
}
