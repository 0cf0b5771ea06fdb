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

/** Which stream the event at this position is of; undefined where there is none. */
export type StreamAt = (position: bigint) => Promise<string | undefined>;

export const streamAt =
  (stored: { at(position: bigint): Promise<{ readonly stream: string } | undefined> }): StreamAt =>
  async position =>
    (await stored.at(position))?.stream;

export async function openFreshness(sql: Knex, listen: Listen, streamOf?: StreamAt): Promise<Freshness> {
  const waiters = new Set<{ position: bigint; resolve: () => void }>();
  let hasLetters = false;
  let last: bigint | null = null;
  let looking: Promise<void> | undefined;
  let again = false;

  const reached = async (): Promise<bigint | null> => {
    // The column may be about to be made by the projector of a newer version.
    const row = await sql('projection_checkpoints as c')
      .select(sql.raw('min(coalesce(position, 0))::text as position'))
      .select(sql.raw(`bool_or(to_jsonb(c) ->> 'letters' > '0') as has_letters`))
      .first();
    hasLetters = row?.has_letters === true;
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
    await waitUntil(position);
    // Seen in the same moment as the position, or before: what stops later events is of no account here.
    if (hasLetters) await refuseStopped(sql, position, streamOf);
  };

  const waitUntil = async (position: bigint): Promise<void> => {
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

/** What was written at this position is not in every table, however long one waits: its stream is stopped in a projection. */
async function refuseStopped(sql: Knex, position: bigint, streamOf: StreamAt = async () => undefined) {
  const { rows } = await sql.raw(
    `select l.projection, l.stream, l.position::text as letter from projection_letters l
     join projection_checkpoints c on c.name = l.projection and c.generation = l.generation
     where l.position <= ? and l.last_position >= ? order by l.projection`,
    [position.toString(), position.toString()],
  );
  if (rows.length === 0) return;
  const stream = await streamOf(position);
  const stopped = rows.filter((row: { stream: string }) => row.stream === stream);
  if (stopped.length === 0) return;
  throw new Problem(
    503,
    'dead-letter',
    'What was written there waits behind an event that cannot be applied',
    {
      extra: {
        after: position.toString(),
        stream,
        deadLetters: stopped.map(({ projection, letter }: { projection: string; letter: string }) => ({
          projection,
          position: letter,
        })),
      },
    },
  );
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
