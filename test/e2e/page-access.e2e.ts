/** Who may do what, in the page: sessions, keys, what is refused and why, and the record of it, in a real browser. */
import assert from 'node:assert/strict';
import type { BrowserContext, Page } from 'playwright-core';
import { focusedName, holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { startOidc } from '../support/oidc.ts';
import { type Hub, makeHub, startSamples } from '../support/stack.ts';

const reader = {
  subject: 'reader@example.org',
  token: 'token-of-the-reader',
  scopes: ['apps:read', 'stream:read'],
};
const writer = {
  subject: 'team-a',
  token: 'token-of-team-a-alone',
  scopes: ['apps:*', 'stream:read', 'keys:write'],
  apps: ['team-a-*'],
};
const sessionCookie = '__Host-apphub-session';

/** No engine, so that nothing happens by itself; and operators beside the first one. */
async function startHub(e2e: E2E): Promise<{ hub: Hub; gitUrl: string }> {
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, {
    DOCKER_HOST: 'unix:///nowhere/docker.sock',
    APPHUB_OPERATOR_TOKENS: JSON.stringify([reader, writer]),
  });
  await hub.start();
  return { hub, gitUrl };
}

const addApp = (hub: Hub, gitUrl: string, id: string) =>
  hub.ask('POST', '/apps', { id, name: `App ${id}`, repoUrl: `${gitUrl}/static-site.git` });

/** The status that this key is answered with, outside of any browser. */
async function statusOf(hub: Hub, method: string, path: string, key: string): Promise<number> {
  const answer = await fetch(hub.url + path, { method, headers: { authorization: `Bearer ${key}` } });
  await answer.body?.cancel();
  return answer.status;
}

const sessionOf = async (context: BrowserContext) =>
  (await context.cookies()).find(({ name }) => name === sessionCookie);
const stored = (page: Page) =>
  page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])');

