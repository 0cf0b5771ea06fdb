/** What builds are given, over HTTP: arguments that everybody reads, secrets that nobody reads back. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { startApi } from '../../support/api.ts';
import { ingest } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('what builds are given', async () => {
  const api = await startApi({ tokens: { 'apps-only': ['apps:*'] } });
  after(() => api.close());
  const app = async (id: string) => {
    await api.write('POST', '/apps', { id, name: 'A', repoUrl });
    await ingest(api, id);
  };
  const build = async (appId: string, body: object = {}) => {
    const { id } = await api.write('POST', `/apps/${appId}/builds`, body);
    return (await api.read(`/builds/${id}`)).data;
  };

  test('arguments of the app, and over them those of a request; a retry has those of its build', async () => {
    await app('with-args');
    assert.deepEqual((await api.read('/apps/with-args/build-args')).data, { args: {} });
    await api.write('PUT', '/apps/with-args/build-args', { args: { A: 'app', B: 'app' } });
    assert.deepEqual((await api.read('/apps/with-args/build-args')).data, { args: { A: 'app', B: 'app' } });
    assert.deepEqual((await build('with-args')).args, { A: 'app', B: 'app' });
    const odd = '$(id) `id` -v\n"';
    const own = await build('with-args', { args: { B: odd } });
    assert.deepEqual(own.args, { A: 'app', B: odd });
    await api.write('PUT', '/apps/with-args/build-args', { args: {} });
    await api.write('POST', `/builds/${own.id}/cancel`);
    const again = await api.write('POST', `/builds/${own.id}/retry`);
    assert.deepEqual((await api.read(`/builds/${again.id}`)).data.args, { A: 'app', B: odd });
    assert.deepEqual((await build('with-args')).args, {});
  });

  test('arguments that cannot be given are named', async () => {
    await app('wrong-args');
    for (const name of ['-v', '$(id)', 'BUILDKIT_SYNTAX', 'A=B']) {
      const body = { args: { [name]: 'x' } };
      const field = `args.${name}`;
      assertInvalid(await api.ask('PUT', '/apps/wrong-args/build-args', { body }), field);
      assertInvalid(await api.ask('POST', '/apps/wrong-args/builds', { body }), field);
    }
    for (const args of [{ A: 1 }, { A: 'x'.repeat(2_049) }, [], 'A=1']) {
      const answer = await api.ask('PUT', '/apps/wrong-args/build-args', { body: { args } });
      assert.equal(answer.status, 400, answer.text);
    }
    assertProblem(await api.ask('PUT', '/apps/nobodys/build-args', { body: { args: {} } }), 404, 'not-found');
    assertProblem(await api.ask('GET', '/apps/nobodys/build-args'), 404, 'not-found');
  });

  test('a secret is told by name and version; its value is sealed, and gone when it is replaced', async () => {
    await app('secretive');
    const value = `pässword-${randomUUID()}`;
    const place = '/apps/secretive/build-secrets/npm.token';
    await api.write('PUT', place, { value });
    const [told, ...others] = (await api.read('/apps/secretive/build-secrets')).data;
    const { setAt, ...rest } = told;
    assert.deepEqual(rest, { name: 'npm.token', version: 1, setBy: 'operator', isGiven: true });
    assert.deepEqual(others, []);
    assert.ok(!Number.isNaN(Date.parse(setAt)));

    const { events } = await api.store.load('apps.build-input-secretive');
    const first = events.at(-1)?.data as { key: string };
    assert.equal(await api.buildSecrets.read(first.key), value);
    await api.write('PUT', place, { value: `${value}-2` });
    const second = (await api.store.load('apps.build-input-secretive')).events.at(-1)?.data as {
      key: string;
    };
    assert.equal(await api.buildSecrets.read(first.key), undefined);
    assert.equal(await api.buildSecrets.read(second.key), `${value}-2`);
    assert.equal((await api.read('/apps/secretive/build-secrets')).data[0].version, 2);

    // Neither in the log nor in any table.
    const log = JSON.stringify((await api.store.load('apps.build-input-secretive')).events, (_key, each) =>
      typeof each === 'bigint' ? each.toString() : each,
    );
    assert.ok(!log.includes(value) && log.includes('npm.token'));
    for (const { tablename } of await api.sql('pg_tables').where({ schemaname: 'public' })) {
      const rows = await api.sql(tablename).select(api.sql.raw('to_jsonb(??) as row', [tablename]));
      assert.ok(!JSON.stringify(rows).includes(value), tablename);
    }

    await api.write('DELETE', place);
    assert.deepEqual((await api.read('/apps/secretive/build-secrets')).data, []);
    assert.equal(await api.buildSecrets.read(second.key), undefined);
    assert.equal((await api.sql('build_secret_values')).length, 0);
    await api.write('DELETE', place);
    await api.write('PUT', place, { value });
    assert.equal((await api.read('/apps/secretive/build-secrets')).data[0].version, 3);
  });

  test('a secret that was set for another source is given to no build, and says so', async () => {
    await app('moved');
    await api.write('PUT', '/apps/moved/build-secrets/token', { value: 'secret-1' });
    await api.write('PATCH', '/apps/moved', { repoUrl: 'https://git.example/other/app.git' });
    const given = async () => (await api.read('/apps/moved/build-secrets')).data[0].isGiven;
    assert.equal(await given(), false);
    await api.write('PUT', '/apps/moved/build-secrets/token', { value: 'secret-2' });
    assert.equal(await given(), true);
  });

  test('secrets are nobody’s who may only write apps; and what cannot be one is said', async () => {
    await app('guarded');
    const place = '/apps/guarded/build-secrets';
    const token = 'apps-only';
    assertProblem(await api.ask('GET', place, { token }), 403, 'forbidden');
    assertProblem(
      await api.ask('PUT', `${place}/a`, { token, body: { value: 'secret-1' } }),
      403,
      'forbidden',
    );
    assertProblem(await api.ask('DELETE', `${place}/a`, { token }), 403, 'forbidden');
    for (const value of ['', 'short', 'a\nb\nc\n', 'nul-\0-nul', 'x'.repeat(32 * 1_024 + 1), 7, null]) {
      assertInvalid(await api.ask('PUT', `${place}/a`, { body: { value } }), 'value');
    }
    for (const name of ['-v', '$(id)', '1st', 'a%2Fb', 'x'.repeat(65)]) {
      assertInvalid(
        await api.ask('PUT', `${place}/${encodeURI(name)}`, { body: { value: 'secret-1' } }),
        'name',
      );
    }
    assertProblem(await api.ask('DELETE', `${place}/never`), 404, 'not-found');
    assertProblem(
      await api.ask('PUT', '/apps/nobodys/build-secrets/a', { body: { value: 'secret-1' } }),
      404,
      'not-found',
    );
    assert.equal((await api.sql('build_secret_values').where({ app_id: 'guarded' })).length, 0);
    // The log would keep a sum over the value.
    const headers = { 'idempotency-key': 'k' };
    const repeated = await api.ask('PUT', `${place}/a`, { body: { value: 'secret-1' }, headers });
    assertInvalid(repeated, 'Idempotency-Key');
  });

  test('an archived app is given nothing more', async () => {
    await app('archived-one');
    await api.write('DELETE', '/apps/archived-one');
    const body = { args: {}, value: 'secret-1' };
    const { args, value } = body;
    assertProblem(await api.ask('PUT', '/apps/archived-one/build-args', { body: { args } }), 409, 'archived');
    assertProblem(
      await api.ask('PUT', '/apps/archived-one/build-secrets/a', { body: { value } }),
      409,
      'archived',
    );
  });
});
