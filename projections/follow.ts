/**
 * Follows the log for some generations of projections and keeps their tables true to it. One subscription feeds all of them:
 * reading the log is the dearest part of a replay, so it is done once. Rows and checkpoints of a batch share a transaction.
 */
import type { Knex } from 'knex';
import { type EventOf, everyContext, type Recorded } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';
import { type Statement, statementsOf } from './apply.ts';
import { applyCarefully } from './careful.ts';
import { noteTypes, type Types, typesOf } from './event-types.ts';
import { type Gathered, gather } from './gather.ts';
import { type Generation, schemaOf } from './generation.ts';
import { areIndexesDeferred, makeIndexes } from './indexes.ts';
import { answerLetters, isLetterRequest, type LetterRequest } from './letter-request.ts';
import { blockedStreams, writeLetters } from './letters.ts';
import { mergeOps } from './merge.ts';
import type { Pace } from './pace.ts';
import { isOfEvent } from './poison.ts';
import { opsOf, type Projection } from './projection.ts';
import { runAll, type SchemaStatement } from './statements.ts';
import type { Cut } from './stays.ts';

const lanesMax = 2;

/** The channel on which a moved checkpoint is announced to readers that wait for it. */
export const checkpointChannel = 'apphub_checkpoint';

type Request = EventOf<
  'ProjectionRebuildRequested' | 'ProjectionRollbackRequested' | 'ProjectionRepairRequested'
>;

export type Hooks = {
  onProgress?(): void;
  /** What is asked of a live projection; in the transaction that says it has been read. */
  onRequest?(tx: Knex, of: Generation, request: Recorded<Request>): Promise<void>;
  /** Bounds what filling takes from what is read: by it the one side tells, and the other waits. */
  readonly pace?: Pace;
  /** What is to be done where exactly so much of the log is stored. */
  readonly cuts?: Cut[];
  /** Everything that was there when it was read is stored, with its indexes. May come again. */
  onCaughtUp?(): Promise<void>;
};

/** Runs until the signal aborts. While one part of the log is being stored, the next is read and made into statements. */
export async function follow(
  sql: Knex,
  store: EventStore,
  followed: readonly Generation[],
  signal: AbortSignal,
  hooks: Hooks = {},
): Promise<void> {
  const schemas = followed.map(one => schemaOf(one.projection, one.generation));
  const stop = new AbortController();
  const isLive = followed.some(({ role }) => role === 'live');
  const { pace } = hooks;
  const news = gather(
    store.subscribe({
      from: oldest(followed) ?? 'start',
      streamPrefixes: everyContext,
      signal: AbortSignal.any([signal, stop.signal]),
    }),
    isLive ? undefined : pace?.eventsMax,
  );
  let isFilling = await areIndexesDeferred(sql, schemas);
  let storing: Promise<unknown> = Promise.resolve();
  try {
    for (;;) {
      const gathered = await news.next(storing);
      if (gathered === undefined) break;
      if (isLive && gathered.events.length > 0) pace?.begun();
      for (let cut = cutIn(hooks.cuts, gathered); cut !== undefined; cut = cutIn(hooks.cuts, gathered)) {
        await storing;
        await storeUpTo(sql, followed, gathered, cut, hooks);
      }
      const work = plan(followed, gathered);
      await storing;
      const isFirstFill = isFilling;
      const isLast = isFilling && gathered.caughtUp;
      if (isLast) isFilling = false;
      const hasCaughtUp = gathered.caughtUp;
      if (!isLive) await pace?.turn(signal);
      storing = storeInLanes(sql, work, hooks, isFirstFill).then(async () => {
        if (isLive && gathered.events.length > 0) pace?.ended();
        if (isLast) await makeIndexes(sql, schemas);
        hooks.onProgress?.();
        if (hasCaughtUp) await hooks.onCaughtUp?.();
      });
      // Awaited above, or below.
      storing.catch(() => undefined);
    }
    await storing;
  } finally {
    stop.abort();
    await news.close();
    await storing.catch(() => undefined);
  }
}

/** The next cut that lies in what was gathered; it is taken out. */
function cutIn(cuts: Cut[] | undefined, { position, caughtUp }: Gathered): Cut | undefined {
  const [first] = cuts ?? [];
  if (first === undefined || !(caughtUp || (position !== null && position >= first.at))) return undefined;
  return cuts?.shift();
}

async function storeUpTo(
  sql: Knex,
  followed: readonly Generation[],
  gathered: Gathered,
  cut: Cut,
  hooks: Hooks,
): Promise<void> {
  const events = gathered.events.filter(({ position }) => position <= cut.at);
  await storeInLanes(sql, plan(followed, { events, position: cut.at, caughtUp: false }), hooks, false);
  await cut.run();
}

