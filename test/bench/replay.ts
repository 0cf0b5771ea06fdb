/**
 * Replay: every table of every projection filled for the first time, and then made anew beside what is read, from the embedded
 * log, through the real client and one subscription. Beside it the least that a database has to do for the same outcome: the same
 * rows in bulk into the same tables with the same indexes.
 */

import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Knex } from 'knex';
import { systemClock } from '../../commands/clock.ts';
import { execute } from '../../commands/execute.ts';
import { projectionRequests } from '../../domain/platform/projection.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { projections } from '../../projections/index.ts';
import { project } from '../../projections/projector.ts';
import { percent, perSecond, printGoal, printTable, timed } from './support/figures.ts';
import { fillLog } from './support/fill.ts';
import { lives } from './support/life.ts';
import { type Bench, openBenchLog, openBenchPostgres, withBench } from './support/parts.ts';

const appsDefault = 10_000;
const appsFull = 40_000;
const rowsPerInsert = 2_000;
const lookEveryMs = 10;
const eventsPerSecondGoal = 30_000;
const bulkPartGoal = 0.3;

export const bench = () => withBench(replay);

async function replay(bench: Bench): Promise<void> {
  const happened = lives(process.argv.includes('--full') ? appsFull : appsDefault);
  const log = await openBenchLog(bench, 'none');
  const last = await fillLog(log.storage, happened);
  const databaseUrl = await openBenchPostgres(bench);
  const sql = openPostgres(databaseUrl, { name: 'bench' });
  bench.onClose(() => sql.destroy());

  const { replayMs, rebuildMs } = await fillAndRebuild(sql, log.url, BigInt(last));
  // The plain names are views.
  const tables = projections.flatMap(projection =>
    Object.keys(projection.tables).map(table => `p_${projection.name}_2.${table}`),
  );
  const rows = await readRows(sql, tables);
  const rowCount = rows.reduce((sum, { rows }) => sum + rows.length, 0);
  await exportRows(sql, bench, tables);
  await emptyWithoutTriggers(sql, tables);
  const insertMs = await timed(() => insertRows(sql, rows));
  await emptyWithoutTriggers(sql, tables);
  const copyMs = await timed(() => copyRows(sql, bench, tables));

  console.log(`  ${happened.length} events, ${rowCount} rows in ${tables.length} tables`);
  printTable([
    ['', 'time', 'events', 'of bulk INSERT', 'of COPY'],
    ...[
      ['first fill of all projections', replayMs] as const,
      ['rebuild of all, compared and shown', rebuildMs] as const,
      ['multi-row INSERT of the rows', insertMs] as const,
      ['COPY of the rows', copyMs] as const,
    ].map(([what, ms]) => [
      what,
      `${(ms / 1_000).toFixed(2)} s`,
      perSecond(happened.length, ms),
      percent(insertMs, ms),
      percent(copyMs, ms),
    ]),
  ]);
  const bestMs = Math.min(replayMs, rebuildMs);
  printGoal(
    happened.length / (bestMs / 1_000) >= eventsPerSecondGoal,
    `${eventsPerSecondGoal} events a second`,
  );
  printGoal(insertMs / rebuildMs >= bulkPartGoal, `a rebuild at ${bulkPartGoal * 100} % of the bulk INSERT`);
}

/** The first fill, and then all of them anew beside it. */
async function fillAndRebuild(sql: Knex, url: string, last: bigint) {
  const events = openLog(url);
  const stop = new AbortController();
  let failure: unknown;
  const log = {
    info: () => undefined,
    error: (detail: object) => {
      failure = (detail as { err: unknown }).err;
    },
  };
  const until = async (condition: string, position: bigint) => {
    for (;;) {
      if (failure !== undefined) throw failure;
      const { rows } = await sql
        .raw(`select count(*) as n from projection_checkpoints where ${condition} and position >= ?`, [
          position.toString(),
        ])
        .catch(() => ({ rows: [] }));
      if (Number(rows[0]?.n) === projections.length) return;
      await new Promise(resolve => setTimeout(resolve, lookEveryMs));
    }
  };
  const from = performance.now();
  const running = project(sql, events.store, projections, { signal: stop.signal, log });
  await until('generation = 1', last);
  const replayMs = performance.now() - from;
  const rebuildMs = await timed(async () => {
    for (const { name } of projections)
      await execute(events.store, projectionRequests, name, ...rebuildOf(name));
    await until('generation = 2', last);
  });
  stop.abort();
  await running;
  await events.close();
  return { replayMs, rebuildMs };
}

function rebuildOf(projection: string) {
  const id = systemClock.newId();
  const at = systemClock.now();
  const command = { type: 'RebuildProjection', data: { projection, at } } as const;
  return [command, { actor: 'bench', correlationId: id, causationId: id, time: at }] as const;
}

type Table = { readonly table: string; readonly columns: string; readonly rows: readonly object[] };

/** The rows as JSON values, in the order in which a scan finds them. */
async function readRows(sql: Knex, tables: readonly string[]): Promise<readonly Table[]> {
  const read: Table[] = [];
  for (const table of tables) {
    const { rows } = await sql.raw('select to_json(t) as row from ?? t', [table]);
    read.push({
      table,
      columns: Object.keys(rows[0]?.row ?? {})
        .map(column => `"${column}"`)
        .join(', '),
      rows: rows.map(({ row }: { row: object }) => row),
    });
  }
  return read;
}

async function emptyWithoutTriggers(sql: Knex, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    await sql.raw('truncate ??', [table]);
    await sql.raw('alter table ?? disable trigger user', [table]);
  }
  await sql.raw('checkpoint');
}

/** Statements of 2,000 rows, each its own transaction. */
async function insertRows(sql: Knex, tables: readonly Table[]): Promise<void> {
  for (const { table, columns, rows } of tables) {
    for (let from = 0; from < rows.length; from += rowsPerInsert) {
      await sql.raw(
        `insert into ?? (${columns}) select ${columns} from json_populate_recordset(null::??, ?::json)`,
        [table, table, JSON.stringify(rows.slice(from, from + rowsPerInsert))],
      );
    }
  }
}

const fileOf = (bench: Bench, table: string) => path.join(bench.folder, 'copies', table);

async function exportRows(sql: Knex, bench: Bench, tables: readonly string[]): Promise<void> {
  const folder = path.join(bench.folder, 'copies');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  for (const table of tables) await sql.raw(`copy ${table} to '${fileOf(bench, table)}'`);
}

/** The server reads files of its own machine: no client takes part. */
async function copyRows(sql: Knex, bench: Bench, tables: readonly string[]): Promise<void> {
  for (const table of tables) await sql.raw(`copy ${table} from '${fileOf(bench, table)}'`);
}
