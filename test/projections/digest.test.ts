import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { digestColumns } from '../../projections/digest.ts';
import { testDatabase } from '../support/postgres.ts';

const rowCount = 60;

suite('the digest of a table', async () => {
  const { sql, drop } = await testDatabase();
  after(drop);
  await sql.raw('create schema p');
  const columns = 'id integer primary key, name text, words tsvector, data jsonb, at timestamptz';
  await sql.raw(`create table p.first (${columns})`);
  await sql.raw(
    `insert into p.first select n, 'name ' || n, to_tsvector('simple', 'word' || n), jsonb_build_object('n', n),
       '2026-01-01'::timestamptz + n * interval '1 s' from generate_series(1, ${rowCount}) as n`,
  );
  const digest = async (table: string, only?: readonly string[]): Promise<string> => {
    const { rows } = await sql.raw(
      `select ${await digestColumns(sql, 'p', table, only)} from p.${table} as t`,
    );
    return `${rows[0].rows} ${rows[0].sum}`;
  };
  const wanted = await digest('first');

  test('does not depend on the order of rows, nor on that of columns', async () => {
    await sql.raw('create table p.other (at timestamptz, data jsonb, name text, words tsvector, id integer)');
    await sql.raw('insert into p.other select at, data, name, words, id from p.first order by id desc');
    assert.equal(await digest('other'), wanted);
  });

  test('is another one when two rows have changed places, whichever they are', async () => {
    for (let one = 1; one < rowCount; one += 2) {
      const swap = () =>
        sql.raw(
          `update p.first t set name = o.name from p.first o
           where t.id in (:one, :other) and o.id = :one::integer + :other::integer - t.id`,
          { one, other: one + 1 },
        );
      await swap();
      assert.notEqual(await digest('first'), wanted, `${one}`);
      await swap();
      assert.equal(await digest('first'), wanted);
    }
  });

  test('is another one for each column that is changed, also to or from nothing', async () => {
    for (const set of [
      `name = ''`,
      'name = null',
      `words = ''`,
      `data = '{"n": "1"}'`,
      "at = at + interval '1 us'",
    ]) {
      const found = await sql
        .transaction(async tx => {
          await tx.raw(`update p.first set ${set} where id = 7`);
          const { rows } = await tx.raw(`select ${await digestColumns(tx, 'p', 'first')} from p.first as t`);
          throw Object.assign(new Error('taken back'), { found: `${rows[0].rows} ${rows[0].sum}` });
        })
        .catch(error => error.found);
      assert.notEqual(found, wanted, set);
    }
  });

  test('of some columns does not see the others; of none it counts', async () => {
    const [names, none] = [await digest('first', ['id', 'name']), await digest('first', [])];
    await sql.raw(`update p.first set data = '{}'`);
    assert.equal(await digest('first', ['id', 'name']), names);
    assert.notEqual(await digest('first'), wanted);
    await sql.raw('delete from p.first where id = 1');
    assert.notEqual(await digest('first', []), none);
  });
});
