/** Merged operations do what the operations do one by one: tried with random operations on a real database. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { applySteps } from '../../projections/apply.ts';
import { mergeOps } from '../../projections/merge.ts';
import { add, drop, dropAll, type Op, patch, put } from '../../projections/projection.ts';
import { testDatabase } from '../support/postgres.ts';

const tables = { merge_pairs: ['a', 'b'], merge_single: ['a'] };
const emptied = ['merge_pairs', 'merge_single'];

async function createTables(sql: Knex): Promise<void> {
  await sql.schema.createTable('merge_pairs', t => {
    t.text('a');
    t.integer('b');
    t.primary(['a', 'b']);
    t.integer('n').notNullable().defaultTo(0);
    t.integer('m').notNullable().defaultTo(0);
    t.text('word');
    t.jsonb('json');
  });
  await sql.schema.createTable('merge_single', t => {
    t.text('a').primary();
    t.integer('n');
    t.text('word');
  });
}

const exact = { noNullPrototype: true };
const small = fc.integer({ min: -3, max: 3 });
const word = fc.constantFrom(null, '', 'x', "it's", '"ä\\');
const pair = fc.record({ a: fc.constantFrom('p', 'q"'), b: fc.constantFrom(1, 2) }, exact);
const single = fc.record({ a: fc.constantFrom('p', 'q') }, exact);
const json = fc.constantFrom(null, { deep: [1, 2] }, 5);
const pairColumns = fc.record({ n: small, m: small, word, json }, { ...exact, requiredKeys: [] });
const pairSums = fc.record({ n: small, m: small }, { ...exact, requiredKeys: [] });
const singleColumns = fc.record({ n: fc.option(small, { freq: 4 }), word }, { ...exact, requiredKeys: [] });
const some = (columns: object) => Object.keys(columns).length > 0;

const anyOp: fc.Arbitrary<Op> = fc.oneof(
  fc.tuple(pair, pairColumns).map(([key, columns]) => put('merge_pairs', { ...columns, ...key })),
  fc.tuple(pair, pairColumns.filter(some)).map(([key, set]) => patch('merge_pairs', key, set)),
  fc.tuple(pair, pairSums.filter(some)).map(([key, by]) => add('merge_pairs', key, by as { n: number })),
  pair.map(key => drop('merge_pairs', key)),
  pair.map(({ a }) => dropAll('merge_pairs', { a })),
  pair.map(key => dropAll('merge_pairs', key)),
  fc.tuple(single, singleColumns).map(([key, columns]) => put('merge_single', { ...columns, ...key })),
  fc.tuple(single, singleColumns.filter(some)).map(([key, set]) => patch('merge_single', key, set)),
  fc.tuple(single, small).map(([key, n]) => add('merge_single', key, { n })),
  single.map(key => drop('merge_single', key)),
);

suite('merged operations', async () => {
  const { sql, drop: dropDatabase } = await testDatabase();
  after(() => dropDatabase());
  await createTables(sql);

  async function outcome(batches: readonly (readonly Op[])[]): Promise<unknown> {
    return sql.transaction(async tx => {
      for (const table of emptied) await tx(table).delete();
      for (const ops of batches) await applySteps(tx, tables, mergeOps(tables, ops));
      return [
        await tx('merge_pairs').select().orderBy(['a', 'b']),
        await tx('merge_single').select().orderBy('a'),
      ];
    });
  }

  test('do the same in one batch, in two, and one by one', { timeout: 120_000 }, async () => {
    const property = fc.asyncProperty(fc.array(anyOp, { maxLength: 14 }), fc.nat(14), async (ops, cut) => {
      const alone = await outcome(ops.map(op => [op]));
      assert.deepEqual(await outcome([ops]), alone);
      assert.deepEqual(await outcome([ops.slice(0, cut), ops.slice(cut)]), alone);
    });
    await fc.assert(property, { numRuns: 300 });
  });

  test('touch a row once, however often a batch names it', () => {
    const key = { a: 'p', b: 1 };
    const ops = [
      put('merge_pairs', { ...key, n: 1 }),
      patch('merge_pairs', key, { word: 'x' }),
      add('merge_pairs', key, { n: 2 }),
      put('merge_pairs', { ...key, json: 5 }),
    ];
    assert.deepEqual(mergeOps(tables, ops), [
      {
        table: 'merge_pairs',
        deleteWhere: [],
        deleteKeys: [],
        puts: [{ ...key, n: 3, word: 'x', json: 5 }],
        patches: [],
        adds: [],
      },
    ]);
    const counted = mergeOps(tables, Array(1_000).fill(add('merge_pairs', key, { n: 1 })));
    assert.deepEqual(counted[0]?.adds, [{ key, by: { n: 1_000 } }]);
    assert.equal(counted.length, 1);
  });

  test('that name no table of the projection, or no beginning of its key, are a bug', () => {
    assert.throws(() => mergeOps(tables, [put('other', {})]), /no projection table other/);
    assert.throws(() => mergeOps(tables, [dropAll('merge_pairs', { b: 1 })]), /first columns of the key/);
    assert.throws(() => mergeOps(tables, [dropAll('merge_pairs', { a: 'p', n: 1 })]), /first columns/);
  });
});