/** Brings a generation to exactly this position: nothing behind it is applied. */
export async function bringTo(
  sql: Knex,
  store: EventStore,
  one: Generation,
  to: bigint,
  signal: AbortSignal,
  hooks: Hooks = {},
): Promise<void> {
  if (one.position !== null && one.position >= to) return;
  const stop = new AbortController();
  const batches = store.subscribe({
    from: one.position ?? 'start',
    streamPrefixes: everyContext,
    signal: AbortSignal.any([signal, stop.signal]),
  });
  for await (const batch of batches) {
    const events = batch.events.filter(({ position }) => position <= to);
    const isThere = batch.caughtUp || (batch.position ?? 0n) >= to;
    const position = isThere ? to : batch.position;
    await storeWork(sql, plan([one], { events, position, caughtUp: batch.caughtUp }), hooks);
    if (isThere) break;
  }
  stop.abort();
}

/** The checkpoint that lies furthest back; null when one of them has not begun. */
export function oldest(followed: readonly Generation[]): bigint | null {
  let found: bigint | null = null;
  for (const { position } of followed) {
    if (position === null) return null;
    if (found === null || position < found) found = position;
  }
  return found;
}

type Part = {
  readonly schema: string;
  readonly name: string;
  readonly version: number;
  readonly generation: number;
  readonly isLive: boolean;
  readonly from: string | null;
  readonly events: readonly Recorded[];
  /** Undefined where one of the events is more than its handler can take. */
  readonly statements: readonly Statement[] | undefined;
  readonly of: Generation;
  readonly requests: readonly Recorded<Request>[];
  readonly letterRequests: readonly Recorded<LetterRequest>[];
};
type Work = {
  readonly parts: readonly Part[];
  readonly to: bigint;
  readonly at: string | null;
  readonly types: Types;
};

/** What has to be stored for those that have not seen these events. From here on they are taken to be at their end. */
export function plan(followed: readonly Generation[], { events, position: to }: Gathered): Work | undefined {
  if (to === null) return undefined;
  const behind = followed.filter(({ position }) => position === null || position < to);
  if (behind.length === 0) return undefined;
  const first = events[0]?.position ?? 0n;
  const asking = events.filter(({ data }) => 'projection' in data);
  const parts = behind.map((one): Part => {
    const { projection, position, generation } = one;
    const { name, version } = projection;
    const isUnseen = (event: Recorded) => position === null || event.position > position;
    const unseen = position === null || first > position ? events : events.filter(isUnseen);
    const statements = statementsIfSound(projection, unseen);
    one.position = to;
    const from = position?.toString() ?? null;
    const schema = schemaOf(projection, generation);
    const isLive = one.role === 'live';
    const asked = asking.filter(isUnseen);
    const requests = isLive ? asked.filter(event => isRequest(event, name)) : [];
    const letterRequests = asked.filter(event => isLetterRequest(event, name));
    const both = { requests, letterRequests } as Pick<Part, 'requests' | 'letterRequests'>;
    return { schema, name, version, generation, isLive, from, events: unseen, statements, of: one, ...both };
  });
  return { parts, to, at: events.at(-1)?.created ?? null, types: typesOf(events) };
}

function statementsIfSound(projection: Projection, events: readonly Recorded[]) {
  try {
    return statementsOf(projection.tables, mergeOps(projection.tables, opsOfAll(projection, events)));
  } catch {
    return undefined;
  }
}

const requestTypes: readonly string[] = [
  'ProjectionRebuildRequested',
  'ProjectionRollbackRequested',
  'ProjectionRepairRequested',
];
const isRequest = ({ type, data }: Recorded, name: string) =>
  requestTypes.includes(type) && 'projection' in data && data.projection === name;

