/** Reading what was just written: every read waits for a position, for a while. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { openFreshness } from '../../read-api/fresh.ts';
import { startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { testDatabase } from '../support/postgres.ts';
import { assertInvalid, assertProblem } from '../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('?after=<position>', async () => {
  const api = await startApi();
  after(() => api.close());
  const buildId = await launchableApp(api, 'todo');
  const log = await api.logs.writer(buildId);
  await log.write('built');
  await log.close();
  const { id: launchId } = await api.write('POST', '/apps/todo/launches');
  const reads = [
    '/apps',
    '/suggest?q=a',
    '/apps/todo',
    '/apps/todo/history',
    '/apps/todo/ingestions',
    '/apps/todo/builds',
    '/apps/todo/launches',
    '/builds',
    `/builds/${buildId}`,
    `/builds/${buildId}/logs`,
    '/launches',
    `/launches/${launchId}`,
    `/launches/${launchId}/logs`,
  ];
  const at = (place: string, position: unknown) =>
    api.ask('GET', `${place}${place.includes('?') ? '&' : '?'}after=${position}`);

  test('each read waits for a position that is reached, and refuses what is none', async () => {
    await api.read('/apps');
    for (const place of reads) {
      assert.equal((await at(place, '0')).status, 200, place);
      assert.equal((await at(place, '1')).status, 200, place);
      for (const bad of ['x', '-1', '1.5', '1e3', '0x1', '%00', '9'.repeat(21), '']) {
        assertInvalid(await at(place, bad), 'after');
      }
    }
  });

  test('each read says 503 and how far the tables are when they do not come that far', async () => {
    const { position } = await api.write('POST', '/apps/todo/tags', { key: 'a', value: 'b' });
    await api.read('/apps/todo');
    const ahead = BigInt(position) + 5n;
    await Promise.all(
      reads.map(async place => {
        const answer = await at(place, ahead);
        assertProblem(answer, 503, 'behind');
        assert.equal(answer.headers.get('retry-after'), '1');
        const { after: wanted, reached, lag } = answer.body;
        assert.deepEqual([wanted, reached, lag], [String(ahead), position, '5'], place);
      }),
    );
  });

  test('each of many writes is seen by the read that follows', async () => {
    const wrote = async (at: number) => {
      const { position } = await api.write('POST', '/apps', { id: `many-${at}`, name: `M${at}`, repoUrl });
      const seen = await api.ask('GET', `/apps/many-${at}?after=${position}`);
      assert.equal(seen.status, 200, seen.text);
    };
    for (let at = 0; at < 240; at += 20)
      await Promise.all(Array.from({ length: 20 }, (_, more) => wrote(at + more)));
  });
});

suite('freshness', async () => {
  const { sql, drop } = await testDatabase();
  after(() => drop());
  await sql.raw('create table projection_checkpoints (name text primary key, position bigint)');

  test('what counts is the projection that is furthest behind; one that has not begun is at nothing', async () => {
    let moved = () => {};
    const fresh = await openFreshness(sql, async onMoved => {
      moved = onMoved;
      return async () => undefined;
    });
    assert.equal(await fresh.reached(), null);
    await sql('projection_checkpoints').insert([
      { name: 'a', position: 10 },
      { name: 'b', position: null },
    ]);
    assert.equal(await fresh.reached(), 0n);
    const waiting = fresh.waitFor(10n);
    await sql('projection_checkpoints').where({ name: 'b' }).update({ position: 12 });
    moved();
    await waiting;
    assert.equal(await fresh.reached(), 10n);
    await fresh.close();
  });

  test('an announcement that got lost is made up for', async () => {
    const fresh = await openFreshness(sql, async () => async () => undefined);
    const waiting = fresh.waitFor(20n);
    await sql('projection_checkpoints').update({ position: 9_007_199_254_740_993n.toString() });
    await waiting;
    await fresh.waitFor(9_007_199_254_740_993n);
    await assert.rejects(fresh.waitFor(9_007_199_254_740_994n), { code: 'behind', status: 503 });
    await fresh.close();
  });
});
