/** Damage that nobody has told of: it is planted in the live tables, and has to be found, named, reported and mended. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, test } from 'node:test';
import type { Knex } from 'knex';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { repositories } from '../../projections/apps/repository.ts';
import { search } from '../../projections/apps/search.ts';
import { tags } from '../../projections/apps/tag.ts';
import type { Report } from '../../projections/audit-settle.ts';
import { type Projection, put } from '../../projections/projection.ts';
import { project } from '../../projections/projector.ts';
import { selfAudit } from '../../projections/self-audit.ts';
import { testDatabase } from '../support/postgres.ts';

const timeout = 120_000;
const waitMsMax = 60_000;
const at = '2026-01-02T03:04:05.000Z';

type Diverged = Parameters<Report['diverged']>[0];
type Repaired = Parameters<Report['repaired']>[0];

type Bench = {
  readonly sql: Knex;
  readonly store: EventStore;
  readonly found: Diverged[];
  readonly repaired: Repaired[];
  write(type: string, stream: string, data: object): Promise<bigint>;
  register(appId: string, more?: object): Promise<bigint>;
  /** Two whole rounds from now on. */
  round(): Promise<void>;
  until<T>(what: string, met: () => Promise<T | undefined | false> | T | undefined | false): Promise<T>;
  /** Asks for a repair, as over HTTP. */
  askRepair(projection: string): Promise<void>;
};

