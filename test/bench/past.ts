/**
 * Looking back: what it costs to keep every version of every row, and what a read of an earlier time costs beside the same read
 * of now, through the same server. Positions are asked for once each, and again and again; near the beginning and near the end.
 */
import { once } from 'node:events';
import type { Recorded } from '../../domain/events.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { Batch, EventStore, SubscribeOptions } from '../../eventstore/store.ts';
import { upcast } from '../../eventstore/upcast.ts';
import { projections } from '../../projections/index.ts';
import { type Api, startApi } from '../support/api.ts';
import { type Chance, openChance } from './support/chance.ts';
import { inMs, perSecond, printGoal, printTable, quantile, times } from './support/figures.ts';
import { type Happened, lives } from './support/life.ts';

const sizes = [500, 2_000] as const;
const sizesFull = [500, 2_000, 8_000] as const;
const eventsPerBatch = 2_000;
const rounds = 60;
const warmUpRounds = 6;
const lookEveryMs = 100;
/** As of then, beside now; and at the first time. */
const timesGoal = 10;
const firstMsGoal = 2_000;

type Figures = {
  readonly live: number;
  readonly first: number;
  readonly again: number;
  readonly worst: number;
};

export async function bench(): Promise<void> {
  const wanted = process.argv.includes('--full') ? sizesFull : sizes;
  const found: ReadonlyMap<string, Figures>[] = [];
  for (const size of wanted) found.push(await measure(lives(size)));
  const all = found.flatMap(figures => [...figures.values()]);
  const most = Math.max(...all.map(({ again, live }) => again / live));
  const worst = Math.max(...all.map(({ worst }) => worst));
  printGoal(
    most <= timesGoal,
    `as of a position that was asked for: ${timesGoal} x now (${most.toFixed(2)} x)`,
  );
  printGoal(worst <= firstMsGoal, `as of one that never was: ${firstMsGoal} ms (p99 ${inMs(worst)})`);
}

async function measure(happened: readonly Happened[]): Promise<ReadonlyMap<string, Figures>> {
  const events = happened.map(recordedOf);
  const api = await startApi({ store: { ...memoryStore(), ...storeOf(events) }, keepsPast: true });
  try {
    await reached(api, 'projection_checkpoints', events.length);
    const from = performance.now();
    const before = await keptSoFar(api);
    await reached(api, 'past_checkpoints', events.length);
    const keepingMs = performance.now() - from;
    await api.sql.raw('analyze');
    await costs(api, events.length, { count: events.length - before, ms: keepingMs });
    return await reads(api, events);
  } finally {
    await api.close();
  }
}

async function costs(api: Api, count: number, kept: { count: number; ms: number }): Promise<void> {
  const bytes = async (pattern: string) => {
    const { rows } = await api.sql.raw(
      `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::float as bytes from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'm') and (n.nspname || '.' || c.relname) like ?`,
      [pattern],
    );
    return Number(rows[0].bytes) / count;
  };
  const [live, past, moments] = [
    await bytes('p\\_%'),
    await bytes('past\\_%'),
    await bytes('public.past\\_%'),
  ];
  console.log(`  ${count.toLocaleString('en')} events`);
  printTable([
    ['versions are kept of', perSecond(kept.count, kept.ms)],
    ...(await largest(api, count)),
    ['bytes an event: live tables', Math.round(live)],
    ['bytes an event: versions and moments', Math.round(past + moments)],
  ]);
}

/** What most of it is. */
async function largest(api: Api, count: number): Promise<[string, number][]> {
  const { rows } = await api.sql.raw(
    `select n.nspname || '.' || c.relname as name, pg_total_relation_size(c.oid)::float as bytes,
       pg_indexes_size(c.oid)::float as indexes from pg_class c
     join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname like 'past\\_%' order by 2 desc limit 6`,
  );
  return rows.map(({ name, bytes, indexes }: { name: string; bytes: number; indexes: number }) => [
    `  ${name} (indexes ${Math.round(indexes / count)})`,
    Math.round(bytes / count),
  ]);
}