runE2E('by keyboard: signed in, a key made, used, rotated, revoked, and signed out everywhere', async e2e => {
  const { hub } = await startHub(e2e);
  const { page, complaints } = await openPage(await openBrowser(e2e), { expected: /status of 401/ });
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };

  // What is kept in the browser is a cookie no script can read; a visit that was not signed in is no refused attempt.
  await page.goto(`${hub.url}/access`);
  await page.getByLabel('Operator token').fill(hub.token);
  await press('Enter');
  await page.getByRole('heading', { name: 'Access', exact: true }).waitFor();
  const cookie = await sessionOf(page.context());
  assert.deepEqual([cookie?.httpOnly, cookie?.secure, cookie?.sameSite], [true, true, 'Strict']);
  assert.ok(!String(await stored(page)).includes(hub.token));
  assert.ok(!String(await stored(page)).includes(cookie?.value ?? 'no cookie'));
  await page.reload();
  await page.getByRole('heading', { name: 'Access', exact: true }).waitFor();
  assert.deepEqual(complaints, []);

  // The menu by the name: arrows, Escape, and the focus goes back.
  await tabTo(page, /^Signed in as operator$/);
  await press('Enter');
  await e2e.eventually(async () => assert.match(await focusedName(page), /^Access/));
  await press('ArrowUp');
  assert.equal(await focusedName(page), 'Sign out');
  await press('Home', 'ArrowDown', 'ArrowDown');
  assert.match(await focusedName(page), /^Audit/);
  await press('Escape');
  assert.equal(await focusedName(page), 'Signed in as operator');
  assert.equal(await page.getByRole('menu').count(), 0);

  // A key: what is missing is said at its field.
  await page.getByText('No keys.').waitFor();
  await tabTo(page, /^Make a key$/);
  await press('Enter');
  await page.getByRole('dialog', { name: 'Make an API key' }).waitFor();
  await press('Enter');
  await page.getByText('Say what uses it.').waitFor();
  await page.getByText('Choose at least one.').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'name'`);
  await page.keyboard.type('nightly');
  await tabTo(page, /^apps:read/);
  await press('Space');
  await tabTo(page, /^Make the key$/);
  await press('Enter');
  await page.getByRole('group', { name: 'The key nightly' }).waitFor();
  await holds(e2e, page, `document.activeElement?.classList.contains('shown-once')`);
  const shown = page.getByRole('group', { name: 'The key nightly' }).locator('code');
  const key = (await shown.textContent()) ?? '';
  assert.equal(await statusOf(hub, 'GET', '/apps', key), 200);
  assert.equal(await statusOf(hub, 'DELETE', '/apps/any-app', key), 403, 'no more than was ticked');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await tabTo(page, /^Copy the key$/);
  await press('Enter');
  await holds(e2e, page, `navigator.clipboard.readText().then(text => text === '${key}')`);
  await tabTo(page, /^Done, hide it$/);
  await press('Enter');
  await page.locator('.credential', { hasText: 'nightly' }).getByText(`aph_…`).waitFor();
  assert.ok(!(await page.content()).includes(key), 'the key is nowhere any more');
  assert.ok(!String(await stored(page)).includes(key));

  // Rotated with an overlap both are good, without one the old one is not.
  await tabTo(page, /^Rotate nightly…$/);
  await press('Enter');
  await page.getByRole('dialog', { name: 'Rotate nightly' }).waitFor();
  await tabTo(page, /^Rotate it$/);
  await press('Enter');
  await shown.waitFor();
  const next = (await shown.textContent()) ?? '';
  assert.ok(next !== key);
  assert.deepEqual(
    [await statusOf(hub, 'GET', '/apps', key), await statusOf(hub, 'GET', '/apps', next)],
    [200, 200],
  );
  await page.locator('.credential', { hasText: 'the one before is good until' }).waitFor();

  // Revoking asks first.
  await tabTo(page, /^Revoke nightly…$/);
  await press('Enter');
  await page.getByRole('dialog', { name: 'Revoke nightly?' }).waitFor();
  assert.equal(await focusedName(page), 'Keep it');
  await tabTo(page, /^Revoke it$/);
  await press('Enter');
  await page.getByText('No keys.').waitFor();
  assert.deepEqual(
    [await statusOf(hub, 'GET', '/apps', key), await statusOf(hub, 'GET', '/apps', next)],
    [401, 401],
  );
  await tabTo(page, /^Show 1 that ended$/);
  await press('Enter');
  await page.locator('.credential', { hasText: 'nightly' }).getByText('Revoked').waitFor();

  // Another tab is signed in by itself, and signed out with this one.
  const other = await page.context().newPage();
  await other.goto(hub.url);
  await other.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
  await tabTo(page, /^Signed in as operator$/, 'Shift+Tab');
  await press('Enter', 'End', 'Enter');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await other.getByText('You have signed out in another tab.').waitFor();
  assert.equal(await sessionOf(page.context()), undefined);
  assert.equal(
    await statusOfCookie(hub, cookie?.value ?? ''),
    401,
    'the session itself is over, not only its cookie',
  );
  assert.deepEqual(complaints, []);
});

async function statusOfCookie(hub: Hub, value: string): Promise<number> {
  const answer = await fetch(`${hub.url}/auth/identity`, {
    headers: { cookie: `${sessionCookie}=${value}` },
  });
  await answer.body?.cancel();
  return answer.status;
}

runE2E('what somebody may not do is there and says why, and the record tells of who tried', async e2e => {
  const { hub, gitUrl } = await startHub(e2e);
  await addApp(hub, gitUrl, 'team-a-one');
  await addApp(hub, gitUrl, 'other-one');
  const browser = await openBrowser(e2e);
  const operator = await openPage(browser);
  await signIn(operator.page, hub.url, hub.token, '/access/audit?outcome=refused');
  await operator.page.getByRole('heading', { name: 'Nothing in the record fits all of this' }).waitFor();
  await operator.page.evaluate('window.isSamePage = true');

  // A reader reads, and what else there is says what it needs; pressing it asks the server for nothing.
  const small = await openPage(browser);
  const changes: string[] = [];
  await signIn(small.page, hub.url, reader.token, '/a/team-a-one');
  small.page.on('request', request => {
    if (request.method() !== 'GET') changes.push(`${request.method()} ${request.url()}`);
  });
  await refused(small.page, 'Add app', 'Needs the scope apps:write');
  await refused(small.page, 'Add a tag', 'Needs the scope apps:write');
  await refused(small.page, 'Read again', 'Needs the scope apps:write');
  await small.page.goto(`${hub.url}/a/team-a-one/settings`);
  await refused(small.page, 'Archive…', 'Needs the scope apps:write');
  await small.page.locator('[name=name]').fill('Another name');
  await small.page.locator('[name=name]').press('Enter');
  await refused(small.page, 'Save', 'Needs the scope apps:write');
  await small.page.getByRole('button', { name: 'Signed in as reader@example.org' }).click();
  const audit = small.page.getByRole('menuitem', { name: /^Audit/ });
  assert.equal(await audit.getAttribute('aria-disabled'), 'true');
  assert.match((await audit.textContent()) ?? '', /Needs the scope audit:read/);
  await small.page.getByRole('menuitem', { name: /^Access/ }).click();
  await refused(small.page, 'Make a key', 'Needs the scope keys:write');
  await small.page.getByRole('list', { name: 'Scopes' }).getByText('stream:read').waitFor();
  await small.page.goto(`${hub.url}/access/audit`);
  await small.page.getByText('Needs the scope audit:read. ').waitFor();
  assert.deepEqual(changes, []);

  // He who has all scopes, but not for this app, is told so; the keys he makes have no more.
  const team = await openPage(browser, { expected: /status of 40[34]/ });
  await signIn(team.page, hub.url, writer.token, '/a/team-a-one');
  const build = team.page.getByRole('button', { name: 'Read again' });
  assert.equal(await build.getAttribute('aria-disabled'), 'false');
  await team.page.goto(`${hub.url}/access`);
  await team.page.getByRole('button', { name: 'Make a key' }).click();
  assert.equal(await team.page.locator('[name=apps]').inputValue(), 'team-a-*');
  const offered = await team.page.getByRole('dialog').getByRole('checkbox').count();
  assert.equal(offered, 5, 'three of apps, stream:read and keys:write');
  await team.page.getByLabel('Name').fill('wide');
  await team.page.getByLabel(/^apps:read/).check();
  await team.page.locator('[name=apps]').fill('other-one');
  await team.page.getByRole('button', { name: 'Make the key' }).click();
  await team.page.getByText('A key cannot reach more than its maker').waitFor();

  // Without a reload the record tells of it, and of a visitor from outside.
  const record = operator.page.locator('.audit-list > li');
  await record.filter({ hasText: 'POST /auth/api-keys' }).filter({ hasText: 'by team-a' }).waitFor();
  await statusOf(hub, 'DELETE', '/apps/other-one', reader.token);
  const attempt = record.filter({ hasText: 'DELETE /apps/:appId' });
  await attempt.filter({ hasText: 'Lacks the scope' }).waitFor();
  await attempt.locator('summary').press('Enter');
  await attempt.getByText('forbidden (403)').waitFor();
  await attempt.getByRole('link', { name: 'by this actor' }).press('Enter');
  await operator.page.waitForURL('**/access/audit?actor=reader%40example.org&outcome=refused');
  await e2e.eventually(async () => assert.equal(await record.count(), 1));
  assert.equal(await operator.page.evaluate('window.isSamePage'), true);

  // The filters are the address: it can be loaded again, and gone back to.
  await operator.page.reload();
  await attempt.waitFor();
  assert.equal(await operator.page.getByRole('textbox', { name: 'Who' }).inputValue(), reader.subject);
  await operator.page.getByRole('textbox', { name: 'What', exact: true }).fill('GET *');
  await operator.page.getByRole('button', { name: 'Show', exact: true }).press('Enter');
  await operator.page.getByRole('link', { name: 'Look without action' }).press('Enter');
  await attempt.waitFor();
  await operator.page.goBack();
  await operator.page.getByRole('heading', { name: 'Nothing in the record' }).waitFor();
  await operator.page.getByRole('link', { name: 'Show everything' }).press('Enter');
  await record.filter({ hasText: 'Repository registered' }).first().waitFor();
  assert.deepEqual([...operator.complaints, ...small.complaints, ...team.complaints], []);
});

/** A button that is there, says that it does nothing and why, and does nothing. */
async function refused(page: Page, name: string, why: string): Promise<void> {
  const button = page.getByRole('button', { name, exact: true }).first();
  await button.waitFor();
  assert.equal(await button.getAttribute('aria-disabled'), 'true', name);
  const described = await button.getAttribute('aria-describedby');
  assert.equal(await page.locator(`[id="${described}"]`).first().textContent(), why);
  await button.press('Enter');
  assert.equal(await page.getByRole('dialog').count(), 0);
  await page.locator('#spoken', { hasText: why }).waitFor({ state: 'attached' });
}

runE2E('a session ended elsewhere leaves what was typed; an administrator sees everybody', async e2e => {
  const { hub, gitUrl } = await startHub(e2e);
  await addApp(hub, gitUrl, 'team-a-one');
  const browser = await openBrowser(e2e);
  const { page } = await openPage(browser);
  await signIn(page, hub.url, writer.token, '/a/team-a-one/settings');
  await page.locator('textarea[name=description]').fill('Words of an hour');

  const admin = await openPage(browser);
  await signIn(admin.page, hub.url, hub.token, '/access');
  const entries = admin.page.locator('.credential[data-session]');
  await e2e.eventually(async () => assert.equal(await entries.count(), 1));
  await entries.getByText('This one').waitFor();
  await admin.page.getByLabel('Those of everybody').check();
  await admin.page.waitForURL('**/access?of=everybody');
  await entries
    .filter({ hasText: 'team-a' })
    .getByRole('button', { name: /^End the session/ })
    .press('Enter');

  // It is said at once, not at the next change; whoever signs in again as the same goes on where he was.
  const door = page.getByRole('dialog', { name: 'Sign in again' });
  await door.getByText('Your session has ended.').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  assert.equal(await door.isVisible(), true);
  await door.getByLabel('Operator token').fill(writer.token);
  await page.keyboard.press('Enter');
  await door.waitFor({ state: 'detached' });
  assert.equal(await page.locator('textarea[name=description]').inputValue(), 'Words of an hour');
  await page.getByRole('button', { name: 'Save' }).press('Enter');
  await page.locator('.app-description', { hasText: 'Words of an hour' }).waitFor();

  // Somebody else begins anew: nothing of the one before is left.
  await page.getByText('Saved', { exact: true }).waitFor();
  await page.locator('textarea[name=description]').fill('Words of the one before');
  await page.getByText('Not saved yet').waitFor();
  const { data } = await sessionsOf(hub);
  for (const { id, subject } of data)
    if (subject === writer.subject) await hub.ask('DELETE', `/auth/sessions/${id}`);
  await door.waitFor();
  await door.getByLabel('Operator token').fill(reader.token);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Signed in as reader@example.org' }).waitFor();
  await e2e.eventually(async () => {
    assert.equal(await page.locator('textarea[name=description]').inputValue(), 'Words of an hour');
  });

  // A tab that signed in anew has another token against forgery; this one goes on with the new one.
  const second = await page.context().newPage();
  await signIn(second, hub.url, writer.token, '/a/team-a-one');
  await page.getByRole('button', { name: 'Signed in as team-a' }).waitFor();
  await second.getByRole('button', { name: 'Read again' }).press('Enter');
  await second.getByText('The source is read again').waitFor();
  await page.getByRole('button', { name: 'Add a tag' }).press('Enter');
  await page.locator('[name=tag]').fill('kind:page');
  await page.locator('[name=tag]').press('Enter');
  await page.locator('.app-tags a', { hasText: 'kind:page' }).waitFor();
});

async function sessionsOf(hub: Hub) {
  const { body } = await hub.ask<{ data: { id: string; subject: string }[] }>(
    'GET',
    '/auth/sessions?all=true',
  );
  return body;
}

/** What can be pressed or filled in, but reaches out of the box it is in. */
const cutOff = `[...document.querySelectorAll('input, select, textarea, button')]
  .filter(one => one.checkVisibility())
  .map(one => [one, one.closest(".panel, dialog, .menu") ?? document.body])
  .filter(([one, box]) => one.getBoundingClientRect().right > box.getBoundingClientRect().right)
  .map(([one]) => one.outerHTML.slice(0, 80))`;

runE2E('the door says why it stays shut, and access can be read on small and dark screens', async e2e => {
  const { hub } = await startHub(e2e);
  const rules = '--host-resolver-rules=MAP hub.example 127.0.0.1';
  const browser = await openBrowser(e2e, [rules]);

  // From another machine without HTTPS no browser would keep the cookie.
  const far = await openPage(browser, { expected: /status of 400|Cross-Origin-Opener-Policy/ });
  const farUrl = hub.url.replace('localhost', 'hub.example');
  await far.page.goto(farUrl);
  await far.page.getByLabel('Operator token').fill(hub.token);
  await far.page.keyboard.press('Enter');
  await far.page.getByRole('alert').getByText('Signing in needs HTTPS').waitFor();
  await far.page.getByRole('alert').getByText('APPHUB_TRUSTED_PROXIES').waitFor();
  assert.deepEqual(far.complaints, []);

  // What the way over the provider led to is said once, and a code nobody knows is not repeated.
  const { page, complaints } = await openPage(browser, { expected: /status of 401/ });
  await page.goto(`${hub.url}/?signInError=no-groups`);
  await page.getByText('You are in none of the groups').waitFor();
  assert.equal(page.url(), `${hub.url}/`);
  await page.goto(`${hub.url}/?signInError=%3Cb%3Ebold`);
  await page.getByText('Signing in did not work. Try again.').waitFor();

  // An address that somebody made up signs nobody out.
  await signIn(page, hub.url, hub.token);
  const answer = page.waitForResponse(({ status }) => status() === 401).catch(() => undefined);
  await page.goto(`${hub.url}/access#token=made-up-by-somebody`);
  await answer;
  await page.getByRole('heading', { name: 'Access', exact: true }).waitFor();
  assert.deepEqual(complaints, []);

  await hub.ask('POST', '/auth/api-keys', {
    name: 'nightly builds of everything',
    scopes: ['apps:*', 'stream:read'],
  });
  for (const colorScheme of ['light', 'dark'] as const) {
    const small = await openPage(browser, { viewport: { width: 320, height: 640 }, colorScheme });
    const fits = async (what: string) => {
      assert.ok((await overflowOf(small.page)) <= 0, `${what} is wider than 320 px`);
      assert.deepEqual(await small.page.evaluate(cutOff), [], `${what} is cut off`);
      assert.deepEqual(await poorContrasts(small.page), [], `${colorScheme} ${what}`);
    };
    await small.page.goto(hub.url);
    await small.page.getByLabel('Operator token').waitFor();
    await small.page.getByText('Where do I find it?').click();
    await fits('the door');
    await signIn(small.page, hub.url, hub.token, '/access');
    await small.page.locator('.credential[data-key]').first().waitFor();
    await small.page.locator('.credential[data-session]').first().waitFor();
    await fits('/access');
    await small.page.getByRole('button', { name: 'Make a key' }).click();
    await fits('making a key');
    await small.page.getByLabel('Name').fill('one more');
    await small.page.getByLabel(/^apps:read/).check();
    await small.page.getByRole('button', { name: 'Make the key' }).click();
    await small.page.locator('.shown-once').waitFor();
    await fits('a key shown once');
    await small.page.getByRole('button', { name: 'Signed in as operator' }).click();
    await fits('the menu');
    await small.page.goto(`${hub.url}/access/audit`);
    await small.page.locator('.audit-list summary').first().click();
    await fits('/access/audit');
    await small.page.goto(`${hub.url}/access/audit?actor=nobody&from=2026-01-01T00:00:00Z`);
    await small.page.getByRole('heading', { name: 'Nothing in the record' }).waitFor();
    await fits('/access/audit with nothing');
    await signIn(small.page, hub.url, reader.token);
    await small.page.getByText('Needs the scope').first().waitFor();
    await fits('what is refused');
    assert.deepEqual(small.complaints, []);
  }
});

