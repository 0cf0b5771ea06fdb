/** A person signs in at the provider's own page and out again, in a real browser, with the rooms of AppHub in processes apart. */
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { openBrowser, openPage } from '../support/browser.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { startOidc } from '../support/oidc.ts';
import { makeHub } from '../support/stack.ts';

type Identity = { status: number; data?: Record<string, unknown> };

/** What the page is told with the cookie it has, which no script of it can read. A page that is just being left cannot ask. */
async function identity(page: Page): Promise<Identity> {
  for (;;) {
    await page.waitForLoadState();
    try {
      return await page.evaluate<Identity>(
        `fetch('/auth/identity').then(async answer => ({ status: answer.status, ...(await answer.json()) }))`,
      );
    } catch (error) {
      if (!/Execution context was destroyed|Failed to fetch/.test(String(error))) throw error;
    }
  }
}

async function begin(page: Page, url: string, place: string): Promise<void> {
  await page.goto(`${url}/auth/login?redirectTo=${encodeURIComponent(place)}`);
}

async function fillIn(page: Page, login: string): Promise<void> {
  await page.locator('[name=login]').fill(login);
  await page.locator('[name=password]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** There, and with all of its files: until then the page may load itself again, as the network changes. */
const isAt = (e2e: E2E, page: Page, url: string) =>
  e2e.eventually(async () => {
    assert.equal(page.url(), url);
    assert.notEqual(await page.evaluate(`document.getElementById('root')?.childElementCount ?? 0`), 0);
  });

runE2E('a person signs in at the provider, is known here, and signs out at both', async e2e => {
  const oidc = await startOidc();
  e2e.registerCleanup('provider', () => oidc.close());
  const hub = makeHub(e2e, { ...oidc.env, APPHUB_LEGACY_TOKENS: 'off' });
  await hub.start(['--rooms=commands,read-api,projections,workers,web']);
  oidc.register(hub.url);
  const browser = await openBrowser(e2e);
  const { page } = await openPage(browser);
  // The provider's page would get its letters from the network.
  await page.route(
    url => !['localhost', '127.0.0.1'].includes(url.hostname),
    route => route.abort(),
  );

  await begin(page, hub.url, '/?q=shop');
  assert.equal(new URL(page.url()).origin, oidc.issuer);
  await fillIn(page, 'ada');
  await isAt(e2e, page, `${hub.url}/?q=shop`);
  const first = await identity(page);
  assert.deepEqual(await hub.get('/auth/options'), {
    oidc: { name: new URL(oidc.issuer).host },
    token: false,
  });
  assert.match(hub.output(), /People sign in at http:/);
  assert.doesNotMatch(hub.output(), /Operator token|#token/);
  assert.equal(first.status, 200, JSON.stringify(first));
  assert.equal(first.data?.subject, 'oidc:ada');
  assert.deepEqual(first.data?.scopes, ['apps:read', 'apps:write', 'keys:write']);
  assert.equal(await page.evaluate('document.cookie'), '');
  const cookies = await page.context().cookies(hub.url);
  const own = cookies.filter(({ name }) => name.startsWith('__Host-'));
  assert.deepEqual(
    own.map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite]),
    [['__Host-apphub-session', true, true, 'Strict']],
  );

  // Once more: the provider knows her still and asks nothing. The session before is over.
  await begin(page, hub.url, '/');
  await isAt(e2e, page, `${hub.url}/`);
  const second = await identity(page);
  assert.notEqual(second.data?.credentialId, first.data?.credentialId);
  const old = await page.context().browser()?.newContext();
  await old?.addCookies(own);
  const answer = await old?.request.get(`${hub.url}/auth/identity`);
  assert.equal(answer?.status(), 401);

  // The installation's own token opens nothing here.
  const refused = await hub.ask<{ code: string }>(
    'POST',
    '/auth/sessions',
    { token: hub.token },
    { authorization: '' },
  );
  assert.deepEqual([refused.status, refused.body.code], [403, 'token-sign-in-off']);
  assert.equal((await hub.ask('GET', '/apps')).status, 401);

  const redirect = await page.evaluate<string>(
    `fetch('/auth/logout', { method: 'POST', headers: { 'x-csrf-token': '${second.data?.csrfToken}' } })
      .then(async answer => (await answer.json()).data.redirect)`,
  );
  assert.equal((await identity(page)).status, 401);
  // The page that learns that its session is over may go elsewhere by itself at the same time.
  await e2e.eventually(() => page.goto(redirect));
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await isAt(e2e, page, `${hub.url}/`);
  assert.equal((await identity(page)).status, 401);

  // Now the provider asks again; somebody who may do nothing here comes back with a word.
  await begin(page, hub.url, '/');
  await fillIn(page, 'loner');
  await e2e.eventually(() => assert.equal(new URL(page.url()).origin, hub.url));
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal((await identity(page)).status, 401);
});