/** What is far behind, or not read yet, may be stored in two transactions at once: each part has a checkpoint of its own. */
async function storeInLanes(
  sql: Knex,
  work: Work | undefined,
  hooks: Hooks,
  isFilling: boolean,
): Promise<void> {
  if (work === undefined || work.parts.length < 2 || (!isFilling && work.parts.some(({ isLive }) => isLive)))
    return storeWork(sql, work, hooks);
  const lanes = Array.from({ length: lanesMax }, () => ({ parts: [] as Part[], size: 0 }));
  const sized = work.parts.map(part => ({
    part,
    size: (part.statements ?? []).reduce((sum, { rows }) => sum + rows.length, 0),
  }));
  for (const { part, size } of sized.sort((a, b) => b.size - a.size)) {
    const lane = lanes.reduce((least, one) => (one.size < least.size ? one : least));
    lane.parts.push(part);
    lane.size += size;
  }
  const ends = await Promise.allSettled(
    lanes.map(({ parts }) => storeWork(sql, parts.length === 0 ? undefined : { ...work, parts }, hooks)),
  );
  const failed = ends.find(end => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** A batch that the database refuses for what is in it is stored once more, without the events that are to blame. */
export async function storeWork(sql: Knex, work: Work | undefined, hooks: Hooks = {}): Promise<void> {
  if (work === undefined) return;
  try {
    await storeOnce(sql, work, hooks, false);
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    await storeOnce(sql, work, hooks, true);
  }
}

async function storeOnce(sql: Knex, work: Work, hooks: Hooks, isCareful: boolean): Promise<void> {
  let noted = () => {};
  await sql.transaction(async tx => {
    // First of all: nobody else stores, or applies what has waited, until this is done.
    // Losing the last of what nobody reads yet costs filling it again; its checkpoint goes with it.
    if (!work.parts.some(({ isLive }) => isLive)) await tx.raw('set local synchronous_commit to off');
    const hasLetters = await moveCheckpoints(tx, work);
    if (isCareful) await tx.raw('set constraints all immediate');
    const plain: SchemaStatement[] = [];
    for (const part of work.parts) {
      const statements = await storeOrPlan(tx, part, hasLetters.has(part.schema), isCareful);
      for (const statement of statements) plain.push({ ...statement, schema: part.schema });
    }
    await runAll(tx, plain);
    for (const { of, requests, letterRequests } of work.parts) {
      for (const request of requests) await hooks.onRequest?.(tx, of, request);
      for (const request of letterRequests) await answerLetters(tx, of, request);
    }
    noted = await noteTypes(sql, tx, work.types);
    if (work.parts.some(({ isLive }) => isLive))
      await tx.raw(`select pg_notify('${checkpointChannel}', ?)`, [work.to.toString()]);
  });
  noted();
}

/** What holds an event that waits, or that is to blame, is stored event by event; of all else the statements are answered. */
async function storeOrPlan(
  tx: Knex,
  { events, statements, of }: Part,
  hasLetters: boolean,
  isCareful: boolean,
): Promise<readonly Statement[]> {
  const blocked = hasLetters ? await blockedStreams(tx, of) : undefined;
  const isHeldUp = blocked !== undefined && events.some(({ stream }) => blocked.has(stream));
  if (statements !== undefined && !isCareful && !isHeldUp) return statements;
  await writeLetters(tx, of, await applyCarefully(tx, of, events, blocked ?? new Map()));
  return [];
}

function* opsOfAll(projection: Projection, events: readonly Recorded[]) {
  for (const event of events) yield* opsOf(projection, event);
}

/** Events a second, more of it of late: the time from one stored batch to the next is that of the batch. */
const speed = `events_per_second = case when v.events = 0 or now() <= coalesce(c.moved_at, c.started_at) then c.events_per_second
  else v.events / extract(epoch from now() - coalesce(c.moved_at, c.started_at)) * 0.4
    + coalesce(c.events_per_second, v.events / extract(epoch from now() - coalesce(c.moved_at, c.started_at))) * 0.6 end`;

/**
 * A second projector finds a checkpoint moved, and stops before it has changed anything. Answers the schemas of those that have
 * dead letters.
 */
async function moveCheckpoints(tx: Knex, { parts, to, at }: Work): Promise<ReadonlySet<string>> {
  const live = parts.filter(({ isLive }) => isLive);
  const beside = parts.filter(({ isLive }) => !isLive);
  const rowsOf = (some: readonly Part[]) =>
    JSON.stringify(
      some.map(({ name, version, generation, from, events }) => ({
        name,
        version,
        generation,
        position: from,
        events: events.length,
      })),
    );
  const moved = (table: string, set: string) =>
    `update ${table} as c set position = ?::bigint, moved_at = now(), events = c.events + v.events${set}
     from json_populate_recordset(null::${table}, ?::json) as v
     where c.name = v.name and c.version = v.version and c.generation = v.generation
       and c.position is not distinct from v.position
     returning c.name, c.generation, c.letters`;
  const found: { name: string; generation: number; letters: number }[] = [];
  if (beside.length > 0) {
    const text = moved('projection_generations', `, ${speed}`);
    const { rows } = await tx.raw(text, [to.toString(), rowsOf(beside)]);
    found.push(...rows);
  }
  if (live.length > 0) {
    const text = moved(
      'projection_checkpoints',
      ', problem = null, event_at = coalesce(?::timestamptz, c.event_at)',
    );
    const { rows } = await tx.raw(text, [to.toString(), at, rowsOf(live)]);
    found.push(...rows);
  }
  if (found.length !== parts.length) throw new Error('another projector has moved a checkpoint');
  return new Set(
    found.filter(({ letters }) => letters > 0).map(one => schemaOf({ name: one.name }, one.generation)),
  );
}