runE2E('a person comes in at the provider and out; who may not follow is shown what happens', async e2e => {
  const oidc = await startOidc();
  e2e.registerCleanup('provider', () => oidc.close());
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, { ...oidc.env, DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  oidc.register(hub.url);
  const { page } = await openPage(await openBrowser(e2e));
  // The provider's page would get its letters from the network.
  await page.route(
    url => !['localhost', '127.0.0.1'].includes(url.hostname),
    route => route.abort(),
  );
  const fillIn = async (login: string) => {
    await page.locator('[name=login]').fill(login);
    await page.locator('[name=password]').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
  };
  const throughProvider = page.getByRole('button', { name: /^Sign in with / });

  // The page asked for is the one that is come back to.
  await page.goto(`${hub.url}/access`);
  await throughProvider.press('Enter');
  await fillIn('ada');
  await page.getByRole('heading', { name: 'Access', exact: true }).waitFor();
  assert.equal(page.url(), `${hub.url}/access`);
  await page.getByRole('button', { name: 'Signed in as Ada Lovelace' }).waitFor();
  await page.locator('.credential', { hasText: 'at the provider' }).getByText('This one').waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'Access', exact: true }).waitFor();

  // She lacks stream:read: it is said, and the page looks by itself.
  await page.getByText('following it needs the scope stream:read').waitFor();
  await page.getByRole('link', { name: 'AppHub' }).press('Enter');
  await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
  await addApp(hub, gitUrl, 'seen-by-looking');
  await page.getByRole('link', { name: 'App seen-by-looking' }).waitFor();

  // Out, here and at the provider; and back to the door.
  await page.getByRole('button', { name: 'Signed in as Ada Lovelace' }).press('Enter');
  await page.getByRole('menuitem', { name: 'Sign out' }).press('Enter');
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await throughProvider.waitFor();
  assert.equal(await sessionOf(page.context()), undefined);

  // Who is in no group that is let in is told so, and a link to the provider's way is as good as the button.
  await throughProvider.press('Enter');
  await fillIn('loner');
  await page.getByText('You are in none of the groups that are let in here.').waitFor();
  await page.evaluate('localStorage.clear()');
  await page.context().clearCookies({ domain: '127.0.0.1' });
  await page.goto(`${hub.url}/auth/login`);
  await fillIn('ada');
  await page.getByRole('button', { name: 'Signed in as Ada Lovelace' }).waitFor();
});
