/**
 * What can be proved, and what it costs. An export is verified beside one SHA-256 over the same bytes, which is the least that
 * anybody has to do who has read them all. Commands that answer with their receipt are asked for beside the same commands
 * without, in turns, while the workers keep the tree.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { systemClock } from '../../commands/clock.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { listenTo } from '../../platform/listen.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { chainAfter, chainStart, signCheckpoint } from '../../platform/proof/checkpoint.ts';
import { exportLines } from '../../platform/proof/export-format.ts';
import { leafOf } from '../../platform/proof/leaf.ts';
import { hashLeaf, openEdge } from '../../platform/proof/merkle.ts';
import { openNearHeads } from '../../platform/proof/near-head.ts';
import { newSigner } from '../../platform/proof/note.ts';
import { verifyStream } from '../../platform/proof/verify-stream.ts';
import { keepAuditTree } from '../../workers/access/audit-tree.ts';
import { createWorkerTables } from '../../workers/tables.ts';
import { type Api, startApi } from '../support/api.ts';
import {
  inMs,
  percent,
  perSecond,
  printGoal,
  printTable,
  quantile,
  timed,
  times,
} from './support/figures.ts';
import { lives } from './support/life.ts';
import { type Bench, openBenchLog, openBenchPostgres, withBench } from './support/parts.ts';

const appsDefault = 10_000;
const appsFull = 40_000;
const rounds = 3;
const checkpointEvery = 1_000;
const eventsPerSecondGoal = 150_000;
const tenMillion = 10_000_000;
const turns = 5;
const warmUpTurns = 1;
const commandsPerTurn = 512;
const atOnce = 128;
const receiptPartGoal = 1.1;

export const bench = () =>
  withBench(async bench => {
    await verification(bench);
    await receipts(bench);
  });

async function verification(bench: Bench): Promise<void> {
  const file = path.join(bench.folder, 'audit.txt');
  const signer = newSigner('bench.example/audit');
  const events = await writeExport(file, signer);
  const { size: bytes } = statSync(file);
  const samples: Record<string, number[]> = {};
  const cpu: Record<string, number[]> = {};
  const measure = async (name: string, work: () => Promise<unknown>) => {
    const before = process.cpuUsage();
    samples[name] = [...(samples[name] ?? []), await timed(work)];
    const { user, system } = process.cpuUsage(before);
    cpu[name] = [...(cpu[name] ?? []), (user + system) / 1_000];
  };
  const threads = Math.max(1, availableParallelism() - 1);
  const verify = async (more: object) => {
    const { differences, size } = await verifyStream(createReadStream(file, { highWaterMark: 1 << 20 }), {
      key: signer,
      ...more,
    });
    if (differences.length > 0 || size !== events) throw new Error('the export was not found to be sound');
  };
  for (let round = 0; round < rounds; round += 1) {
    await measure('sha256', async () => {
      const hash = createHash('sha256');
      for await (const part of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(part);
      hash.digest();
    });
    await measure('alone', () => verify({ threads: 0 }));
    await measure('threads', () => verify({ threads }));
  }
  const best = (name: string) => Math.min(...(samples[name] ?? []));
  const leastCpu = (name: string) => Math.min(...(cpu[name] ?? []));
  const base = best('sha256');
  const row = (what: string, name: string) => [
    what,
    perSecond(events, best(name)),
    `${Math.round(bytes / best(name) / 1_000)} MB/s`,
    times(best(name), base),
    `${((best(name) / events) * (tenMillion / 1_000)).toFixed(0)} s`,
    perSecond(events, leastCpu(name)),
    times(leastCpu(name), leastCpu('sha256')),
  ];
  console.log(
    `  ${events.toLocaleString('en')} events, ${Math.round(bytes / events)} bytes each; best of ${rounds}`,
  );
  printTable([
    ['', 'events', 'bytes', 'to SHA-256', '10 million', 'of a core', 'to SHA-256'],
    row('one SHA-256 over the file', 'sha256'),
    row('verified, one thread', 'alone'),
    row(`verified, ${threads} more`, 'threads'),
  ]);
  const rate = (events / Math.min(best('alone'), best('threads'))) * 1_000;
  printGoal(rate >= eventsPerSecondGoal, '150,000 events a second');
  const rateOfCore = (events / leastCpu('alone')) * 1_000;
  printGoal(rateOfCore >= eventsPerSecondGoal, '150,000 events a second of the time of one core');
}

const idOf = (n: number) => `0199c0de-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;

/** The events of ordinary lives, with what a server would have said of them. */
async function writeExport(file: string, signer: ReturnType<typeof newSigner>): Promise<number> {
  const happened = lives(process.argv.includes('--full') ? appsFull : appsDefault);
  const out = createWriteStream(file, { highWaterMark: 4 << 20 });
  const edge = openEdge();
  let chain: Buffer = chainStart;
  let hashes: Buffer[] = [];
  let text = exportLines.title() + exportLines.origin(signer.name) + exportLines.from(0, chain);
  const checkpoint = (position: bigint) => {
    const head = { origin: signer.name, size: edge.size, root: edge.root(), position, chain, time: null };
    text += exportLines.checkpoint(signCheckpoint(head, signer).note);
  };
  let position = 0n;
  for (const { stream, event } of happened) {
    position += 100n;
    const leaf = leafOf({
      position,
      stream,
      revision: 0n,
      id: idOf(edge.size),
      type: event.type,
      isJson: true,
      data: event.data,
      metadata: {
        actor: 'workers',
        correlationId: idOf(edge.size),
        causationId: idOf(edge.size),
        time: '2026-01-02T03:04:05.678Z',
      },
      created: '2026-01-02T03:04:05.678Z',
    });
    const hash = hashLeaf(Buffer.from(leaf));
    edge.push(hash);
    chain = chainAfter(chain, hash);
    hashes.push(hash);
    text += `${leaf}\n`;
    if (edge.size % checkpointEvery === 0) checkpoint(position);
    if (hashes.length < 256 || edge.size % 256 !== 0) continue;
    text += exportLines.tile(edge.size - hashes.length, Buffer.concat(hashes));
    hashes = [];
    if (text.length < 4 << 20) continue;
    if (!out.write(text)) await new Promise<void>(resolve => out.once('drain', () => resolve()));
    text = '';
  }
  checkpoint(position);
  if (hashes.length > 0) text += exportLines.tile(edge.size - hashes.length, Buffer.concat(hashes));
  out.end(text + exportLines.end(edge.size));
  await finished(out);
  return edge.size;
}

