/**
 * Reads of an earlier time: with `?asOf=<time or position>` a route is answered from the versions of rows that were there then.
 * Routes know nothing of it. They ask one database handle, which is a transaction of its own on the tables of that day while
 * such a request runs; what is no table of a projection is not there, so that nothing of the present gets into the answer.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Knex } from 'knex';
import { takesAsOf } from '../platform/as-of.ts';
import { invalid, Problem } from '../platform/problem.ts';
import type { Freshness } from './fresh.ts';

const waitMsMax = 2_000;
const lookEveryMs = 25;
const positionMax = 2n ** 63n - 2n;

/** `position` is that of the last event that counts; -1 before the first one. */
export type Moment = { readonly position: bigint; readonly at: string | null };

type Past = { readonly moment: Moment; readonly tx: Knex.Transaction };

const running = new AsyncLocalStorage<Past>();

/** Whether an earlier time is being read: what is not kept by time is unknown then. */
export const isPast = (): boolean => running.getStore() !== undefined;

/** Whether an event had happened by the time that is being read. */
export const hadHappened = ({ position }: { readonly position: bigint }): boolean =>
  position <= (running.getStore()?.moment.position ?? position);

export type AsOf = {
  /** The tables of now, or of the time that the request asks for. */
  readonly sql: Knex;
  /** What time it is for the request. */
  now(): string;
  /** Has the requests of all routes that are registered from here on asked for their time. */
  register(app: FastifyInstance): void;
  /** The moment that a text means; rejects with a Problem. */
  resolve(asOf: string): Promise<Moment>;
};

export type AsOfDeps = {
  readonly sql: Knex;
  /** Undefined where the past is not kept. Connections of its own: a slow look back holds up nobody else. */
  readonly past: Knex | undefined;
  readonly fresh: Pick<Freshness, 'reached'>;
  readonly now: () => string;
};

export function openAsOf({ sql, past, fresh, now }: AsOfDeps): AsOf {
  const resolve = async (asOf: string): Promise<Moment> => {
    if (past === undefined) throw off();
    const asked = parse(asOf);
    return typeof asked === 'bigint' ? atPosition(past, fresh, asked) : atTime(past, fresh, asked, now());
  };
  const begun = new WeakMap<FastifyRequest, Past>();
  const begin = async (request: FastifyRequest, reply: FastifyReply, asOf: string): Promise<Past> => {
    const moment = await resolve(asOf);
    const tx = await enter(past as Knex, moment);
    const found = { moment, tx };
    begun.set(request, found);
    reply.header('apphub-as-of-position', String(moment.position));
    if (moment.at !== null) reply.header('apphub-as-of-time', moment.at);
    return found;
  };
  return {
    sql: following(sql),
    now: () => running.getStore()?.moment.at ?? now(),
    resolve,
    register(app) {
      app.addHook('preHandler', (request, reply, done) => {
        const { asOf } = (request.query ?? {}) as { asOf?: string };
        if (asOf === undefined || !takesAsOf(request)) return done();
        begin(request, reply, asOf).then(found => running.run(found, () => done()), done);
      });
      app.addHook('onSend', async request => {
        const found = begun.get(request);
        begun.delete(request);
        await found?.tx.rollback().catch(() => undefined);
      });
    },
  };
}

/** A handle that is that of the request that asks. */
function following(sql: Knex): Knex {
  const present = () => (running.getStore()?.tx ?? sql) as Knex;
  return new Proxy(sql, {
    apply: (_sql, _this, args) => Reflect.apply(present(), undefined, args),
    get: (_sql, name) => {
      const here = present();
      const value = Reflect.get(here, name);
      return typeof value === 'function' ? value.bind(here) : value;
    },
  });
}

