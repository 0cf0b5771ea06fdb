/** What the workers say of the machine: whether the engine that builds and runs is there, and has room for more. */
import type { Knex } from 'knex';

const believedSecondsMax = 30;

/** Null when the engine is there; else a sentence for people. */
export async function whyNoDocker(sql: Knex): Promise<string | null> {
  const row = await sql('worker_status')
    .where({ name: 'docker' })
    .select('ok', 'reason', sql.raw('extract(epoch from now() - at)::float as age'))
    .first()
    .catch(() => undefined);
  if (row === undefined) return 'The workers have not reported yet.';
  if (row.age > believedSecondsMax) return 'The workers have not reported for a while.';
  return row.ok ? null : (row.reason ?? 'The Docker engine does not answer.');
}

/** Null when there is room for what a build makes; else a sentence for people. */
export async function whyFullDisk(sql: Knex): Promise<string | null> {
  const row = await sql('worker_status')
    .where({ name: 'disk', ok: false })
    .whereRaw(`at > now() - ${believedSecondsMax} * interval '1 second'`)
    .first('reason')
    .catch(() => undefined);
  return row === undefined ? null : (row.reason ?? 'There is no room for another image.');
}
