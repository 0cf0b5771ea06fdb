/** What a check of an upgrade finds, and what a start makes of it. */
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import type { Knex } from 'knex';
import type { memoryStore } from '../../eventstore/memory.ts';
import { type CheckDeps, checkUpgrade, type UpgradeReport } from '../../projections/check.ts';
import { checkLock } from '../../projections/check-fold.ts';
import { dropLeftovers, keepReport, passGate } from '../../projections/gate.ts';
import { add, type Projection, put } from '../../projections/projection.ts';
import { checkProjector, reached, write } from '../support/projector.ts';

const name = 'seen';
const at = '2026-01-02T03:04:05.000Z';
const types = new Set(['RepositoryChanged', 'BuildCancelled', 'IngestionCancelled']);

/** The rows of apps by their names. */
function seen(more: Partial<Projection> = {}, spell = (word: string) => word): Projection {
  return {
    name,
    version: 1,
    tables: { [name]: ['id'], [`${name}_total`]: ['id'] },
    createTables: schema =>
      schema
        .createTable(name, t => {
          t.text('id').primary();
          t.text('word').notNullable();
        })
        .createTable(`${name}_total`, t => {
          t.text('id').primary();
          t.integer('n').notNullable().defaultTo(0);
        }),
    on: {
      RepositoryChanged: ({ data }) => [
        put(name, { id: data.appId, word: spell(data.changes.name ?? '') }),
        add(`${name}_total`, { id: 'all' }, { n: 1 }),
      ],
    },
    ...more,
  };
}

type Store = ReturnType<typeof memoryStore>;
const change = (store: Store, appId: string, word: string) =>
  write(store, `apps.repository-${appId}`, {
    type: 'RepositoryChanged',
    data: { appId, changes: { name: word }, at },
  } as never);

const signal = new AbortController().signal;
const check = (sql: Knex, store: Store, projection: Projection, more: Partial<CheckDeps> = {}) =>
  checkUpgrade({
    sql,
    stored: store,
    projections: [projection],
    upcast: (_type, data) => data,
    knownTypes: types,
    signal,
    ...more,
  });
const leftovers = async (sql: Knex): Promise<number> =>
  (await sql.raw(`select 1 from pg_namespace where nspname like 'p\\_%\\_-1'`)).rows.length;
const told: string[] = [];
const gate = (sql: Knex, projection: Projection, mode: 'known' | 'strict' | 'off' = 'known') =>
  passGate({
    sql,
    projections: [projection],
    knownTypes: types,
    mode,
    log: { warn: (_detail, line) => void told.push(line) },
  });
const only = ({ findings }: UpgradeReport) => {
  assert.equal(findings.length, 1);
  const [finding] = findings;
  return finding ?? assert.fail('no finding');
};

