/** Signing in at a real provider over HTTP: who comes in, who does not, and how it ends. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import type { Recorded } from '../../../domain/events.ts';
import { sessionCookie } from '../../../platform/session-cookie.ts';
import { type Api, type Body, startApi } from '../../support/api.ts';
import { type CookieJar, openCookieJar } from '../../support/cookie-jar.ts';
import { begin, identity, signInAt, startOidc, type TestOidc } from '../../support/oidc.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { stillClock } from '../../support/sign-in.ts';

const eventsMsMax = 10_000;
const loginCookie = '__Host-apphub-login';

/** All the way. Answers where it ended. */
async function signIn(api: Api, jar: CookieJar, login: string, place?: string): Promise<string | null> {
  const back = await signInAt(jar, await begin(api, jar, place), login);
  return (await jar.ask(back.href)).headers.get('location');
}

async function logOut(api: Api, jar: CookieJar): Promise<Response> {
  const { csrfToken } = await identity(api, jar);
  const cookie = [...jar.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const headers = { cookie, origin: api.url, 'x-csrf-token': csrfToken };
  return fetch(`${api.url}/auth/logout`, { method: 'POST', headers });
}

/** The first `count` events of these streams, once they are there; fewer when they do not come. */
async function events(api: Api, streamPrefix: string, count: number): Promise<readonly Recorded[]> {
  const signal = AbortSignal.timeout(eventsMsMax);
  const found: Recorded[] = [];
  const options = { from: 'start', streamPrefixes: [streamPrefix], signal } as const;
  for await (const batch of api.store.subscribe(options)) {
    found.push(...batch.events);
    if (found.length >= count) break;
  }
  return found;
}

suite('signing in at a provider', () => {
  let oidc: TestOidc;
  let api: Api;
  before(async () => {
    oidc = await startOidc();
    api = await startApi({ oidc: oidc.config, projects: false });
    oidc.register(api.url);
  });
  after(async () => {
    await api.close();
    oidc.close();
  });

  test('opens a session for whom the provider tells of, and goes on where it was meant to', async () => {
    const jar = openCookieJar();
    const sentTo = new URL(await begin(api, jar, '/apps/shop?tab=builds#last'));
    const asked = Object.fromEntries(sentTo.searchParams);
    assert.equal(asked.response_type, 'code');
    assert.equal(asked.code_challenge_method, 'S256');
    for (const one of ['state', 'nonce', 'code_challenge']) assert.match(asked[one] ?? '', /^[\w-]{43}$/);
    const back = await signInAt(jar, sentTo.href, 'ada');
    assert.equal(back.href.split('?')[0], `${api.url}/auth/callback`);
    assert.equal(back.searchParams.get('iss'), oidc.issuer);
    const done = await jar.ask(back.href);
    assert.equal(done.status, 303);
    assert.equal(done.headers.get('location'), '/apps/shop?tab=builds#last');
    const [cleared = '', opened = '', ...more] = done.headers.getSetCookie();
    assert.equal(cleared, `${loginCookie}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`);
    assert.match(
      opened,
      /^__Host-apphub-session=[^;]+; Max-Age=86400; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
    assert.deepEqual(more, []);
    const { subject, name, kind, scopes, apps } = await identity(api, jar);
    assert.deepEqual(
      { subject, name, kind, scopes, apps },
      {
        subject: 'oidc:ada',
        name: 'Ada Lovelace',
        kind: 'session',
        scopes: ['apps:read', 'apps:write', 'keys:write'],
        apps: null,
      },
    );
  });

  test('keeps a login in a cookie that nobody reads, for ten minutes', async () => {
    const begun = await openCookieJar().ask(`${api.url}/auth/login`);
    const [cookie = ''] = begun.headers.getSetCookie();
    assert.match(
      cookie,
      /^__Host-apphub-login=[\w-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    const query = new URL(begun.headers.get('location') ?? '').searchParams;
    const sealed = Buffer.from(/=([\w-]+);/.exec(cookie)?.[1] ?? '', 'base64url').toString('latin1');
    for (const name of ['state', 'nonce']) assert.ok(!sealed.includes(query.get(name) ?? ''));
  });

  test('keeps no token of the provider: the event holds a name, scopes and the name of its session', async () => {
    const jar = openCookieJar();
    await signIn(api, jar, 'guest');
    const { credentialId } = await identity(api, jar);
    const { events: stored } = await api.store.load(`access.session-${credentialId}`);
    const { sha256, providerSessionId, sessionId, at, expiresAt, ...rest } = (stored[0]?.data ??
      {}) as Record<string, string>;
    assert.deepEqual(rest, {
      subject: 'oidc:guest',
      name: 'A guest',
      how: 'oidc',
      scopes: ['apps:read'],
      apps: ['demo-*'],
      idleSeconds: 3_600,
    });
    assert.match(providerSessionId ?? '', /^[\w-]+$/);
    assert.equal(stored[0]?.metadata.actor, 'oidc:guest');
    assert.equal(stored[0]?.metadata.request?.route, 'GET /auth/callback');
  });

  test('ends the session that the browser had, though its cookie does not come back from another site', async () => {
    const jar = openCookieJar();
    await signIn(api, jar, 'guest');
    const first = jar.cookies.get(sessionCookie) ?? '';
    const sentTo = await begin(api, jar);
    jar.cookies.delete(sessionCookie);
    const back = await signInAt(jar, sentTo, 'guest');
    await jar.ask(back.href);
    const old = openCookieJar();
    old.cookies.set(sessionCookie, first);
    assert.equal(await identity(api, old), null);
    assert.equal((await identity(api, jar)).subject, 'oidc:guest');
  });

  const refused: [string, string][] = [
    ['unverified', 'unverified-email'],
    ['bare', 'unverified-email'],
    ['foreigner', 'foreign-domain'],
    ['loner', 'no-groups'],
  ];
  for (const [login, code] of refused) {
    test(`refuses ${login}: ${code}`, async () => {
      const jar = openCookieJar();
      assert.equal(await signIn(api, jar, login), `/?signInError=${code}`);
      assert.equal(await identity(api, jar), null);
      assert.ok(!jar.cookies.has(loginCookie) && !jar.cookies.has(sessionCookie));
    });
  }

  test('takes nothing from a browser that did not begin, or began something else', async () => {
    const [ada, eve] = [openCookieJar(), openCookieJar()];
    const back = await signInAt(ada, await begin(api, ada), 'ada');
    const stranger = await eve.ask(back.href);
    assert.equal(stranger.headers.get('location'), '/?signInError=missing-login');
    await begin(api, eve);
    const other = await eve.ask(back.href);
    assert.equal(other.headers.get('location'), '/?signInError=wrong-state');
    assert.equal(await identity(api, eve), null);
  });

  test('takes no code of somebody else in its own login: PKCE and nonce do not fit', async () => {
    const [ada, eve] = [openCookieJar(), openCookieJar()];
    const code = (await signInAt(ada, await begin(api, ada), 'ada')).searchParams.get('code') ?? '';
    const back = await signInAt(eve, await begin(api, eve), 'guest');
    back.searchParams.set('code', code);
    assert.equal((await eve.ask(back.href)).headers.get('location'), '/?signInError=provider-refused');
    assert.equal(await identity(api, eve), null);
  });

  test('takes no code twice', async () => {
    const jar = openCookieJar();
    const code = (await signInAt(jar, await begin(api, jar), 'ada')).searchParams.get('code') ?? '';
    const back = await signInAt(jar, await begin(api, jar), 'ada');
    await jar.ask(back.href);
    const again = await signInAt(jar, await begin(api, jar), 'ada');
    again.searchParams.set('code', back.searchParams.get('code') ?? code);
    assert.equal((await jar.ask(again.href)).headers.get('location'), '/?signInError=provider-refused');
  });

  test('signs out here, and says where the provider does', async () => {
    const jar = openCookieJar();
    await signIn(api, jar, 'ada');
    const { credentialId } = await identity(api, jar);
    const answer = await logOut(api, jar);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('set-cookie') ?? '', /^__Host-apphub-session=; Max-Age=0; /);
    const redirect = new URL(((await answer.json()) as Body).data.redirect);
    assert.equal(redirect.origin, oidc.issuer);
    assert.deepEqual([...redirect.searchParams.keys()].sort(), [
      'client_id',
      'logout_hint',
      'post_logout_redirect_uri',
    ]);
    assert.equal(redirect.searchParams.get('post_logout_redirect_uri'), `${api.url}/`);
    assert.equal((await jar.ask(redirect.href)).status, 200);
    assert.equal(await identity(api, jar), null);
    const { events: stored } = await api.store.load(`access.session-${credentialId}`);
    assert.deepEqual(
      stored.map(({ type, metadata }) => [type, metadata.actor]),
      [
        ['SessionOpened', 'oidc:ada'],
        ['SessionEnded', 'oidc:ada'],
      ],
    );
  });

  test('signs out nobody but who asks: without its token, from elsewhere, or as nobody', async () => {
    const jar = openCookieJar();
    await signIn(api, jar, 'ada');
    const cookie = `${sessionCookie}=${jar.cookies.get(sessionCookie)}`;
    const ask = (headers: Record<string, string>) =>
      api.ask('POST', '/auth/logout', { token: null, headers });
    assertProblem(await ask({ cookie, origin: api.url }), 403, 'csrf');
    const { csrfToken } = await identity(api, jar);
    assertProblem(
      await ask({ cookie, origin: 'https://evil.example', 'x-csrf-token': csrfToken }),
      403,
      'csrf',
    );
    assertProblem(await ask({}), 401, 'unauthorized');
    assert.equal((await identity(api, jar)).subject, 'oidc:ada');
    const program = await api.ask('POST', '/auth/logout');
    assert.deepEqual(program.body, { data: { redirect: null } });
  });

  test('says so while the provider is away, and goes on when it is back', async () => {
    const later = await startApi({ oidc: oidc.config, projects: false });
    const jar = openCookieJar();
    try {
      oidc.register(later.url);
      oidc.leave();
      const away = await jar.ask(`${later.url}/auth/login`);
      assert.equal(away.headers.get('location'), '/?signInError=provider-away');
      oidc.comeBack();
      const back = await signInAt(jar, await begin(later, jar), 'ada');
      oidc.leave();
      assert.equal((await jar.ask(back.href)).headers.get('location'), '/?signInError=provider-away');
      oidc.comeBack();
      assert.equal(await signIn(later, jar, 'ada', '/apps'), '/apps');
      oidc.leave();
      assert.equal((await logOut(later, jar)).status, 200);
    } finally {
      await later.close();
      oidc.register(api.url);
    }
  });

  const elsewhere = [
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '/ok\r\nset-cookie: a=b',
    ' //evil.example',
    '/\u0000',
    '/\u2028/evil.example',
    'https://evil.example',
    'https:evil.example',
    'javascript:alert(1)',
    'data:text/html,x',
    'evil.example',
    '',
    '//here.invalid/x',
    '/.//evil.example',
    '/x/..//evil.example',
    '/%2e//evil.example',
    '?next=/',
    '#x',
  ];
  for (const place of elsewhere) {
    test(`goes nowhere else: ${JSON.stringify(place)}`, async () => {
      const answer = await api.ask('GET', `/auth/login?redirectTo=${encodeURIComponent(place)}`, {
        token: null,
      });
      assertInvalid(answer, 'redirectTo');
      assert.equal(answer.headers.get('set-cookie'), null);
    });
  }

  test('goes to one place only, and to none that is long', async () => {
    for (const query of ['redirectTo=/a&redirectTo=//evil.example', `redirectTo=/${'a'.repeat(1_024)}`]) {
      assertInvalid(await api.ask('GET', `/auth/login?${query}`, { token: null }), 'redirectTo');
    }
  });

  test('a place in other letters goes into the header as an address', async () => {
    const jar = openCookieJar();
    assert.equal(await signIn(api, jar, 'ada', '/apps/é?q=ü'), '/apps/%C3%A9?q=%C3%BC');
  });
});

suite('signing in, and its surroundings', () => {
  test('each failure is recorded, with whom the provider told of', async t => {
    const oidc = await startOidc();
    const api = await startApi({ oidc: oidc.config, records: true, projects: false });
    t.after(() => Promise.all([api.close(), oidc.close()]));
    oidc.register(api.url);
    await signIn(api, openCookieJar(), 'loner');
    await openCookieJar().ask(`${api.url}/auth/callback?code=secret-code&state=secret-state`);
    oidc.leave();
    const found = await events(api, 'access.attempt-', 2);
    const told = found.map(({ data }) => data as Record<string, unknown>);
    assert.deepEqual(
      told.map(({ actor, outcome, status, route, count }) => [actor, outcome, status, route, count]),
      [
        ['oidc:loner', 'no-groups', 403, '/auth/callback', 1],
        ['anonymous', 'missing-login', 401, '/auth/callback', 1],
      ],
    );
    assert.ok(!JSON.stringify(told).includes('secret-'));
  });

  test('a public client signs in by PKCE alone', async t => {
    const oidc = await startOidc({ isPublic: true });
    const api = await startApi({ oidc: oidc.config, projects: false });
    t.after(() => Promise.all([api.close(), oidc.close()]));
    oidc.register(api.url);
    const jar = openCookieJar();
    assert.equal(await signIn(api, jar, 'ada'), '/');
    assert.equal((await identity(api, jar)).subject, 'oidc:ada');
  });

  test('a login that took longer than ten minutes is over', async t => {
    const oidc = await startOidc();
    const time = stillClock(new Date().toISOString());
    const clock = { ...systemClock, now: time.now };
    const api = await startApi({ oidc: oidc.config, clock, projects: false });
    t.after(() => Promise.all([api.close(), oidc.close()]));
    oidc.register(api.url);
    const jar = openCookieJar();
    const back = await signInAt(jar, await begin(api, jar), 'ada');
    time.pass(600);
    assert.equal((await jar.ask(back.href)).headers.get('location'), '/?signInError=missing-login');
    const again = await signInAt(jar, await begin(api, jar), 'ada');
    time.pass(599);
    assert.equal((await jar.ask(again.href)).headers.get('location'), '/');
  });

  test('without HTTPS it works on this machine only', async t => {
    const oidc = await startOidc();
    const api = await startApi({ oidc: oidc.config, trustedProxies: ['127.0.0.1'], projects: false });
    t.after(() => Promise.all([api.close(), oidc.close()]));
    oidc.register(api.url);
    const from = (proto: string) => {
      const headers = { 'x-forwarded-host': 'apphub.example.org', 'x-forwarded-proto': proto };
      return openCookieJar().ask(`${api.url}/auth/login`, { headers });
    };
    assert.equal((await from('http')).headers.get('location'), '/?signInError=not-protected');
    assert.equal(new URL((await from('https')).headers.get('location') ?? '').origin, oidc.issuer);
  });

  test('without a provider there is nothing to sign in at, and the page is told', async t => {
    const api = await startApi({ projects: false });
    t.after(() => api.close());
    for (const place of ['/auth/login', '/auth/callback?code=a&state=b'])
      assertProblem(await api.ask('GET', place, { token: null }), 404, 'not-found');
    const options = await api.ask('GET', '/auth/options', { token: null });
    assert.deepEqual(options.body, { data: { oidc: null, token: true } });
  });

  test('where tokens are off, a token opens no session, and the page is told of the provider', async t => {
    const oidc = await startOidc();
    const api = await startApi({ oidc: oidc.config, tokenSignIn: false, projects: false });
    t.after(() => Promise.all([api.close(), oidc.close()]));
    const body = { token: 'operator-of-the-tests' };
    assertProblem(await api.ask('POST', '/auth/sessions', { body, token: null }), 403, 'token-sign-in-off');
    const options = await api.ask('GET', '/auth/options', { token: null });
    assert.deepEqual(options.body, { data: { oidc: { name: new URL(oidc.issuer).host }, token: false } });
  });
});
