/**
 * What a start looks at before this code goes on with tables that other code has filled: whether the log is known to hold events
 * it does not know, what the last check of this very code has found, and whether the code of a projection has changed and its
 * version has not. Costs a few queries and the reading of some dozens of small files.
 */
import type { Knex } from 'knex';
import type { Finding, UpgradeReport } from './check.ts';
import { checkLock, dropCheckTables } from './check-fold.ts';
import { codeOf, codeOfAll } from './code.ts';
import { createEventTypes } from './event-types.ts';
import type { Projection } from './projection.ts';

const checksMax = 20;

/** `known`: refuses what is known to be wrong; `strict`: also code that has changed and was not checked; `off`: nothing. */
type GateMode = 'known' | 'strict' | 'off';

/** In sentences for whoever starts it. */
class UpgradeRefused extends Error {
  override readonly name = 'UpgradeRefused';
}

async function createGate(sql: Knex): Promise<void> {
  await sql.raw(`
    create table if not exists projection_code (name text primary key, version integer not null, code text not null);
    create table if not exists upgrade_checks (
      code text primary key, checked_at timestamptz not null, report jsonb not null)`);
  await createEventTypes(sql);
}

/** For the next start of the code that was checked. */
export async function keepReport(sql: Knex, report: UpgradeReport): Promise<void> {
  await createGate(sql);
  await sql.transaction(async tx => {
    await tx('upgrade_checks')
      .insert({ code: report.code, checked_at: tx.fn.now(), report: JSON.stringify(report) })
      .onConflict('code')
      .merge();
    const old = tx('upgrade_checks').orderBy('checked_at', 'desc').offset(checksMax).select('code');
    await tx('upgrade_checks').whereIn('code', old).delete();
  });
}

type Deps = {
  readonly sql: Knex;
  readonly projections: readonly Projection[];
  readonly knownTypes: ReadonlySet<string>;
  readonly mode: GateMode;
  readonly log: { warn(detail: object, line: string): void };
};

/** Rejects with UpgradeRefused. Otherwise notes whose code the tables are filled by from now on. */
export async function passGate(deps: Deps): Promise<void> {
  const { sql, projections, mode, log } = deps;
  await createGate(sql);
  await dropLeftovers(sql);
  const codes = await codeOf(projections);
  const { refusals, warnings } = await objections(deps, codes);
  if (mode !== 'off' && refusals.length > 0) {
    const advice = 'Start the version of before, mend this one, or start with --unchecked.';
    throw new UpgradeRefused([...refusals, advice].join('\n'));
  }
  for (const sentence of [...refusals, ...warnings]) log.warn({}, sentence);
  const changed = projections.map(({ name, version }) => ({ name, version, code: codes.get(name) ?? '' }));
  // Code that was neither checked nor refused is asked about again at the next start.
  const unsure = new Set(warnings.length === 0 ? [] : await changedNames(sql, changed));
  const sure = changed.filter(({ name }) => !unsure.has(name));
  if (sure.length > 0) await sql('projection_code').insert(sure).onConflict('name').merge();
}

/** Whoever is killed in a check leaves its tables behind. Nothing is done while a check runs. */
export async function dropLeftovers(sql: Knex): Promise<number> {
  return sql.transaction(async tx => {
    const { rows } = await tx.raw(`select pg_try_advisory_xact_lock(${checkLock}) as "isOurs"`);
    return rows[0].isOurs ? dropCheckTables(tx) : 0;
  });
}

type Code = { readonly name: string; readonly version: number; readonly code: string };

/** Of projections whose tables were filled by other code of the same version. */
async function changedNames(sql: Knex, codes: readonly Code[]): Promise<readonly string[]> {
  const before: Code[] = await sql('projection_code').select('name', 'version', 'code');
  return codes.flatMap(({ name, version, code }) => {
    const known = before.find(one => one.name === name);
    return known !== undefined && known.version === version && known.code !== code ? [name] : [];
  });
}

async function objections({ sql, projections, knownTypes, mode }: Deps, codes: ReadonlyMap<string, string>) {
  const refusals: string[] = [];
  const warnings: string[] = [];
  const types: { type: string; at: string }[] = await sql('log_event_types')
    .orderBy('position')
    .select('type', sql.raw('position::text as at'));
  const strange = types.filter(({ type }) => !knownTypes.has(type));
  if (strange.length > 0) {
    const named = strange.map(({ type, at }) => `${type} (first at ${at})`).join(', ');
    refusals.push(`The log holds events that this version does not know, written by a newer one: ${named}.`);
  }
  const all = codeOfAll(codes);
  const checked: { report: UpgradeReport } | undefined = await sql('upgrade_checks')
    .where({ code: all })
    .first('report');
  if (checked !== undefined) refusals.push(...refusalsOf(checked.report));
  const present = projections.map(({ name, version }) => ({ name, version, code: codes.get(name) ?? '' }));
  const isEqual = (name: string) =>
    checked?.report.findings.some(one => one.projection === name && one.result === 'equal') === true;
  const changed = (await changedNames(sql, present)).filter(name => !isEqual(name));
  if (changed.length > 0 && refusals.length === 0) {
    const what = `The code of ${changed.join(', ')} has changed since its tables were filled`;
    const sentence = `${what}, and its version has not: run apphub upgrade check.`;
    (mode === 'strict' ? refusals : warnings).push(sentence);
  }
  return { refusals, warnings };
}

function refusalsOf({ findings, unknownTypes, unliftable }: UpgradeReport): readonly string[] {
  const wrong = findings.filter((one: Finding) => !one.isExplained);
  return [
    ...unknownTypes.map(
      ({ type, first }) => `The log holds ${type} (first at ${first}), which this version does not know.`,
    ),
    ...unliftable.map(
      ({ type, first, error }) => `${type} at ${first} cannot be lifted to its present shape: ${error}`,
    ),
    ...wrong.map(({ projection, sentence }) => `${projection}: ${sentence}`),
  ];
}
