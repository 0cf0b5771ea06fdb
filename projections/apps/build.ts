/** Every build and how it ended. */
import { type Projection, patch, put } from '../projection.ts';

const table = 'apps_builds';

export const builds: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['build_id'] },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('build_id').primary();
      t.text('app_id').notNullable();
      t.text('commit').notNullable();
      t.text('ref');
      t.text('dockerfile_path').notNullable();
      t.text('cause').notNullable();
      t.text('status').notNullable();
      t.integer('attempt').notNullable();
      t.text('image');
      t.text('image_id');
      t.bigInteger('bytes');
      t.jsonb('ports');
      t.jsonb('failure');
      t.jsonb('log');
      t.integer('duration_ms');
      t.timestamp('requested_at').notNullable();
      t.timestamp('started_at');
      t.timestamp('finished_at');
      t.index(['app_id', 'requested_at']);
      t.index(['status', 'requested_at']);
    }),

  on: {
    BuildRequested: ({ data }) => [
      put(table, {
        build_id: data.buildId,
        app_id: data.appId,
        commit: data.commit,
        ref: data.ref,
        dockerfile_path: data.dockerfilePath,
        cause: data.cause,
        status: 'queued',
        attempt: 0,
        requested_at: data.at,
      }),
    ],
    BuildStarted: ({ data }) => [
      patch(
        table,
        { build_id: data.buildId },
        { status: 'running', attempt: data.attempt, started_at: data.at },
      ),
    ],
    BuildSucceeded: ({ data }) => [
      patch(
        table,
        { build_id: data.buildId },
        {
          status: 'succeeded',
          image: data.image,
          image_id: data.imageId,
          bytes: data.bytes,
          ports: data.ports,
          log: data.log,
          duration_ms: data.durationMs,
          finished_at: data.at,
        },
      ),
    ],
    BuildFailed: ({ data }) => [
      patch(
        table,
        { build_id: data.buildId },
        {
          status: 'failed',
          failure: { reason: data.reason, step: data.step, instruction: data.instruction },
          log: data.log,
          duration_ms: data.durationMs,
          finished_at: data.at,
        },
      ),
    ],
    BuildCancelled: ({ data }) => [
      patch(table, { build_id: data.buildId }, { status: 'cancelled', finished_at: data.at }),
    ],
  },
};
