/**
 * The event log beside Emmett's PostgreSQL store and the bare disk: the same events, all durable, in one run and by turns.
 * `--full` also fills a log with ten million events and compares it with one of a hundred thousand; `--sizes` does only that.
 */
import { open } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../../platform/free-port.ts';
import { initCluster, spawnServer } from '../../platform/postgres-server.ts';
import { openEmmett } from './log/emmett.ts';
import { openLean } from './log/lean.ts';
import { openOfficial } from './log/official.ts';
import { compareSizes } from './log/scale.ts';
import { startServerProcess } from './log/server-process.ts';
import { batchEvents, eventsPerSecond, rate, type System } from './log/system.ts';
import { inMs, printGoal, printTable, quantile } from './support/figures.ts';
import { type Bench, withBench } from './support/parts.ts';

/** By turns, and the best of each: what else the machine does only ever makes a figure worse. */
const rounds = 3;
const measureMs = 1_200;
const batchesAtOnce = 8;
const password = 'bench';

/** The best of the rounds, of what was measured of one system. */
type Figures = Record<
  'one' | 'many' | 'flood' | 'batches' | 'batchesAtOnce' | 'catchUp' | 'readStream' | 'liveMs',
  number
>;
type Measured = { readonly name: string; readonly figures: Figures; readonly spread: number };

export const bench = () =>
  withBench(async bench => {
    if (!process.argv.includes('--sizes')) await compare(bench);
    if (process.argv.includes('--full') || process.argv.includes('--sizes')) await compareSizes(bench.folder);
  });

async function compare(bench: Bench): Promise<void> {
  const disk = await syncsPerSecond(bench.folder);
  const server = await startServerProcess(path.join(bench.folder, 'log'));
  bench.onClose(() => server.stop());
  const database = await startDurablePostgres(bench);
  const samples = new Map<string, Figures[]>();
  for (let round = 0; round < rounds; round += 1) {
    const systems = [
      () => openEmmett(database, `${round}`),
      async () => openOfficial(server.port, `${round}`),
      () => openLean(server.port, `${round}`),
    ];
    for (const open of systems) {
      const system = await open();
      // Its connections end before their server does, also when something fails.
      const figures = await measure(system).finally(() => system.close());
      samples.set(system.name, [...(samples.get(system.name) ?? []), figures]);
    }
  }
  const measured = [...samples].map(([name, figures]) => bestOf(name, figures));
  print(measured, disk);
  const rssBytes = await server.rssBytes();
  console.log(`  memory of the log's server: ${(rssBytes / 1e6).toFixed(0)} MB`);
  printGoal(rssBytes < 300e6, 'memory of the server below 300 MB');
}

async function measure(system: System): Promise<Figures> {
  await rate(8, measureMs / 4, system.single);
  const one = await rate(1, measureMs, system.single);
  const many = await rate(32, measureMs, system.single);
  const flood = await rate(256, measureMs, system.single);
  const batches = batchEvents * (await rate(1, measureMs, system.batch));
  const atOnce = batchEvents * (await rate(batchesAtOnce, measureMs, system.batch));
  const catchUp = await eventsPerSecond(() => system.catchUp());
  const readStream = await eventsPerSecond(() => system.readStream());
  const liveMs = quantile((await system.liveMs?.()) ?? [], 0.5);
  return { one, many, flood, batches, batchesAtOnce: atOnce, catchUp, readStream, liveMs };
}

function bestOf(name: string, samples: readonly Figures[]): Measured {
  const of = (figure: keyof Figures) => Math.max(...samples.map(sample => sample[figure]));
  const figures = {
    one: of('one'),
    many: of('many'),
    flood: of('flood'),
    batches: of('batches'),
    batchesAtOnce: of('batchesAtOnce'),
    catchUp: of('catchUp'),
    readStream: of('readStream'),
    liveMs: Math.min(...samples.map(({ liveMs }) => liveMs)),
  };
  const manies = samples.map(({ many }) => many);
  return { name, figures, spread: (Math.max(...manies) - Math.min(...manies)) / figures.many };
}

function print(measured: readonly Measured[], disk: { perSecond: number; p50: number }): void {
  const [emmett, official, lean] = measured.map(({ figures }) => figures);
  if (emmett === undefined || official === undefined || lean === undefined)
    throw new Error('a system is missing');
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  printTable([
    [
      'events of 1 KB a second',
      '1 in flight',
      '32',
      '256',
      '100 an append',
      '8 at once',
      'catch-up',
      'stream',
      'live p50',
      'spread',
    ],
    ...measured.map(({ name, figures: f, spread }) => [
      name,
      ...[f.one, f.many, f.flood, f.batches, f.batchesAtOnce, f.catchUp, f.readStream].map(whole),
      Number.isNaN(f.liveMs) ? '' : inMs(f.liveMs),
      `${(100 * spread).toFixed(0)} %`,
    ]),
    ['fdatasync of 1 KB', whole(disk.perSecond), '', '', '', '', '', '', inMs(disk.p50), ''],
  ]);
  const goal = (name: string, ours: number, theirs: number, least: number) =>
    printGoal(
      ours / theirs >= least,
      `${name}: ${(ours / theirs).toFixed(1)} x Emmett, of at least ${least} x`,
    );
  goal('official client, 32 in flight', official.many, emmett.many, 2.5);
  goal('official client, batches', official.batches, emmett.batches, 1);
  goal('official client, catch-up', official.catchUp, emmett.catchUp, 10);
  goal('official client, live latency, the other way round', emmett.liveMs, official.liveMs, 100);
  goal('server, 32 in flight', lean.many, emmett.many, 8);
  goal('server, 256 in flight', lean.flood, emmett.flood, 20);
  goal('server, batches, 8 at once for both', lean.batchesAtOnce, emmett.batchesAtOnce, 5);
  goal('server, reading a stream', lean.readStream, emmett.readStream, 3);
}

/** A kilobyte and a sync, one after another: what the disk itself can do. */
async function syncsPerSecond(folder: string): Promise<{ perSecond: number; p50: number }> {
  const file = await open(path.join(folder, 'sync'), 'w');
  const took: number[] = [];
  const bytes = Buffer.alloc(1_200, 1);
  const perSecond = await rate(1, measureMs, async () => {
    const from = performance.now();
    await file.write(bytes);
    await file.datasync();
    took.push(performance.now() - from);
  });
  await file.close();
  return { perSecond, p50: quantile(took, 0.5) };
}

/** Unlike the one that AppHub brings along for its tables, this one is the truth: a commit waits for the disk. */
async function startDurablePostgres(bench: Bench): Promise<string> {
  const files = path.join(bench.folder, 'emmett');
  const port = await freePort();
  await initCluster({ files, user: 'postgres', password });
  const settings = { fsync: 'on', synchronous_commit: 'on', shared_buffers: '128MB', max_wal_size: '1GB' };
  const child = await spawnServer({ files, port, settings, note: () => undefined });
  bench.onClose(async () => {
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGINT');
    await ended;
  });
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  for (let attempt = 1; ; attempt += 1) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      return url;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise(resolve => setTimeout(resolve, 100));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
