/** A provider that lies, and a browser that was tampered with: the verification itself has to refuse. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, suite, test } from 'node:test';
import { openSeal } from '../../../platform/sealed.ts';
import { sessionCookie } from '../../../platform/session-cookie.ts';
import { type Api, startApi } from '../../support/api.ts';
import { type CookieJar, openCookieJar } from '../../support/cookie-jar.ts';
import { begin, clientSecret, identity } from '../../support/oidc.ts';
import { type Forge, type Forgery, nowSeconds, startForge } from '../../support/oidc-forge.ts';

const loginCookie = '__Host-apphub-login';

suite('a provider that lies', () => {
  let forge: Forge;
  let api: Api;
  let jar: CookieJar;
  before(async () => {
    forge = await startForge();
    api = await startApi({ oidc: forge.config, projects: false });
  });
  beforeEach(() => {
    forge.forge();
    forge.asked.length = 0;
    jar = openCookieJar();
  });
  after(async () => {
    await api.close();
    forge.close();
  });

  const comeBack = async (query: URLSearchParams, browser = jar) =>
    (await browser.ask(`${api.url}/auth/callback?${query}`)).headers.get('location');

  /** The way back with these changes to the query. Answers where it ended. */
  async function signIn(change: Record<string, string | null> = {}): Promise<string | null> {
    const query = forge.comeBack(await begin(api, jar, '/in'));
    for (const [name, value] of Object.entries(change)) {
      if (value === null) query.delete(name);
      else query.set(name, value);
    }
    return comeBack(query);
  }

  test('is believed while it says the truth', async () => {
    const sentTo = new URL(await begin(api, jar, '/in'));
    assert.equal(await comeBack(forge.comeBack(sentTo.href)), '/in');
    assert.equal((await identity(api, jar)).subject, 'oidc:ada');
    const [{ headers, form } = assert.fail('nobody asked')] = forge.asked;
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    assert.equal(challenge, sentTo.searchParams.get('code_challenge'));
    assert.equal(form.get('redirect_uri'), `${api.url}/auth/callback`);
    const basic = Buffer.from(`apphub:${clientSecret}`).toString('base64');
    assert.equal(headers.authorization, `Basic ${basic}`);
    assert.ok(!form.has('client_secret'));
  });

  test('is given the secret in the body where it says so', async () => {
    const other = await startForge();
    other.forge({ metadata: { token_endpoint_auth_methods_supported: ['client_secret_post'] } });
    const there = await startApi({ oidc: other.config, projects: false });
    try {
      const query = other.comeBack(await begin(there, jar));
      await jar.ask(`${there.url}/auth/callback?${query}`);
      assert.equal(other.asked[0]?.form.get('client_secret'), clientSecret);
      assert.equal(other.asked[0]?.headers.authorization, undefined);
    } finally {
      await there.close();
      other.close();
    }
  });

  const now = nowSeconds();
  const believed: [string, Partial<Forgery>][] = [
    ['expired 30 s ago', { claims: { iat: now - 330, exp: now - 30 } }],
    ['issued in 30 s', { claims: { iat: now + 30 } }],
    ['not good before 30 s have passed', { claims: { nbf: now + 30 } }],
    ['for several, this one authorized', { claims: { aud: ['apphub', 'other'], azp: 'apphub' } }],
    [
      'without groups, which the userinfo endpoint tells',
      { claims: { groups: undefined }, userinfo: { groups: ['staff'] } },
    ],
    ['with a lone group', { claims: { groups: 'staff' } }],
    ['with no need of the userinfo endpoint', { userinfo: undefined }],
  ];
  for (const [name, forgery] of believed) {
    test(`an id_token ${name} is good`, async () => {
      forge.forge(forgery);
      assert.equal(await signIn(), '/in');
    });
  }

  const refused: [string, Partial<Forgery>][] = [
    ['with another nonce', { claims: { nonce: 'another' } }],
    ['without a nonce', { claims: { nonce: undefined } }],
    ['for somebody else', { claims: { aud: 'other' } }],
    ['for several, none of them authorized', { claims: { aud: ['apphub', 'other'] } }],
    ['for several, another one authorized', { claims: { aud: ['apphub', 'other'], azp: 'other' } }],
    ['for nobody', { claims: { aud: undefined } }],
    ['of another issuer', { claims: { iss: 'http://127.0.0.1:1' } }],
    ['of no issuer', { claims: { iss: undefined } }],
    ['expired 90 s ago', { claims: { iat: now - 390, exp: now - 90 } }],
    ['that never ends', { claims: { exp: undefined } }],
    ['that ends at a word', { claims: { exp: 'never' } }],
    ['issued in 150 s', { claims: { iat: now + 150, exp: now + 450 } }],
    ['issued at no time', { claims: { iat: undefined } }],
    ['not good before 150 s have passed', { claims: { nbf: now + 150 } }],
    ['about nobody', { claims: { sub: undefined } }],
    ['about an empty name', { claims: { sub: '' } }],
    ['about a name of two lines', { claims: { sub: 'ada\nada' } }],
    ['about a name without end', { claims: { sub: 'a'.repeat(256) } }],
    ['signed by another key', { signature: 'foreign' }],
    ['signed by a key that is not known', { signature: 'unknown-key' }],
    ['changed after it was signed', { signature: 'altered' }],
    ['not signed', { signature: 'none' }],
    ['signed with the secret of the client', { signature: 'hs256-secret' }],
    ['signed with the public key as a secret', { signature: 'hs256-key' }],
    ['that is not there', { answer: { id_token: undefined } }],
    ['that is none', { answer: { id_token: 'a.b.c' } }],
    [
      'beside userinfo of somebody else',
      { claims: { groups: undefined }, userinfo: { sub: 'eve', groups: ['staff'] } },
    ],
    ['beside an error', { status: 400, answer: { error: 'invalid_grant' } }],
  ];
  for (const [name, forgery] of refused) {
    test(`an id_token ${name} is refused`, async () => {
      forge.forge(forgery);
      assert.equal(await signIn(), '/?signInError=provider-refused');
      assert.ok(!jar.cookies.has(sessionCookie) && !jar.cookies.has(loginCookie));
      assert.equal(await identity(api, jar), null);
    });
  }

  const policed: [string, Partial<Forgery>, string][] = [
    ['verified in a word', { claims: { email_verified: 'true' } }, 'unverified-email'],
    [
      'verified elsewhere',
      {
        claims: { email: 'a@example.org', email_verified: undefined },
        userinfo: { email: 'a@example.com', email_verified: true },
      },
      'foreign-domain',
    ],
    [
      'that is long and begins well',
      { claims: { email: `a@example.org${'.'.repeat(300)}` } },
      'unverified-email',
    ],
    ['of two lines', { claims: { email: 'a@example.com\n@example.org' } }, 'unverified-email'],
  ];
  for (const [name, forgery, code] of policed) {
    test(`an address ${name} does not help`, async () => {
      forge.forge(forgery);
      assert.equal(await signIn(), `/?signInError=${code}`);
    });
  }

  const away: [string, Partial<Forgery>][] = [
    ['breaks off', { status: 'gone' }],
    ['answers 500', { status: 500 }],
    ['answers 503 with an error', { status: 503, answer: { error: 'temporarily_unavailable' } }],
    ['has no userinfo', { claims: { groups: undefined }, userinfo: undefined }],
  ];
  for (const [name, forgery] of away) {
    test(`it is away when it ${name}`, async () => {
      forge.forge(forgery);
      assert.equal(await signIn(), '/?signInError=provider-away');
    });
  }

  const answers: [string, Record<string, string | null>, string][] = [
    ['another state', { state: 'another' }, 'wrong-state'],
    ['no state', { state: null }, 'wrong-state'],
    ['an error and another state', { error: 'access_denied', state: 'another' }, 'wrong-state'],
    ['another iss', { iss: 'https://evil.example' }, 'provider-refused'],
    ['no iss, though it promised one', { iss: null }, 'provider-refused'],
    ['no code', { code: null }, 'provider-refused'],
    ['access_denied', { code: null, error: 'access_denied' }, 'provider-refused'],
    [
      'access_denied of another issuer',
      { error: 'access_denied', iss: 'https://evil.example' },
      'provider-refused',
    ],
    ['temporarily_unavailable', { code: null, error: 'temporarily_unavailable' }, 'provider-away'],
    ['an id_token in the address', { id_token: 'a.b.c' }, 'provider-refused'],
  ];
  for (const [name, change, code] of answers) {
    test(`an answer with ${name} is refused before anything is asked for it`, async () => {
      assert.equal(await signIn(change), `/?signInError=${code}`);
      assert.equal(forge.asked.filter(({ form }) => form.get('code') === 'any').length, 0);
      assert.equal(await identity(api, jar), null);
    });
  }

  test('an answer with two states or two codes is refused', async () => {
    for (const name of ['state', 'code', 'iss']) {
      const query = forge.comeBack(await begin(api, jar));
      query.append(name, query.get(name) ?? '');
      assert.equal(await comeBack(query), '/?signInError=provider-refused', name);
    }
  });

  test('a way back that was gone before leads nowhere, though the provider would take its code again', async () => {
    const query = forge.comeBack(await begin(api, jar));
    const copy = openCookieJar();
    copy.cookies.set(loginCookie, jar.cookies.get(loginCookie) ?? '');
    assert.equal(await comeBack(query), '/');
    assert.equal(await comeBack(query), '/?signInError=missing-login');
    assert.equal(await comeBack(query, copy), '/?signInError=missing-login');
    assert.equal(await identity(api, copy), null);
    assert.equal(forge.asked.length, 1);
  });

  test('the same way back at the same time opens one session', async () => {
    const query = forge.comeBack(await begin(api, jar));
    const sealed = jar.cookies.get(loginCookie) ?? '';
    const jars = Array.from({ length: 5 }, () => {
      const one = openCookieJar();
      one.cookies.set(loginCookie, sealed);
      return one;
    });
    const ends = await Promise.all(jars.map(one => comeBack(query, one)));
    assert.deepEqual(ends.toSorted(), ['/', ...Array(4).fill('/?signInError=missing-login')]);
  });

  test('a login cookie with one letter changed, cut, or sealed by another key is none', async () => {
    const query = forge.comeBack(await begin(api, jar));
    const sealed = jar.cookies.get(loginCookie) ?? '';
    const changed = [0, 15, 16, 37, 38, 39, 60, sealed.length - 1].map(at => {
      const letter = sealed[at] === 'A' ? 'g' : 'A';
      return sealed.slice(0, at) + letter + sealed.slice(at + 1);
    });
    const login = {
      state: query.get('state'),
      nonce: 'n',
      verifier: 'v',
      redirectTo: '/',
      sessionId: 's',
      before: null,
    };
    const until = '9999-01-01T00:00:00.000Z';
    const others = [
      ...changed,
      sealed.slice(0, -4),
      sealed.slice(4),
      `${sealed}AAAA`,
      openSeal('another secret', 'login').seal({ ...login, until }),
      openSeal('a secret of the tests', 'session').seal({ ...login, until }),
      Buffer.from(JSON.stringify({ ...login, until })).toString('base64url'),
      'x',
      'A'.repeat(5_000),
    ];
    for (const other of others) {
      const browser = openCookieJar();
      browser.cookies.set(loginCookie, other);
      assert.equal(await comeBack(query, browser), '/?signInError=missing-login', other);
    }
    assert.equal(await comeBack(query), '/');
  });

  test('nothing of what was sent is in the log of the process', async () => {
    forge.forge({ claims: { nonce: 'another', email: 'secret@example.org' } });
    await signIn({ code: 'any' });
    await signIn({ error: 'access_denied', error_description: 'secret words', code: 'secret-code' });
    const lines = JSON.stringify(api.logged);
    assert.match(lines, /signing in failed: provider-refused/);
    assert.match(lines, /access_denied/);
    assert.ok(!/secret|opaque|eyJ/.test(lines), lines);
  });
});

test('a provider that names another issuer, or tells nothing, is away until it does', async t => {
  const forge = await startForge();
  const api = await startApi({ oidc: forge.config, projects: false });
  t.after(() => Promise.all([api.close(), forge.close()]));
  const ask = async () => (await openCookieJar().ask(`${api.url}/auth/login`)).headers.get('location') ?? '';
  for (const metadata of [{ issuer: 'https://evil.example' }, { issuer: undefined }]) {
    forge.forge({ metadata });
    assert.equal(await ask(), '/?signInError=provider-away');
  }
  forge.forge();
  assert.equal(new URL(await ask()).origin, forge.issuer);
});