suite('a check of an upgrade', () => {
  checkProjector(
    'of the same code finds the same, while what runs goes on',
    async ({ sql, store, start }) => {
      for (let n = 0; n < 50; n += 1) await change(store, `a${n % 7}`, `w${n}`);
      start(seen());
      await reached(sql, name, await change(store, 'a1', 'last'));
      const stop = new AbortController();
      const writing = (async () => {
        for (let n = 0; !stop.signal.aborted; n += 1) {
          await change(store, `b${n % 5}`, `x${n}`);
          await new Promise(resolve => setTimeout(resolve, 1));
        }
      })();
      for (let n = 0; n < 5; n += 1) {
        const report = await check(sql, store, seen());
        assert.deepEqual([only(report).result, report.isFine, report.unknownTypes], ['equal', true, []]);
        assert.ok(report.events >= 51 && report.eventsPerSecond > 0);
      }
      stop.abort();
      await writing;
      assert.equal(await leftovers(sql), 0);
    },
  );

  checkProjector(
    'explains a new version, and a projection that is new or gone',
    async ({ sql, store, start }) => {
      start(seen());
      await reached(sql, name, await change(store, 'a', 'one'));
      const raised = only(
        await check(
          sql,
          store,
          seen({ version: 2 }, word => word.toUpperCase()),
        ),
      );
      assert.deepEqual([raised.result, raised.isExplained], ['version', true]);
      assert.match(raised.sentence, /Version 1 is read, this code has version 2/);
      assert.deepEqual(
        raised.tables.map(({ table }) => table),
        [name],
      );
      const other: Projection = { ...seen(), name: 'another', tables: { another: ['id'] }, on: {} };
      const renamed: Projection = {
        ...other,
        createTables: schema => schema.createTable('another', t => void t.text('id').primary()),
      };
      const report = await check(sql, store, renamed);
      assert.deepEqual(
        report.findings.map(one => [one.projection, one.result, one.isExplained]),
        [
          ['another', 'new', true],
          [name, 'gone', true],
        ],
      );
      assert.equal(report.isFine, true);
    },
  );

  checkProjector(
    'names rows that differ at the same version; a start refuses that code',
    async ({ sql, store, start }) => {
      const running = start(seen());
      await change(store, 'a', 'One');
      await reached(sql, name, await change(store, 'b', 'two'));
      await running.stop();
      await gate(sql, seen());
      const changed = seen({}, word => word.toLowerCase());
      const report = await check(sql, store, changed);
      const finding = only(report);
      assert.deepEqual([finding.result, finding.isExplained, report.isFine], ['rows', false, false]);
      assert.deepEqual(finding.rows, [{ table: name, key: '{"id":"a"}', columns: ['word'] }]);
      assert.match(finding.sentence, /Other rows in seen, and the same version/);
      await keepReport(sql, report);
      await assert.rejects(gate(sql, changed), /UpgradeRefused.*seen: Other rows|seen: Other rows/s);
      await gate(sql, changed, 'off');
      // Columns that differ need no comparison of rows.
      const wider = seen({
        createTables: schema =>
          schema
            .createTable(name, t => {
              t.text('id').primary();
              t.text('word').notNullable();
              t.text('more');
            })
            .createTable(`${name}_total`, t => {
              t.text('id').primary();
              t.integer('n').notNullable().defaultTo(0);
            }),
      });
      const columns = only(await check(sql, store, wider));
      assert.deepEqual([columns.result, columns.columns], ['columns', ['seen.more']]);
    },
  );

  checkProjector(
    'finds events that nobody knows, or that cannot be lifted',
    async ({ sql, store, start }) => {
      start(seen());
      await change(store, 'a', 'one');
      const strange = await write(store, 'apps.repository-a', {
        type: 'RepositoryDreamt',
        data: { appId: 'a', at },
      } as never);
      await reached(sql, name, await change(store, 'a', 'two'));
      const report = await check(sql, store, seen());
      assert.equal(report.isFine, false);
      assert.deepEqual(report.unknownTypes, [{ type: 'RepositoryDreamt', count: 1, first: `${strange}` }]);
      // A start knows it from the tables, without any check.
      await assert.rejects(
        gate(sql, seen()),
        /does not know, written by a newer one: RepositoryDreamt \(first at 2\)/,
      );
      const upcast = (_type: string, data: { changes?: { name: string } }) => {
        if (data.changes?.name === 'two') throw new TypeError('no such field');
        return data;
      };
      const unliftable = await check(sql, store, seen(), { upcast: upcast as never });
      assert.deepEqual(unliftable.unliftable, [
        { type: 'RepositoryChanged', count: 1, first: '3', error: 'TypeError: no such field' },
      ]);
      assert.equal(unliftable.isFine, false);
    },
  );

  checkProjector('counts what cannot be applied', async ({ sql, store, start }) => {
    const bad = (word: string) => {
      if (word === 'bad') throw new TypeError('cannot spell');
      return word;
    };
    await change(store, 'a', 'one');
    await change(store, 'b', 'bad');
    await change(store, 'b', 'later');
    start(seen());
    await reached(sql, name, await change(store, 'c', 'three'));
    const finding = only(await check(sql, store, seen({}, bad)));
    assert.deepEqual([finding.result, finding.isExplained], ['letters', false]);
    assert.match(
      finding.sentence,
      /cannot apply events of 1 streams.*RepositoryChanged at 2: TypeError: cannot spell/,
    );
  });

  checkProjector('what waits in what is read, and here, is no difference', async ({ sql, store, start }) => {
    const bad = (word: string) => {
      if (word === 'bad') throw new TypeError('cannot spell');
      return word;
    };
    await change(store, 'b', 'bad');
    const running = start(seen({}, bad));
    await reached(sql, name, await change(store, 'b', 'later'));
    assert.equal(only(await check(sql, store, seen({}, bad))).result, 'equal');
    const mended = only(await check(sql, store, seen()));
    assert.deepEqual([mended.result, mended.isExplained], ['letters', true]);
    assert.deepEqual(running.errors, []);
  });

  checkProjector(
    'that was killed leaves nothing for long; two at once are refused',
    async ({ sql, store, start }) => {
      start(seen());
      await reached(sql, name, await change(store, 'a', 'one'));
      const killed = check(sql, store, seen(), {
        onProgress() {
          throw new Error('killed');
        },
      });
      await assert.rejects(killed, /killed/);
      await sql.raw('create schema "p_seen_-1"');
      await sql.raw('create table "p_seen_-1".seen (id text)');
      const holder = await sql.transaction();
      await holder.raw(`select pg_advisory_xact_lock(${checkLock})`);
      assert.equal(await dropLeftovers(sql), 0, 'somebody uses them');
      await assert.rejects(check(sql, store, seen()), /Another check is running/);
      await holder.rollback();
      assert.equal(await dropLeftovers(sql), 1);
      await sql.raw('create schema "p_seen_-1"');
      assert.equal((await check(sql, store, seen())).isFine, true);
      assert.equal(await leftovers(sql), 0);
    },
  );

  checkProjector(
    'a start tells of code that changed, and strictly asks for a check',
    async ({ sql, store, start }) => {
      start(seen());
      await reached(sql, name, await change(store, 'a', 'one'));
      await gate(sql, seen());
      const moved = seen({
        on: {
          RepositoryChanged: ({ data }) => [...(seen().on.RepositoryChanged?.({ data } as never) ?? [])],
        },
      });
      told.length = 0;
      await gate(sql, moved);
      await gate(sql, moved);
      assert.equal(told.length, 2, 'until it has been checked');
      assert.match(told[0] ?? '', /code of seen has changed since its tables were filled/);
      await assert.rejects(gate(sql, moved, 'strict'), /run apphub upgrade check/);
      await keepReport(sql, await check(sql, store, moved));
      await gate(sql, moved, 'strict');
      await gate(sql, moved, 'strict');
      assert.equal(told.length, 2);
    },
  );
});
