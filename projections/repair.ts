/**
 * Mends what the self-audit found: the streams of each wrong row are folded again, and what comes of it takes the row's place.
 * The projector waits for it, readers do not.
 */
import type { Knex } from 'knex';
import type { EventStore } from '../eventstore/store.ts';
import { makeScratch } from './audit-tables.ts';
import { readDivergences, type Stored } from './divergence.ts';
import { type Generation, schemaOf } from './generation.ts';
import type { Projection } from './projection.ts';
import { isSame, type Key, keyOf, replaceRow, replaceRows, rowOf } from './ranges.ts';
import { loadStreams, openApplying, scratchOf } from './refold.ts';
import { advance } from './shadow.ts';

/** Given up long before PostgreSQL looks for a deadlock. */
const lockMsMax = 200;
const attemptsMax = 50;

type Deps = { readonly sql: Knex; readonly store: EventStore; readonly signal: AbortSignal };

export type Mended = { readonly rows: number; readonly position: bigint; readonly problem: string | null };

/** `allRows`: more are wrong than are written down, so that the shadow's rows are taken, all of them. */
export async function repair(
  deps: Deps,
  shadow: Generation,
  schema: string,
  allRows: boolean,
): Promise<Mended | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await repairOnce(deps, shadow, schema, allRows);
    } catch (error) {
      const isInTheWay = error instanceof Error && 'code' in error && error.code === '55P03';
      if (!isInTheWay || attempt === attemptsMax) throw error;
    }
  }
}

const sortedTables = ({ tables }: Projection) => Object.keys(tables).sort();

async function repairOnce(
  { sql, store, signal }: Deps,
  shadow: Generation,
  schema: string,
  allRows: boolean,
): Promise<Mended | undefined> {
  const { projection } = shadow;
  const { name } = projection;
  return sql.transaction(async tx => {
    await tx.raw(`set local lock_timeout = ${lockMsMax}`);
    await tx.raw('set local statement_timeout = 0');
    await tx.raw(`set local timezone = 'UTC'`);
    const tables = sortedTables(projection);
    const places = tables.map(() => '??.??').join(', ');
    await tx.raw(
      `lock table ${places} in share row exclusive mode`,
      tables.flatMap(table => [schema, table]),
    );
    // From here on the projector cannot write these tables, so they are what they are at its checkpoint.
    const live = await tx('projection_checkpoints')
      .where({ name })
      .first('generation', tx.raw('position::text as position'));
    if (live?.position == null || schemaOf(projection, live.generation) !== schema) return undefined;
    const position = BigInt(live.position);
    if (shadow.position !== null && shadow.position > position) return undefined;
    await advance(sql, store, [shadow], position, { eventsMax: Number.POSITIVE_INFINITY, signal });
    for (const table of tables) await tx.raw('alter table ??.?? disable trigger user', [schema, table]);
    const stored = await readDivergences(tx, name);
    const mended = allRows
      ? await takeAll(tx, shadow, schema)
      : await refoldRows(tx, store, shadow, schema, stored, position);
    for (const table of tables) await tx.raw('alter table ??.?? enable trigger user', [schema, table]);
    const problem =
      mended.left.length === 0
        ? null
        : `Each fold of the log gives other rows in ${[...new Set(mended.left)].join(', ')}: the code is not a pure function.`;
    if (problem === null) await tx('projection_divergences').where({ name }).delete();
    const wrong = problem === null ? { wrong_rows: 0 } : {};
    await tx('projection_audits')
      .where({ name })
      .update({ repair_wanted: false, repair_problem: problem, ...wrong });
    return { rows: mended.rows, position, problem };
  });
}

type Outcome = { readonly rows: number; readonly left: readonly string[] };

async function takeAll(tx: Knex, shadow: Generation, schema: string): Promise<Outcome> {
  const { projection, generation } = shadow;
  let rows = 0;
  for (const [table, columns] of Object.entries(projection.tables)) {
    const keyed = await keyOf(tx, schema, table, columns);
    rows += await replaceRows(tx, keyed, schema, schemaOf(projection, generation));
  }
  return { rows, left: [] };
}

/** A row is taken from the third fold where it agrees with the second: then two of three are the same. */
async function refoldRows(
  tx: Knex,
  store: EventStore,
  shadow: Generation,
  schema: string,
  stored: readonly Stored[],
  position: bigint,
): Promise<Outcome> {
  const { projection, generation } = shadow;
  const scratch = scratchOf(projection);
  const from = schemaOf(projection, generation);
  await makeScratch(tx, projection, scratch);
  const streams = new Set(stored.flatMap(one => one.streams ?? []));
  await openApplying(tx, projection)(await loadStreams(store, streams, position));
  const left: string[] = [];
  let rows = 0;
  for (const one of stored) {
    const columns = projection.tables[one.table] ?? [];
    const keyed = await keyOf(tx, schema, one.table, columns);
    const byName: Record<string, string> = JSON.parse(one.key);
    const key: Key = columns.map(column => byName[column] ?? '');
    const second = await rowOf(tx, keyed, from, key);
    const isMadeByTrigger = one.streams === null;
    const third = isMadeByTrigger ? second : await rowOf(tx, keyed, scratch, key);
    if (one.kind === 'unstable' || !isSame(second, third)) {
      left.push(one.table);
      continue;
    }
    await replaceRow(tx, keyed, schema, isMadeByTrigger ? from : scratch, key);
    rows += 1;
  }
  await tx.raw('drop schema ?? cascade', [scratch]);
  return { rows, left };
}
