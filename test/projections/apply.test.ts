import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { applySteps } from '../../projections/apply.ts';
import { mergeOps } from '../../projections/merge.ts';
import { add, drop, dropAll, type Op, patch, put } from '../../projections/projection.ts';
import { testDatabase } from '../support/postgres.ts';

const table = 'Odd "name"';
const tables = { [table]: ['set', 'no'] };

suite('operations on tables', async () => {
  const { sql, drop: dropDatabase } = await testDatabase();
  after(() => dropDatabase());
  await sql.schema.createTable(table, t => {
    t.text('set');
    t.bigInteger('no');
    t.primary(['set', 'no']);
    t.jsonb('json');
    t.timestamp('at');
    t.bigInteger('count').notNullable().defaultTo(0);
    t.specificType('words', 'text[]');
  });
  const apply = (...ops: Op[]) => applySteps(sql, tables, mergeOps(tables, ops));
  const rows = () => sql(table).select().orderBy(['set', 'no']);
  const empty = { json: null, at: null, count: 0, words: null };

  test('put, patch, add, drop and dropAll, with names and values as odd as they come', async () => {
    const key = { set: 'o\'b"r?', no: '9007199254740991' };
    await apply(
      put(table, {
        ...key,
        json: { a: ['?', ':b', null] },
        at: '2026-01-02T03:04:05.678Z',
        words: ['ä', ''],
      }),
    );
    const first = {
      set: key.set,
      no: 9_007_199_254_740_991,
      json: { a: ['?', ':b', null] },
      at: '2026-01-02T03:04:05.678Z',
      count: 0,
      words: ['ä', ''],
    };
    assert.deepEqual(await rows(), [first]);
    await apply(patch(table, key, { json: null }), patch(table, { set: 'none', no: 1 }, { json: 1 }));
    assert.deepEqual(await rows(), [{ ...first, json: null }]);
    await apply(
      add(table, { set: 's', no: 1 }, { count: 3 }),
      add(table, { set: 's', no: 1 }, { count: -1 }),
    );
    await apply(add(table, { set: 's', no: 1 }, { count: 5 }), put(table, { set: 's', no: 2 }));
    assert.deepEqual((await rows()).slice(1), [
      { set: 's', no: 1, ...empty, count: 7 },
      { set: 's', no: 2, ...empty },
    ]);
    await apply(drop(table, { set: 's', no: 1 }), drop(table, { set: 'none', no: 1 }));
    assert.equal((await rows()).length, 2);
    await apply(dropAll(table, { set: 's' }), put(table, { set: 's', no: 3 }));
    assert.deepEqual((await rows()).slice(1), [{ set: 's', no: 3, ...empty }]);
  });

  test('a put of nothing but the key leaves a row that is there as it is', async () => {
    await apply(put(table, { set: 'k', no: 1, count: 4 }));
    await apply(put(table, { set: 'k', no: 1 }));
    assert.deepEqual(await sql(table).where({ set: 'k' }).select(), [
      { set: 'k', no: 1, ...empty, count: 4 },
    ]);
  });

  test('what a table cannot hold is left out, and stops nothing', async () => {
    await sql(table).delete();
    await apply(
      put(table, { set: 'a\0', no: 1, json: { deep: ['\ud800x', '\\u0000'] }, words: ['\udc00', '😀'] }),
      patch(table, { set: 'b\0', no: 1 }, { at: null }),
      add(table, { set: 'c\ud83d', no: 1 }, { count: 2 }),
      drop(table, { set: 'd\0', no: 1 }),
    );
    assert.deepEqual(await rows(), [
      { ...empty, set: 'a', no: 1, json: { deep: ['\ufffdx', '\\u0000'] }, words: ['\ufffd', '😀'] },
      { ...empty, set: 'c\ufffd', no: 1, count: 2 },
    ]);
  });
});
