/** The projector on a real database: what is stored together, and what a crash, a restart or a new version leaves. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Knex } from 'knex';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { add, type Projection, put } from '../../projections/projection.ts';
import { checkpointChannel, project } from '../../projections/projector.ts';
import { newEvent } from '../contract/eventstore.ts';
import { testDatabase } from '../support/postgres.ts';

const waitMsMax = 20_000;
const timeout = 60_000;

/** Counts builds that were cancelled, and keeps them: a counter shows an event that is applied twice. */
function counting(name: string, more: Partial<Projection> & { seen?: bigint[] } = {}): Projection {
  const { seen, ...rest } = more;
  return {
    name,
    version: 1,
    tables: { [name]: ['id'], [`${name}_total`]: ['id'] },
    createTables: schema =>
      schema
        .createTable(name, t => {
          t.text('id').primary();
        })
        .createTable(`${name}_total`, t => {
          t.text('id').primary();
          t.integer('n').notNullable().defaultTo(0);
        }),
    on: {
      BuildCancelled: ({ data, position }) => {
        seen?.push(position);
        return [put(name, { id: data.buildId }), add(`${name}_total`, { id: 'all' }, { n: 1 })];
      },
    },
    ...rest,
  };
}

async function cancel(store: EventStore, from: number, count: number): Promise<bigint> {
  let last = 0n;
  for (let n = from; n < from + count; n += 1) {
    const data = { buildId: `b${n}`, appId: 'todo', at: '2026-01-02T03:04:05.000Z' };
    last = (await store.append(`apps.build-b${n}`, [newEvent(data, 'BuildCancelled')], 'none')).position;
  }
  return last;
}

/** A projector in the background. `stop` resolves when it has ended. */
function start(sql: Knex, store: EventStore, projections: readonly Projection[]) {
  const aborter = new AbortController();
  const errors: unknown[] = [];
  const log = {
    info: () => undefined,
    error: (detail: object) => void errors.push((detail as { err: unknown }).err),
  };
  const running = project(sql, store, projections, { signal: aborter.signal, log });
  return {
    errors,
    async stop() {
      aborter.abort();
      await running;
    },
  };
}

