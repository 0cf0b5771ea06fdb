/** The life of an API key over HTTP: made, used at once, never more than its maker, rotated, expired, revoked. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { startApi } from '../../support/api.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { signIn, stillClock } from '../../support/sign-in.ts';

const ann = 'token-of-ann-0123456789';
const bob = 'token-of-bob-0123456789';
const carl = 'token-of-carl-012345678';
const repoUrl = 'https://git.example/team/app.git';

suite('API keys', async () => {
  const clock = stillClock();
  const api = await startApi({
    clock: { ...systemClock, now: clock.now },
    operators: [
      { subject: 'ann', token: ann, scopes: ['keys:write', 'apps:*'] },
      { subject: 'bob', token: bob, scopes: ['keys:write', 'apps:read'] },
      { subject: 'carl', token: carl, scopes: ['keys:write', 'apps:*'], apps: ['team-*', 'solo'] },
    ],
  });
  after(() => api.close());

  const ask = (body: object, token = ann) => api.ask('POST', '/auth/api-keys', { token, body });
  const make = async (more: object = {}, token = ann) => {
    const made = await ask({ name: 'k', scopes: ['apps:read'], ...more }, token);
    assert.equal(made.status, 201, made.text);
    return made.body.data as { id: string; key: string };
  };
  const statusOf = async (key: string) => (await api.ask('GET', '/apps', { token: key })).status;
  const rotate = (id: string, token = ann, body?: object) =>
    api.ask('POST', `/auth/api-keys/${id}/rotate`, { token, body });
  const revoke = (id: string, token: string) => api.ask('DELETE', `/auth/api-keys/${id}`, { token });

  test('one that was just made is good at once, for its scopes and no more', async () => {
    const made = await ask({ name: 'nightly', scopes: ['apps:read'] });
    assert.equal(made.status, 201);
    const { id, key } = made.body.data;
    assert.match(key, /^aph_[0-9A-Za-z]{71}$/);
    assert.equal(made.headers.get('location'), `/auth/api-keys/${id}`);
    assert.equal(made.headers.get('cache-control'), 'no-store');
    assert.equal(await statusOf(key), 200);
    const identity = await api.ask('GET', '/auth/identity', { token: key });
    const { subject, kind, scopes, credentialId, csrfToken } = identity.body.data;
    assert.deepEqual(
      [subject, kind, scopes, credentialId, csrfToken],
      ['ann', 'api-key', ['apps:read'], id, null],
    );
    const body = { id: 'not-this', name: 'A', repoUrl };
    assertProblem(await api.ask('POST', '/apps', { token: key, body }), 403, 'forbidden');
  });

  test('nobody makes one that can do or reach more than he', async () => {
    for (const scopes of [['apps:write'], ['apps:*'], ['*'], ['apps:read', 'admin']])
      assertProblem(await ask({ name: 'k', scopes }, bob), 403, 'forbidden');
    for (const apps of [undefined, null, ['other'], ['tea*'], ['team-a', 'sol*']])
      assertProblem(await ask({ name: 'k', scopes: ['apps:read'], apps }, carl), 403, 'foreign-resource');
    const { key } = await make({ scopes: ['apps:read', 'keys:write'], apps: ['team-a*'] }, carl);
    assertProblem(await ask({ name: 'k', scopes: ['apps:write'], apps: ['team-a*'] }, key), 403, 'forbidden');
    assertProblem(
      await ask({ name: 'k', scopes: ['apps:read'], apps: ['team-*'] }, key),
      403,
      'foreign-resource',
    );
    assertInvalid(await ask({ name: 'k', scopes: ['apps:reed'] }), 'scopes.0');
    assertInvalid(await ask({ name: 'k', scopes: [] }), 'scopes');
    assertInvalid(await ask({ name: 'two\nlines', scopes: ['apps:read'] }), 'name');
  });

  test('one that ends makes none that outlives it', async () => {
    const first = await make({ scopes: ['keys:write', 'apps:read'], expiresInSeconds: 600 });
    for (const expiresInSeconds of [undefined, null, 86_400]) {
      const { key } = await make({ expiresInSeconds }, first.key);
      const { expires } = (await api.ask('GET', '/auth/identity', { token: key })).body.data;
      assert.equal(Date.parse(expires) - Date.parse(clock.now()), 600_000);
    }
  });

  test('it ends by itself to the second, and cannot be rotated back to life', async () => {
    const { id, key } = await make({ expiresInSeconds: 60 });
    clock.pass(59);
    assert.equal(await statusOf(key), 200);
    clock.pass(1);
    assert.equal(await statusOf(key), 401);
    assertProblem(await rotate(id), 409, 'api-key/ended');
  });

  test('rotated: the new one is good at once, the old one as long as was said', async () => {
    const { id, key } = await make();
    const second = await rotate(id, ann, { overlapSeconds: 30 });
    assert.equal(second.status, 201);
    assert.equal(second.body.data.id, id);
    assert.notEqual(second.body.data.key, key);
    assert.deepEqual([await statusOf(key), await statusOf(second.body.data.key)], [200, 200]);
    clock.pass(30);
    assert.deepEqual([await statusOf(key), await statusOf(second.body.data.key)], [401, 200]);
    const third = await rotate(id);
    const keys = [key, second.body.data.key, third.body.data.key];
    assert.deepEqual(
      await Promise.all(keys.map(statusOf)),
      [401, 401, 200],
      'no overlap unless it is wanted',
    );
  });

  test('revoked: good for nothing from that moment, with its overlap too', async () => {
    const { id, key } = await make();
    const second = await rotate(id, ann, { overlapSeconds: 600 });
    assert.equal((await revoke(id, ann)).status, 202);
    assert.deepEqual([await statusOf(key), await statusOf(second.body.data.key)], [401, 401]);
    assert.equal((await revoke(id, ann)).status, 202, 'again changes nothing');
    assertProblem(await rotate(id), 409, 'api-key/ended');
  });

  test('that of somebody else is not there; an administrator revokes it and cannot rotate it', async () => {
    const { id, key } = await make();
    assertProblem(await revoke(id, bob), 404, 'not-found');
    assertProblem(await rotate(id, bob), 404, 'not-found');
    assertProblem(await revoke('0199c0de-0000-7000-8000-000000000000', bob), 404, 'not-found');
    assert.equal(await statusOf(key), 200);
    assertProblem(await api.ask('POST', `/auth/api-keys/${id}/rotate`), 404, 'not-found');
    assert.equal((await api.ask('DELETE', `/auth/api-keys/${id}`)).status, 202);
    assert.equal(await statusOf(key), 401);
  });

  test('one with less does not become one with more by rotating it', async () => {
    const strong = await make({ scopes: ['apps:*', 'keys:write'] });
    const weak = await make({ scopes: ['keys:write', 'apps:read'] });
    assertProblem(await rotate(strong.id, weak.key), 403, 'forbidden');
    const narrow = await make({ scopes: ['apps:*', 'keys:write'], apps: ['team-*'] });
    assertProblem(await rotate(strong.id, narrow.key), 403, 'foreign-resource');
    const brief = await make({ scopes: ['apps:*', 'keys:write'], expiresInSeconds: 60 });
    assertProblem(await rotate(strong.id, brief.key), 403, 'forbidden');
    assert.equal(await statusOf(strong.key), 200, 'it was not touched');
    assert.equal((await rotate(weak.id, weak.key)).status, 201, 'itself it may');
    assert.equal((await rotate(brief.id, brief.key)).status, 201);
  });

  test('the same request with a key of idempotency is refused: what is shown once cannot be repeated', async () => {
    const headers = { 'idempotency-key': 'a' };
    const body = { name: 'k', scopes: ['apps:read'] };
    assertInvalid(await api.ask('POST', '/auth/api-keys', { token: ann, body, headers }), 'Idempotency-Key');
  });

  test('made in a browser it outlives the session, and needs the page’s token to be made', async () => {
    const browser = await signIn(api, { token: ann });
    const body = { name: 'from the page', scopes: ['apps:read'] };
    assertProblem(await browser.ask('POST', '/auth/api-keys', body, { 'x-csrf-token': '' }), 403, 'csrf');
    const made = await browser.ask('POST', '/auth/api-keys', body);
    assert.equal(made.status, 201, made.text);
    await browser.ask('DELETE', `/auth/sessions/${browser.sessionId}`);
    assert.equal(await statusOf(made.body.data.key), 200);
  });
});
