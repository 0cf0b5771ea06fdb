/** Tables that are made anew beside the ones that are read: what readers see meanwhile, and what is shown in the end. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, test } from 'node:test';
import type { Knex } from 'knex';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { add, type Projection, put } from '../../projections/projection.ts';
import { project } from '../../projections/projector.ts';
import { testDatabase } from '../support/postgres.ts';

const timeout = Number(process.env.SWITCHES ?? 0) > 50 ? 600_000 : 120_000;
const lateMs = 1_500;
const waitMsMax = 60_000;
const switches = Number(process.env.SWITCHES ?? 12);
const name = 'counted';

function counting(more: Partial<Projection> = {}): Projection {
  return {
    name,
    version: 1,
    tables: { [name]: ['id'], [`${name}_total`]: ['id'] },
    createTables: schema =>
      schema
        .createTable(name, t => {
          t.text('id').primary();
          t.text('app_id').notNullable();
          t.index(['app_id']);
        })
        .createTable(`${name}_total`, t => {
          t.text('id').primary();
          t.integer('n').notNullable().defaultTo(0);
        }),
    on: {
      BuildCancelled: ({ data }) => [
        put(name, { id: data.buildId, app_id: data.appId }),
        add(`${name}_total`, { id: 'all' }, { n: 1 }),
      ],
    },
    ...more,
  };
}

function start(sql: Knex, store: EventStore, projections: readonly Projection[]) {
  const aborter = new AbortController();
  const errors: unknown[] = [];
  const log = {
    info: () => undefined,
    error: (detail: object) => void errors.push(detail),
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

async function until<T>(what: string, met: () => Promise<T | false | undefined>): Promise<T> {
  const giveUp = Date.now() + waitMsMax;
  for (;;) {
    const found = await met();
    if (found !== false && found !== undefined) return found;
    assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** One that lets those who follow it wait for long before it says anything. They have not caught up meanwhile. */
function lateLog(store: EventStore): EventStore {
  return {
    ...store,
    async *subscribe(options) {
      await new Promise(resolve => setTimeout(resolve, lateMs));
      yield* store.subscribe(options);
    },
  };
}

let written = 0;
async function write(store: EventStore, type: string, stream: string, data: object): Promise<bigint> {
  const cause = randomUUID();
  const at = new Date().toISOString();
  const metadata = { actor: 'tester', correlationId: cause, causationId: cause, time: at };
  const event = { id: randomUUID(), type, data: { ...data, at }, metadata };
  return (await store.append(`${stream}-${randomUUID()}`, [event] as never, 'none')).position;
}
const cancel = (store: EventStore) => {
  written += 1;
  return write(store, 'BuildCancelled', 'apps.build', { buildId: `b${written}`, appId: 'todo' });
};
const ask = (store: EventStore, what: 'Rebuild' | 'Rollback') =>
  write(store, `Projection${what}Requested`, 'platform.projection', { projection: name });

type Live = { generation: number; version: number; position: number | null };
const liveOf = (sql: Knex): Promise<Live | undefined> =>
  sql('projection_checkpoints')
    .where({ name })
    .first('generation', 'version', 'position')
    .catch(() => undefined);
const reached = (sql: Knex, position: bigint) =>
  until(`position ${position}`, async () => {
    const live = await liveOf(sql);
    return Number(live?.position ?? -1) >= Number(position) && live;
  });
const generation = (sql: Knex, wanted: number) =>
  until(`generation ${wanted}`, async () => ((await liveOf(sql))?.generation ?? 0) >= wanted || undefined);
const rowsOf = async (sql: Knex): Promise<number> => Number((await sql(name).count('* as n').first())?.n);

function check(title: string, body: (sql: Knex, store: EventStore) => Promise<void>): void {
  test(title, { timeout }, async () => {
    const { sql, drop } = await testDatabase();
    try {
      await body(sql, memoryStore());
    } finally {
      await drop();
    }
  });
}

