/** Quotas that are reached, until they are freed or their period is over. */
import { drop, type Projection, put } from '../projection.ts';

const table = 'apps_quotas';

export const quotas: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['quota_id', 'resource'] },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('quota_id').notNullable();
      t.text('resource').notNullable();
      t.primary(['quota_id', 'resource']);
      /** Null: of all launches together. */
      t.text('owner');
      t.bigInteger('used').notNullable();
      t.bigInteger('max').notNullable();
      t.timestamp('until').notNullable();
      t.timestamp('reached_at').notNullable();
    }),

  on: {
    QuotaReached: ({ data }) => [
      put(table, {
        quota_id: data.quotaId,
        resource: data.resource,
        owner: data.owner,
        used: data.used,
        max: data.max,
        until: data.until,
        reached_at: data.at,
      }),
    ],
    QuotaFreed: ({ data }) => [drop(table, { quota_id: data.quotaId, resource: data.resource })],
  },
};
