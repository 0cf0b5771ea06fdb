/** Whether this process lives, and whether everything it leans on is there and up to date. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { EventStore } from '../../eventstore/store.ts';
import { alarmsOf, type LagLimits, type Lags } from '../../platform/projection-lag.ts';
import { enginesOf, whyNoDocker, whyNoProof } from '../machine.ts';

const checkMsMax = 2_000;

export type HealthDeps = {
  readonly store: EventStore;
  readonly sql: Knex;
  /** Undefined where jobs run in the process. */
  readonly pingRedis: (() => Promise<void>) | undefined;
  readonly lags: Lags;
  readonly alerts: LagLimits;
};

type Check = { ok: boolean; reason?: string };

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
        deadLetters: Type.Integer(),
        waitingEvents: Type.Integer(),
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
        // Counting a lag costs what lies behind, so it is not done each time for everybody.
        const isAnonymous = request.identity.kind === 'anonymous';
        const { status, checks, projections } = await lookAround(deps, isAnonymous);
        reply.code(status === 'unready' ? 503 : 200);
        return isAnonymous ? { status } : { status, checks, projections: [...projections] };
      },
    );
  };
}

async function lookAround({ store, sql, pingRedis, lags, alerts }: HealthDeps, isCasual: boolean) {
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
  const found = isReady ? await (isCasual ? lags.lately() : lags.now()).catch(() => []) : [];
  const alarms = alarmsOf(found, alerts);
  const projections: Check = alarms.length === 0 ? { ok: true } : { ok: false, reason: alarms.join(' ') };
  const problem = await whyNoProof(sql);
  const audit: Record<string, Check> = problem === null ? {} : { audit: { ok: false, reason: problem } };
  const isWhole = [redis, docker, projections, ...Object.values({ ...engines, ...audit })].every(
    ({ ok }) => ok,
  );
  const status = isReady ? (isWhole ? 'ready' : 'degraded') : 'unready';
  const checks = { log, database, redis, docker, projections, ...engines, ...audit };
  return { status, checks, projections: found } as const;
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
