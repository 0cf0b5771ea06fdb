/**
 * Search and suggestions over HTTP, at 100,000 apps and with `--full` also at 1,000,000, beside the look-up of one app by its
 * primary key through the same server. The tables are filled by the projections themselves.
 */
import { once } from 'node:events';
import type { PlatformEvent, Recorded } from '../../domain/events.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { Batch } from '../../eventstore/store.ts';
import { type Api, startApi } from '../support/api.ts';
import { openChance, words, zipf } from './support/chance.ts';
import { inMs, printGoal, printTable, quantile, times } from './support/figures.ts';
import { appTexts } from './support/life.ts';

const sizes = [100_000, 1_000_000] as const;
const eventsPerBatch = 2_000;
const rounds = 250;
const warmUpRounds = 40;
const searchMsGoal = 20;
const suggestMsGoal = 10;
const growthGoal = 2;

type Figures = ReadonlyMap<string, { p50: number; p99: number }>;

export async function bench(): Promise<void> {
  const wanted = process.argv.includes('--full') ? sizes : sizes.slice(0, 1);
  const found: Figures[] = [];
  for (const size of wanted) found.push(await measure(size));
  const [small, large] = found;
  if (small === undefined) return;
  for (const [kind, goalMs] of [
    ['search', searchMsGoal],
    ['suggest', suggestMsGoal],
  ] as const) {
    const last = large ?? small;
    const worst = Math.max(...[...last].filter(([name]) => name.startsWith(kind)).map(([, { p99 }]) => p99));
    printGoal(
      worst < goalMs,
      `every ${kind} p99 below ${goalMs} ms at ${wanted.at(-1)} apps: ${inMs(worst)}`,
    );
  }
  if (large === undefined) return;
  const growth = [...small].map(([name, { p50 }]) => (large.get(name)?.p50 ?? 0) / p50);
  printGoal(
    Math.max(...growth) < growthGoal,
    `p50 grows less than ${growthGoal} x: ${Math.max(...growth).toFixed(2)} x`,
  );
}

async function measure(size: number): Promise<Figures> {
  const ids: string[] = [];
  const api = await startApi({
    store: { ...memoryStore(), subscribe: ({ signal }) => history(size, ids, signal) },
  });
  try {
    await filled(api, size);
    await api.sql.raw('analyze');
    const figures = new Map<string, { p50: number; p99: number }>();
    for (const [name, next] of questions(ids)) figures.set(name, await ask(api, next));
    const base = figures.get('one app by its id');
    console.log(`  ${size.toLocaleString('en')} apps`);
    printTable([
      ['', 'p50', 'p99', 'p50 to look-up'],
      ...[...figures].map(([name, { p50, p99 }]) => [
        name,
        inMs(p50),
        inMs(p99),
        times(p50, base?.p50 ?? p50),
      ]),
    ]);
    return figures;
  } finally {
    await api.close();
  }
}

/** Each kind of question, and the next one of its kind. What is asked for is as frequent as it is in the texts. */
function questions(ids: readonly string[]): readonly (readonly [string, () => string])[] {
  const chance = openChance(99);
  const vocabulary = words(60_000);
  const rank = zipf(chance, vocabulary.length);
  const word = () => vocabulary[rank()] ?? '';
  const common = () => vocabulary[chance.below(20)] ?? '';
  const rare = () => vocabulary[20_000 + chance.below(40_000)] ?? '';
  const language = () => chance.of(['node', 'python', 'go', 'rust', 'java']);
  const apps = (q: string, more = '') => `/apps?limit=20&q=${encodeURIComponent(q)}${more}`;
  const suggest = (q: string) => `/suggest?q=${encodeURIComponent(q)}`;
  return [
    ['one app by its id', () => `/apps/${chance.of(ids)}`],
    ['search: nothing asked, newest first', () => apps('')],
    ['search: a common word', () => apps(common())],
    ['search: a rare word', () => apps(rare())],
    ['search: a beginning of two letters', () => apps(word().slice(0, 2))],
    ['search: two words', () => apps(`${word()} ${word()}`)],
    ['search: a common tag', () => apps(`language:${language()}`)],
    ['search: a word and two tags', () => apps(`${word()} language:${language()} framework:express`)],
    ['search: a word by name', () => apps(word(), '&sort=name')],
    ['search: hostile text', () => apps(`%_:"'\\ ${'x'.repeat(chance.below(2_000))} ${word()}`)],
    ['suggest: nothing typed', () => suggest('')],
    ['suggest: one letter', () => suggest(word().slice(0, 1))],
    ['suggest: a key and a letter', () => suggest(`topic:${word().slice(0, 1)}`)],
    ['suggest: a whole word', () => suggest(word())],
  ];
}

async function ask(api: Api, next: () => string): Promise<{ p50: number; p99: number }> {
  const samples: number[] = [];
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    const path = next();
    const from = performance.now();
    const { status, text } = await api.ask('GET', path);
    if (round >= 0) samples.push(performance.now() - from);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
  }
  return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) };
}

/** Registered and ingested, every one of them. */
async function* history(size: number, ids: string[], signal: AbortSignal): AsyncGenerator<Batch> {
  const next = appTexts(3);
  let position = 0n;
  const at = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();
  for (let made = 0; made < size; ) {
    const events: Recorded[] = [];
    for (; events.length < eventsPerBatch && made < size; made += 1) {
      const { id: appId, name, description, owner, own, found } = next();
      ids.push(appId);
      const registered = { appId, name, description, owner, at: at(made), tags: own, ...source };
      const inspection = { ...inspected, tags: found };
      const ready = {
        appId,
        run: 1,
        attempt: 1,
        commit: 'c1',
        branch: 'main',
        durations,
        at: at(made),
        inspection,
      };
      for (const [type, data] of [
        ['RepositoryRegistered', registered],
        ['IngestionSucceeded', ready],
      ] as const) {
        position += 1n;
        events.push(recorded({ type, data } as unknown as PlatformEvent, position, at(made)));
      }
    }
    yield { events, position, caughtUp: made >= size };
  }
  if (!signal.aborted) await once(signal, 'abort');
}

const source = { repoUrl: 'https://git.example/app.git', ref: null, dockerfilePath: null, homepage: null };
const durations = { cloneMs: 1, inspectMs: 1, storeMs: 1 };
const inspected = {
  dockerfilePath: 'Dockerfile',
  title: null,
  description: null,
  homepage: null,
  previews: [],
  ports: [80],
  healthcheck: false,
};

function recorded(event: PlatformEvent, position: bigint, created: string): Recorded {
  const id = `00000000-0000-4000-8000-${position.toString().padStart(12, '0')}`;
  const metadata = { actor: 'operator', correlationId: id, causationId: id, time: created };
  const stream = `apps.repository-${(event.data as { appId: string }).appId}`;
  return { ...event, id, stream, revision: 0n, position, created, metadata } as Recorded;
}

async function filled(api: Api, size: number): Promise<void> {
  const last = BigInt(size) * 2n;
  for (;;) {
    const row = await api
      .sql('projection_checkpoints')
      .min('position as position')
      .count('* as count')
      .first();
    const deferred = await api.sql('pg_indexes').where({ indexname: 'apps_search_words' }).first();
    if (row?.position != null && BigInt(row.position) >= last && deferred !== undefined) return;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
