import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { buildInputs } from '../../../projections/apps/build-input.ts';
import { samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

suite('what builds are given, in the tables', async () => {
  const tables = await openTables(buildInputs);
  after(() => tables.close());

  test('the arguments of an app', async () => {
    assert.deepEqual(await tables.rowsAfter(samples('BuildArgsSet')), [
      { app_id: 'todo', args: { NODE_ENV: 'production' }, set_at: '2026-01-01T00:00:15.000Z' },
    ]);
  });

  test('its secrets by name, until they are removed', async () => {
    const secrets = 'apps_build_secrets';
    assert.deepEqual(await tables.rowsAfter(samples('BuildSecretSet'), secrets), [
      {
        app_id: 'todo',
        name: 'npmrc',
        version: 2,
        key: 'k2',
        repo_url: 'https://git.example/todo.git',
        set_by: 'operator:ann',
        set_at: '2026-01-01T00:00:15.000Z',
      },
    ]);
    assert.deepEqual(await tables.rowsAfter(samples('BuildSecretSet', 'BuildSecretRemoved'), secrets), []);
  });
});
