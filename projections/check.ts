/**
 * What would change if the code at hand took over: the whole log is folded by it beside everything, and what comes of it is held
 * against the live tables at the same position. Reads the log and the tables, and writes into its own.
 */
import type { Knex } from 'knex';
import {
  checkLock,
  dropCheckTables,
  type Fold,
  type FoldDeps,
  type Folded,
  foldTo,
  openFold,
  type Strange,
} from './check-fold.ts';
import { codeOf, codeOfAll } from './code.ts';
import { type Digests, digestsOf } from './digest.ts';
import { schemaOf } from './generation.ts';
import { createSkips } from './letters.ts';
import type { Projection } from './projection.ts';
import { differing, type Keyed, keyOf, keyText, rowOf } from './ranges.ts';

export type Finding = {
  readonly projection: string;
  readonly result: 'equal' | 'new' | 'gone' | 'version' | 'letters' | 'rows' | 'columns' | 'moved';
  /** Whether the code says by itself that, or why, there is a difference. */
  readonly isExplained: boolean;
  readonly sentence: string;
  readonly code: string | null;
  readonly tables: readonly {
    readonly table: string;
    readonly live: string | null;
    readonly here: string | null;
  }[];
  /** Columns that one side has and the other has not, or has otherwise. */
  readonly columns: readonly string[];
  /** Some rows that differ, with their columns. */
  readonly rows: readonly {
    readonly table: string;
    readonly key: string;
    readonly columns: readonly string[];
  }[];
  readonly deadLetters: Folded['poison'];
  readonly milliseconds: number;
};

export type UpgradeReport = {
  readonly isFine: boolean;
  readonly code: string;
  readonly position: string;
  readonly events: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly unknownTypes: readonly Strange[];
  readonly unliftable: readonly Strange[];
  readonly findings: readonly Finding[];
};

export type CheckDeps = FoldDeps & { readonly projections: readonly Projection[] };

/** Another check is running. */
export class CheckUnderWay extends Error {
  override readonly name = 'CheckUnderWay';
}

const rowsNamedMax = 3;
/** No log is as long. */
const everything = 1n << 62n;

/** Rejects with CheckUnderWay; in any case its tables are gone afterwards. */
export async function checkUpgrade(deps: CheckDeps): Promise<UpgradeReport> {
  const { sql } = deps;
  const holder = await sql.transaction();
  try {
    const { rows } = await holder.raw(`select pg_try_advisory_xact_lock(${checkLock}) as "isOurs"`);
    if (!rows[0].isOurs) throw new CheckUnderWay('Another check is running.');
    await createSkips(sql);
    await dropCheckTables(sql);
    try {
      return await check(deps);
    } finally {
      await dropCheckTables(sql);
    }
  } finally {
    await holder.rollback();
  }
}

async function check(deps: CheckDeps): Promise<UpgradeReport> {
  const { sql, projections } = deps;
  const begun = performance.now();
  const codes = await codeOf(projections);
  const fold = await openFold(sql, projections);
  const before = await sql.transaction(livesOf, { readOnly: true });
  const positions = [...before.values()].map(({ position }) => position).sort((a, b) => (a < b ? -1 : 1));
  // None of them goes back, so this is not behind any of them later. Without any, everything is folded.
  await foldTo(deps, fold, positions[0] ?? everything);
  const lives = await readLives(sql, projections);
  const last = [...lives.values()].reduce<bigint>(
    (most, { position }) => (position > most ? position : most),
    0n,
  );
  await foldTo(deps, fold, last, name => lives.get(name)?.position ?? last);
  const findings: Finding[] = [];
  for (const one of fold.all) {
    const { name } = one.of.projection;
    findings.push(await compare(sql, one, lives.get(name), codes.get(name) ?? '', before));
  }
  const names = new Set(projections.map(({ name }) => name));
  for (const [name, live] of lives) if (!names.has(name)) findings.push(goneOf(name, live));
  return reportOf(fold, findings, codeOfAll(codes), (performance.now() - begun) / 1_000);
}

