/** What the workers say of the machine: whether the engine that builds and runs is there. */
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
