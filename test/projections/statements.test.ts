/** Many statements in one message: in order, each about the tables of its schema, and all or none. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { createRunAll, runAll } from '../../projections/statements.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

suite('statements that go together', () => {
  let database: TestDatabase;
  before(async () => {
    database = await testDatabase();
    await Promise.all(Array.from({ length: 4 }, () => createRunAll(database.sql)));
    for (const schema of ['one', 'an "odd" one'])
      await database.sql.raw(`create schema :schema:; create table :schema:.t (n int, at text)`, { schema });
  });
  after(() => database.drop());

  const insert = (schema: string, n: number, more: object = {}) => ({
    schema,
    text: `insert into t select n, current_setting('apphub.at') from json_populate_recordset(null::t, ?::json)`,
    rows: JSON.stringify([{ n }]),
    ...more,
  });

  test('run in order, however many they are', async () => {
    const { sql } = database;
    const some = Array.from({ length: 4_500 }, (_, n) => insert(n % 2 === 0 ? 'one' : 'an "odd" one', n));
    await sql.transaction(tx => runAll(tx, some));
    const { rows } = await sql.raw('select n from one.t order by ctid');
    assert.deepEqual(
      rows.map(({ n }: { n: number }) => n),
      Array.from({ length: 2_250 }, (_, n) => 2 * n),
    );
    assert.equal((await sql.raw('select count(*)::int as n from "an ""odd"" one".t')).rows[0].n, 2_250);
  });

  test('know the event they are of, and leave the names of others as they were', async () => {
    const { sql } = database;
    await sql.transaction(async tx => {
      await runAll(tx, [insert('one', -1, { at: '77' }), insert('one', -2)]);
      assert.equal((await tx.raw('show search_path')).rows[0].search_path, 'public');
    });
    const { rows } = await sql.raw('select at from one.t where n < 0 order by n desc');
    assert.deepEqual(rows, [{ at: '77' }, { at: '' }]);
  });

  test('are nothing where one of them fails, and its own code says why', async () => {
    const { sql } = database;
    const bad = { ...insert('one', 0), rows: '[{"n": "many"}]' };
    await assert.rejects(
      sql.transaction(tx => runAll(tx, [insert('one', 99_999), bad])),
      { code: '22P02' },
    );
    assert.equal((await sql.raw('select count(*)::int as n from one.t where n = 99999')).rows[0].n, 0);
  });
});
