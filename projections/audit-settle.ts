/** The end of a look at one projection: what was found in its tables is looked into, written down and reported. */
import type { Knex } from 'knex';
import type { Divergence } from '../domain/platform/projection.ts';
import type { EventStore } from '../eventstore/store.ts';
import { forgetShadow } from './audit-tables.ts';
import { type Differing, diagnose, type Found, readDivergences, writeDivergences } from './divergence.ts';
import { type Generation, schemaOf } from './generation.ts';
import type { ProjectorLog } from './projector.ts';
import {
  differing,
  isSame,
  type Key,
  type Keyed,
  keyText,
  type RangeDigest,
  rowOf,
  type Written,
} from './ranges.ts';
import { type Live, snapshot } from './snapshot.ts';

/** As many rows are looked into and reported; more are counted. */
const namedRowsMax = 100;

export type Report = {
  diverged(found: {
    projection: string;
    position: string;
    rows: number;
    divergences: readonly Divergence[];
  }): Promise<void>;
  repaired(found: {
    projection: string;
    position: string;
    rows: number;
    how: 'refolded' | 'overwritten';
  }): Promise<void>;
};

type SettleDeps = {
  readonly sql: Knex;
  readonly store: EventStore;
  readonly report: Report;
  readonly log: ProjectorLog;
  readonly signal: AbortSignal;
};

/** What a look at a table found. */
export type Tally = {
  readonly keyed: Keyed;
  ranges: number;
  readonly digests: RangeDigest[];
  /** Where the look began. */
  readonly from: bigint;
  /** The keys of rows that differ. */
  readonly wrong: Key[];
};

type Means = {
  bring(shadow: Generation, live: Live, lives: ReadonlyMap<string, Live>): Promise<boolean>;
  /** Of this process: what an earlier one found and did not report is reported now. */
  readonly isFirst: boolean;
};

/** Answers whether the shadow is to be trusted. */
export async function settle(
  deps: SettleDeps,
  shadow: Generation,
  tallies: readonly Tally[],
  means: Means,
): Promise<boolean> {
  const { sql } = deps;
  const { projection } = shadow;
  const suspects = tallies.flatMap(({ keyed, wrong }) => wrong.map(key => ({ keyed, key })));
  const rows = await rowsAt(sql, shadow, suspects.slice(0, namedRowsMax), means);
  if (rows.length === 0) {
    await writeTables(sql, shadow, tallies);
    await settleSound(deps, shadow, tallies, means.isFirst);
    return true;
  }
  const soundUpTo = await soundOf(sql, projection.name);
  const known = new Map(
    (await readDivergences(sql, projection.name)).map(one => [`${one.table} ${one.key}`, one]),
  );
  const isKnown = (row: Differing) => {
    const columns = known.get(`${row.keyed.table} ${keyText(row.keyed, row.key)}`)?.columns;
    return columns?.join() === differing(row.live, row.shadow).join();
  };
  const at = shadow.position ?? 0n;
  const fresh = rows.filter(row => !isKnown(row));
  const { found, shadowIsWrong } =
    fresh.length === 0
      ? { found: [], shadowIsWrong: 0 }
      : await diagnose(deps, projection, fresh, at, table => soundUpTo.get(table) ?? null);
  const kept = rows.filter(isKnown).flatMap(({ keyed, key }) => {
    const one = known.get(`${keyed.table} ${keyText(keyed, key)}`);
    return one === undefined ? [] : [one];
  });
  const all = [...kept, ...found].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  await writeTables(sql, shadow, tallies);
  if (all.length > 0) {
    const count = Math.max(all.length, suspects.length - shadowIsWrong);
    await writeDivergences(sql, projection, all, at);
    await writeState(sql, shadow, tallies, count);
    const divergences = all.map(({ table, key, kind, columns, position, soundUpTo }) => ({
      table,
      key,
      kind,
      columns,
      position,
      soundUpTo,
    }));
    deps.log.error(
      { projection: projection.name, rows: count, divergences },
      'rows are not what the log says',
    );
    await deps.report.diverged({
      projection: projection.name,
      position: at.toString(),
      rows: count,
      divergences,
    });
  }
  if (shadowIsWrong === 0) return true;
  deps.log.error(
    { projection: projection.name, rows: shadowIsWrong },
    'the shadow of the self-audit is filled anew',
  );
  await forgetShadow(sql, projection);
  return false;
}