async function until<T>(what: string, met: () => Promise<T | undefined | false> | T | undefined | false) {
  const giveUp = Date.now() + waitMsMax;
  for (;;) {
    const found = await met();
    if (found !== undefined && found !== false) return found;
    assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

function openBench(sql: Knex, store: EventStore, names: readonly string[]): Bench {
  const revisions = new Map<string, bigint>();
  const found: Diverged[] = [];
  const repaired: Repaired[] = [];
  let last = 0n;
  const reached = (position: bigint, which: readonly string[]) =>
    until(`${which} at ${position}`, async () => {
      const rows = await sql('projection_checkpoints')
        .whereIn('name', which)
        .select(sql.raw('position::text as position'))
        .catch(() => []);
      return rows.length === which.length && rows.every(row => BigInt(row.position ?? -1) >= position);
    });
  const write = async (type: string, stream: string, data: object) => {
    const cause = randomUUID();
    const metadata = { actor: 'tester', correlationId: cause, causationId: cause, time: at };
    const event = { id: randomUUID(), type, data: { ...data, at }, metadata };
    const { position } = await store.append(stream, [event] as never, revisions.get(stream) ?? 'none');
    revisions.set(stream, (revisions.get(stream) ?? -1n) + 1n);
    last = position;
    return position;
  };
  const checked = async () => {
    const rows = await sql('projection_audits').whereIn('name', names).select('checked_at');
    return rows.length === names.length
      ? rows.map(row => Date.parse(row.checked_at)).reduce((least, ms) => Math.min(least, ms))
      : Number.NaN;
  };
  return {
    sql,
    store,
    found,
    repaired,
    write,
    until,
    register: (appId, more = {}) =>
      write('RepositoryRegistered', `apps.repository-${appId}`, {
        appId,
        name: appId,
        description: null,
        repoUrl: 'https://git.example.org/x.git',
        ref: null,
        dockerfilePath: null,
        homepage: null,
        owner: null,
        tags: [{ key: 'team', value: 'alpha' }],
        ...more,
      }),
    /** Everything that was written is in the tables, and all of them have been looked at since. */
    async round() {
      await reached(last, names);
      for (let n = 0; n < 2; n += 1) {
        const { rows } = await sql.raw('select clock_timestamp() as now');
        await until('a round', async () => (await checked().catch(() => 0)) > Date.parse(rows[0].now));
      }
    },
    async askRepair(projection) {
      const position = await write('ProjectionRepairRequested', `platform.projection-${projection}`, {
        projection,
      });
      await reached(position, [projection]);
    },
  };
}

function check(
  title: string,
  projections: readonly Projection[],
  body: (bench: Bench) => Promise<void>,
  errorsWanted = /self-audit is filled anew|rows are not what the log says/,
): void {
  test(title, { timeout }, async () => {
    const { sql, drop } = await testDatabase();
    const store = memoryStore();
    const stop = new AbortController();
    const bench = openBench(
      sql,
      store,
      projections.map(({ name }) => name),
    );
    const errors: unknown[] = [];
    const log = {
      info: () => undefined,
      error: (detail: object, line: string) =>
        void (errorsWanted.test(line) || errors.push({ detail, line })),
    };
    const report: Report = {
      diverged: async found => void bench.found.push(found),
      repaired: async found => void bench.repaired.push(found),
    };
    const { signal } = stop;
    const runs = [
      project(sql, store, projections, { signal, log }),
      selfAudit({ sql, store, projections, percent: 100, everySeconds: 0.02, report, log, signal }),
    ];
    try {
      await body(bench);
    } finally {
      stop.abort();
      await Promise.all(runs);
      await drop();
    }
    assert.deepEqual(errors, []);
  });
}

const repository = 'apps_repositories';
const liveTable = async (sql: Knex, table: string) => {
  const { rows } = await sql.raw(
    `select nspname from pg_namespace where nspname like 'p\\_%' and nspname not like '%\\_0'`,
  );
  for (const { nspname } of rows) {
    const found = await sql('pg_tables').where({ schemaname: nspname, tablename: table }).first('tablename');
    if (found !== undefined) return `${nspname}.${table}`;
  }
  throw new Error(`no table ${table}`);
};

async function apps(bench: Bench, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await bench.register(`app-${n}`);
  await bench.round();
  assert.deepEqual(bench.found, []);
}

suite('the self-audit', () => {
  check(
    'names a column that was changed by hand, in an old row too, and mends it',
    [repositories],
    async bench => {
      const { sql } = bench;
      const first = await bench.register('old');
      await apps(bench, 30);
      const table = await liveTable(sql, repository);
      await sql(table).where({ app_id: 'old' }).update({ name: 'evil', owner: 'mallory' });
      const { divergences, rows } = await bench.until('a finding', () => bench.found[0]);
      const [one] = divergences;
      assert.equal(rows, 1);
      assert.deepEqual(
        { ...one, soundUpTo: Number(one?.soundUpTo) >= 31 },
        {
          table: repository,
          key: '{"app_id":"old"}',
          kind: 'changed',
          columns: ['name', 'owner'],
          position: first.toString(),
          soundUpTo: true,
        },
      );
      await bench.round();
      const state = await sql('projection_audits').where({ name: repository }).first();
      assert.deepEqual([state.state, Number(state.wrong_rows)], ['diverged', 1]);
      await bench.askRepair(repository);
      const { how, rows: mended } = await bench.until('the repair', () =>
        bench.repaired.find(one => one.rows > 0),
      );
      assert.deepEqual([how, mended], ['refolded', 1]);
      assert.equal((await sql(repository).where({ app_id: 'old' }).first('name')).name, 'old');
      bench.found.length = 0;
      await bench.round();
      assert.deepEqual(bench.found, []);
      assert.equal((await sql('projection_audits').where({ name: repository }).first()).state, 'sound');
      assert.deepEqual(await sql('projection_divergences'), []);
    },
  );

  check('names a row that was deleted, and one that was inserted', [repositories], async bench => {
    const { sql } = bench;
    await apps(bench, 10);
    const table = await liveTable(sql, repository);
    await sql(table).where({ app_id: 'app-3' }).delete();
    await sql.raw(
      `insert into ${table} select * from ${table} where app_id = 'app-4' on conflict do nothing`,
    );
    const [row] = await sql(table).where({ app_id: 'app-4' });
    await sql(table).insert({ ...row, app_id: 'ghost' } as never);
    const both = await bench.until('both', () => bench.found.find(({ rows }) => rows === 2));
    assert.deepEqual(
      both.divergences.map(({ key, kind, position }) => [key, kind, position]),
      [
        ['{"app_id":"app-3"}', 'missing', '4'],
        ['{"app_id":"ghost"}', 'extra', null],
      ],
    );
    await bench.askRepair(repository);
    await bench.until('the repair', () => bench.repaired.find(one => one.rows === 2));
    const ids = await sql(repository).orderBy('app_id').pluck('app_id');
    assert.deepEqual(
      ids,
      Array.from({ length: 10 }, (_, n) => `app-${n}`),
    );
  });

  check('names both of two rows that were swapped', [repositories], async bench => {
    const { sql } = bench;
    await apps(bench, 10);
    const table = await liveTable(sql, repository);
    await sql.raw(`update ${table} set app_id = case app_id when 'app-1' then 'x' else 'app-1' end
      where app_id in ('app-1')`);
    await sql.raw(`update ${table} set app_id = 'app-1' where app_id = 'app-2'`);
    await sql.raw(`update ${table} set app_id = 'app-2' where app_id = 'x'`);
    const { divergences } = await bench.until('both', () => bench.found.find(({ rows }) => rows === 2));
    assert.deepEqual(
      divergences.map(({ key, kind, columns, position }) => [key, kind, columns, position]),
      [
        ['{"app_id":"app-1"}', 'changed', ['name'], '2'],
        ['{"app_id":"app-2"}', 'changed', ['name'], '3'],
      ],
    );
  });

  check('names the event whose update got lost', [repositories], async bench => {
    const { sql } = bench;
    await apps(bench, 5);
    const stream = 'apps.repository-app-2';
    const change = (name: string) =>
      bench.write('RepositoryChanged', stream, { appId: 'app-2', changes: { name } });
    await change('second');
    await bench.round();
    const table = await liveTable(sql, repository);
    const [before] = await sql(table).where({ app_id: 'app-2' });
    const lost = await change('third');
    await change('fourth');
    await bench.round();
    await sql(table).where({ app_id: 'app-2' }).update({ name: before.name });
    const { divergences } = await bench.until('a finding', () => bench.found[0]);
    assert.deepEqual(
      divergences.map(({ key, columns, position }) => [key, columns, position]),
      [['{"app_id":"app-2"}', ['name'], lost.toString()]],
    );
  });

  check('names and mends a row whose stream has an event that is skipped', [picky()], async bench => {
    const change = (appId: string, name: string) =>
      bench.write('RepositoryChanged', `apps.repository-${appId}`, { appId, changes: { name } });
    await bench.register('a');
    await change('a', 'second');
    const poison = await change('a', 'bad');
    await change('a', 'last');
    await change('b', 'other');
    const data = { projection: 'picky', position: `${poison}`, reason: 'It says nothing.' };
    await bench.write('DeadLetterSkipped', 'platform.dead-letter-picky', data);
    const { sql } = bench;
    await bench.until('what is right', async () => {
      const row = await sql('picky')
        .where({ id: 'a' })
        .first('name')
        .catch(() => undefined);
      return row?.name === 'last';
    });
    await bench.round();
    assert.deepEqual(bench.found, []);
    const table = await liveTable(sql, 'picky');
    await sql(table).where({ id: 'a' }).update({ name: 'evil' });
    const { divergences } = await bench.until('a finding', () => bench.found[0]);
    assert.deepEqual(
      divergences.map(({ key, columns }) => [key, columns]),
      [['{"id":"a"}', ['name']]],
    );
    await bench.askRepair('picky');
    await bench.until('the repair', () => bench.repaired.find(({ how }) => how === 'refolded'));
    assert.equal((await sql('picky').where({ id: 'a' }).first('name')).name, 'last');
  });

  check('knows a projection that depends on the clock', [onTheClock()], async bench => {
    for (let n = 0; n < 5; n += 1) await bench.register(`app-${n}`);
    const { divergences } = await bench.until('all', () => bench.found.find(({ rows }) => rows === 5));
    assert.ok(divergences.every(({ kind, columns }) => kind === 'unstable' && columns.join() === 'seen_at'));
    await bench.askRepair('clocked');
    const row = await bench.until('a reason', async () => {
      const found = await bench.sql('projection_audits').where({ name: 'clocked' }).first();
      return found.repair_problem !== null && found;
    });
    assert.match(row.repair_problem, /not a pure function/);
    assert.equal(row.repair_wanted, false);
  });

  check('looks at tables that triggers fill, and mends them with their rows', [tags, search], async bench => {
    const { sql } = bench;
    await apps(bench, 12);
    await sql(await liveTable(sql, 'apps_tag_counts')).update({ count: 7 });
    await sql.transaction(async tx => {
      await tx.raw('set local search_path to p_apps_tags_1');
      await tx('apps_tags').where({ app_id: 'app-5' }).delete();
    });
    await sql.raw(`update ${await liveTable(sql, 'apps_search')} set words = '' where app_id = 'app-6'`);
    const seen = () => new Set(bench.found.flatMap(({ divergences }) => divergences.map(one => one.table)));
    await bench.until('all tables', () => seen().size === 4);
    assert.deepEqual([...seen()].sort(), ['apps_search', 'apps_tag_counts', 'apps_tag_keys', 'apps_tags']);
    await bench.askRepair('apps_tags');
    await bench.askRepair('apps_search');
    await bench.until(
      'both repairs',
      () => new Set(bench.repaired.filter(one => one.rows > 0).map(one => one.projection)).size === 2,
    );
    assert.equal((await sql('apps_tag_counts').where({ folded: 'team:alpha' }).first('count')).count, 12);
    bench.found.length = 0;
    await bench.round();
    assert.deepEqual(bench.found, []);
  });

  check('tells damage of its own shadow from that of the tables', [repositories], async bench => {
    await apps(bench, 10);
    await bench
      .sql('p_apps_repositories_0.apps_repositories')
      .where({ app_id: 'app-1' })
      .update({ name: 'x' });
    await bench.until('a new shadow', async () => {
      const row = await bench
        .sql('p_apps_repositories_0.apps_repositories')
        .where({ app_id: 'app-1' })
        .first('name')
        .catch(() => undefined);
      return row?.name === 'app-1';
    });
    await bench.round();
    assert.deepEqual(bench.found, []);
  });

  check('counts what is more than it names, and mends all of it', [repositories], async bench => {
    await apps(bench, 150);
    const table = await liveTable(bench.sql, repository);
    await bench.sql(table).update({ owner: 'mallory' });
    const found = await bench.until('a finding', () => bench.found.find(({ rows }) => rows === 150));
    assert.equal(found.divergences.length, 100);
    await bench.askRepair(repository);
    await bench.until('the repair', () => bench.repaired.find(one => one.rows === 150));
    assert.equal(Number((await bench.sql(repository).whereNotNull('owner').count('* as n').first())?.n), 0);
  });

  check('reports that what was wrong has been overwritten', [repositories], async bench => {
    const { sql } = bench;
    await apps(bench, 5);
    await sql(await liveTable(sql, repository))
      .where({ app_id: 'app-1' })
      .update({ name: 'evil' });
    await bench.until('a finding', () => bench.found[0]);
    await bench.write('RepositoryChanged', 'apps.repository-app-1', {
      appId: 'app-1',
      changes: { name: 'new' },
    });
    const { how } = await bench.until('the report', () => bench.repaired.find(one => one.rows === 1));
    assert.equal(how, 'overwritten');
  });

  check('raises nothing while everything is written to', [repositories, tags, search], async bench => {
    await apps(bench, 20);
    for (let n = 0; n < 300; n += 1) {
      await bench.register(`more-${n}`);
      await bench.write('RepositoryTagged', `apps.repository-more-${n}`, {
        appId: `more-${n}`,
        tag: { key: 'n', value: String(n % 7) },
      });
      if (n % 3 === 0)
        await bench.write('RepositoryArchived', `apps.repository-more-${n}`, { appId: `more-${n}` });
    }
    await bench.round();
    assert.deepEqual(bench.found, []);
  });
});

/** One that cannot take every name. */
function picky(): Projection {
  return {
    name: 'picky',
    version: 1,
    tables: { picky: ['id'] },
    createTables: schema =>
      schema.createTable('picky', t => {
        t.text('id').primary();
        t.text('name').notNullable();
      }),
    on: {
      RepositoryChanged: ({ data }) => {
        if (data.changes.name === 'bad') throw new TypeError('cannot read bad');
        return [put('picky', { id: data.appId, name: data.changes.name ?? '' })];
      },
    },
  };
}

function onTheClock(): Projection {
  return {
    name: 'clocked',
    version: 1,
    tables: { clocked: ['id'] },
    createTables: schema =>
      schema.createTable('clocked', t => {
        t.text('id').primary();
        t.text('seen_at').notNullable();
      }),
    on: {
      RepositoryRegistered: ({ data }) => [
        put('clocked', { id: data.appId, seen_at: String(performance.now()) }),
      ],
    },
  };
}
