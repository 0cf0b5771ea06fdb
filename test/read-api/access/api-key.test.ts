/** Keys as their owner and an administrator see them: what they may do and when they end, never what they are. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { type Body, startApi } from '../../support/api.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { stillClock } from '../../support/sign-in.ts';
import { eventually } from '../../support/workers.ts';

const ann = 'token-of-ann-0123456789';
const bob = 'token-of-bob-0123456789';

suite('GET /auth/api-keys', async () => {
  const clock = stillClock();
  const api = await startApi({
    clock: { ...systemClock, now: clock.now },
    operators: [
      { subject: 'ann', token: ann, scopes: ['keys:write', 'apps:*'] },
      { subject: 'bob', token: bob, scopes: ['keys:write', 'apps:read'] },
    ],
  });
  after(() => api.close());

  const make = async (token: string, body: object) => {
    const made = await api.ask('POST', '/auth/api-keys', { token, body });
    assert.equal(made.status, 201, made.text);
    api.wrote(BigInt(made.body.data.position));
    return made.body.data as { id: string; key: string; position: string };
  };
  const list = async (token: string, query = '') => {
    const { position } = await make(token, { name: 'last', scopes: ['apps:read'] });
    const answer = await api.ask('GET', `/auth/api-keys?after=${position}${query}`, { token });
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };

  test('shows one’s own with everything but the key and its digest', async () => {
    const body = {
      name: 'nightly',
      scopes: ['apps:read', 'apps:launch'],
      apps: ['team-*'],
      expiresInSeconds: 600,
    };
    const { id, key, position } = await make(ann, body);
    await make(bob, { name: 'of bob', scopes: ['apps:read'] });
    const wanted = {
      id,
      owner: 'ann',
      name: 'nightly',
      scopes: ['apps:read', 'apps:launch'],
      apps: ['team-*'],
      hint: key.slice(-10, -6),
      createdAt: '2026-01-02T03:04:05.000Z',
      expiresAt: '2026-01-02T03:14:05.000Z',
      rotatedAt: null,
      previousUntil: null,
      revokedAt: null,
      lastSeenAt: null,
      lastSeenIp: null,
      status: 'active',
    };
    const { body: own, text } = await api.ask('GET', `/auth/api-keys?after=${position}`, { token: ann });
    assert.deepEqual(own, { data: [wanted], meta: { nextCursor: null } });
    assert.doesNotMatch(text, /sha256|[0-9a-f]{64}|aph_/);
  });

  test('shows when and from where a key was used', async () => {
    const { id, key } = await make(ann, { name: 'used', scopes: ['keys:write'] });
    assert.equal((await api.ask('GET', '/auth/api-keys', { token: key })).status, 200);
    await eventually(async () => {
      const used = (await list(ann)).data.find((one: Body) => one.id === id);
      assert.deepEqual([used.lastSeenAt, used.lastSeenIp], [clock.now(), '127.0.0.1']);
    });
  });

  test('says rotated, revoked and expired', async () => {
    const soon = await make(ann, { name: 'soon over', scopes: ['apps:read'], expiresInSeconds: 60 });
    const one = await make(ann, { name: 'rotated', scopes: ['apps:read'] });
    const body = { overlapSeconds: 30 };
    const rotated = await api.ask('POST', `/auth/api-keys/${one.id}/rotate`, { token: ann, body });
    assert.equal(rotated.status, 201, rotated.text);
    const gone = await make(ann, { name: 'gone', scopes: ['apps:read'] });
    await api.ask('DELETE', `/auth/api-keys/${gone.id}`, { token: ann });
    const at = clock.now();
    clock.pass(60);
    const { data } = await list(ann);
    const found = (id: string) => data.find((key: Body) => key.id === id);
    assert.equal(found(soon.id).status, 'expired');
    const { status, hint, rotatedAt, previousUntil } = found(one.id);
    assert.deepEqual([status, hint], ['active', rotated.body.data.key.slice(-10, -6)]);
    assert.deepEqual([rotatedAt, previousUntil], [at, new Date(Date.parse(at) + 30_000).toISOString()]);
    assert.deepEqual([found(gone.id).status, found(gone.id).revokedAt], ['revoked', at]);
  });

  test('everybody’s are for administrators', async () => {
    assertProblem(await api.ask('GET', '/auth/api-keys?all=true', { token: ann }), 403, 'forbidden');
    await make(bob, { name: 'of bob', scopes: ['apps:read'] });
    const owners = new Set(
      (await api.read('/auth/api-keys?all=true&limit=200')).data.map((key: Body) => key.owner),
    );
    assert.deepEqual([...owners].sort(), ['ann', 'bob']);
    assert.deepEqual((await api.read('/auth/api-keys')).data, []);
    assertProblem(await api.ask('GET', '/auth/api-keys', { token: null }), 401, 'unauthorized');
  });

  test('pages hold each key once, also those made in the same moment', async () => {
    for (let at = 0; at < 5; at += 1) await make(ann, { name: `n${at}`, scopes: ['apps:read'] });
    const whole = (await list(ann)).data.map((key: Body) => key.id);
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const more: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body } = await api.ask('GET', `/auth/api-keys?limit=2${more}`, { token: ann });
      pages.push(...body.data.map((key: Body) => key.id));
      cursor = body.meta.nextCursor;
    }
    assert.deepEqual(pages, whole);
    const { body } = await api.ask('GET', '/auth/api-keys?limit=1', { token: ann });
    const foreign = `/auth/api-keys?limit=1&cursor=${body.meta.nextCursor}`;
    assertInvalid(await api.ask('GET', foreign, { token: bob }), 'cursor');
    assertInvalid(await api.ask('GET', `${foreign}&all=true`), 'cursor');
  });
});