function reportOf(fold: Fold, findings: readonly Finding[], code: string, seconds: number): UpgradeReport {
  const unknownTypes = [...fold.unknown.values()];
  const unliftable = [...fold.unliftable.values()];
  const isFine =
    unknownTypes.length === 0 && unliftable.length === 0 && findings.every(({ isExplained }) => isExplained);
  return {
    isFine,
    code,
    position: (fold.position ?? 0n).toString(),
    events: fold.events,
    seconds,
    eventsPerSecond: Math.round(fold.events / Math.max(seconds, 0.001)),
    unknownTypes,
    unliftable,
    findings,
  };
}

type Live = {
  readonly version: number;
  readonly generation: number;
  readonly position: bigint;
  readonly letters: readonly string[];
  readonly digests: Digests;
  readonly columns: ReadonlyMap<string, string>;
};

type Place = Pick<Live, 'version' | 'generation' | 'position'>;

async function livesOf(tx: Knex): Promise<Map<string, Place>> {
  const { rows: found } = await tx.raw(
    `select to_regclass('projection_checkpoints') is not null as "isThere"`,
  );
  if (!found[0].isThere) return new Map();
  const rows: { name: string; version: number; generation: number; at: string }[] = await tx(
    'projection_checkpoints',
  )
    .whereNotNull('position')
    .where('generation', '>', 0)
    .select('name', 'version', 'generation', tx.raw('position::text as at'));
  return new Map(rows.map(({ name, at, ...row }) => [name, { ...row, position: BigInt(at) }]));
}

/** What is read, all of one moment, with digests of those tables that the code at hand has too. */
async function readLives(sql: Knex, projections: readonly Projection[]): Promise<Map<string, Live>> {
  return sql.transaction(
    async tx => {
      await tx.raw('set local statement_timeout = 0');
      const found = new Map<string, Live>();
      for (const [name, place] of await livesOf(tx)) {
        const schema = schemaOf({ name }, place.generation);
        const columns = await columnsOf(tx, schema);
        const projection = projections.find(one => one.name === name);
        const there = new Set([...columns.keys()].map(column => column.split('.')[0] ?? ''));
        const tables = Object.entries(projection?.tables ?? {}).filter(([table]) => there.has(table));
        const of = projection && { ...projection, tables: Object.fromEntries(tables) };
        const digests = of === undefined ? {} : await digestsOf(tx, of, place.generation);
        found.set(name, { ...place, letters: await lettersIn(tx, name, place.generation), digests, columns });
      }
      return found;
    },
    { isolationLevel: 'repeatable read', readOnly: true },
  );
}

/** The version that is running may not know of letters yet. */
async function lettersIn(tx: Knex, projection: string, generation: number): Promise<readonly string[]> {
  const { rows } = await tx.raw(`select to_regclass('projection_letters') is not null as "isThere"`);
  if (!rows[0].isThere) return [];
  const letters: { stream: string; at: string }[] = await tx('projection_letters')
    .where({ projection, generation })
    .select('stream', tx.raw('position::text as at'));
  return letters.map(({ stream, at }) => `${stream} ${at}`).sort();
}

async function columnsOf(tx: Knex, schema: string): Promise<ReadonlyMap<string, string>> {
  const rows: { name: string; type: string }[] = await tx('information_schema.columns')
    .where({ table_schema: schema })
    .select(tx.raw(`table_name || '.' || column_name as name, data_type as type`));
  return new Map(rows.map(({ name, type }) => [name, type]));
}

