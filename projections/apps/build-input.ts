/** What the builds of each app are given: their arguments, and the names of their secrets. */
import { drop, type Projection, put } from '../projection.ts';

const argsTable = 'apps_build_args';
const secretsTable = 'apps_build_secrets';

export const buildInputs: Projection = {
  name: 'apps_build_inputs',
  version: 1,
  tables: { [argsTable]: ['app_id'], [secretsTable]: ['app_id', 'name'] },

  createTables: schema =>
    schema
      .createTable(argsTable, t => {
        t.text('app_id').primary();
        t.jsonb('args').notNullable();
        t.timestamp('set_at').notNullable();
      })
      .createTable(secretsTable, t => {
        t.text('app_id').notNullable();
        t.text('name').notNullable();
        t.primary(['app_id', 'name']);
        t.integer('version').notNullable();
        t.text('key').notNullable();
        t.text('repo_url').notNullable();
        t.text('set_by').notNullable();
        t.timestamp('set_at').notNullable();
        t.index(['key']);
      }),

  on: {
    BuildArgsSet: ({ data }) => [put(argsTable, { app_id: data.appId, args: data.args, set_at: data.at })],
    BuildSecretSet: ({ data, metadata }) => [
      put(secretsTable, {
        app_id: data.appId,
        name: data.name,
        version: data.version,
        key: data.key,
        repo_url: data.repoUrl,
        set_by: metadata.actor,
        set_at: data.at,
      }),
    ],
    BuildSecretRemoved: ({ data }) => [drop(secretsTable, { app_id: data.appId, name: data.name })],
  },
};
