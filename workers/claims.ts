/**
 * Which engine a deployment belongs to, written down before anything is done there. A process that is killed between choosing and
 * starting leaves its choice to the next one, so that no deployment ever has a container on two engines.
 */
import type { Knex } from 'knex';
import type { Claims } from './adapters/engine-claims.ts';

const table = 'engine_claims';
const undefinedTable = '42P01';

export async function createClaimTable(sql: Knex): Promise<void> {
  await sql.raw(`
    create table if not exists ${table} (
      launch_id text not null, deployment integer not null, engine text not null,
      claimed_at timestamptz not null default now(), primary key (launch_id, deployment))`);
}

export function claimsIn(sql: Knex): Claims {
  return {
    async claim(launchId, deployment, engine) {
      const key = { launch_id: launchId, deployment };
      const [own] = await sql(table)
        .insert({ ...key, engine })
        .onConflict(['launch_id', 'deployment'])
        .ignore()
        .returning('engine');
      if (own !== undefined) return own.engine;
      const before = await sql(table).where(key).first('engine');
      return before?.engine ?? engine;
    },
    async of(launchId) {
      const rows = await sql(table)
        .where({ launch_id: launchId })
        .select('deployment', 'engine')
        // A process without workers may look before they have made the table.
        .catch((error: { code?: unknown }) => {
          if (error.code === undefinedTable) return [];
          throw error;
        });
      return new Map(rows.map(row => [Number(row.deployment), String(row.engine)]));
    },
    async forget(launchId, deployment) {
      const key = deployment === undefined ? {} : { deployment };
      await sql(table)
        .where({ launch_id: launchId, ...key })
        .delete();
    },
  };
}
