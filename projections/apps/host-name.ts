/** Host names of somebody's own, and which app each leads to. */
import { drop, type Projection, patch, put } from '../projection.ts';

const table = 'apps_host_names';

export const hostNames: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['host'] },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('host').primary();
      t.text('app_id').notNullable();
      /** The only launch it shows; null: the newest that runs. */
      t.text('launch_id');
      t.timestamp('claimed_at').notNullable();
      t.index(['app_id']);
    }),

  on: {
    HostNameClaimed: ({ data }) => [
      put(table, { host: data.host, app_id: data.appId, launch_id: data.launchId, claimed_at: data.at }),
    ],
    HostNameAimed: ({ data }) => [patch(table, { host: data.host }, { launch_id: data.launchId })],
    HostNameReleased: ({ data }) => [drop(table, { host: data.host })],
  },
};
