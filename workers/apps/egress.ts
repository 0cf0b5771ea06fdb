/** Tells owners what their apps were refused on their way out: counts in a table, because an app may try for ever. */
import type { Knex } from 'knex';
import type { Denial } from '../egress/denials.ts';
import type { EgressProxy } from '../egress/egress-proxy.ts';

const table = 'launch_egress_denials';
const rowsPerLaunchMax = 100;
const keptDays = 7;

/** Adds to the counts what was refused since the last time. Of a launch that has many, further hosts are counted together. */
export async function countDenials({
  sql,
  egress,
}: {
  sql: Knex;
  egress?: EgressProxy | undefined;
}): Promise<void> {
  const denials = egress?.takeDenials() ?? [];
  for (const denial of denials) await count(sql, denial);
  if (denials.length > 0) {
    await sql(table).whereRaw(`last_at < now() - ${keptDays} * interval '1 day'`).delete();
  }
}

async function count(sql: Knex, { launchId, host, port, reason, count: times }: Denial): Promise<void> {
  const known = { launch_id: launchId, host, port, reason };
  const others = { ...known, host: '…', port: 0 };
  const add = (row: typeof known) =>
    sql(table)
      .insert({ ...row, count: times, first_at: sql.fn.now(), last_at: sql.fn.now() })
      .onConflict(['launch_id', 'host', 'port', 'reason'])
      .merge({ count: sql.raw(`${table}.count + excluded.count`), last_at: sql.fn.now() });
  const isThere = (await sql(table).where(known).first('count')) !== undefined;
  const [{ rows } = { rows: 0 }] = await sql(table).where({ launch_id: launchId }).count('* as rows');
  await add(isThere || Number(rows) < rowsPerLaunchMax ? known : others);
}
