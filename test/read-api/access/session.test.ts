/** Who is signed in: one's own sessions, and for an administrator everybody's. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { type Body, startApi } from '../../support/api.ts';
import { assertProblem } from '../../support/problem.ts';
import { signIn, stillClock } from '../../support/sign-in.ts';

const ann = 'token-of-ann-0123456789';

suite('GET /auth/sessions', async () => {
  const clock = stillClock();
  const api = await startApi({
    clock: { ...systemClock, now: clock.now },
    operators: [{ subject: 'ann', token: ann, scopes: ['apps:read'] }],
    sessionTimes: { idleSeconds: 600, absoluteSeconds: 3_600 },
  });
  after(() => api.close());
  const list = async (token: string, query = '') =>
    (await api.ask('GET', `/auth/sessions${query}`, { token })).body.data as Body[];

  test('shows who signed in, from where, and which is this very one', async () => {
    const browser = await signIn(api, { token: ann, headers: { 'user-agent': 'Firefox of Ann' } });
    const other = await signIn(api, { token: ann });
    await api.read('/auth/sessions');
    const { body, text } = await browser.ask('GET', '/auth/sessions');
    assert.deepEqual(
      body.data.map((one: Body) => [one.id, one.current]).sort(),
      [
        [browser.sessionId, true],
        [other.sessionId, false],
      ].sort(),
    );
    const { lastSeenAt: _at, lastSeenIp: _ip, ...own } = body.data.find((one: Body) => one.current);
    assert.deepEqual(own, {
      id: browser.sessionId,
      subject: 'ann',
      name: 'ann',
      how: 'token',
      openedAt: '2026-01-02T03:04:05.000Z',
      expiresAt: '2026-01-02T04:04:05.000Z',
      endedAt: null,
      endReason: null,
      ip: '127.0.0.1',
      userAgent: 'Firefox of Ann',
      current: true,
      status: 'open',
    });
    assert.doesNotMatch(text, /sha256|[0-9a-f]{64}/);
    assert.ok(!text.includes(browser.cookie.slice(-43)));
  });

  test('everybody’s are for administrators, nobody’s for nobody', async () => {
    assertProblem(await api.ask('GET', '/auth/sessions?all=true', { token: ann }), 403, 'forbidden');
    assertProblem(await api.ask('GET', '/auth/sessions', { token: null }), 401, 'unauthorized');
    await signIn(api);
    const subjects = (await api.read('/auth/sessions?all=true')).data.map((one: Body) => one.subject);
    assert.deepEqual([...new Set(subjects)].sort(), ['ann', 'operator']);
    assert.deepEqual(new Set((await list(ann)).map(one => one.subject)), new Set(['ann']));
  });

  test('says ended and why, idle, and expired', async () => {
    const ended = await signIn(api, { token: ann });
    assert.equal((await ended.ask('DELETE', `/auth/sessions/${ended.sessionId}`)).status, 202);
    const left = await signIn(api, { token: ann });
    const statusOf = async (id: string) => {
      await signIn(api, { token: ann });
      await api.read('/auth/sessions');
      const { status, endReason } = (await list(ann)).find(one => one.id === id) ?? {};
      return [status, endReason];
    };
    assert.deepEqual(await statusOf(ended.sessionId), ['ended', 'signed-out']);
    assert.deepEqual(await statusOf(left.sessionId), ['open', null]);
    clock.pass(600);
    assert.deepEqual(await statusOf(left.sessionId), ['idle', null]);
    clock.pass(3_000);
    assert.deepEqual(await statusOf(left.sessionId), ['expired', null]);
    assert.deepEqual(await statusOf(ended.sessionId), ['ended', 'signed-out']);
  });
});
