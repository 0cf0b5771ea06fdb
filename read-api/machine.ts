/**
 * What the workers say of the machine: whether the engine that builds and runs is there, and has room for more. It is said of
 * now; of an earlier time nothing is known.
 */
import type { Knex } from 'knex';
import { isPast } from './as-of.ts';

const believedSecondsMax = 30;

/** Null when an engine is there; else a sentence for people. */
export async function whyNoDocker(sql: Knex): Promise<string | null> {
  if (isPast()) return null;
  const row = await sql('worker_status')
    .where({ name: 'docker' })
    .select('ok', 'reason', sql.raw('extract(epoch from now() - at)::float as age'))
    .first()
    .catch(() => undefined);
  if (row === undefined) return 'The workers have not reported yet.';
  if (row.age > believedSecondsMax) return 'The workers have not reported for a while.';
  return row.ok ? null : (row.reason ?? 'The Docker engine does not answer.');
}

/** Null when an engine is there that builds; else a sentence for people. */
export async function whyNoBuilder(sql: Knex): Promise<string | null> {
  return (await whyNoDocker(sql)) ?? (await whyNot(sql, 'builder', 'No engine that builds answers.'));
}

/** Null when there is room for what a build makes; else a sentence for people. */
export async function whyFullDisk(sql: Knex): Promise<string | null> {
  return whyNot(sql, 'disk', 'There is no room for another image.');
}

/** Null where nothing was reported lately. */
async function whyNot(sql: Knex, name: string, byDefault: string): Promise<string | null> {
  if (isPast()) return null;
  const row = await sql('worker_status')
    .where({ name, ok: false })
    .whereRaw(`at > now() - ${believedSecondsMax} * interval '1 second'`)
    .first('reason')
    .catch(() => undefined);
  return row === undefined ? null : (row.reason ?? byDefault);
}

/** Null unless what was signed does not hold, or nothing can be signed. That stays true however long ago it was found. */
export async function whyNoProof(sql: Knex): Promise<string | null> {
  const row = await sql('worker_status')
    .where({ name: 'audit', ok: false })
    .first('reason')
    .catch(() => undefined);
  return row === undefined ? null : (row.reason ?? 'Nothing can be signed.');
}

/** As the workers report it. */
export type EngineState = {
  readonly name: string;
  readonly kind: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly builds: boolean;
  readonly awayReason: string | null;
  readonly awaySince: string | null;
  readonly cpus: number | null;
  readonly memoryBytes: number | null;
  readonly launchesMax: number | null;
  readonly promised: { readonly cpus: number; readonly memoryBytes: number; readonly launches: number };
};

/** Every engine, by name; none where the workers have not reported for a while. */
export async function enginesOf(sql: Knex): Promise<readonly EngineState[]> {
  const rows: readonly { state: EngineState }[] = await sql('worker_engines')
    .whereRaw(`at > now() - ${believedSecondsMax} * interval '1 second'`)
    .orderBy('name')
    .select('state')
    .catch(() => []);
  return rows.map(({ state }) => state);
}
