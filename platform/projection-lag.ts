/** How far the tables are behind the log, in events and seconds, and what they lack: the same figures for all who ask. */
import type { Knex } from 'knex';
import { everyContext } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';

const readMsMax = 2_000;
/** A lag is counted this far; more is said as this much. */
const lagEventsMax = 10_000;
/** For those who are not to make anybody count. */
const cachedMsMax = 5_000;

export type Lag = {
  readonly name: string;
  readonly position: string | null;
  readonly lagEvents: number;
  readonly lagSeconds: number;
  /** Events that cannot be applied, and how many wait behind them. */
  readonly deadLetters: number;
  readonly waitingEvents: number;
};

/** From here on somebody has to be told. */
export type LagLimits = {
  readonly lagSeconds: number;
  readonly lagEvents: number;
  readonly deadLetters: number;
};

export type Lags = {
  /** Costs the events that are not in the tables yet, at most so many. Those who ask at once share it. */
  now(): Promise<readonly Lag[]>;
  /** As they were a few seconds ago at most. */
  lately(): Promise<readonly Lag[]>;
};

export function openLags(sql: Knex, store: EventStore): Lags {
  let counting: Promise<readonly Lag[]> | undefined;
  let last: { readonly at: number; readonly lags: readonly Lag[] } | undefined;
  const now = () => {
    counting ??= countLags(sql, store)
      .then(lags => {
        last = { at: performance.now(), lags };
        return lags;
      })
      .finally(() => {
        counting = undefined;
      });
    return counting;
  };
  return {
    now,
    lately: async () =>
      last !== undefined && performance.now() - last.at < cachedMsMax ? last.lags : await now(),
  };
}

export const isTooFar = ({ lagEvents, lagSeconds }: Lag, limits: LagLimits): boolean =>
  lagEvents >= limits.lagEvents || lagSeconds >= limits.lagSeconds;

/** What somebody has to be told, a sentence each. */
export function alarmsOf(lags: readonly Lag[], limits: LagLimits): readonly string[] {
  return lags.flatMap(lag => {
    const { name, lagEvents, lagSeconds, deadLetters, waitingEvents } = lag;
    const events = lagEvents >= lagEventsMax ? `${lagEventsMax} events or more` : `${lagEvents} events`;
    return [
      ...(isTooFar(lag, limits) ? [`${name} is ${events} and ${Math.round(lagSeconds)} s behind.`] : []),
      ...(deadLetters > limits.deadLetters
        ? [`${name} cannot apply ${deadLetters} events; ${waitingEvents} wait behind them.`]
        : []),
    ];
  });
}

type Stored = { name: string; position: string | null; letters: number; waiting: number };

async function countLags(sql: Knex, store: EventStore): Promise<readonly Lag[]> {
  const stored = await readStored(sql);
  const oldest = stored.reduce<bigint | null>((found, { position }) => {
    const here = position === null ? 0n : BigInt(position);
    return found === null || here < found ? here : found;
  }, null);
  if (oldest === null) return [];
  const ahead = await eventsBehind(store, oldest);
  return stored.map(({ name, position, letters, waiting }) => {
    const behind = ahead.filter(event => event.position > BigInt(position ?? 0));
    const since = behind[0]?.created;
    const lagSeconds = since === undefined ? 0 : Math.max(0, (Date.now() - Date.parse(since)) / 1_000);
    const lagEvents = Math.min(behind.length, lagEventsMax);
    return { name, position, lagEvents, lagSeconds, deadLetters: letters, waitingEvents: waiting };
  });
}

async function readStored(sql: Knex): Promise<readonly Stored[]> {
  const { rows } = await sql.raw(
    `select c.name, c.position::text as position, c.letters,
       case when c.letters = 0 then 0 else (
         select coalesce(sum(l.waiting), 0)::int from projection_letters l
         where l.projection = c.name and l.generation = c.generation) end as waiting
     from projection_checkpoints c order by c.name`,
  );
  return rows;
}

async function eventsBehind(store: EventStore, from: bigint) {
  const ahead: { position: bigint; created: string }[] = [];
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), readMsMax);
  const options = { from: from === 0n ? ('start' as const) : from, streamPrefixes: everyContext };
  try {
    for await (const batch of store.subscribe({ ...options, signal: stop.signal })) {
      for (const { position, created } of batch.events) ahead.push({ position, created });
      if (batch.caughtUp || ahead.length >= lagEventsMax) break;
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
  return ahead;
}
