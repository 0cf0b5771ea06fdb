/** A credential that is good for some apps: what it sees, finds, follows and may do, everywhere. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { WebSocket } from 'ws';
import { type Api, type Body, operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { assertProblem } from '../support/problem.ts';

const token = 'the-token-of-the-team';
const team = { subject: 'team', token, scopes: ['*'], apps: ['team-*', 'shared'] };

suite('a credential that is good for some apps', () => {
  let api: Api;
  const ids: Record<string, { buildId: string; launchId: string }> = {};
  before(async () => {
    api = await startApi({ operators: [team] });
    for (const appId of ['team-shop', 'other-shop', 'shared']) {
      const buildId = await launchableApp(api, appId);
      const { id: launchId } = await api.write('POST', `/apps/${appId}/launches`);
      await api.write('POST', `/apps/${appId}/tags`, { key: 'of', value: appId });
      ids[appId] = { buildId, launchId };
    }
    await api.read('/apps');
  });
  after(() => api.close());
  const ask = (method: string, place: string, body?: unknown) => api.ask(method, place, { token, body });
  const of = (appId: string) => ids[appId] ?? assert.fail(appId);

  test('sees these in lists, searches, facets and suggestions, and no trace of others', async () => {
    for (const place of [
      '/apps',
      '/apps?sort=name',
      '/apps?q=shop',
      '/builds',
      '/launches',
      '/apps?tags=of:other-shop',
    ]) {
      const { status, text } = await ask('GET', place);
      assert.equal(status, 200, text);
      assert.ok(!text.includes('other-shop'), `${place}: ${text}`);
    }
    const found = (await ask('GET', '/apps')).body;
    assert.deepEqual(found.data.map(({ id }: Body) => id).sort(), ['shared', 'team-shop']);
    assert.equal(found.meta.total.count, 2);
    const suggested = (await ask('GET', '/suggest?q=of:')).body.data.map(({ value }: Body) => value);
    assert.deepEqual(suggested.sort(), ['of:shared', 'of:team-shop']);
    assert.deepEqual((await ask('GET', '/suggest?q=other')).body.data, []);
  });

  test('is refused every other app by its id, whether there is one or not', async () => {
    const { buildId, launchId } = of('other-shop');
    const places: [string, string, unknown?][] = [
      ['GET', '/apps/other-shop'],
      ['GET', '/apps/not-there-at-all'],
      ['GET', '/apps/other-shop/history'],
      ['GET', '/apps/other-shop/ingestions'],
      ['GET', '/apps/other-shop/builds'],
      ['GET', '/apps/other-shop/launches'],
      ['GET', '/webhooks/git/other-shop'],
      ['GET', `/builds/${buildId}`],
      ['GET', `/builds/${buildId}/logs`],
      ['GET', `/launches/${launchId}`],
      ['GET', `/launches/${launchId}/logs`],
      ['POST', '/apps', { id: 'others-too', name: 'A', repoUrl: 'https://git.example/a.git' }],
      ['PATCH', '/apps/other-shop', { name: 'B' }],
      ['DELETE', '/apps/other-shop'],
      ['POST', '/apps/other-shop/tags', { key: 'a', value: 'b' }],
      ['DELETE', '/apps/other-shop/tags/of/other-shop'],
      ['POST', '/apps/other-shop/retry'],
      ['POST', '/apps/other-shop/builds'],
      ['POST', '/apps/other-shop/launches'],
      ['POST', `/builds/${buildId}/retry`],
      ['POST', `/builds/${buildId}/cancel`],
      ['POST', `/launches/${launchId}/stop`],
    ];
    for (const [method, place, body] of places) {
      assertProblem(await ask(method, place, body), 403, 'foreign-resource');
    }
    const events = (await api.read('/apps/other-shop/history')).data;
    assert.ok(!events.some(({ actor }: Body) => actor === 'team'));
  });

  test('does with its own whatever its scopes let it', async () => {
    const { buildId, launchId } = of('team-shop');
    for (const place of ['/apps/team-shop', '/apps/shared', `/builds/${buildId}`, `/launches/${launchId}`]) {
      assert.equal((await ask('GET', place)).status, 200, place);
    }
    assert.equal((await ask('POST', `/builds/${buildId}/retry`)).status, 202);
    assert.equal((await ask('POST', `/launches/${launchId}/stop`)).status, 202);
    const made = { id: 'team-new', name: 'A', repoUrl: 'https://git.example/a.git' };
    assert.equal((await ask('POST', '/apps', made)).status, 201);
  });

  test('follows events of these apps only, and none of access', async () => {
    const seen = await follow(api, token);
    assert.ok(seen.length > 5);
    for (const { data, stream } of seen) {
      assert.ok(['team-shop', 'team-new', 'shared'].includes(data.appId), stream);
    }
    assert.ok((await follow(api, operatorToken)).some(({ data }) => data.appId === 'other-shop'));
  });

  test('makes keys for no more apps than its own', async () => {
    const wanted = { name: 'k', scopes: ['apps:read'] };
    assertProblem(await ask('POST', '/auth/api-keys', wanted), 403, 'foreign-resource');
    assertProblem(await ask('POST', '/auth/api-keys', { ...wanted, apps: ['te*'] }), 403, 'foreign-resource');
    const { body } = await ask('POST', '/auth/api-keys', { ...wanted, apps: ['team-sh*'] });
    const found = (await api.ask('GET', '/apps', { token: body.data.key })).body;
    assert.deepEqual(
      found.data.map(({ id }: Body) => id),
      ['team-shop'],
    );
  });
});

test('a stream ends with the key or the session it was opened by', async () => {
  const api = await startApi();
  try {
    const { body } = await api.ask('POST', '/auth/api-keys', {
      body: { name: 'k', scopes: ['stream:read', 'apps:read'] },
    });
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/stream?streams=apps.`, [
      'apphub',
      `bearer.${body.data.key}`,
    ]);
    const closed = new Promise<number>(resolve => socket.once('close', resolve));
    await new Promise<void>((resolve, reject) => {
      socket.once('message', () => resolve());
      socket.once('error', reject);
    });
    await api.write('DELETE', `/auth/api-keys/${body.data.id}`);
    assert.equal(await closed, 1008);
    const again = new WebSocket(`${api.url.replace('http', 'ws')}/stream`, [`bearer.${body.data.key}`]);
    const status = await new Promise<number>(resolve => {
      again.once('unexpected-response', (_request, answer) => resolve(answer.statusCode ?? 0));
      again.once('error', () => undefined);
    });
    assert.equal(status, 401);
  } finally {
    await api.close();
  }
});

function follow(api: Api, token: string): Promise<Body[]> {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/stream?from=start`, [
    'apphub',
    `bearer.${token}`,
  ]);
  const seen: Body[] = [];
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.on('message', text => {
      const frame = JSON.parse(String(text));
      if (frame.kind === 'event') seen.push(frame.event);
      if (frame.kind !== 'caughtUp') return;
      socket.close();
      resolve(seen);
    });
  });
}
