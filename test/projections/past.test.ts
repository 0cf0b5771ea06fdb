/** Every version of every row: the same however the log comes, whatever dies meanwhile, and made anew with a new version. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { suite, test } from 'node:test';
import type { Knex } from 'knex';
import { memoryStorage } from '../../eventstore/embedded/memory-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { projections } from '../../projections/index.ts';
import { keepPast } from '../../projections/past.ts';
import { asOfSchema, pastSchemaOf } from '../../projections/past-tables.ts';
import { opsOf, type Projection } from '../../projections/projection.ts';
import { project } from '../../projections/projector.ts';
import { openChance } from '../bench/support/chance.ts';
import { newEvent } from '../contract/eventstore.ts';
import { busyHistory } from '../support/busy.ts';
import { testDatabase } from '../support/postgres.ts';
import { samples } from '../support/recorded.ts';

const timeout = 120_000;
const waitMsMax = 60_000;

function keeping(sql: Knex, store: EventStore, some: readonly Projection[] = projections) {
  const stop = new AbortController();
  const errors: unknown[] = [];
  const log = { info: () => undefined, error: (detail: object) => void errors.push(detail) };
  const running = keepPast(sql, store, some, { signal: stop.signal, log });
  return {
    errors,
    async stop() {
      stop.abort();
      await running;
    },
  };
}

async function until(what: string, met: () => Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + waitMsMax;
  while (!(await met())) {
    assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}

const reached = (sql: Knex, table: string, to: bigint, count = projections.length) =>
  until(`${table} at ${to}`, async () => {
    const row = await sql(table)
      .first(sql.raw('min(coalesce(position, 0))::text as position, count(*)::int as n'))
      .catch(() => undefined);
    return row?.n === count && BigInt(row.position) >= to;
  });

async function happen(
  store: EventStore,
  next: ReturnType<typeof busyHistory>,
  count: number,
): Promise<bigint> {
  let last = 0n;
  for (let n = 0; n < count; n += 1) {
    const { stream, event } = next();
    last = (await store.append(stream, [event], 'none')).position;
  }
  return last;
}

/** All versions of all rows, as text. */
async function versionsOf(sql: Knex): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = { moments: await textOf(sql, 'public', 'past_moments') };
  for (const projection of projections) {
    for (const table of Object.keys(projection.tables)) {
      const name = projection.isWrittenOnce === true ? table : `past_${table}`;
      found[table] = await textOf(sql, pastSchemaOf(projection), name);
    }
  }
  return found;
}

async function textOf(sql: Knex, schema: string, table: string): Promise<readonly string[]> {
  const { rows } = await sql.raw(`select (to_jsonb(t) - 'past_at')::text as row from ??.?? t order by 1`, [
    schema,
    table,
  ]);
  return rows.map(({ row }: { row: string }) => row);
}

/** The tables as they were. */
async function asOf(sql: Knex, position: bigint, table: string): Promise<readonly string[]> {
  return sql.transaction(async tx => {
    await tx.raw(
      `select set_config('apphub.as_of', ?, true), set_config('apphub.as_of_until', 'infinity', true)`,
      [String(position)],
    );
    return textOf(tx, asOfSchema, table);
  });
}

