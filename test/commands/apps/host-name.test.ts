/** Host names of somebody's own over HTTP: claimed, shown, refused, released, and what the proxy makes of them. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import type { Target } from '../../../platform/preview-target.ts';
import { targetsOf } from '../../../read-api/preview.ts';
import { operatorToken, startApi } from '../../support/api.ts';
import { failLaunch, launchableApp, markRunning, startLaunch } from '../../support/play.ts';
import { grants } from '../../support/preview.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

suite('host names', async () => {
  const api = await startApi({
    tokens: { 'a-reader': ['apps:read'] },
    operators: [{ subject: 'team', token: 'the-token-of-the-team', scopes: ['*'], apps: ['team-*'] }],
  });
  after(() => api.close());
  for (const app of ['shop', 'other', 'team-x']) await launchableApp(api, app);
  const put = (app: string, host: string, body?: unknown, token = operatorToken) =>
    api.ask('PUT', `/apps/${app}/hosts/${encodeURIComponent(host)}`, { body, token });
  const hosts = async (app: string) =>
    (
      (await api.read(`/apps/${app}/hosts`)).data as { host: string; launchId: string | null; url: string }[]
    ).map(({ host, launchId, url }) => `${host} ${launchId} ${url}`);
  const claim = async (app: string, host: string, body?: unknown) => {
    const answer = await put(app, host, body);
    assert.equal(answer.status, 202, answer.text);
    const { id, position } = answer.body.data;
    api.wrote(BigInt(position));
    return id as string;
  };
  const launched = async (app: string, access = 'private') => {
    const { id } = await api.write('POST', `/apps/${app}/launches`, { access });
    await api.read('/launches');
    return id;
  };
  const shown = async (name: string): Promise<Target | undefined> => {
    await api.read('/launches');
    return (await targetsOf(api.sql, [name])).get(name);
  };

  test('lead to one app, by the name that a browser asks for', async () => {
    assert.equal(await claim('shop', 'Bücher.Example.'), 'xn--bcher-kva.example');
    assert.deepEqual(await hosts('shop'), ['xn--bcher-kva.example null http://xn--bcher-kva.example/']);
    assertProblem(await put('other', 'bücher.example'), 409, 'host-name/taken');
    assert.deepEqual(await hosts('other'), []);
    const text = (await put('other', 'bücher.example')).text;
    assert.doesNotMatch(text, /shop/, 'whose it is is not told');
    assertProblem(await api.ask('DELETE', '/apps/other/hosts/b%C3%BCcher.example'), 404, 'not-found');
    await api.write('DELETE', '/apps/shop/hosts/b%C3%BCcher.example');
    assert.deepEqual(await hosts('shop'), []);
    await claim('other', 'bücher.example');
    await api.write('DELETE', '/apps/other/hosts/xn--bcher-kva.example');
    const again = await api.ask('DELETE', '/apps/shop/hosts/never.example');
    assert.deepEqual([again.status, again.body.data.position], [202, null]);
  });

  test('are refused where they are the platform’s, a launch’s, or no names', async () => {
    for (const host of [
      'apphub.example.org',
      'x.localhost',
      'localhost',
      '10.0.0.1',
      'shop',
      'a b.example',
      'x:80.org',
    ])
      assertInvalid(await put('shop', host), 'host');
    assertProblem(await put('nobody', 'x.example.org'), 404, 'not-found');
    assertProblem(await put('shop', 'x.example.org', undefined, 'a-reader'), 403, 'forbidden');
    assertProblem(
      await put('shop', 'x.example.org', undefined, 'the-token-of-the-team'),
      403,
      'foreign-resource',
    );
    const foreign = await launched('other');
    for (const launchId of [randomUUID(), foreign])
      assertProblem(await put('shop', 'x.example.org', { launchId }), 404, 'not-found');
    assertInvalid(await put('shop', 'x.example.org', { launchId: 'x' }), 'launchId');
    assertProblem(await api.ask('GET', '/apps/nobody/hosts'), 404, 'not-found');
  });

  test('show the newest launch that runs, or the one that was chosen', async () => {
    await claim('shop', 'shop.example.org');
    const nothing = await shown('shop.example.org');
    assert.deepEqual([nothing?.state, nothing?.launchId], ['over', '']);
    const first = await launched('shop', 'public');
    assert.deepEqual(
      [(await shown('shop.example.org'))?.state, (await shown('shop.example.org'))?.launchId],
      ['coming', first],
    );
    await startLaunch(api, first, 41_001);
    await markRunning(api, first);
    const second = await launched('shop');
    assert.equal((await shown('shop.example.org'))?.launchId, first, 'the new one does not run yet');
    await startLaunch(api, second, 41_002);
    await markRunning(api, second);
    const now = await shown('shop.example.org');
    assert.deepEqual(now, { ...(await shown(second)) });
    assert.deepEqual(
      [now?.launchId, now?.access, now?.state === 'up' && now.port],
      [second, 'private', 41_002],
    );
    await claim('shop', 'shop.example.org', { launchId: first });
    assert.deepEqual(
      [(await shown('shop.example.org'))?.launchId, (await shown('shop.example.org'))?.access],
      [first, 'public'],
    );
    await api.write('POST', `/launches/${first}/stop`);
    const stopped = await shown('shop.example.org');
    assert.deepEqual([stopped?.state, stopped?.state === 'over' && stopped.isPassing], ['over', true]);
    assertProblem(await put('shop', 'shop.example.org', { launchId: first }), 409, 'launch/already-ended');
    await claim('shop', 'shop.example.org', { launchId: null });
    assert.equal((await shown('shop.example.org'))?.launchId, second);
    assert.equal(await shown('nobody.example.org'), undefined);
  });

  test('the table says where each launch is, or why not', async () => {
    const id = await launched('other');
    assert.deepEqual(
      [(await shown(id))?.state, (await shown(id))?.access, (await shown(id))?.linkEpoch],
      ['coming', 'private', 0],
    );
    await startLaunch(api, id, 41_234);
    assert.equal((await shown(id))?.state, 'coming');
    await markRunning(api, id);
    const up = await shown(id);
    assert.deepEqual(up?.state === 'up' && [up.host, up.port], ['127.0.0.1', 41_234]);
    await api.write('POST', `/launches/${id}/sleep`);
    const asleep = await shown(id);
    assert.deepEqual(asleep?.state === 'coming' && [asleep.isAsleep, asleep.title], [true, 'Waking up']);
    const failed = await launched('other');
    await failLaunch(api, failed);
    const over = await shown(failed);
    assert.ok(
      over?.state === 'over' && /did not stay up\. it exited\./.test(over.message),
      JSON.stringify(over),
    );
    for (const nobody of ['x', id.toUpperCase(), id.replace(/^./, 'f'), "'", '']) {
      assert.equal((await targetsOf(api.sql, [nobody])).size, 0);
    }
    const both = await targetsOf(api.sql, [id, 'shop.example.org', 'x', failed]);
    assert.deepEqual([...both.keys()].sort(), [id, failed, 'shop.example.org'].sort());
  });

  test('a grant may be for a host name of the app, and for no other', async () => {
    const id = await launched('shop');
    await claim('shop', 'www.example.org');
    await claim('other', 'other.example.org');
    const ask = (host: string) => api.ask('POST', `/launches/${id}/grants`, { body: { host, path: '/x' } });
    const answer = await ask('www.example.org');
    assert.ok(answer.body.data.url.startsWith('http://www.example.org/x?__apphub_grant='), answer.text);
    const token = new URL(answer.body.data.url).searchParams.get('__apphub_grant') ?? '';
    assert.equal(grants.read(token)?.launchId, id);
    for (const host of [
      'evil.example',
      'other.example.org',
      'www.example.org.evil.example',
      'www.example.org:1',
      '',
    ])
      assertInvalid(await ask(host), 'host');
    const open = (host: string) =>
      fetch(`${api.url}/launches/${id}/open?host=${encodeURIComponent(host)}`, {
        redirect: 'manual',
        headers: { authorization: `Bearer ${operatorToken}` },
      }).then(({ headers }) => new URL(headers.get('location') ?? '').host);
    await api.read('/apps');
    assert.equal(await open('www.example.org'), 'www.example.org');
    for (const host of ['evil.example', 'other.example.org'])
      assert.equal(await open(host), `${id}.localhost`);
    assertInvalid(await api.ask('GET', `/launches/${id}/open?host=%40evil.example`), 'host');
  });

  test('a server in front asks whether a name leads anywhere', async () => {
    const id = await launched('shop');
    await api.read('/apps');
    const check = async (host: string) => {
      const byPath = await api.ask('GET', `/preview/hosts/${encodeURIComponent(host)}/check`, {
        token: null,
      });
      const byQuery = await api.ask('GET', `/preview/hosts/check?domain=${encodeURIComponent(host)}`, {
        token: null,
      });
      assert.equal(byPath.status, byQuery.status);
      return byPath.status;
    };
    for (const host of ['shop.example.org', 'SHOP.example.org', `${id}.localhost`])
      assert.equal(await check(host), 200, host);
    for (const host of [
      'nobody.example.org',
      'localhost',
      'x.localhost',
      `${randomUUID()}.localhost`,
      `a.${id}.localhost`,
      "'",
    ])
      assert.equal(await check(host), 404, host);
    await api.write('POST', `/launches/${id}/stop`);
  });

  test('the name of an archived app can still be given back', async () => {
    await claim('team-x', 'team.example.org');
    await api.write('DELETE', '/apps/team-x');
    assertProblem(await put('team-x', 'team2.example.org'), 409, 'archived');
    await api.write('DELETE', '/apps/team-x/hosts/team.example.org');
    await claim('shop', 'team.example.org');
  });
});