async function receipts(bench: Bench): Promise<void> {
  const log = await openBenchLog(bench, 'always');
  const events = openLog(log.url);
  bench.onClose(() => events.close());
  const connectionString = await openBenchPostgres(bench);
  const sql = openPostgres(connectionString, { name: 'bench' });
  await createWorkerTables(sql);
  const database = { connectionString, sql, drop: () => sql.destroy() };
  const nearHeads = openNearHeads();
  const api = await startApi({ store: events.store, stored: events.stored, database, nearHeads });

  bench.onClose(() => api.close());
  const stop = new AbortController();
  const folder = path.join(bench.folder, 'audit');
  mkdirSync(folder);
  const keeping = keepAuditTree({
    sql,
    store: events.store,
    stored: events.stored,
    clock: systemClock,
    folder,
    origin: 'bench.example/audit',
    checkpointEvents: checkpointEvery,
    checkpointSeconds: 60,
    listen: (channel, onHeard) => listenTo(connectionString, channel, onHeard),
    onPublished: () => undefined,
    near: nearHeads,
    log: { warn: console.warn, error: console.error },
    signal: stop.signal,
  });
  bench.onClose(() => {
    stop.abort();
    return keeping;
  });
  await oneByOne(api);
  await manyAtOnce(api);
}

let apps = 0;
async function register(api: Api, isProved: boolean): Promise<number> {
  apps += 1;
  const body = { id: `app-${apps}`, name: 'An app', repoUrl: 'https://git.example.org/team/app.git' };
  const from = performance.now();
  const { status, body: answer } = await api.ask('POST', '/apps', {
    body,
    headers: isProved ? { prefer: 'receipt' } : {},
  });
  if (status !== 201 || (answer.receipt === undefined) === isProved) throw new Error(`POST /apps: ${status}`);
  return performance.now() - from;
}

/** How late an answer is that has to be signed first. */
async function oneByOne(api: Api): Promise<void> {
  const [plain, proved]: [number[], number[]] = [[], []];
  for (let round = -20; round < 200; round += 1) {
    const [a, b] = [await register(api, false), await register(api, true)];
    if (round < 0) continue;
    plain.push(a);
    proved.push(b);
  }
  const row = (what: string, own: readonly number[]) => [
    what,
    inMs(quantile(own, 0.5)),
    inMs(quantile(own, 0.99)),
    times(quantile(own, 0.5), quantile(plain, 0.5)),
  ];
  printTable([
    ['one after another', 'p50', 'p99', 'p50 to the first'],
    row('POST /apps', plain),
    row('POST /apps, Prefer: receipt', proved),
  ]);
}

/** What it costs when there is enough to do: the time of as many commands, so many under way at once. */
async function manyAtOnce(api: Api): Promise<void> {
  const turn = (isProved: boolean) =>
    timed(async () => {
      let left = commandsPerTurn;
      const work = async () => {
        for (; left > 0; ) {
          left -= 1;
          await register(api, isProved);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, work));
    });
  const [plain, proved]: [number[], number[]] = [[], []];
  for (let round = -warmUpTurns; round < turns; round += 1) {
    const [a, b] = [await turn(false), await turn(true)];
    if (round < 0) continue;
    plain.push(a);
    proved.push(b);
  }
  const [a, b] = [quantile(plain, 0.5), quantile(proved, 0.5)];
  printTable([
    [`${atOnce} at once`, 'commands', 'of the first'],
    ['POST /apps', perSecond(commandsPerTurn, a), percent(a, a)],
    ['POST /apps, Prefer: receipt', perSecond(commandsPerTurn, b), percent(a, b)],
  ]);
  printGoal(b / a <= receiptPartGoal, 'receipts add at most 10 % to the time of a command');
}