async function until(what: string, met: () => Promise<boolean> | boolean): Promise<void> {
  const giveUp = Date.now() + waitMsMax;
  while (!(await met())) {
    assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}

const totalOf = async (sql: Knex, name: string): Promise<number> =>
  (
    await sql(`${name}_total`)
      .first('n')
      .catch(() => undefined)
  )?.n ?? 0;
const checkpointOf = async (sql: Knex, name: string) => {
  const row = await sql('projection_checkpoints')
    .where({ name })
    .first('version', 'position')
    .catch(() => undefined);
  return row === undefined ? undefined : { version: row.version, position: row.position };
};
const reached = (sql: Knex, name: string, position: bigint) =>
  until(`${name} at ${position}`, async () => (await checkpointOf(sql, name))?.position === Number(position));

/** Runs a test with a database and a log of its own. */
function check(title: string, body: (sql: Knex, store: EventStore, url: string) => Promise<void>): void {
  test(title, { timeout }, async () => {
    const { sql, connectionString, drop } = await testDatabase();
    try {
      await body(sql, memoryStore(), connectionString);
    } finally {
      await drop();
    }
  });
}

suite('the projector', () => {
  check('keeps rows and checkpoint true to the log, also to what comes later', async (sql, store) => {
    const last = await cancel(store, 0, 5);
    const running = start(sql, store, [counting('first'), counting('second')]);
    await reached(sql, 'second', last);
    const later = await cancel(store, 5, 2);
    await reached(sql, 'first', later);
    await running.stop();
    for (const name of ['first', 'second']) {
      assert.equal(await totalOf(sql, name), 7);
      assert.equal((await sql(name).select()).length, 7);
      assert.deepEqual(await checkpointOf(sql, name), { version: 1, position: Number(later) });
    }
    assert.deepEqual(running.errors, []);
  });

  check('goes on after a restart behind what is stored', async (sql, store) => {
    const last = await cancel(store, 0, 3);
    const first = start(sql, store, [counting('first')]);
    await reached(sql, 'first', last);
    await first.stop();
    const later = await cancel(store, 3, 2);
    const seen: bigint[] = [];
    const second = start(sql, store, [counting('first', { seen })]);
    await reached(sql, 'first', later);
    await second.stop();
    assert.deepEqual(seen, [last + 1n, last + 2n]);
    assert.equal(await totalOf(sql, 'first'), 5);
  });

  check('fills the tables of a new version anew, and no others', async (sql, store) => {
    const last = await cancel(store, 0, 4);
    const before = start(sql, store, [counting('first'), counting('second')]);
    await reached(sql, 'second', last);
    await before.stop();
    await sql('first_total').update({ n: 100 });
    await sql('second_total').update({ n: 100 });
    const seen: bigint[] = [];
    const after = start(sql, store, [counting('first', { version: 2 }), counting('second', { seen })]);
    await until('the new version', async () => {
      const { version, position } = (await checkpointOf(sql, 'first')) ?? {};
      return version === 2 && position === Number(last);
    });
    await after.stop();
    assert.deepEqual(await checkpointOf(sql, 'first'), { version: 2, position: Number(last) });
    assert.equal(await totalOf(sql, 'first'), 4);
    assert.equal(await totalOf(sql, 'second'), 100);
    assert.deepEqual(seen, []);
  });

  check('a projection that is new begins at the start beside one that is far', async (sql, store) => {
    const last = await cancel(store, 0, 3);
    const before = start(sql, store, [counting('first')]);
    await reached(sql, 'first', last);
    await before.stop();
    const later = await cancel(store, 3, 1);
    const after = start(sql, store, [counting('first'), counting('second')]);
    await reached(sql, 'first', later);
    await reached(sql, 'second', later);
    await after.stop();
    assert.deepEqual([await totalOf(sql, 'first'), await totalOf(sql, 'second')], [4, 4]);
  });

  check('a batch that fails leaves nothing, and is stored once it can be', async (sql, store) => {
    const running = start(sql, store, [counting('first'), counting('second')]);
    await until('the tables', async () => (await checkpointOf(sql, 'second')) !== undefined);
    // Not the fault of an event.
    await sql.raw(`
      create function no_room() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;
      create trigger full_disk before insert on p_second_1.second execute function no_room()`);
    const last = await cancel(store, 0, 3);
    await until('a failure', () => running.errors.length > 0);
    assert.equal(await totalOf(sql, 'first'), 0, 'rows without their checkpoint');
    assert.deepEqual(await checkpointOf(sql, 'first'), { version: 1, position: null });
    await sql.raw('drop trigger full_disk on p_second_1.second');
    await reached(sql, 'first', last);
    await reached(sql, 'second', last);
    await running.stop();
    assert.equal(await totalOf(sql, 'first'), 3);
    assert.equal((await sql('second').select()).length, 3);
    assert.equal((await sql('projection_letters').select()).length, 0);
  });

  check('killed in the middle of a batch: the batch is stored once', async (sql, store) => {
    const first = await cancel(store, 0, 2);
    const running = start(sql, store, [counting('first')]);
    await reached(sql, 'first', first);

    const holder = await sql.transaction();
    await holder.raw('select 1 from projection_checkpoints for update');
    const last = await cancel(store, 2, 3);
    const waiting = `select pid from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%projection_checkpoints%'`;
    // The rows are written; the transaction waits for the checkpoint, which we hold.
    await until('the batch to be half done', async () => (await sql.raw(waiting)).rows.length === 1);
    assert.equal(await totalOf(sql, 'first'), 2);
    await sql.raw(`select pg_terminate_backend(pid) from (${waiting}) as w`);
    await until('the failure', () => running.errors.length > 0);
    assert.equal(await totalOf(sql, 'first'), 2);
    await holder.rollback();

    await reached(sql, 'first', last);
    await running.stop();
    assert.equal(await totalOf(sql, 'first'), 5);
  });

  check('two at once do not apply an event twice', async (sql, store) => {
    const first = await cancel(store, 0, 1);
    const projectors = [start(sql, store, [counting('first')])];
    await reached(sql, 'first', first);
    projectors.push(start(sql, store, [counting('first')]));
    const last = await cancel(store, 1, 40);
    await reached(sql, 'first', last);
    for (const { stop } of projectors) await stop();
    assert.equal(await totalOf(sql, 'first'), 41);
  });

  check('tells who waits that the checkpoint has moved', async (sql, store) => {
    const client = await sql.client.acquireConnection();
    const heard: string[] = [];
    client.on('notification', (note: { payload: string }) => heard.push(note.payload));
    await client.query(`listen ${checkpointChannel}`);
    const running = start(sql, store, [counting('first')]);
    const last = await cancel(store, 0, 1);
    await until('the note', () => heard.includes(String(last)));
    await running.stop();
    assert.equal((await checkpointOf(sql, 'first'))?.position, Number(last));
    await client.query('unlisten *');
    await sql.client.releaseConnection(client);
  });
});
