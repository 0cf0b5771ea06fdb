/** Rows that two folds have different: which of them is wrong, since when, and what is written down about it. */
import type { Knex } from 'knex';
import type { Divergence } from '../domain/platform/projection.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { Projection } from './projection.ts';
import { differing, isSame, keyText, type Written } from './ranges.ts';
import { judge, judgeByAll, type Suspect, streamsOf, type Verdict } from './refold.ts';

/** A row at one position, in the live table and in the shadow. */
export type Differing = Suspect & { readonly live: Written; readonly shadow: Written };

/** As it is stored: with the streams that the row is made of; null: triggers make it, or a part of it. */
export type Found = Divergence & { readonly streams: readonly string[] | null };

export type Diagnosis = {
  readonly found: readonly Found[];
  /** Rows that the live table has right, and the shadow not. */
  readonly shadowIsWrong: number;
};

type Deps = { readonly sql: Knex; readonly store: EventStore; readonly signal: AbortSignal };

/** Folds the rows a third time, from their own streams, to find out. `at`: the position of both sides. */
export async function diagnose(
  deps: Deps,
  projection: Projection,
  rows: readonly Differing[],
  at: bigint,
  soundUpToOf: (table: string) => string | null,
): Promise<Diagnosis> {
  const streams = await streamsOf(deps, projection, rows, at);
  const made = rows.flatMap((row, index) => {
    const of = streams[index] ?? null;
    return of === null ? [] : [{ ...row, streams: of }];
  });
  const byStreams = await judge(deps, projection, made, at);
  const verdicts = new Map<Differing, Verdict>();
  let next = 0;
  for (const [index, row] of rows.entries()) {
    if ((streams[index] ?? null) === null) continue;
    const verdict = byStreams[next];
    next += 1;
    // What comes out as neither may depend on other streams by a trigger.
    if (verdict !== undefined && isEither(verdict.row, row)) verdicts.set(row, verdict);
  }
  const unsure = rows.filter(row => !verdicts.has(row));
  if (unsure.length > 0) {
    const byAll = await judgeByAll(deps, projection, unsure, at);
    for (const [index, row] of unsure.entries()) {
      const verdict = byAll[index];
      if (verdict !== undefined) verdicts.set(row, verdict);
    }
  }
  const found: Found[] = [];
  let shadowIsWrong = 0;
  for (const [index, row] of rows.entries()) {
    const verdict = verdicts.get(row);
    if (verdict === undefined) continue;
    if (isSame(verdict.row, row.live)) shadowIsWrong += 1;
    else {
      const of = unsure.includes(row) ? null : (streams[index] ?? null);
      found.push(foundOf(row, verdict, of, soundUpToOf(row.keyed.table)));
    }
  }
  return { found, shadowIsWrong };
}

const isEither = (row: Written, { live, shadow }: Differing) => isSame(row, live) || isSame(row, shadow);

function foundOf(
  { keyed, key, live, shadow }: Differing,
  { row, position }: Verdict,
  streams: readonly string[] | null,
  soundUpTo: string | null,
): Found {
  const kind = !isSame(row, shadow)
    ? 'unstable'
    : live === undefined
      ? 'missing'
      : shadow === undefined
        ? 'extra'
        : 'changed';
  const columns = differing(live, shadow);
  return {
    table: keyed.table,
    key: keyText(keyed, key),
    kind,
    columns,
    position: position?.toString() ?? null,
    soundUpTo,
    streams,
  };
}

/** Replaces what is written down about a projection. */
export async function writeDivergences(
  sql: Knex,
  { name }: Projection,
  found: readonly Found[],
  comparedAt: bigint,
): Promise<void> {
  await sql.transaction(async tx => {
    const before = await readDivergences(tx, name);
    await tx('projection_divergences').where({ name }).delete();
    for (const { table, key, kind, columns, position, soundUpTo, streams } of found) {
      const known = before.find(one => one.table === table && one.key === key);
      await tx('projection_divergences').insert({
        name,
        table,
        key,
        kind,
        columns,
        position,
        sound_up_to: soundUpTo,
        compared_at: comparedAt.toString(),
        streams,
        found_at: known?.foundAt ?? tx.fn.now(),
      });
    }
  });
}

export type Stored = Found & { readonly foundAt: string };

export async function readDivergences(sql: Knex, name: string): Promise<readonly Stored[]> {
  const rows = await sql('projection_divergences')
    .where({ name })
    .orderBy(['table', 'key'])
    .select('*', sql.raw('position::text as at'), sql.raw('sound_up_to::text as sound'));
  return rows.map(row => ({
    table: row.table,
    key: row.key,
    kind: row.kind,
    columns: row.columns,
    position: row.at,
    soundUpTo: row.sound,
    streams: row.streams,
    foundAt: row.found_at,
  }));
}
