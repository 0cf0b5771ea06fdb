/** Signing in with a token, what a browser needs to change something, and every way a session ends. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { sessionCookie } from '../../../platform/session-cookie.ts';
import { operatorToken, startApi } from '../../support/api.ts';
import { assertProblem } from '../../support/problem.ts';
import { type Browser, signIn, stillClock } from '../../support/sign-in.ts';

const ann = 'token-of-ann-0123456789';
const bob = 'token-of-bob-0123456789';
const repoUrl = 'https://git.example/team/app.git';
const absoluteSeconds = 3_600;
const idleSeconds = 600;

suite('sessions', async () => {
  const clock = stillClock();
  const api = await startApi({
    clock: { ...systemClock, now: clock.now },
    operators: [
      { subject: 'ann', token: ann, scopes: ['apps:*'], apps: ['team-*'] },
      { subject: 'bob', token: bob, scopes: ['apps:*'] },
    ],
    sessionTimes: { idleSeconds, absoluteSeconds },
    trustedProxies: ['127.0.0.1'],
  });
  after(() => api.close());

  const statusOf = async (browser: Browser) => (await browser.ask('GET', '/auth/identity')).status;
  const sign = (headers: Record<string, string> = {}, token = ann) =>
    api.ask('POST', '/auth/sessions', { body: { token }, token: null, headers });
  const howItEnded = async ({ sessionId }: Browser) => {
    const last = (await api.store.load(`access.session-${sessionId}`)).events.at(-1);
    return last?.type === 'SessionEnded' ? last.data.reason : undefined;
  };
  let apps = 0;
  const register = (browser: Browser, headers: Record<string, string> = {}) => {
    apps += 1;
    return browser.ask('POST', '/apps', { id: `team-${apps}`, name: 'A', repoUrl }, headers);
  };

  test('a token opens one, with a cookie that only this host gets and no script sees', async () => {
    const browser = await signIn(api, { token: ann });
    const [pair, ...attributes] = browser.setCookie.split('; ');
    assert.match(pair ?? '', new RegExp(`^${sessionCookie}=${browser.sessionId}\\.[\\w-]{43}$`));
    assert.deepEqual(attributes.sort(), [
      'HttpOnly',
      `Max-Age=${absoluteSeconds}`,
      'Path=/',
      'SameSite=Strict',
      'Secure',
    ]);
    assert.ok(sessionCookie.startsWith('__Host-'));
    const { data } = (await browser.ask('GET', '/auth/identity')).body;
    assert.deepEqual(
      [data.subject, data.kind, data.scopes, data.apps, data.credentialId],
      ['ann', 'session', ['apps:*'], ['team-*'], browser.sessionId],
    );
    assert.equal(Date.parse(data.expires) - Date.parse(clock.now()), absoluteSeconds * 1_000);
  });

  test('a wrong token opens none, whatever is wrong with it', async () => {
    for (const token of [`${ann}x`, 'x', ann.slice(0, -1), 'aph_']) {
      const answer = await sign({}, token);
      assertProblem(answer, 401, 'unauthorized');
      assert.equal(answer.headers.get('set-cookie'), null);
      assert.equal(answer.body.title, 'Nobody has this token');
    }
    const made = await api.ask('POST', '/auth/api-keys', { body: { name: 'k', scopes: ['*'] } });
    assertProblem(await sign({}, made.body.data.key), 401, 'unauthorized');
  });

  test('a change by cookie needs the Origin of this page and its token; reading needs neither', async () => {
    const browser = await signIn(api, { token: ann });
    const other = await signIn(api, { token: ann });
    const { cookie } = browser;
    const change = (headers: Record<string, string>) =>
      api.ask('POST', '/apps', { token: null, headers, body: { id: 'team-x', name: 'A', repoUrl } });
    const token = { 'x-csrf-token': browser.csrf };
    const origin = { origin: api.url };
    for (const [headers, field] of [
      [{}, 'Origin'],
      [token, 'Origin'],
      [{ ...token, origin: 'null' }, 'Origin'],
      [{ ...token, origin: 'https://elsewhere.example' }, 'Origin'],
      [{ ...token, origin: `http://127.0.0.1.elsewhere.example:${api.port}` }, 'Origin'],
      [{ ...token, origin: 'http://127.0.0.1:1' }, 'Origin'],
      [origin, 'X-CSRF-Token'],
      [{ ...origin, 'x-csrf-token': '' }, 'X-CSRF-Token'],
      [{ ...origin, 'x-csrf-token': other.csrf }, 'X-CSRF-Token'],
      [{ ...origin, 'x-csrf-token': `${browser.csrf}x` }, 'X-CSRF-Token'],
    ] as const) {
      const answer = await change({ cookie, ...headers });
      assertProblem(answer, 403, 'csrf');
      assert.equal(answer.body.field, field);
    }
    assert.equal((await api.ask('GET', '/apps', { token: null, headers: { cookie } })).status, 200);
    assert.equal((await register(browser)).status, 201);
  });

  test('a bearer wins over the cookie', async () => {
    const browser = await signIn(api, { token: ann });
    const identity = await api.ask('GET', '/auth/identity', { token: bob, headers: browser.headers });
    assert.deepEqual([identity.body.data.subject, identity.body.data.kind], ['bob', 'operator']);
    const wrong = await api.ask('GET', '/auth/identity', {
      token: 'nobody-has-this',
      headers: browser.headers,
    });
    assertProblem(wrong, 401, 'unauthorized');
  });

  test('a page of somebody else signs nobody in', async () => {
    for (const origin of ['https://elsewhere.example', 'null', 'http://127.0.0.1:1']) {
      const answer = await sign({ origin });
      assertProblem(answer, 403, 'foreign-origin');
      assert.equal(answer.headers.get('set-cookie'), null);
    }
    assert.equal((await sign({ origin: api.url })).status, 201);
  });

  test('signing in again ends the session before and gives another id', async () => {
    const first = await signIn(api, { token: ann });
    const second = await signIn(api, { token: ann, headers: { ...first.headers } });
    assert.notEqual(second.sessionId, first.sessionId);
    assert.notEqual(second.csrf, first.csrf);
    assert.deepEqual([await statusOf(first), await statusOf(second)], [401, 200]);
    assert.equal(await howItEnded(first), 'signed-in-again');
  });

  test('an id that somebody planted in a browser is taken up by nobody', async () => {
    const planted = `0199c0de-0000-7000-8000-000000000000.${'A'.repeat(43)}`;
    const browser = await signIn(api, { token: ann, headers: { cookie: `${sessionCookie}=${planted}` } });
    assert.notEqual(browser.sessionId, planted.slice(0, 36));
    const headers = { cookie: `${sessionCookie}=${planted}` };
    assertProblem(await api.ask('GET', '/auth/identity', { token: null, headers }), 401, 'unauthorized');
    // Neither does the right id with another secret.
    const guessed = { cookie: `${sessionCookie}=${browser.sessionId}.${'A'.repeat(43)}` };
    assertProblem(
      await api.ask('GET', '/auth/identity', { token: null, headers: guessed }),
      401,
      'unauthorized',
    );
  });

  test('nothing heard of it for a while ends it; whatever is heard keeps it, up to its end', async () => {
    const unused = await signIn(api, { token: ann });
    const used = await signIn(api, { token: ann });
    clock.pass(idleSeconds - 1);
    assert.equal(await statusOf(used), 200);
    clock.pass(1);
    assert.deepEqual([await statusOf(unused), await statusOf(used)], [401, 200]);
    for (let left = absoluteSeconds - idleSeconds; left > 1; ) {
      const step = Math.min(idleSeconds - 1, left - 1);
      clock.pass(step);
      left -= step;
      assert.equal(await statusOf(used), 200, `${left} s before its end`);
    }
    clock.pass(1);
    assert.equal(await statusOf(used), 401, 'however often it was used');
  });

  test('signing out ends it at once and takes the cookie away', async () => {
    const browser = await signIn(api, { token: ann });
    const out = await browser.ask('DELETE', `/auth/sessions/${browser.sessionId}`);
    assert.equal(out.status, 202, out.text);
    assert.match(out.headers.get('set-cookie') ?? '', new RegExp(`^${sessionCookie}=; Max-Age=0; .*Secure`));
    assert.equal(await statusOf(browser), 401);
  });

  test('one’s own others may be ended, those of somebody else are not there, an administrator ends any', async () => {
    const [one, another, ofBob] = [
      await signIn(api, { token: ann }),
      await signIn(api, { token: ann }),
      await signIn(api, { token: bob }),
    ];
    const end = (who: Browser, whose: Browser) => who.ask('DELETE', `/auth/sessions/${whose.sessionId}`);
    assertProblem(await end(ofBob, one), 404, 'not-found');
    assert.equal((await end(one, another)).status, 202);
    assert.deepEqual([await statusOf(one), await statusOf(another), await statusOf(ofBob)], [200, 401, 200]);
    const admin = await api.ask('DELETE', `/auth/sessions/${ofBob.sessionId}`);
    assert.equal(admin.status, 202);
    assert.equal(admin.headers.get('set-cookie'), null, 'nobody is signed out of his own browser');
    assert.equal(await statusOf(ofBob), 401);
    assert.deepEqual(
      [await howItEnded(another), await howItEnded(ofBob)],
      ['ended-by-owner', 'ended-by-admin'],
    );
  });

  test('over plain HTTP from elsewhere nobody signs in; behind a proxy with a certificate he does', async () => {
    const body = JSON.stringify({ token: operatorToken });
    const from = async (host: string, more = '') => {
      const head = `POST /auth/sessions HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}`;
      const type = `Content-Type: application/json\r\nContent-Length: ${body.length}`;
      return api.raw(`${head}${type}\r\n\r\n${body}`);
    };
    for (const host of [
      'apphub.example',
      '192.0.2.1:4000',
      'localhost.elsewhere.example',
      '127.0.0.1.nip.example',
    ]) {
      const answer = await from(host);
      assert.match(answer, /^HTTP\/1\.1 400 /, host);
      assert.match(answer, /"code":"not-protected"/);
      assert.doesNotMatch(answer, /set-cookie/i);
    }
    for (const host of ['localhost:4000', 'apphub.localhost', '127.0.0.1', '[::1]:4000'])
      assert.match(await from(host), /^HTTP\/1\.1 201 /, host);
    assert.match(await from('apphub.example', 'X-Forwarded-Proto: https\r\n'), /^HTTP\/1\.1 201 /);
  });
});
