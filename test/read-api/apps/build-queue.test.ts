/** Where builds that wait stand, and why: over HTTP, and from the tables of many of them. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { placesOf } from '../../../read-api/apps/build-queue.ts';
import { reportStatus } from '../../../workers/tables.ts';
import { startApi } from '../../support/api.ts';
import { commit, finishBuild, ingest, startBuild } from '../../support/play.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('the queue of builds', async () => {
  const api = await startApi();
  after(() => api.close());
  const engineIsThere = () => reportStatus(api.sql, 'docker', true, null);
  const ask = async (appId: string) => (await api.write('POST', `/apps/${appId}/builds`, { commit })).id;
  const standing = async (id: string) => {
    const { status, queuePosition, waitingFor } = (await api.read(`/builds/${id}`)).data;
    return [status, queuePosition, waitingFor];
  };

  test('has places in the order of asking, over all apps, and each says who is before it', async () => {
    await engineIsThere();
    for (const id of ['first', 'second']) {
      await api.write('POST', '/apps', { id, name: 'A', repoUrl });
      await ingest(api, id);
    }
    const ids = [await ask('first'), await ask('second'), await ask('first'), await ask('second')];
    const [one = '', two = '', three = '', four = ''] = ids;
    assert.deepEqual(await standing(one), ['queued', 1, null]);
    assert.deepEqual(await standing(two), ['queued', 2, 'One build is before it in the queue.']);
    assert.deepEqual(await standing(four), ['queued', 4, '3 builds are before it in the queue.']);

    await startBuild(api, one);
    assert.deepEqual(await standing(one), ['running', null, null]);
    assert.deepEqual(await standing(two), ['queued', 1, 'It is next: another build is being made.']);
    const third = 'One build is before it in the queue, and another build is being made.';
    assert.deepEqual(await standing(three), ['queued', 2, third]);
    await startBuild(api, two);
    assert.deepEqual(await standing(three), ['queued', 1, 'It is next: 2 builds are being made.']);

    await api.write('POST', `/builds/${three}/cancel`);
    assert.deepEqual(await standing(three), ['cancelled', null, null]);
    const fourth = ['queued', 1, 'It is next: 2 builds are being made.'];
    assert.deepEqual(await standing(four), fourth);
    // The same in lists and in the app.
    const places = (builds: { id: string; queuePosition: number | null }[]) =>
      Object.fromEntries(builds.map(({ id, queuePosition }) => [id, queuePosition]));
    assert.deepEqual(places((await api.read('/builds')).data), {
      [four]: 1,
      [three]: null,
      [two]: null,
      [one]: null,
    });
    assert.deepEqual(places((await api.read('/apps/second/builds?status=queued')).data), { [four]: 1 });
    assert.equal((await api.read('/apps/second')).data.build.queuePosition, 1);

    for (const id of [one, two]) await finishBuild(api, id);
    assert.deepEqual(await standing(four), ['queued', 1, null]);
  });

  test('costs one range of an index, however long it is', async () => {
    await api.sql.raw(
      `insert into apps_builds (build_id, app_id, repo_url, "commit", dockerfile_path, args, cause, pinned, status, attempt,
         asked_position, requested_at)
       select 'x' || n, 'many', '', '', '', '{}', 'manual', true,
         case when n % 10 = 0 then 'queued' else 'succeeded' end, 0, 1000000 + n, now()
       from generate_series(1, 20000) n`,
    );
    await api.sql.raw('vacuum analyze apps_builds');
    const row = await api.sql('apps_builds').where({ build_id: 'x20000' }).first();
    const queries: { sql: string; bindings: readonly unknown[] }[] = [];
    const note = (query: { sql: string; bindings: readonly unknown[] }) => queries.push(query);
    api.sql.on('query', note);
    const places = await placesOf(api.sql, [row]);
    api.sql.removeListener('query', note);
    assert.equal(places.get('x20000')?.position, 2_001);
    const asked = queries.find(({ sql }) => sql.includes('row_number'));
    assert.ok(asked !== undefined);
    const plan = await api.sql.raw(`explain (format json) ${asked.sql.replace(/\$\d+/g, '?')}`, [
      ...asked.bindings,
    ] as never);
    const nodes = JSON.stringify(plan.rows);
    assert.match(nodes, /Index (Only )?Scan/);
    assert.doesNotMatch(nodes, /Seq Scan/);
    assert.deepEqual(await placesOf(api.sql, [{ ...row, status: 'succeeded' }]), new Map());
  });
});