suite('the past', { timeout }, () => {
  test('is the same at any pace, and ends with the tables of now', { timeout }, async () => {
    const [one, other] = [await testDatabase(), await testDatabase()];
    const store = memoryStore();
    const next = busyHistory(21);
    const stop = new AbortController();
    const log = { info: () => undefined, error: () => undefined };
    const slow = keeping(one.sql, store);
    const chance = openChance(5);
    const live = project(one.sql, store, projections, { signal: stop.signal, log });
    const tables = projections.flatMap(projection => Object.keys(projection.tables));
    const seen: { position: bigint; table: string; rows: readonly string[] }[] = [];
    let last = 0n;
    for (let n = 0; n < 40; n += 1) {
      last = await happen(store, next, 1 + chance.below(20));
      await reached(one.sql, 'past_checkpoints', chance.is(0.5) ? last : 0n);
      if (n % 8 > 0) continue;
      await reached(one.sql, 'projection_checkpoints', last);
      for (const table of tables)
        seen.push({ position: last, table, rows: await textOf(one.sql, 'public', table) });
    }
    const fast = keeping(other.sql, store);
    await reached(one.sql, 'past_checkpoints', last);
    await reached(other.sql, 'past_checkpoints', last);
    await reached(one.sql, 'projection_checkpoints', last);
    await Promise.all([slow.stop(), fast.stop()]);
    stop.abort();
    await live;
    assert.deepEqual([...slow.errors, ...fast.errors], []);
    const versions = await versionsOf(one.sql);
    assert.deepEqual(await versionsOf(other.sql), versions);
    for (const { position, table, rows } of seen)
      assert.deepEqual(await asOf(other.sql, position, table), rows, `${table} as of ${position}`);
    let rows = 0;
    for (const table of tables) {
      const now = await textOf(one.sql, 'public', table);
      assert.deepEqual(await asOf(one.sql, last, table), now, table);
      rows += now.length;
    }
    assert.ok(rows > 500, `only ${rows} rows`);
    assert.ok(
      (versions.apps_builds?.length ?? 0) > 3 * (await textOf(one.sql, 'public', 'apps_builds')).length,
    );
    await Promise.all([one.drop(), other.drop()]);
  });

  test('is whole after kill -9 in the midst of it, again and again', { timeout }, async () => {
    const [killed, whole] = [await testDatabase(), await testDatabase()];
    const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const server = await startLogServer({ storage: memoryStorage(), port: 0, log: quiet });
    const url = `esdb://127.0.0.1:${server.port}?tls=false`;
    const events = openLog(url);
    const last = await happen(events.store, busyHistory(4), 1_200);
    const file = path.resolve(import.meta.dirname, '../support/past-process.ts');
    const progress: bigint[] = [];
    for (let n = 0; n < 3; n += 1) {
      const child = spawn(process.execPath, [file, killed.connectionString, url], { stdio: 'ignore' });
      const before = progress.at(-1) ?? 0n;
      const here = async () => {
        const row = await killed
          .sql('past_checkpoints')
          .first(killed.sql.raw('min(coalesce(position, 0))::text as position'))
          .catch(() => undefined);
        return BigInt(row?.position ?? 0);
      };
      await until('progress', async () => (await here()) > before || (await here()) >= last);
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      progress.push(await here());
    }
    assert.ok((progress[0] ?? last) < last, `it was done before it was killed: ${progress}`);
    const runs = [keeping(killed.sql, events.store), keeping(whole.sql, events.store)];
    await reached(killed.sql, 'past_checkpoints', last);
    await reached(whole.sql, 'past_checkpoints', last);
    await Promise.all(runs.map(run => run.stop()));
    assert.deepEqual(await versionsOf(killed.sql), await versionsOf(whole.sql));
    await events.close();
    await server.close();
    await Promise.all([killed.drop(), whole.drop()]);
  });

  test('of a new version is made anew, and that of the others stays', { timeout }, async () => {
    const { sql, drop } = await testDatabase();
    const store = memoryStore();
    const last = await happen(store, busyHistory(9), 100);
    const before = keeping(sql, store);
    await reached(sql, 'past_checkpoints', last);
    await before.stop();
    const versions = await versionsOf(sql);
    // Whoever looks finds what was there before, unless it was thrown away.
    await sql('past_apps_builds.past_apps_builds').delete();
    await sql('past_apps_launches.past_apps_launches').delete();
    const raised = projections.map(one =>
      one.name === 'apps_builds' ? { ...one, version: one.version + 1 } : one,
    );
    const now = keeping(sql, store, raised);
    await until('the new version', async () => {
      const row = await sql('past_checkpoints').where({ name: 'apps_builds' }).first('version', 'position');
      return (
        row.version === raised.find(({ name }) => name === 'apps_builds')?.version && row.position >= last
      );
    });
    await now.stop();
    assert.deepEqual(await versionsOf(sql), { ...versions, apps_launches: [] });
    await drop();
  });

  test('goes on where an event cannot be applied: its stream stops, and no other', { timeout }, async () => {
    const { sql, drop } = await testDatabase();
    const store = memoryStore();
    const registered = (appId: string, name: unknown) =>
      newEvent({ ...samples('RepositoryRegistered')[0]?.data, appId, name } as never, 'RepositoryRegistered');
    const stream = (appId: string) => `apps.repository-${appId}`;
    await store.append(stream('good'), [registered('good', 'Good')], 'none');
    const bad = await store.append(stream('bad'), [registered('bad', null)], 'none');
    await store.append(stream('bad'), [registered('bad', 'Later')], 0n);
    const { position } = await store.append(stream('fine'), [registered('fine', 'Fine')], 'none');
    const run = keeping(sql, store);
    await reached(sql, 'past_checkpoints', position);
    await run.stop();
    const names = (await asOf(sql, position, 'apps_repositories')).map(row => JSON.parse(row).app_id).sort();
    assert.deepEqual(names, ['fine', 'good']);
    const stopped = await sql('past_stopped').where({ name: 'apps_repositories' });
    assert.deepEqual(
      stopped.map(row => [row.stream, Number(row.position)]),
      [[stream('bad'), Number(bad.position)]],
    );
    const history = await asOf(sql, position, 'apps_history');
    assert.equal(history.length, 4, 'what others can apply of it is applied');
    // Known at the next start, too.
    const { position: more } = await store.append(stream('bad'), [registered('bad', 'Again')], 1n);
    const again = keeping(sql, store);
    await reached(sql, 'past_checkpoints', more);
    await again.stop();
    assert.equal((await asOf(sql, more, 'apps_repositories')).length, 2);
    await drop();
  });

  test('two that keep it at once do no harm', { timeout }, async () => {
    const { sql, drop } = await testDatabase();
    const store = memoryStore();
    const last = await happen(store, busyHistory(13), 200);
    const both = [keeping(sql, store), keeping(sql, store)];
    await reached(sql, 'past_checkpoints', last);
    const versions = await versionsOf(sql);
    for (const one of both) await one.stop();
    assert.deepEqual(await versionsOf(sql), versions);
    await drop();
  });
});

test('what is said to be written once is, under the position of its event', () => {
  const once = projections.filter(({ isWrittenOnce }) => isWrittenOnce === true);
  assert.ok(once.length >= 2);
  for (const projection of once) {
    for (const type of Object.keys(projection.on)) {
      for (const event of samples(type as never)) {
        for (const op of opsOf(projection, event)) {
          assert.equal(op.op, 'put', `${projection.name} on ${type}`);
          assert.equal(op.op === 'put' && op.row.position, event.position.toString());
        }
      }
    }
  }
});
