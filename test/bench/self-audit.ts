/**
 * The self-audit: what it takes from the projections while they store what comes, in turns with and without it; and a healthy
 * history, which it goes through as fast as it can and must find nothing in.
 */
import type { Knex } from 'knex';
import { openLog } from '../../eventstore/esdb.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { projections } from '../../projections/index.ts';
import { project } from '../../projections/projector.ts';
import { selfAudit } from '../../projections/self-audit.ts';
import { perSecond, printGoal, printTable, timed } from './support/figures.ts';
import { fillLog } from './support/fill.ts';
import { lives } from './support/life.ts';
import { openBenchLog, openBenchPostgres, withBench } from './support/parts.ts';

const appsDefault = 5_000;
const appsFull = 48_000;
const appsPerTurn = 700;
const turns = 8;
const lookEveryMs = 10;
const costGoal = 0.05;
const percentDefault = 5;

export const bench = () =>
  withBench(async bench => {
    const happened = lives(process.argv.includes('--full') ? appsFull : appsDefault);
    const log = await openBenchLog(bench, 'none');
    const sql = openPostgres(await openBenchPostgres(bench), { name: 'bench' });
    bench.onClose(() => sql.destroy());
    const events = openLog(log.url);
    bench.onClose(() => events.close());
    const projecting = run(signal => project(sql, events.store, projections, { signal, log: quiet }));
    bench.onClose(projecting.stop);
    const write = async (some: ReturnType<typeof lives>) => reached(sql, await fillLog(log.storage, some));
    const firstMs = await timed(() => write(happened));

    const found: unknown[] = [];
    const first = auditing(sql, events.store, 100, found);
    const roundMs = await timed(() => wholeRound(sql));
    const againMs = await timed(() => wholeRound(sql));
    await first.stop();
    const compared = await rowsOf(sql);

    const spent = { without: 0, with: 0 };
    let count = 0;
    for (let turn = 0; turn < turns; turn += 1) {
      const some = lives(appsPerTurn, 100 + turn);
      const isOn = turn % 2 === 1;
      const audit = isOn ? auditing(sql, events.store, percentDefault, found) : undefined;
      const ms = await timed(() => write(some));
      await audit?.stop();
      spent[isOn ? 'with' : 'without'] += ms;
      count += some.length / 2;
    }
    const last = auditing(sql, events.store, 100, found);
    await wholeRound(sql);
    await last.stop();

    const total = happened.length + 2 * count;
    console.log(`  ${Math.round(total)} events, ${compared} rows`);
    printTable([
      ['', 'time', 'events'],
      ['projections, first fill', seconds(firstMs), perSecond(happened.length, firstMs)],
      ['self-audit at 100 %: shadow and first round', seconds(roundMs), perSecond(happened.length, roundMs)],
      ['one more round, rows', seconds(againMs), perSecond(compared, againMs)],
      ['projections without it', seconds(spent.without), perSecond(count, spent.without)],
      [`projections with it at ${percentDefault} %`, seconds(spent.with), perSecond(count, spent.with)],
    ]);
    const cost = spent.with / spent.without - 1;
    printGoal(cost <= costGoal, `it costs at most ${costGoal * 100} %: ${(cost * 100).toFixed(1)} %`);
    printGoal(found.length === 0, `nothing is found where nothing is wrong: ${found.length} found`);
  });

const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
const quiet = { info: () => undefined, error: (detail: object) => console.error(detail) };

function run(work: (signal: AbortSignal) => Promise<void>) {
  const stop = new AbortController();
  const running = work(stop.signal);
  return {
    async stop() {
      stop.abort();
      await running;
    },
  };
}

function auditing(sql: Knex, store: EventStore, percent: number, found: unknown[]) {
  const report = { diverged: async (one: unknown) => void found.push(one), repaired: async () => undefined };
  const deps = { sql, store, projections, percent, everySeconds: 1, report, log: quiet };
  return run(signal => selfAudit({ ...deps, signal }));
}

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met().catch(() => false))) await new Promise(resolve => setTimeout(resolve, lookEveryMs));
}

const reached = (sql: Knex, position: number) =>
  until(async () => {
    const rows = await sql('projection_checkpoints')
      .where('position', '>=', position)
      .count('* as n')
      .first();
    return Number(rows?.n) === projections.length;
  });

/** Everything is looked at after now. */
async function wholeRound(sql: Knex): Promise<void> {
  const { rows } = await sql.raw('select clock_timestamp() as now');
  await until(async () => {
    const done = await sql('projection_audits').where('checked_at', '>', rows[0].now).count('* as n').first();
    return Number(done?.n) === projections.length;
  });
}

async function rowsOf(sql: Knex): Promise<number> {
  return Number((await sql('projection_audits').sum('rows as n').first())?.n);
}
