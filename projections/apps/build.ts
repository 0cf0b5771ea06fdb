/** Every build and how it ended. */
import { type Projection, patch, put } from '../projection.ts';

const table = 'apps_builds';

export const builds: Projection = {
  name: table,
  version: 2,
  tables: { [table]: ['build_id'] },
  madeAt: { [table]: 'requested_at' },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('build_id').primary();
      t.text('app_id').notNullable();
      t.text('repo_url').notNullable();
      t.text('commit').notNullable();
      t.text('ref');
      t.text('dockerfile_path').notNullable();
      t.jsonb('args').notNullable();
      t.text('cause').notNullable();
      t.boolean('pinned').notNullable();
      t.text('status').notNullable();
      t.integer('attempt').notNullable();
      t.text('image');
      t.text('image_id');
      t.bigInteger('bytes');
      t.jsonb('ports');
      t.jsonb('failure');
      t.jsonb('superseded_by');
      t.jsonb('provenance');
      t.jsonb('pushed');
      t.jsonb('log');
      t.integer('duration_ms');
      /** Where the request is in the log: builds are taken up in this order. */
      t.bigInteger('asked_position').notNullable();
      t.timestamp('requested_at').notNullable();
      t.timestamp('started_at');
      t.timestamp('finished_at');
      t.index(['app_id', 'requested_at']);
      t.index(['status', 'requested_at']);
      t.index(['status', 'asked_position']);
    }),

  on: {
    BuildRequested: ({ data, position }) => [
      put(table, {
        build_id: data.buildId,
        app_id: data.appId,
        repo_url: data.repoUrl,
        commit: data.commit,
        ref: data.ref,
        dockerfile_path: data.dockerfilePath,
        args: data.args,
        cause: data.cause,
        pinned: data.pinned,
        status: 'queued',
        attempt: 0,
        asked_position: position.toString(),
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
          provenance: data.provenance,
          pushed: data.pushed,
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
    BuildSuperseded: ({ data }) => [
      patch(
        table,
        { build_id: data.buildId },
        { status: 'superseded', superseded_by: data.by, finished_at: data.at },
      ),
    ],
  },
};
