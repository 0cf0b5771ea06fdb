/**
 * Read your own writes: a read with `?after=<position>` is answered once the tables hold everything up to that position.
 * The projector announces each step on a channel of PostgreSQL, so waiting costs one query a step and no polling.
 */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { Knex } from 'knex';
import { Problem } from '../platform/problem.ts';

const waitMsMax = 2_000;
const waitersMax = 10_000;
/** Should an announcement get lost with its connection, the tables are looked at this often. */
const lookEveryMs = 250;

export const AsOfText = Type.String({
  minLength: 1,
  maxLength: 40,
  description: 'A time (RFC 3339) or a position of the log: the answer is as it would have been then',
});

/** For the querystring of reads that are of the present only. */
export const AfterOnly = {
  after: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,19}$',
      description: 'Wait until the tables have reached this position',
    }),
  ),
};

/** For the querystring of every other read. */
export const After = { ...AfterOnly, asOf: Type.Optional(AsOfText) };

export type Freshness = {
  /**
   * Resolves when the tables have reached the position; rejects with Problem `behind` (503), which says how far
   * they are, after 2 s.
   */
  waitFor(position: bigint): Promise<void>;
  /** For preHandler. */
  check(request: FastifyRequest): Promise<void>;
  /** What the tables hold for certain: the checkpoint that lies furthest back. Null before the first event. */
  reached(): Promise<bigint | null>;
  close(): Promise<void>;
};

/** Calls back whenever a checkpoint may have moved. Answers the function that ends it. */
export type Listen = (onMoved: () => void) => Promise<() => Promise<void>>;

export async function openFreshness(sql: Knex, listen: Listen): Promise<Freshness> {
  const waiters = new Set<{ position: bigint; resolve: () => void }>();
  let last: bigint | null = null;
  let looking: Promise<void> | undefined;
  let again = false;

  const reached = async (): Promise<bigint | null> => {
    const row = await sql('projection_checkpoints')
      .select(sql.raw('min(coalesce(position, 0))::text as position'))
      .first();
    return row?.position == null ? null : BigInt(row.position);
  };

  /** One look at a time; a call meanwhile makes one more look follow. */
  const look = (): void => {
    if (waiters.size === 0) return;
    if (looking !== undefined) {
      again = true;
      return;
    }
    looking = reached()
      .then(position => {
        last = position;
        for (const waiter of waiters) if (position !== null && position >= waiter.position) waiter.resolve();
      })
      .catch(() => undefined)
      .finally(() => {
        looking = undefined;
        if (!again) return;
        again = false;
        look();
      });
  };

  const stop = await listen(look);
  const timer = setInterval(look, lookEveryMs).unref();

  const waitFor = async (position: bigint): Promise<void> => {
    if (last !== null && last >= position) return;
    if (waiters.size >= waitersMax) throw behind(position, last);
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { position, resolve };
    waiters.add(waiter);
    look();
    const late = Symbol('late');
    let timeout: NodeJS.Timeout | undefined;
    const outcome = await Promise.race([
      promise,
      new Promise<typeof late>(done => {
        timeout = setTimeout(() => done(late), waitMsMax);
      }),
    ]);
    clearTimeout(timeout);
    waiters.delete(waiter);
    if (outcome === late) throw behind(position, await reached());
  };

  return {
    waitFor,
    reached,
    async check(request) {
      const { after } = request.query as { after?: string };
      if (after !== undefined) await waitFor(BigInt(after));
    },
    async close() {
      clearInterval(timer);
      await stop();
    },
  };
}

function behind(wanted: bigint, reached: bigint | null): Problem {
  return new Problem(503, 'behind', 'The tables have not reached this position yet; ask again', {
    extra: {
      after: wanted.toString(),
      reached: (reached ?? 0n).toString(),
      lag: (wanted - (reached ?? 0n)).toString(),
    },
  });
}