/** The tables of one moment, all of it seen at once. What asks for no more than it may is ended by the pool's own limits. */
async function enter(past: Knex, { position, at }: Moment): Promise<Knex.Transaction> {
  const tx = await past.transaction(undefined, { isolationLevel: 'repeatable read', readOnly: true });
  oneAtATime(tx);
  try {
    await tx.raw(
      `select set_config('search_path', 'as_of', true), set_config('apphub.as_of', ?, true),
         set_config('apphub.as_of_until', coalesce(((?::timestamptz +
           (select max(ahead_ms) from public.past_checkpoints) * interval '1 millisecond'))::text, '-infinity'), true)`,
      [String(position), at],
    );
    return tx;
  } catch (error) {
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

type Connections = {
  acquireConnection(): Promise<unknown>;
  releaseConnection(connection: unknown): Promise<unknown>;
};

/** A route may ask several things at once; a transaction has one connection, and the driver wants them one after the other. */
function oneAtATime(tx: Knex.Transaction): void {
  const connections: Connections = (tx as unknown as { client: Connections }).client;
  const acquire = connections.acquireConnection.bind(connections);
  let last = Promise.resolve();
  let release: () => void = () => undefined;
  connections.acquireConnection = async () => {
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    await before;
    release = resolve;
    return acquire();
  };
  connections.releaseConnection = async () => release();
}

const timePattern = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)$/;

/** A position, or milliseconds since 1970. */
function parse(asOf: string): bigint | number {
  if (/^\d{1,19}$/.test(asOf)) {
    const position = BigInt(asOf);
    if (position <= positionMax) return position;
  } else if (timePattern.test(asOf)) {
    const ms = Date.parse(asOf);
    if (!Number.isNaN(ms)) return ms;
  }
  throw invalid([
    {
      field: 'asOf',
      message: 'must be a position of the log, or a time as in RFC 3339, such as 2026-01-31T12:00:00Z',
    },
  ]);
}

/** Null where nothing is kept yet. */
async function kept(past: Knex): Promise<bigint | null> {
  const row = await past('past_checkpoints')
    .first(past.raw('min(coalesce(position, -1))::text as position'))
    .catch(() => undefined);
  return row?.position == null || row.position === '-1' ? null : BigInt(row.position);
}

/** What is being written this moment is waited for, as everywhere. */
async function waitFor(past: Knex, wanted: bigint): Promise<bigint | null> {
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    const reached = await kept(past);
    if ((reached !== null && reached >= wanted) || waitedMs >= waitMsMax) return reached;
    await new Promise(resolve => setTimeout(resolve, lookEveryMs));
  }
}

async function atPosition(past: Knex, fresh: AsOfDeps['fresh'], position: bigint): Promise<Moment> {
  const place = position.toString();
  // All that has to be known of what has been told, in one question.
  const row = await past
    .raw(
      `select (select min(coalesce(position, -1)) from past_checkpoints) >= :place::bigint as is_there,
         (select at from past_moments where position >= :place::bigint order by position limit 1) as at`,
      { place },
    )
    .then(
      ({ rows }) => rows[0],
      () => undefined,
    );
  if (row?.is_there === true && row.at !== null) return { position, at: row.at };
  const reached = await waitFor(past, position);
  if (reached === null || reached < position) {
    const live = (await fresh.reached()) ?? 0n;
    throw live < position ? future({ reached: String(live) }) : behind(position, reached);
  }
  // The millisecond in which it was stored; behind the last one, that of the last.
  const moments = past('past_moments');
  const next = await moments.clone().where('position', '>=', place).min('at as at').first();
  return { position, at: next?.at ?? (await moments.max('at as at').first())?.at ?? null };
}

async function atTime(past: Knex, fresh: AsOfDeps['fresh'], ms: number, now: string): Promise<Moment> {
  if (ms > Date.parse(now)) throw future({ now });
  // Years that no table can hold, and that no log has.
  if (ms < 0) return { position: -1n, at: null };
  const time = new Date(ms).toISOString();
  const later = await past('past_moments')
    .where('at', '>', time)
    .first('at')
    .catch(() => undefined);
  const whole = (await fresh.reached()) ?? 0n;
  // As long as something later is there, all that is earlier is: the log is folded in its order.
  const reached = later === undefined ? await waitFor(past, whole) : await kept(past);
  const row = await past('past_moments')
    .where('at', '<=', time)
    .orderBy('at', 'desc')
    .first('at', past.raw('position::text as place'))
    .catch(() => undefined);
  const position = row === undefined ? -1n : BigInt(row.place);
  const wanted = later === undefined ? whole : position;
  if (wanted > 0n && (reached === null || reached < wanted)) throw behind(wanted, reached);
  return { position, at: row?.at ?? null };
}

const off = () =>
  new Problem(400, 'as-of-unsupported', 'There is no asking for an earlier time here', {
    detail: 'The past is not kept: APPHUB_TIME_TRAVEL is off.',
  });

const future = (extra: Record<string, string>) =>
  new Problem(400, 'as-of-future', 'This is in the future: nothing is known of it yet', { extra });

function behind(wanted: bigint, reached: bigint | null): Problem {
  const done = reached ?? 0n;
  return new Problem(503, 'as-of-behind', 'The past is being made readable, and is not so far yet', {
    extra: {
      asOf: wanted.toString(),
      reached: done.toString(),
      percent: wanted === 0n ? 0 : Number((done * 100n) / wanted),
    },
  });
}
