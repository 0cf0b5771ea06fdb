/** Whether what a list is of is there at all: an empty list of nobody's would hide a slip of the pen. */
import type { Knex } from 'knex';
import { Refusal } from '../domain/kernel/refusal.ts';

/** Rejects with not-found (404) for an app that was never registered. Costs a look-up by primary key. */
export async function refuseUnknownApp(sql: Knex, appId: string): Promise<void> {
  const row = await sql('apps_repositories').where({ app_id: appId }).first('app_id');
  if (row === undefined) throw new Refusal('not-found', { appId });
}
