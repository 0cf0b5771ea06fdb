/** Whether the process lives, and whether what it leans on is there. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { memoryStore } from '../../../eventstore/memory.ts';
import { LogUnavailable } from '../../../eventstore/store.ts';
import { openPostgres } from '../../../platform/postgres.ts';
import { createWorkerTables, reportEngines, reportStatus } from '../../../workers/tables.ts';
import { startApi } from '../../support/api.ts';
import { openBetween } from '../../support/between.ts';
import { engineState } from '../../support/engine-state.ts';
import { testDatabase } from '../../support/postgres.ts';
import { assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('health', async () => {
  let isLogAway = false;
  let redis: () => Promise<void> = async () => undefined;
  const memory = memoryStore();
  const store = {
    ...memory,
    load: async (stream: string) => {
      if (isLogAway) throw new LogUnavailable('The event log does not answer');
      return memory.load(stream);
    },
  };
  const database = await testDatabase();
  const between = await openBetween(database.connectionString);
  const sql = openPostgres(between.url);
  const api = await startApi({
    store,
    database: { ...database, connectionString: between.url, sql },
    projects: false,
    reads: { pingRedis: () => redis() },
  });
  after(async () => {
    await api.close();
    await sql.destroy();
    between.close();
    await database.drop();
  });
  const ready = async (token?: null) => {
    const answer = await api.ask('GET', '/readyz', token === null ? { token } : {});
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    return { http: answer.status, ...answer.body };
  };

  test('a process that answers lives, whatever else is down', async () => {
    isLogAway = true;
    const answer = await api.ask('GET', '/healthz', { token: null });
    isLogAway = false;
    assert.deepEqual([answer.status, answer.body], [200, { status: 'ok' }]);
  });

  test('how many events and seconds each projection is behind', async () => {
    await api.write('POST', '/apps', { id: 'first', name: 'A', repoUrl });
    await api.sql.raw(`create table projection_checkpoints (
      name text primary key, version integer not null, position bigint, generation integer not null default 1,
      letters integer not null default 0, event_at timestamptz, moved_at timestamptz)`);
    await api.sql('projection_checkpoints').insert([
      { name: 'slow', version: 1, position: null },
      { name: 'quick', version: 1, position: 2 },
    ]);
    await api.sql.raw(
      'create table projection_letters (projection text, generation integer, stream text, waiting integer)',
    );
    await api.write('POST', '/apps', { id: 'second', name: 'A', repoUrl });
    await api.write('PATCH', '/apps/second', { name: 'B' });
    const { projections } = await ready();
    const [quick, slow] = projections;
    assert.deepEqual([quick.name, quick.position, quick.lagEvents], ['quick', '2', 1]);
    assert.deepEqual([slow.name, slow.position, slow.lagEvents], ['slow', null, 3]);
    assert.ok(slow.lagSeconds >= quick.lagSeconds && slow.lagSeconds < 60, JSON.stringify(projections));
    await api.sql.raw('drop table projection_checkpoints, projection_letters');
    api.startProjecting();
    // Making all tables takes longer than a read waits, where there is much else to do.
    while ((await api.ask('GET', '/apps/second?after=3')).status === 503);
    const caughtUp = (await ready()).projections;
    assert.ok(caughtUp.length > 5);
    for (const one of caughtUp)
      assert.deepEqual([one.lagEvents, one.lagSeconds, one.position], [0, 0, '3'], one.name);
  });

  test('without what only builds and launches need it is degraded, and says why', async () => {
    const { http, status, checks } = await ready();
    assert.deepEqual([http, status], [200, 'degraded']);
    assert.deepEqual(checks, {
      log: { ok: true },
      database: { ok: true },
      redis: { ok: true },
      docker: { ok: false, reason: 'The workers have not reported yet.' },
      projections: { ok: true },
    });
    await reportStatus(api.sql, 'docker', true, null);
    assert.equal((await ready()).status, 'ready');
    redis = async () => Promise.reject(new Error('connect ECONNREFUSED'));
    const down = await ready();
    assert.deepEqual(
      [down.http, down.status, down.checks.redis],
      [200, 'degraded', { ok: false, reason: 'connect ECONNREFUSED' }],
    );
    redis = () => new Promise(() => undefined);
    assert.match((await ready()).checks.redis.reason, /no answer within/);
    redis = async () => undefined;
  });

  test('an engine of several that is away degrades it, and is named', async () => {
    await createWorkerTables(api.sql);
    const one = engineState('east');
    await reportEngines(api.sql, [one]);
    assert.deepEqual(Object.keys((await ready()).checks), [
      'log',
      'database',
      'redis',
      'docker',
      'projections',
    ]);
    await reportEngines(api.sql, [one, engineState('west')]);
    assert.equal((await ready()).status, 'ready');
    const awaySince = '2026-01-02T03:04:05.678Z';
    await reportEngines(api.sql, [one, { ...engineState('west'), awayReason: 'Nothing answers', awaySince }]);
    const { http, status, checks } = await ready();
    assert.deepEqual([http, status, checks['engine east']], [200, 'degraded', { ok: true }]);
    assert.deepEqual(checks['engine west'], { ok: false, reason: `Nothing answers (${awaySince})` });
    await reportEngines(api.sql, [one]);
  });

  test('a log that is not what was signed degrades it', async () => {
    await reportStatus(api.sql, 'audit', false, 'What was signed does not hold.');
    const { http, status, checks } = await ready();
    assert.deepEqual([http, status], [200, 'degraded']);
    assert.deepEqual(checks.audit, { ok: false, reason: 'What was signed does not hold.' });
    await reportStatus(api.sql, 'audit', true, null);
    assert.equal((await ready()).status, 'ready');
  });

  test('without the log it is unready', async () => {
    isLogAway = true;
    const { http, status, checks, projections } = await ready();
    isLogAway = false;
    assert.deepEqual([http, status, projections], [503, 'unready', []]);
    assert.deepEqual(checks.log, { ok: false, reason: 'The event log does not answer' });
  });

  test('who has no token is told the status only', async () => {
    assert.deepEqual(await ready(null), { http: 200, status: 'ready' });
    isLogAway = true;
    assert.deepEqual(await ready(null), { http: 503, status: 'unready' });
    isLogAway = false;
  });

  test('without the database it is unready, and says so soon', async () => {
    between.cut();
    const { http, status, checks } = await ready();
    assert.deepEqual([http, status, checks.database.ok, checks.log.ok], [503, 'unready', false, true]);
    const answer = await api.ask('GET', '/apps');
    assertProblem(answer, 503, 'unavailable');
    assert.doesNotMatch(answer.text, /127\.0\.0\.1|apphub_test/);
    assert.equal(
      (await api.ask('DELETE', '/apps/second')).status,
      202,
      'what is written needs the log alone',
    );
    between.mend();
    assert.equal((await ready()).http, 200);
    assert.equal((await api.read('/apps/second')).data.name, 'B');
  });
});
