/**
 * Follows the log and keeps every projection's tables true to it. One subscription feeds all of them: reading the log is the
 * dearest part of a replay, so it is done once. Rows and checkpoints of a batch share a transaction: both are stored or neither.
 */
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';
import { run, type Statement, statementsOf } from './apply.ts';
import { type Gathered, gather } from './gather.ts';
import { areIndexesDeferred, createDeferred, deferIndexes, makeIndexes } from './indexes.ts';
import { mergeOps } from './merge.ts';
import { opsOf, type Projection } from './projection.ts';

const retryMsMin = 100;
const retryMsMax = 5_000;
/** Logs that do not say when a reader has caught up are taken to have when nothing comes for so long. */
const quietMsMax = 1_000;

/** The channel on which a moved checkpoint is announced to readers that wait for it. */
export const checkpointChannel = 'apphub_checkpoint';

export type ProjectorLog = {
  info(detail: object, line: string): void;
  error(detail: object, line: string): void;
};

type Followed = { readonly projection: Projection; position: bigint | null };

/** Runs until the signal aborts. What goes wrong is logged and tried again from the stored checkpoints. */
export async function project(
  sql: Knex,
  store: EventStore,
  projections: readonly Projection[],
  options: { signal: AbortSignal; log: ProjectorLog },
): Promise<void> {
  let retryMs = retryMsMin;
  while (!options.signal.aborted) {
    try {
      await followOnce(sql, store, projections, options.signal, () => {
        retryMs = retryMsMin;
      });
    } catch (error) {
      if (options.signal.aborted) return;
      options.log.error({ err: error, retryMs }, 'projections stopped; trying again from the checkpoints');
      await new Promise(resolve => setTimeout(resolve, retryMs));
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
}

/** While one part of the log is being stored, the next is read and made into statements. */
async function followOnce(
  sql: Knex,
  store: EventStore,
  projections: readonly Projection[],
  signal: AbortSignal,
  onProgress: () => void,
): Promise<void> {
  await createCheckpoints(sql);
  await createDeferred(sql);
  const followed: Followed[] = [];
  for (const projection of projections)
    followed.push({ projection, position: await prepare(sql, projection) });
  const stop = new AbortController();
  const news = gather(
    store.subscribe({
      from: oldest(followed) ?? 'start',
      streamPrefixes: everyContext,
      signal: AbortSignal.any([signal, stop.signal]),
    }),
  );
  let isFilling = await areIndexesDeferred(sql);
  let storing: Promise<unknown> = Promise.resolve();
  try {
    for (;;) {
      const gathered = await news.next(storing, isFilling ? quietMsMax : undefined);
      if (gathered === undefined) break;
      const work = plan(followed, gathered);
      await storing;
      const isLast = isFilling && gathered.caughtUp;
      if (isLast) isFilling = false;
      storing = storeWork(sql, work).then(async () => {
        if (isLast) await makeIndexes(sql, projections);
        onProgress();
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

/** The checkpoint that lies furthest back; null when one of the projections has not begun. */
function oldest(followed: readonly Followed[]): bigint | null {
  let found: bigint | null = null;
  for (const { position } of followed) {
    if (position === null) return null;
    if (found === null || position < found) found = position;
  }
  return found;
}

async function createCheckpoints(sql: Knex): Promise<void> {
  await sql.raw(`create table if not exists projection_checkpoints (
    name text primary key, version integer not null, position bigint, event_at timestamptz, moved_at timestamptz)`);
}

/** Makes the tables of a projection that is new, or new in this version, and answers where it has to go on. */
async function prepare(sql: Knex, projection: Projection): Promise<bigint | null> {
  const { name, version } = projection;
  return sql.transaction(async tx => {
    await tx.raw('select pg_advisory_xact_lock(hashtext(?))', [`projection ${name}`]);
    const known = await tx('projection_checkpoints').where({ name }).first('version', 'position');
    if (known?.version === version) return known.position === null ? null : BigInt(known.position);
    for (const table of Object.keys(projection.tables))
      await tx.raw('drop table if exists ?? cascade', [table]);
    await projection.createTables(tx.schema);
    await deferIndexes(tx, projection);
    await tx('projection_checkpoints')
      .insert({ name, version, position: null, event_at: null, moved_at: tx.fn.now() })
      .onConflict('name')
      .merge();
    return null;
  });
}

type Moved = { readonly name: string; readonly version: number; readonly position: string | null };
type Work = {
  readonly statements: readonly Statement[];
  readonly moved: readonly Moved[];
  readonly to: bigint;
  readonly at: string | null;
};

/** What has to be stored for those that have not seen these events. From here on they are taken to be at their end. */
function plan(followed: readonly Followed[], { events, position: to }: Gathered): Work | undefined {
  if (to === null) return undefined;
  const behind = followed.filter(({ position }) => position === null || position < to);
  if (behind.length === 0) return undefined;
  const statements: Statement[] = [];
  const moved: Moved[] = [];
  for (const one of behind) {
    const { projection, position } = one;
    const { name, version, tables } = projection;
    const unseen = position === null ? events : events.filter(event => event.position > position);
    statements.push(...statementsOf(tables, mergeOps(tables, opsOfAll(projection, unseen))));
    moved.push({ name, version, position: position?.toString() ?? null });
    one.position = to;
  }
  return { statements, moved, to, at: events.at(-1)?.created ?? null };
}

async function storeWork(sql: Knex, work: Work | undefined): Promise<void> {
  if (work === undefined) return;
  await sql.transaction(async tx => {
    for (const statement of work.statements) await run(tx, statement);
    await moveCheckpoints(tx, work);
  });
}

function* opsOfAll(projection: Projection, events: readonly Recorded[]) {
  for (const event of events) yield* opsOf(projection, event);
}

/** A second projector finds a checkpoint moved, and stops before it has changed anything. */
async function moveCheckpoints(tx: Knex, { moved, to, at }: Work): Promise<void> {
  const { rowCount } = await tx.raw(
    `update projection_checkpoints as c
     set position = ?::bigint, event_at = coalesce(?::timestamptz, c.event_at), moved_at = now()
     from json_populate_recordset(null::projection_checkpoints, ?::json) as v
     where c.name = v.name and c.version = v.version and c.position is not distinct from v.position`,
    [to.toString(), at, JSON.stringify(moved)],
  );
  if (rowCount !== moved.length) throw new Error('another projector has moved a checkpoint');
  await tx.raw(`select pg_notify('${checkpointChannel}', ?)`, [to.toString()]);
}