const nameOf = ({ table, key }: Found) => `${table} ${key}`;

/** Rows of both sides at one position, as far as they still differ there. */
async function rowsAt(
  sql: Knex,
  shadow: Generation,
  suspects: readonly { readonly keyed: Keyed; readonly key: Key }[],
  { bring }: Means,
): Promise<readonly Differing[]> {
  if (suspects.length === 0) return [];
  const name = shadow.projection.name;
  const first = await snapshot(sql, async (tx, lives) => {
    const live = lives.get(name);
    return live && { live, lives, rows: await readRows(tx, live.schema, suspects) };
  });
  if (first === undefined || !(await bring(shadow, first.live, first.lives))) return [];
  const own = schemaOf(shadow.projection, shadow.generation);
  const second = await snapshot(sql, tx => readRows(tx, own, suspects));
  return suspects
    .map((suspect, at) => ({ ...suspect, live: first.rows[at], shadow: second[at] }))
    .filter(({ live, shadow }) => !isSame(live, shadow));
}

async function readRows(
  tx: Knex,
  schema: string,
  suspects: readonly { readonly keyed: Keyed; readonly key: Key }[],
): Promise<readonly Written[]> {
  const rows: Written[] = [];
  for (const { keyed, key } of suspects) rows.push(await rowOf(tx, keyed, schema, key));
  return rows;
}

async function settleSound(
  { sql, report }: SettleDeps,
  shadow: Generation,
  tallies: readonly Tally[],
  isFirst: boolean,
): Promise<void> {
  const { name } = shadow.projection;
  const gone = await sql('projection_divergences').where({ name }).delete();
  await writeState(sql, shadow, tallies, 0);
  if (gone === 0 && !isFirst) return;
  const position = (shadow.position ?? 0n).toString();
  await report.repaired({ projection: name, position, rows: gone, how: 'overwritten' });
}

async function writeState(
  sql: Knex,
  { projection }: Generation,
  tallies: readonly Tally[],
  wrongRows: number,
): Promise<void> {
  const rows = tallies.reduce((sum, { digests }) => sum + rowsOf(digests), 0);
  const from = tallies.map(tally => tally.from).sort((a, b) => (a < b ? -1 : 1))[0];
  await sql('projection_audits')
    .where({ name: projection.name })
    .update({
      state: wrongRows === 0 ? 'sound' : 'diverged',
      rows,
      wrong_rows: wrongRows,
      checked_at: sql.fn.now(),
      ...(wrongRows === 0 ? { sound_up_to: from?.toString() ?? null, repair_problem: null } : {}),
    });
}

const rowsOf = (digests: readonly RangeDigest[]) => digests.reduce((sum, { rows }) => sum + rows, 0);

const partsOf = (sum: string) => /^(-?\d+)-(-?\d+)$/.exec(sum)?.slice(1) ?? [];

/** The digest of each table, made of those of its ranges. */
async function writeTables(sql: Knex, { projection }: Generation, tallies: readonly Tally[]): Promise<void> {
  for (const { keyed, ranges, digests, from, wrong } of tallies) {
    const sums = digests.map(({ sum }) => partsOf(sum).map(BigInt));
    const total = (at: number) => sums.reduce((all, parts) => all + (parts[at] ?? 0n), 0n);
    const digest = `${rowsOf(digests)}-${total(0)}-${total(1)}`;
    const row = {
      name: projection.name,
      table: keyed.table,
      ranges,
      rows: rowsOf(digests),
      digest,
      checked_at: sql.fn.now(),
      ...(wrong.length === 0 ? { sound_up_to: from.toString() } : {}),
    };
    await sql('projection_audit_tables').insert(row).onConflict(['name', 'table']).merge();
  }
}

async function soundOf(sql: Knex, name: string): Promise<ReadonlyMap<string, string>> {
  const rows = await sql('projection_audit_tables')
    .where({ name })
    .whereNotNull('sound_up_to')
    .select('table', sql.raw('sound_up_to::text as sound'));
  return new Map(rows.map(row => [row.table, row.sound]));
}
