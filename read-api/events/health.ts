/** Whether this process lives, and whether everything it leans on is there and up to date. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { everyContext } from '../../domain/events.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { enginesOf, whyNoDocker } from '../machine.ts';

const checkMsMax = 2_000;
/** A lag is counted this far; more is said as this much. */
const lagEventsMax = 10_000;

export type HealthDeps = {
  readonly store: EventStore;
  readonly sql: Knex;
  /** Undefined where jobs run in the process. */
  readonly pingRedis: (() => Promise<void>) | undefined;
};

type Check = { ok: boolean; reason?: string };
type Lag = { name: string; position: string | null; lagEvents: number; lagSeconds: number };

const CheckShape = Type.Object({ ok: Type.Boolean(), reason: Type.Optional(Type.String()) });
const Ready = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('degraded'), Type.Literal('unready')]),
  checks: Type.Optional(Type.Record(Type.String(), CheckShape)),
  projections: Type.Optional(
    Type.Array(
      Type.Object({
        name: Type.String(),
        position: Type.Union([Type.String(), Type.Null()]),
        lagEvents: Type.Integer(),
        lagSeconds: Type.Number(),
      }),
    ),
  ),
});

export function healthReads(deps: HealthDeps): FastifyPluginAsyncTypebox {
  return async app => {
    const config = { scope: 'public' } as const;
    app.get(
      '/healthz',
      {
        config,
        schema: {
          tags: ['platform'],
          summary: 'The process answers',
          response: { 200: Type.Object({ status: Type.Literal('ok') }) },
        },
      },
      async () => ({ status: 'ok' as const }),
    );
    app.get(
      '/readyz',
      {
        config: { ...config, asksWho: true },
        schema: {
          tags: ['platform'],
          summary: 'Each dependency, and how far each projection is behind; without a token the status only',
          response: { 200: Ready, 503: Ready },
        },
      },
      async (request, reply) => {
        const { status, checks } = await lookAround(deps);
        reply.code(status === 'unready' ? 503 : 200);
        // Counting a lag costs what lies behind, so it is not done for everybody.
        if (request.identity.kind === 'anonymous') return { status };
        const projections = status === 'unready' ? [] : await lags(deps.store, deps.sql).catch(() => []);
        return { status, checks, projections };
      },
    );
  };
}

async function lookAround({ store, sql, pingRedis }: HealthDeps) {
  const [log, database, redis, docker] = await Promise.all([
    check(() => store.load('apps.ready-probe')),
    check(() => sql.raw('select 1')),
    pingRedis === undefined ? { ok: true, reason: 'not used: jobs run in the process' } : check(pingRedis),
    check(async () => {
      const reason = await whyNoDocker(sql);
      if (reason !== null) throw new Error(reason);
    }),
  ]);
  const engines = database.ok ? await checkEngines(sql) : {};
  const isReady = log.ok && database.ok;
  const isWhole = [redis, docker, ...Object.values(engines)].every(({ ok }) => ok);
  const status = isReady ? (isWhole ? 'ready' : 'degraded') : 'unready';
  return { status, checks: { log, database, redis, docker, ...engines } } as const;
}

/** Each of several; of one alone `docker` says all. */
async function checkEngines(sql: Knex): Promise<Record<string, Check>> {
  const engines = await enginesOf(sql);
  if (engines.length < 2) return {};
  const checks = engines.map(({ name, awayReason, awaySince }) => {
    const check = awayReason === null ? { ok: true } : { ok: false, reason: `${awayReason} (${awaySince})` };
    return [`engine ${name}`, check];
  });
  return Object.fromEntries(checks);
}

async function check(ask: () => Promise<unknown>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${checkMsMax} ms`)), checkMsMax);
  });
  try {
    await Promise.race([ask(), late]);
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

type Checkpoint = { name: string; position: string | null };

/** What the log holds behind each checkpoint. Costs the events that are not projected yet, at most `lagEventsMax`. */
async function lags(store: EventStore, sql: Knex): Promise<Lag[]> {
  const checkpoints: Checkpoint[] = await sql('projection_checkpoints')
    .orderBy('name')
    .select('name', sql.raw('position::text as position'));
  const oldest = checkpoints.reduce<bigint | null>((found, { position }) => {
    const here = position === null ? 0n : BigInt(position);
    return found === null || here < found ? here : found;
  }, null);
  if (oldest === null) return [];
  const ahead: { position: bigint; created: string }[] = [];
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), checkMsMax);
  const from = oldest === 0n ? 'start' : oldest;
  for await (const batch of store.subscribe({ from, streamPrefixes: everyContext, signal: stop.signal })) {
    for (const { position, created } of batch.events) ahead.push({ position, created });
    if (batch.caughtUp || ahead.length >= lagEventsMax) break;
  }
  clearTimeout(timer);
  stop.abort();
  return checkpoints.map(({ name, position }) => {
    const behind = ahead.filter(event => event.position > BigInt(position ?? 0));
    const since = behind[0]?.created;
    const lagSeconds = since === undefined ? 0 : Math.max(0, (Date.now() - Date.parse(since)) / 1_000);
    return { name, position, lagEvents: Math.min(behind.length, lagEventsMax), lagSeconds };
  });
}