async function reads(api: Api, events: readonly Recorded[]): Promise<ReadonlyMap<string, Figures>> {
  const chance = openChance(17);
  const found = new Map<string, Figures>();
  for (const [name, next] of questions(events, chance)) {
    const live = await ask(api, () => next(events.length));
    const first = await ask(api, () => at(next, 1 + chance.below(events.length)));
    const places = [0.05, 0.5, 0.95].map(part => Math.max(1, Math.floor(part * events.length)));
    const again = await Promise.all([0, 1, 2].map(n => places[n] ?? 1)).then(async some => {
      const each: { p50: number; p99: number }[] = [];
      for (const place of some) each.push(await ask(api, () => at(next, place)));
      return each;
    });
    const figures = {
      live: live.p50,
      first: first.p50,
      again: Math.max(...again.map(({ p50 }) => p50)),
      worst: first.p99,
    };
    found.set(name, figures);
  }
  printTable([
    ['', 'now', 'a new position', 'the dearest of 5, 50, 95 %', 'to now', 'p99 of a new one'],
    ...[...found].map(([name, { live, first, again, worst }]) => [
      name,
      inMs(live),
      inMs(first),
      inMs(again),
      times(again, live),
      inMs(worst),
    ]),
  ]);
  return found;
}

type Next = (position: number) => string;

const at = (next: Next, position: number) => {
  const path = next(position);
  return `${path}${path.includes('?') ? '&' : '?'}asOf=${position}`;
};

/** What is asked for is there already at that position. */
function questions(events: readonly Recorded[], chance: Chance): readonly (readonly [string, Next])[] {
  const some = (type: string, field: string) => {
    const places = events.flatMap(({ type: is, data, position }) =>
      is === type
        ? [{ at: Number(position), id: (data as unknown as Record<string, string>)[field] ?? '' }]
        : [],
    );
    return (position: number) => {
      let count = places.findIndex(place => place.at > position);
      if (count < 0) count = places.length;
      return (places[chance.below(Math.max(1, count))] ?? places[0])?.id ?? '';
    };
  };
  const app = some('RepositoryRegistered', 'appId');
  const build = some('BuildRequested', 'buildId');
  return [
    ['one app', position => `/apps/${app(position)}`],
    ['one build', position => `/builds/${dashed(build(position))}`],
    ['history of an app', position => `/apps/${app(position)}/history`],
    ['builds, newest first', () => '/builds?limit=50'],
    ['builds of an app', position => `/apps/${app(position)}/builds`],
    ['launches, newest first', () => '/launches?limit=50'],
    ['launches that run', () => '/launches?status=running&limit=50'],
    ['images', () => '/images?limit=50'],
    ['search: newest first', () => '/apps?limit=20'],
    ['search: a tag', () => '/apps?limit=20&q=language:go'],
    ['suggest', () => '/suggest?q=l'],
    ['audit', () => '/audit?limit=50'],
  ];
}

async function ask(api: Api, next: () => string): Promise<{ p50: number; p99: number }> {
  const samples: number[] = [];
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    const path = next();
    const from = performance.now();
    const { status, text } = await api.ask('GET', path);
    if (round >= 0) samples.push(performance.now() - from);
    if (status !== 200 && status !== 404) throw new Error(`${path} answered ${status}: ${text}`);
  }
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) };
}

const dashed = (id: string) => id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

/** As the log would give it, stored when it happened. */
function recordedOf({ stream, event, ms }: Happened, n: number): Recorded {
  const id = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const created = new Date(ms).toISOString();
  const metadata = { actor: 'operator', correlationId: id, causationId: id, time: created };
  const position = BigInt(n + 1);
  const data = JSON.parse(
    JSON.stringify(event.data, (key, value) => (/^(build|launch)Id$/.test(key) ? dashed(value) : value)),
  );
  const lifted = upcast(event.type, data);
  return { ...event, data: lifted, id, stream, revision: 0n, position, created, metadata } as Recorded;
}

function storeOf(events: readonly Recorded[]): Pick<EventStore, 'subscribe'> {
  return {
    async *subscribe({ from, signal }: SubscribeOptions): AsyncGenerator<Batch> {
      for (let next = from === 'start' ? 0 : Number(from); next < events.length && !signal.aborted; ) {
        const part = events.slice(next, next + eventsPerBatch);
        next += part.length;
        yield { events: part, position: BigInt(next), caughtUp: next === events.length };
      }
      if (!signal.aborted) await once(signal, 'abort');
    },
  };
}

async function keptSoFar(api: Api): Promise<number> {
  const row = await api.sql('past_checkpoints').min('position as position').first();
  return Number(row?.position ?? 0);
}

async function reached(api: Api, table: string, count: number): Promise<void> {
  for (;;) {
    const row = await api
      .sql(table)
      .first(api.sql.raw('min(coalesce(position, 0))::int as position, count(*)::int as n'))
      .catch(() => undefined);
    if (row?.n === projections.length && row.position >= count) return;
    await new Promise(resolve => setTimeout(resolve, lookEveryMs));
  }
}
