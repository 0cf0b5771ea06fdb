/**
 * Keeps every version of every row, so that the tables can be read as they were after any event. The log is folded an event at a
 * time, by the same projections and the same statements as everything else; what a batch of events does shares a transaction
 * with how far it is. It follows behind the live tables, holds up nothing that is read, and begins anew with a new version.
 */
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';
import { keepCarefully } from './past-careful.ts';
import { mendedOf } from './past-mended.ts';
import { pastSteps } from './past-steps.ts';
import { type Kept, openPast } from './past-tables.ts';
import { isOfEvent } from './poison.ts';
import type { Projection } from './projection.ts';
import { createRunAll, runAll } from './statements.ts';

const retryMsMin = 100;
const retryMsMax = 5_000;
/** Of one transaction. */
const eventsMax = 1_000;
/** How often it is looked whether what stopped a stream is mended. */
const lookMsDefault = 5_000;
/** Of the time that a full batch takes: whoever is far behind leaves room for others. */
const restShare = 0.5;

const rest = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

export type PastLog = { error(detail: object, line: string): void };

/** Runs until the signal aborts. What goes wrong is logged and tried again from the stored checkpoints. */
export async function keepPast(
  sql: Knex,
  store: EventStore,
  projections: readonly Projection[],
  { signal, log, lookMs = lookMsDefault }: { signal: AbortSignal; log: PastLog; lookMs?: number },
): Promise<void> {
  let retryMs = retryMsMin;
  const onProgress = () => {
    retryMs = retryMsMin;
  };
  while (!signal.aborted) {
    try {
      await createRunAll(sql);
      const kept = await openPast(sql, projections);
      await followPast({ sql, store, kept, signal, log, lookMs }, onProgress);
    } catch (error) {
      if (signal.aborted) return;
      log.error({ err: error, retryMs }, 'keeping the past stopped; trying again from its checkpoints');
      await rest(retryMs);
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
}

/** The last moment that is told of, which none that is told of later may precede. */
type Told = { ms: number; position: bigint; aheadMs: number };

type Deps = {
  readonly sql: Knex;
  readonly store: EventStore;
  readonly kept: readonly Kept[];
  readonly signal: AbortSignal;
  readonly log: PastLog;
  readonly lookMs: number;
};

async function followPast(deps: Deps, onProgress: () => void): Promise<void> {
  const { sql, store, kept, signal } = deps;
  const stop = new AbortController();
  const batches = store.subscribe({
    from: oldest(kept) ?? 'start',
    streamPrefixes: everyContext,
    signal: AbortSignal.any([signal, stop.signal]),
  });
  const told = await readTold(sql);
  const looking = setInterval(() => void lookForMended(deps, stop), deps.lookMs);
  try {
    for await (const { events, position } of batches) {
      for (let at = 0; at < events.length; at += eventsMax) {
        const part = events.slice(at, at + eventsMax);
        const from = performance.now();
        await keep(deps, part, part.at(-1)?.position ?? null, told);
        if (part.length === eventsMax) await rest((performance.now() - from) * restShare);
        if (signal.aborted) return;
      }
      await keep(deps, [], position, told);
      onProgress();
    }
  } finally {
    clearInterval(looking);
    stop.abort();
  }
}

/** Ends the following where something has to be begun anew. What fails here is looked at again. */
async function lookForMended({ sql, kept }: Deps, stop: AbortController): Promise<void> {
  if (kept.every(({ stopped }) => stopped.size === 0)) return;
  const mended = await mendedOf(sql).catch(() => []);
  if (mended.length > 0) stop.abort();
}

function oldest(kept: readonly Kept[]): bigint | null {
  let found: bigint | null = null;
  for (const { position } of kept) {
    if (position === null) return null;
    if (found === null || position < found) found = position;
  }
  return found;
}

async function readTold(sql: Knex): Promise<Told> {
  const row = await sql('past_moments').orderBy('at', 'desc').first(sql.raw('at, position::text as place'));
  const ahead = await sql('past_checkpoints').max('ahead_ms as ms').first();
  return {
    ms: row === undefined ? Number.NEGATIVE_INFINITY : Date.parse(row.at),
    position: row === undefined ? -1n : BigInt(row.place),
    aheadMs: Number(ahead?.ms ?? 0),
  };
}

/** These events, and how far they bring it. A second one that does the same finds a checkpoint moved, and changes nothing. */
async function keep(deps: Deps, events: readonly Recorded[], to: bigint | null, told: Told): Promise<void> {
  if (to === null) return;
  const behind = deps.kept.filter(({ position }) => position === null || position < to);
  if (behind.length === 0) return;
  const moments = momentsOf(events, told);
  const aheadMs = events.reduce((most, event) => Math.max(most, aheadOf(event)), told.aheadMs);
  const move = (tx: Knex) => moveOn(tx, { behind, moments, to, aheadMs });
  try {
    const steps = behind.flatMap(one => pastSteps(one, events));
    await deps.sql.transaction(async tx => {
      await runAll(tx, steps);
      await move(tx);
    });
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    const stopped = await deps.sql.transaction(async tx => {
      const found = await keepCarefully(tx, behind, events);
      await move(tx);
      return found;
    });
    for (const { of, event, error: words } of stopped) {
      of.stopped.add(event.stream);
      const detail = {
        projection: of.projection.name,
        stream: event.stream,
        position: String(event.position),
      };
      deps.log.error(
        { ...detail, error: words },
        'an event cannot be applied to the past; its stream stops there',
      );
    }
  }
  for (const one of behind) one.position = to;
  const last = moments.at(-1);
  if (last !== undefined) Object.assign(told, { ms: Date.parse(last.at), position: BigInt(last.position) });
  told.aheadMs = aheadMs;
}

type Move = {
  readonly behind: readonly Kept[];
  readonly moments: readonly { at: string; position: string }[];
  readonly to: bigint;
  readonly aheadMs: number;
};

async function moveOn(tx: Knex, { behind, moments, to, aheadMs }: Move): Promise<void> {
  if (moments.length > 0) {
    await tx.raw(
      `insert into past_moments (at, position)
       select at, position from json_to_recordset(?::json) as m(at timestamptz, position bigint)
       on conflict (at) do update set position = excluded.position`,
      [JSON.stringify(moments)],
    );
  }
  const rows = behind.map(({ projection: { name, version }, position }) => ({
    name,
    version,
    position: position?.toString() ?? null,
  }));
  const { rowCount } = await tx.raw(
    `update past_checkpoints as c set position = ?::bigint, ahead_ms = ?
     from json_populate_recordset(null::past_checkpoints, ?::json) as v
     where c.name = v.name and c.version = v.version and c.position is not distinct from v.position`,
    [to.toString(), aheadMs, JSON.stringify(rows)],
  );
  if (rowCount !== behind.length) throw new Error('another process keeps the past too');
}

/** When the log was where, as far as it has not been told. */
function momentsOf(events: readonly Recorded[], told: Told): readonly { at: string; position: string }[] {
  const found = new Map<number, string>();
  let ms = told.ms;
  for (const { created, position } of events) {
    if (position <= told.position) continue;
    ms = Math.max(ms, Date.parse(created));
    found.set(ms, position.toString());
  }
  return [...found].map(([at, position]) => ({ at: new Date(at).toISOString(), position }));
}

/** By how much what an event says of its time is ahead of when the log stored it: clocks differ. */
function aheadOf({ data, created }: Recorded): number {
  const said = 'at' in data && typeof data.at === 'string' ? Date.parse(data.at) - Date.parse(created) : 0;
  return Number.isNaN(said) ? 0 : Math.ceil(said);
}
