/** The provider ends a session there, and with it those here that hang on it. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { type Answer, type Api, startApi } from '../../support/api.ts';
import { type CookieJar, openCookieJar } from '../../support/cookie-jar.ts';
import { begin, identity, signInAt, startOidc } from '../../support/oidc.ts';
import { type Claims, type Forge, nowSeconds, type Signature, startForge } from '../../support/oidc-forge.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { eventually } from '../../support/workers.ts';

const event = 'http://schemas.openid.net/event/backchannel-logout';

suite('a session that ends at the provider', () => {
  let forge: Forge;
  let api: Api;
  before(async () => {
    forge = await startForge();
    api = await startApi({ oidc: forge.config, projects: false });
  });
  after(async () => {
    await api.close();
    forge.close();
  });

  async function signIn(sid: string | undefined, jar = openCookieJar()): Promise<CookieJar> {
    forge.forge({ claims: { sid } });
    const query = forge.comeBack(await begin(api, jar));
    await jar.ask(`${api.url}/auth/callback?${query}`);
    return jar;
  }

  const right = (): Claims => ({
    iss: forge.issuer,
    aud: 'apphub',
    iat: nowSeconds(),
    exp: nowSeconds() + 120,
    jti: 'j1',
    events: { [event]: {} },
    sid: 's1',
  });

  const tell = (logout_token: string): Promise<Answer> =>
    api.ask('POST', '/auth/backchannel-logout', {
      token: null,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token }).toString(),
    });

  test('ends all that hang on it, at once, and no others', async () => {
    const [one, two, other, none] = [
      await signIn('s1'),
      await signIn('s1'),
      await signIn('s2'),
      await signIn(undefined),
    ];
    const { credentialId } = await identity(api, one);
    const told = await tell(await forge.logoutToken(right()));
    assert.equal(told.status, 204, told.text);
    assert.equal(told.headers.get('cache-control'), 'no-store');
    assert.equal(await identity(api, one), null);
    assert.equal(await identity(api, two), null);
    assert.equal((await identity(api, other)).subject, 'oidc:ada');
    assert.equal((await identity(api, none)).subject, 'oidc:ada');
    const { events } = await api.store.load(`access.session-${credentialId}`);
    const { type, data, metadata } = events.at(-1) ?? assert.fail('no event');
    assert.deepEqual([type, 'reason' in data && data.reason], ['SessionEnded', 'ended-by-provider']);
    assert.equal(metadata.actor, 'provider:oidc');
    // Said again it is no news.
    assert.equal((await tell(await forge.logoutToken(right()))).status, 204);
  });

  test('lets nobody in any more by what it vouched for before', async () => {
    await tell(await forge.logoutToken({ ...right(), sid: 's3' }));
    forge.forge({ claims: { sid: 's3' } });
    const jar = openCookieJar();
    const query = forge.comeBack(await begin(api, jar));
    const end = await jar.ask(`${api.url}/auth/callback?${query}`);
    assert.equal(end.headers.get('location'), '/?signInError=provider-refused');
    assert.equal(await identity(api, jar), null);
  });

  const refused: [string, Claims, Signature?][] = [
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'other' }],
    ['that is ten minutes old', { iat: nowSeconds() - 600, exp: undefined }],
    ['that has expired', { exp: nowSeconds() - 90 }],
    ['of no time', { iat: undefined }],
    ['without a number of its own', { jti: undefined }],
    ['that is an id_token', { events: undefined, nonce: 'n' }],
    ['about something else', { events: { 'http://schemas.openid.net/event/other': {} } }],
    ['whose events are none', { events: event }],
    ['with a nonce', { nonce: 'n' }],
    ['about no session', { sid: undefined, sub: 'ada' }],
    ['signed by another key', {}, 'foreign'],
    ['signed by a key that is not known', {}, 'unknown-key'],
    ['changed after it was signed', {}, 'altered'],
    ['not signed', {}, 'none'],
    ['signed with the secret of the client', {}, 'hs256-secret'],
    ['signed with the public key as a secret', {}, 'hs256-key'],
  ];
  for (const [name, claims, signature] of refused) {
    test(`a token ${name} ends nothing`, async () => {
      const jar = await signIn('s4');
      const token = await forge.logoutToken({ ...right(), sid: 's4', ...claims }, signature);
      assertProblem(await tell(token), 400, 'bad-logout-token');
      assert.equal((await identity(api, jar)).subject, 'oidc:ada');
    });
  }

  test('a body that holds no token, or is no form, is refused', async () => {
    assertProblem(await tell('a.b.c'), 400, 'bad-logout-token');
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const ask = (body: string, more: Record<string, string> = headers) =>
      api.ask('POST', '/auth/backchannel-logout', { token: null, headers: more, body });
    assertInvalid(await ask('__proto__=a&other=b'), 'logout_token');
    assertInvalid(await ask('logout_token='), 'logout_token');
    assertProblem(await ask('{}', { 'content-type': 'application/json' }), 415, 'unsupported-media-type');
    assertProblem(await ask(`logout_token=${'a'.repeat(70_000)}`), 413, 'too-large');
  });
});

test('who signs out at a real provider is signed out here', async t => {
  const oidc = await startOidc();
  const api = await startApi({ oidc: oidc.config, projects: false });
  t.after(() => Promise.all([api.close(), oidc.close()]));
  oidc.register(api.url);
  const jar = openCookieJar();
  const back = await signInAt(jar, await begin(api, jar), 'ada');
  await jar.ask(back.href);
  assert.equal((await identity(api, jar)).subject, 'oidc:ada');
  const page = await jar.ask(`${oidc.issuer}/session/end`);
  const text = await page.text();
  const xsrf = /name="xsrf" value="(\w+)"/.exec(text)?.[1] ?? assert.fail(text);
  await jar.ask(`${oidc.issuer}/session/end/confirm`, { form: { xsrf, logout: 'yes' } });
  await eventually(async () => assert.equal(await identity(api, jar), null));
});

test('without a provider nobody can report anything', async t => {
  const api = await startApi({ projects: false });
  t.after(() => api.close());
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = 'logout_token=a.b.c';
  assertProblem(
    await api.ask('POST', '/auth/backchannel-logout', { token: null, headers, body }),
    404,
    'not-found',
  );
});