suite('a projection that is rebuilt', () => {
  check('is shown when its rows are the same, and kept up to date from then on', async (sql, store) => {
    for (let n = 0; n < 50; n += 1) await cancel(store);
    const projector = start(sql, store, [counting()]);
    await reached(sql, await cancel(store));
    await ask(store, 'Rebuild');
    await generation(sql, 2);
    const before = await rowsOf(sql);
    await reached(sql, await cancel(store));
    assert.equal(await rowsOf(sql), before + 1);
    const { rows: indexes } = await sql.raw(
      `select indexname from pg_indexes where schemaname = 'p_counted_2'`,
    );
    assert.ok(indexes.length >= 3, 'with its indexes');
    const kept = await sql('projection_generations').where({ name }).first('generation', 'role', 'position');
    assert.deepEqual([kept.generation, kept.role], [1, 'kept']);
    await projector.stop();
    assert.deepEqual(projector.errors, []);
  });

  check('is not shown when its rows differ, and it is said where', async (sql, store) => {
    for (let n = 0; n < 20; n += 1) await cancel(store);
    const projector = start(sql, store, [counting()]);
    await reached(sql, await cancel(store));
    await sql(`${name}_total`).update({ n: 5 });
    await ask(store, 'Rebuild');
    const { problem } = await until('a problem', async () => {
      const row = await sql('projection_generations').where({ name, generation: 2 }).first('problem');
      return row?.problem == null ? undefined : row;
    });
    assert.equal(problem, 'Its rows differ from the live ones in counted_total.');
    assert.equal((await liveOf(sql))?.generation, 1);
    await reached(sql, await cancel(store));
    await projector.stop();
    assert.equal(projector.errors.length, 1);
  });

  check('gives its place back to the one before, which has gone on meanwhile', async (sql, store) => {
    for (let n = 0; n < 20; n += 1) await cancel(store);
    const projector = start(sql, store, [counting()]);
    await reached(sql, await cancel(store));
    await ask(store, 'Rebuild');
    await generation(sql, 2);
    await reached(sql, await cancel(store));
    const rows = await rowsOf(sql);
    await ask(store, 'Rollback');
    await until('the first generation', async () => (await liveOf(sql))?.generation === 1 || undefined);
    assert.equal(await rowsOf(sql), rows);
    await reached(sql, await cancel(store));
    assert.equal(await rowsOf(sql), rows + 1);
    await projector.stop();
    assert.deepEqual(projector.errors, []);
  });

  check(
    'in a new version is filled while the old one is read; the old code finds its own again',
    async (sql, store) => {
      for (let n = 0; n < 300; n += 1) await cancel(store);
      const old = start(sql, store, [counting()]);
      await reached(sql, await cancel(store));
      await old.stop();
      const before = await rowsOf(sql);
      const changed = counting({
        version: 2,
        on: { BuildCancelled: ({ data }) => [put(name, { id: data.buildId, app_id: 'x' })] },
      });
      const young = start(sql, store, [changed]);
      let seen = before;
      await until('the new version', async () => {
        const now = await rowsOf(sql);
        assert.ok(now >= seen, `${now} rows after ${seen}`);
        seen = now;
        return (await liveOf(sql))?.version === 2 || undefined;
      });
      assert.equal(await rowsOf(sql), before);
      assert.equal((await sql(name).first('app_id')).app_id, 'x');
      await young.stop();
      await cancel(store);
      const again = start(sql, store, [counting()]);
      await until('the old version', async () => (await liveOf(sql))?.version === 1 || undefined);
      assert.equal((await liveOf(sql))?.generation, 1, 'which was kept');
      assert.deepEqual([await rowsOf(sql), (await sql(name).first('app_id')).app_id], [before + 1, 'todo']);
      await again.stop();
      assert.deepEqual([old.errors, young.errors, again.errors], [[], [], []]);
    },
  );

  const changed = (stays: NonNullable<Projection['stays']>) =>
    counting({
      version: 2,
      stays,
      on: {
        BuildCancelled: ({ data }) => [
          put(name, { id: data.buildId, app_id: 'x' }),
          add(`${name}_total`, { id: 'all' }, { n: 1 }),
        ],
      },
    });

  check('in a new version that leaves what it declared to leave is shown', async (sql, store) => {
    for (let n = 0; n < 50; n += 1) await cancel(store);
    const old = start(sql, store, [counting()]);
    await reached(sql, await cancel(store));
    await old.stop();
    for (let n = 0; n < 50; n += 1) await cancel(store);
    const stays = { from: 1, tables: { [name]: ['id'], [`${name}_total`]: ['id', 'n'] } };
    const young = start(sql, store, [changed(stays)]);
    await until('the new version', async () => (await liveOf(sql))?.version === 2 || undefined);
    const last = await cancel(store);
    await reached(sql, last);
    assert.equal(await rowsOf(sql), 102);
    await young.stop();
    assert.deepEqual([...old.errors, ...young.errors], []);
  });

  check('in a new version that does not is not shown, nor made again and again', async (sql, store) => {
    for (let n = 0; n < 50; n += 1) await cancel(store);
    const old = start(sql, store, [counting()]);
    await reached(sql, await cancel(store));
    await old.stop();
    await cancel(store);
    const stays = { from: 1, tables: { [name]: ['id', 'app_id'], [`${name}_total`]: [] } };
    const young = start(sql, lateLog(store), [changed(stays)]);
    const { problem, generation } = await until('a problem', async () => {
      const row = await sql('projection_generations').where({ name, role: 'next' }).first();
      return row?.problem == null ? undefined : row;
    });
    assert.equal(problem, 'What was to stay as in version 1 has not, in counted.');
    await young.stop();
    const again = start(sql, store, [changed(stays)]);
    await cancel(store);
    await again.stop();
    const [next] = await sql('projection_generations').where({ name, role: 'next' });
    assert.equal(next.generation, generation);
    assert.equal((await liveOf(sql))?.version, 1);
    // Once the code is mended, and its version raised, it is shown.
    const mended = start(sql, store, [
      counting({ version: 3, stays: { from: 1, tables: { [name]: ['id', 'app_id'] } } }),
    ]);
    await until('the mended version', async () => (await liveOf(sql))?.version === 3 || undefined);
    await mended.stop();
    assert.deepEqual([old.errors.length, young.errors.length, again.errors, mended.errors], [0, 1, [], []]);
  });

  check('that is stopped in the middle goes on where it was', async (sql, store) => {
    for (let n = 0; n < 200; n += 1) await cancel(store);
    const first = start(sql, store, [counting()]);
    await reached(sql, await cancel(store));
    await ask(store, 'Rebuild');
    await until('a beginning', async () => sql('projection_generations').where({ name }).first('generation'));
    await first.stop();
    const second = start(sql, store, [counting()]);
    await generation(sql, 2);
    await second.stop();
    assert.deepEqual([...first.errors, ...second.errors], []);
    const { rows } = await sql.raw(
      `select nspname from pg_namespace where nspname like 'p\\_counted%' order by 1`,
    );
    assert.deepEqual(
      rows.map((row: { nspname: string }) => row.nspname),
      ['p_counted_1', 'p_counted_2'],
    );
  });

  check(
    `${switches} times under load: readers see no error, no gap, no older position`,
    async (sql, store) => {
      for (let n = 0; n < 200; n += 1) await cancel(store);
      const projector = start(sql, store, [counting()]);
      await reached(sql, await cancel(store));
      const stop = new AbortController();
      let failure: unknown;
      const reading = Array.from({ length: 3 }, async () => {
        let [rows, total, position, reads] = [0, 0, 0, 0];
        while (!stop.signal.aborted) {
          // Joins, so that a reader holds one view while it waits for another.
          const { rows: found } = await sql.raw(
            `select count(*)::int as n, max(t.n) as total from ${name} c cross join ${name}_total t`,
          );
          const now = Number((await liveOf(sql))?.position);
          const seen = [found[0].n, found[0].total, now];
          const isFine = seen.every((value, at) => value >= ([rows, total, position][at] ?? 0));
          assert.ok(isFine, `${seen} after ${[rows, total, position]}`);
          assert.equal(found[0].n, found[0].total, 'two tables of different moments');
          [rows, total, position, reads] = [found[0].n, found[0].total, now, reads + 1];
        }
        return reads;
      }).map(reader =>
        reader.catch(error => {
          failure ??= error;
          return 0;
        }),
      );
      const writing = (async () => {
        while (!stop.signal.aborted) {
          await cancel(store);
          await new Promise(resolve => setTimeout(resolve, 2));
        }
      })();
      for (let n = 0; n < switches; n += 1) {
        const { generation: before } = (await liveOf(sql)) as Live;
        await ask(store, n % 3 === 2 ? 'Rollback' : 'Rebuild');
        await until(`switch ${n}`, async () => {
          if (failure !== undefined) throw failure;
          return (await liveOf(sql))?.generation !== before || undefined;
        });
      }
      stop.abort();
      await writing;
      const reads = await Promise.all(reading);
      assert.ok(
        reads.every(count => count > switches / 2),
        `${reads} reads`,
      );
      await reached(sql, await cancel(store));
      assert.equal(await rowsOf(sql), (await sql(`${name}_total`).first('n')).n);
      await projector.stop();
      assert.deepEqual(projector.errors, []);
    },
  );
});
