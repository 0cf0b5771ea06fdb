/**
 * What launches have used: by owner, app and day (in UTC), and by launch. In whole numbers, so that the sums are the same in
 * whatever order they are made.
 */
import { add, type Projection } from '../projection.ts';

const days = 'apps_usage';
const launches = 'apps_launch_usage';

export const usageSums: Projection = {
  name: days,
  version: 1,
  tables: { [days]: ['owner', 'app_id', 'day'], [launches]: ['launch_id'] },

  createTables: schema =>
    schema
      .createTable(launches, t => {
        t.text('launch_id').primary();
        t.bigInteger('cpu_ms').notNullable().defaultTo(0);
        t.bigInteger('memory_mb_seconds').notNullable().defaultTo(0);
      })
      .createTable(days, t => {
        t.text('owner').notNullable();
        t.text('app_id').notNullable();
        /** As 2026-01-31: the day on which the interval began. */
        t.text('day').notNullable();
        t.primary(['owner', 'app_id', 'day']);
        t.bigInteger('cpu_ms').notNullable().defaultTo(0);
        t.bigInteger('memory_mb_seconds').notNullable().defaultTo(0);
        t.index(['day']);
      }),

  on: {
    LaunchUsed: ({ data }) => {
      const by = { cpu_ms: data.cpuMs, memory_mb_seconds: data.memoryMbSeconds };
      const day = data.from.slice(0, 10);
      return [
        add(days, { owner: data.owner, app_id: data.appId, day }, by),
        add(launches, { launch_id: data.launchId }, by),
      ];
    },
  },
};
