/** Each app as it is now: what its owner says of it, what the newest ingestion found, and how that ingestion stands. */
import { type Projection, patch, put, type Row } from '../projection.ts';

const table = 'apps_repositories';
const newlyRegistered: Row = {
  archived: false,
  ingest_status: 'pending',
  status_message: null,
  release: null,
  sandbox: null,
};

const columnOf: Readonly<Record<string, string>> = {
  name: 'name',
  description: 'description',
  repoUrl: 'repo_url',
  ref: 'ref',
  dockerfilePath: 'dockerfile_path',
  homepage: 'homepage',
  owner: 'owner',
};

export const repositories: Projection = {
  name: table,
  version: 2,
  tables: { [table]: ['app_id'] },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('app_id').primary();
      t.text('name').notNullable();
      t.text('description');
      t.text('repo_url').notNullable();
      t.text('ref');
      t.text('dockerfile_path');
      t.text('homepage');
      t.text('owner');
      t.boolean('archived').notNullable();
      t.text('ingest_status').notNullable();
      t.text('status_message');
      t.integer('run').notNullable().defaultTo(0);
      t.integer('attempt').notNullable().defaultTo(0);
      t.text('cause');
      t.jsonb('inspection');
      t.text('commit');
      t.text('branch');
      t.jsonb('release');
      /** Null: as every app is. */
      t.jsonb('sandbox');
      t.timestamp('created_at').notNullable();
      t.timestamp('updated_at').notNullable();
      t.timestamp('ingested_at');
      // What the periodic sync and the restart sweep look for.
      t.index(['archived', 'ingest_status', 'ingested_at']);
    }),

  on: {
    RepositoryRegistered: ({ data }) => {
      const { appId, at, tags: _tags, ...description } = data;
      const row = renamed(description);
      return [put(table, { app_id: appId, ...row, ...newlyRegistered, created_at: at, updated_at: at })];
    },
    RepositoryChanged: ({ data }) => [
      patch(table, { app_id: data.appId }, { ...renamed(data.changes), updated_at: data.at }),
    ],
    RepositoryTagged: ({ data }) => [patch(table, { app_id: data.appId }, { updated_at: data.at })],
    RepositoryUntagged: ({ data }) => [patch(table, { app_id: data.appId }, { updated_at: data.at })],
    RepositorySandboxChanged: ({ data }) => [
      patch(table, { app_id: data.appId }, { sandbox: data.sandbox, updated_at: data.at }),
    ],
    RepositoryReleased: ({ data }) => [
      patch(table, { app_id: data.appId }, { release: data.release, updated_at: data.at }),
    ],
    RepositoryArchived: ({ data }) => [
      patch(table, { app_id: data.appId }, { archived: true, updated_at: data.at }),
    ],

    IngestionQueued: ({ data }) => [
      patch(
        table,
        { app_id: data.appId },
        { ingest_status: 'pending', run: data.run, attempt: 0, cause: data.cause, updated_at: data.at },
      ),
    ],
    IngestionStarted: ({ data }) => [
      patch(
        table,
        { app_id: data.appId },
        { ingest_status: 'processing', attempt: data.attempt, updated_at: data.at },
      ),
    ],
    IngestionAttemptFailed: ({ data }) => [
      patch(
        table,
        { app_id: data.appId },
        { ingest_status: 'pending', status_message: data.reason, updated_at: data.at },
      ),
    ],
    IngestionFailed: ({ data }) => [
      patch(
        table,
        { app_id: data.appId },
        { ingest_status: 'failed', status_message: data.reason, updated_at: data.at },
      ),
    ],
    IngestionCancelled: ({ data }) => [
      patch(
        table,
        { app_id: data.appId },
        { ingest_status: 'failed', status_message: 'The ingestion was cancelled', updated_at: data.at },
      ),
    ],
    IngestionSucceeded: ({ data }) => [
      patch(
        table,
        { app_id: data.appId },
        {
          ingest_status: 'ready',
          status_message: null,
          inspection: data.inspection,
          commit: data.commit,
          branch: data.branch,
          ingested_at: data.at,
          updated_at: data.at,
        },
      ),
    ],
  },
};

function renamed(description: { readonly [field: string]: string | null }): Row {
  return Object.fromEntries(
    Object.entries(description).map(([field, value]) => [columnOf[field] ?? field, value]),
  );
}
