/**
 * A command over HTTP: until it is durable in the log, until the read API shows it, and until a WebSocket has it, beside a plain
 * Fastify route that does one INSERT into the same PostgreSQL, with a commit that waits for the disk. One request after another.
 */
import { once } from 'node:events';
import Fastify from 'fastify';
import { WebSocket } from 'ws';
import { openLog } from '../../eventstore/esdb.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { type Api, operatorToken, startApi } from '../support/api.ts';
import { inMs, printTable, quantile, times } from './support/figures.ts';
import { type Bench, openBenchLog, openBenchPostgres, withBench } from './support/parts.ts';

const rounds = 300;
const warmUpRounds = 50;

export const bench = () => withBench(measure);

async function measure(bench: Bench): Promise<void> {
  const log = await openBenchLog(bench, 'always');
  const events = openLog(log.url);
  bench.onClose(() => events.close());
  const connectionString = await openBenchPostgres(bench);
  const sql = openPostgres(connectionString, { name: 'bench' });
  const api = await startApi({
    store: events.store,
    database: { connectionString, sql, drop: () => sql.destroy() },
  });
  bench.onClose(() => api.close());
  const plain = await openPlain(bench, connectionString);
  const arrivals = await followStream(bench, api);

  const samples = { insert: [], durable: [], read: [], stream: [] } as Record<string, number[]>;
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    const taken = {
      insert: await plain(round),
      ...(await register(api, arrivals, `app-${round + warmUpRounds}`)),
    };
    if (round >= 0) for (const [name, ms] of Object.entries(taken)) samples[name]?.push(ms);
  }
  const base = samples.insert ?? [];
  const named = {
    insert: 'Fastify and one INSERT, durable',
    durable: 'POST /apps, durable in the log',
    read: '… and shown by GET /apps/:id?after=',
    stream: '… and sent over the WebSocket',
  };
  console.log(
    '  log: durability always; PostgreSQL: fsync on, the INSERT with synchronous_commit on, tables without',
  );
  printTable([
    ['', 'p50', 'p99', 'p50 to INSERT', 'p99 to INSERT'],
    ...Object.entries(named).map(([name, what]) => {
      const own = samples[name] ?? [];
      const [p50, p99] = [quantile(own, 0.5), quantile(own, 0.99)];
      return [what, inMs(p50), inMs(p99), times(p50, quantile(base, 0.5)), times(p99, quantile(base, 0.99))];
    }),
  ]);
}

/** Answers how long one request to the plain route takes. */
async function openPlain(
  bench: Bench,
  connectionString: string,
): Promise<(round: number) => Promise<number>> {
  const sql = openPostgres(connectionString, { name: 'plain', connectionsMax: 1 });
  bench.onClose(() => sql.destroy());
  await sql.raw(
    'create table plain (id text primary key, name text not null, at timestamptz not null default now())',
  );
  await sql.raw('set synchronous_commit = on');
  const app = Fastify();
  app.post<{ Body: { id: string; name: string } }>('/apps', async (request, reply) => {
    await sql('plain').insert(request.body);
    return reply.code(201).send({ data: { id: request.body.id } });
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  bench.onClose(() => app.close());
  return async round => {
    const body = JSON.stringify({ id: `app-${round}`, name: 'An app' });
    const from = performance.now();
    const answer = await fetch(`${url}/apps`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    await answer.text();
    if (answer.status !== 201) throw new Error(`the plain route answered ${answer.status}`);
    return performance.now() - from;
  };
}

type Arrivals = { of(appId: string): Promise<number> };

/** When the registration of an app came over the WebSocket. */
async function followStream(bench: Bench, api: Api): Promise<Arrivals> {
  const seen = new Map<string, PromiseWithResolvers<number>>();
  const arrival = (id: string) => {
    const found = seen.get(id) ?? Promise.withResolvers<number>();
    seen.set(id, found);
    return found;
  };
  const socket = new WebSocket(
    `${api.url.replace('http', 'ws')}/stream?types=RepositoryRegistered&from=start`,
    {
      headers: { authorization: `Bearer ${operatorToken}` },
    },
  );
  socket.on('message', message => {
    const frame = JSON.parse(String(message));
    if (frame.kind === 'event') arrival(frame.event.data.appId).resolve(performance.now());
  });
  await once(socket, 'open');
  bench.onClose(() => socket.terminate());
  return { of: id => arrival(id).promise };
}

async function register(api: Api, arrivals: Arrivals, id: string) {
  const from = performance.now();
  const body = { id, name: 'An app', repoUrl: 'https://git.example.org/team/app.git' };
  const { status, body: answer, text } = await api.ask('POST', '/apps', { body });
  if (status !== 201) throw new Error(`POST /apps answered ${status}: ${text}`);
  const durable = performance.now() - from;
  const shown = await api.ask('GET', `/apps/${id}?after=${answer.data.position}`);
  if (shown.status !== 200) throw new Error(`GET /apps/${id} answered ${shown.status}`);
  const read = performance.now() - from;
  return { durable, read, stream: (await arrivals.of(id)) - from };
}
