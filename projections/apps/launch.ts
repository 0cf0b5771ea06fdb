/** Every launch, where its container listens, and how it ended. */
import { type Projection, patch, put } from '../projection.ts';

const table = 'apps_launches';

export const launches: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['launch_id'] },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('launch_id').primary();
      t.text('app_id').notNullable();
      t.text('build_id').notNullable();
      t.text('image').notNullable();
      t.text('image_id').notNullable();
      t.jsonb('env').notNullable();
      t.text('resource_profile').notNullable();
      t.text('status').notNullable();
      t.integer('port');
      t.text('container_id');
      t.integer('host_port');
      t.integer('started_in_ms');
      t.jsonb('failure');
      t.timestamp('requested_at').notNullable();
      t.timestamp('running_at');
      t.timestamp('ended_at');
      t.timestamp('expires_at').notNullable();
      t.index(['app_id', 'requested_at']);
      t.index(['status', 'expires_at']);
    }),

  on: {
    LaunchRequested: ({ data }) => [
      put(table, {
        launch_id: data.launchId,
        app_id: data.appId,
        build_id: data.buildId,
        image: data.image,
        image_id: data.imageId,
        env: data.env,
        resource_profile: data.resourceProfile,
        status: 'requested',
        port: data.port,
        requested_at: data.at,
        expires_at: data.expiresAt,
      }),
    ],
    LaunchStarting: ({ data }) => [
      patch(
        table,
        { launch_id: data.launchId },
        { status: 'starting', container_id: data.containerId, host_port: data.hostPort, port: data.port },
      ),
    ],
    LaunchRunning: ({ data }) => [
      patch(
        table,
        { launch_id: data.launchId },
        { status: 'running', started_in_ms: data.startedInMs, running_at: data.at },
      ),
    ],
    LaunchStopping: ({ data }) => [patch(table, { launch_id: data.launchId }, { status: 'stopping' })],
    LaunchStopped: ({ data }) => [
      patch(table, { launch_id: data.launchId }, { status: 'stopped', ended_at: data.at }),
    ],
    LaunchExpired: ({ data }) => [
      patch(table, { launch_id: data.launchId }, { status: 'expired', ended_at: data.at }),
    ],
    LaunchFailed: ({ data }) => [
      patch(
        table,
        { launch_id: data.launchId },
        {
          status: 'failed',
          failure: { reason: data.reason, exitCode: data.exitCode, lastLines: data.lastLines },
          ended_at: data.at,
        },
      ),
    ],
  },
};