async function compare(
  sql: Knex,
  one: Folded,
  live: Live | undefined,
  code: string,
  before: ReadonlyMap<string, Place>,
): Promise<Finding> {
  const { projection, generation } = one.of;
  const { name, version } = projection;
  const here = await sql.transaction(tx => digestsOf(tx, projection, generation), { readOnly: true });
  const columns =
    live === undefined ? [] : unlike(live.columns, await columnsOf(sql, schemaOf(projection, generation)));
  const tables = Object.entries(here)
    .map(([table, digest]) => ({ table, live: live?.digests[table] ?? null, here: digest }))
    .filter(table => table.live !== table.here);
  const common = { projection: name, code, tables, columns, rows: [], deadLetters: one.poison };
  const finding = (result: Finding['result'], isExplained: boolean, sentence: string): Finding => ({
    ...common,
    result,
    isExplained,
    sentence,
    milliseconds: Math.round(one.ms),
  });
  const letters = [...one.blocked].map(([stream, position]) => `${stream} ${position}`).sort();
  if (letters.length > (live?.letters.length ?? 0)) {
    const [first] = one.poison;
    const example = first === undefined ? '' : ` First ${first.type} at ${first.position}: ${first.error}`;
    return finding('letters', false, `This code cannot apply events of ${letters.length} streams.${example}`);
  }
  if (live === undefined) return finding('new', true, 'It is new in this code, and will be filled.');
  if (live.version !== version) {
    const from = `Version ${live.version} is read, this code has version ${version}`;
    return finding('version', true, `${from}: it will be filled beside what is read, and then shown.`);
  }
  if (before.get(name)?.generation !== live.generation)
    return finding('moved', false, 'Other tables were shown during the check; check again.');
  if (columns.length > 0)
    return finding('columns', false, `Its columns have changed, and its version has not: raise it.`);
  if (`${letters}` !== `${live.letters}`)
    return finding(
      'letters',
      true,
      `${live.letters.length} streams wait in what is read, and fewer with this code.`,
    );
  if (tables.length === 0) return finding('equal', true, 'The same rows.');
  const rows = await someRows(
    sql,
    one,
    live,
    tables.map(({ table }) => table),
  );
  const which = tables.map(({ table }) => table).join(', ');
  return {
    ...finding('rows', false, `Other rows in ${which}, and the same version: raise it, or mend the code.`),
    rows,
  };
}

const unlike = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>) => {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter(name => one.get(name) !== other.get(name)).sort();
};

/** For whoever has to find out why. Nothing where the live tables have moved on meanwhile: then anything may differ. */
async function someRows(
  sql: Knex,
  one: Folded,
  live: Live,
  tables: readonly string[],
): Promise<Finding['rows']> {
  const { projection, generation } = one.of;
  const [theirs, ours] = [schemaOf(projection, live.generation), schemaOf(projection, generation)];
  return sql.transaction(
    async tx => {
      await tx.raw(`set local timezone = 'UTC'`);
      const now = (await livesOf(tx)).get(projection.name);
      if (now?.position !== live.position) return [];
      const found: { table: string; key: string; columns: readonly string[] }[] = [];
      for (const table of tables) {
        const keyed: Keyed = await keyOf(tx, theirs, table, projection.tables[table] ?? []);
        const keys = keyed.columns.map(column => `"${column}"`);
        const shown = keys
          .map((column, at) => `coalesce(l.${column}, o.${column})::text as c${at}`)
          .join(', ');
        const { rows } = await tx.raw(
          `select ${shown} from ??.?? as l full join ??.?? as o using (${keys.join(', ')})
           where to_jsonb(l) is distinct from to_jsonb(o) order by ${keys.join(', ')} limit ${rowsNamedMax}`,
          [theirs, table, ours, table],
        );
        for (const row of rows as Record<string, string>[]) {
          const key = keyed.columns.map((_column, at) => row[`c${at}`] ?? '');
          const [a, b] = [await rowOf(tx, keyed, theirs, key), await rowOf(tx, keyed, ours, key)];
          found.push({ table, key: keyText(keyed, key), columns: differing(a, b) });
        }
      }
      return found;
    },
    { isolationLevel: 'repeatable read', readOnly: true },
  );
}

function goneOf(projection: string, live: Live): Finding {
  const sentence = `It is read at version ${live.version}, and this code has it no more: its tables are left as they are.`;
  return {
    projection,
    result: 'gone',
    isExplained: true,
    sentence,
    code: null,
    tables: [],
    columns: [],
    rows: [],
    deadLetters: [],
    milliseconds: 0,
  };
}
