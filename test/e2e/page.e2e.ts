/** The page from the first visit to a running app, by keyboard only, in a real browser on real parts. */
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { focusedName, holds, openBrowser, openPage, tabTo } from '../support/browser.ts';
import { runE2E } from '../support/e2e.ts';
import { startStack } from '../support/stack.ts';

/** Marks the document: a reload would lose the mark. */
const mark = (page: Page) => page.evaluate('window.isSamePage = true');
const isMarked = (page: Page) => page.evaluate('window.isSamePage === true');

runE2E('by keyboard alone an app is added, watched, launched, used, stopped and found again', async e2e => {
  const { hub, gitUrl } = await startStack(e2e);
  const browser = await openBrowser(e2e);
  const { page, complaints } = await openPage(browser, { expected: /status of (400|401|409)/ });
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };

  // Signing in: a wrong token is said at the field, the right one leads in.
  await page.goto(hub.url);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await e2e.eventually(async () => assert.equal(await focusedName(page), 'Operator token'));
  await page.keyboard.type('not-the-token');
  await press('Enter');
  await page.getByText('Nobody has this token').waitFor();
  await press('Control+A');
  await page.keyboard.type(hub.token);
  await press('Enter');
  await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
  await mark(page);

  // Adding: what is wrong is said at its field, which gets the focus.
  await tabTo(page, /^Add the first app$/);
  await press('Enter');
  await page.getByRole('dialog', { name: 'Add an app' }).waitFor();
  assert.equal(await focusedName(page), 'Git repository');
  await page.keyboard.type('ext::sh -c id');
  await press('Enter');
  await page.getByText('addresses run programs and are refused').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'repoUrl'`);
  const described = await page.locator('[name=repoUrl]').getAttribute('aria-describedby');
  assert.match((await page.locator(`[id="${described?.split(' ')[0]}"]`).textContent()) ?? '', /refused/);
  await press('Control+A');
  await page.keyboard.type(`${gitUrl}/node-app.git`);
  assert.equal(await page.locator('[name=id]').inputValue(), 'node-app');
  assert.equal(await page.locator('[name=name]').inputValue(), 'Node app');
  await tabTo(page, /^Tags/);
  await page.keyboard.type('made:by-hand');
  await press('Enter');

  // Watching: read, built and ready, without a reload.
  await page.waitForURL('**/a/node-app');
  await page.getByRole('heading', { name: 'Node app', exact: true }).waitFor();
  await page.locator('.app-title .status', { hasText: 'Ready to launch' }).waitFor();
  assert.equal(await isMarked(page), true);
  await page.locator('.timeline li', { hasText: 'Clone' }).first().waitFor();
  await page.locator('.app-tags', { hasText: 'framework:express' }).waitFor();
  assert.equal(await page.title(), 'Node app · AppHub');

  // Following a build's log.
  await press('3');
  await page.waitForURL('**/a/node-app/builds');
  const log = page.getByRole('region', { name: 'Log of the build' });
  await log.getByText('Successfully built').waitFor();
  await tabTo(page, /^Build \w+ now$/);
  await press('Enter');
  await page.waitForURL('**/a/node-app/builds/*');
  await log.getByText('Step 1/').waitFor();
  await page.locator('.panel-head .status', { hasText: 'Built' }).waitFor();

  // Launching with an environment, and using the app in its frame.
  await tabTo(page, /^Options…$/, 'Shift+Tab');
  await press('Enter');
  await page.getByRole('dialog', { name: 'Launch Node app' }).waitFor();
  assert.equal(await focusedName(page), 'Name 1');
  await page.keyboard.type('9LIVES');
  await press('Enter');
  await page.getByText('do not begin with a digit').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'env.0.key'`);
  await press('Control+A');
  await page.keyboard.type('GREETING');
  await press('Tab');
  await page.keyboard.type('hello');
  await press('Enter');
  await page.waitForURL('**/a/node-app/launches/*');
  const frame = page.frameLocator('iframe.frame');
  await frame.getByRole('heading', { name: 'Hello from the counter' }).waitFor();
  assert.equal(await isMarked(page), true);
  const src = new URL((await page.locator('iframe.frame').getAttribute('src')) ?? '');
  assert.notEqual(src.origin, new URL(hub.url).origin);
  src.pathname = '/env';
  assert.match((await hub.visit(src.href)).body, /"GREETING":"hello"/);

  // Its log, then its end.
  await tabTo(page, /^Log$/);
  await press('Enter');
  await page.getByRole('region', { name: 'Log of the app' }).getByText('listening on').waitFor();
  await tabTo(page, /^Stop$/);
  await press('Enter');
  await page.locator('.launch .status', { hasText: 'Stopped' }).waitFor();
  assert.equal(await page.locator('iframe.frame').count(), 0);

  // The history knows who did it and what came of what.
  await press('5');
  await page.locator('.history li', { hasText: 'Launch stopped' }).first().waitFor();
  const first = page.locator('.history li').last();
  assert.match((await first.textContent()) ?? '', /Repository registered\s*by operator/);

  // Searching: a suggestion is completed, and its app opened.
  await press('/');
  assert.match(await focusedName(page), /^Search apps/);
  await page.keyboard.type('made:b');
  await page.getByRole('option', { name: /made:by-hand/ }).waitFor();
  await press('ArrowDown');
  const active = await page.getByRole('combobox').getAttribute('aria-activedescendant');
  assert.equal(await page.locator(`[id="${active}"]`).getAttribute('aria-selected'), 'true');
  await press('Enter', 'Enter');
  await page.waitForURL('**/?q=made%3Aby-hand');
  await page.getByRole('heading', { name: '1 app found' }).waitFor();
  await tabTo(page, /^Node app$/);
  await press('Enter');
  await page.waitForURL('**/a/node-app');
  assert.equal(await isMarked(page), true);

  // Registering the same id again tells of the one that is there.
  await press('n');
  await page.getByRole('dialog', { name: 'Add an app' }).waitFor();
  await page.keyboard.type(`${gitUrl}/node-app.git`);
  await press('Enter');
  await page.getByText('This id is taken by').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'id'`);
  assert.equal(await page.getByRole('link', { name: 'Node app' }).last().getAttribute('href'), '/a/node-app');
  await press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  // Every key is written down, and single ones can be turned off.
  await press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await tabTo(page, /Single keys work/);
  await press('Space', 'Escape', 'n', '?');
  assert.equal(await page.getByRole('dialog').count(), 0);
  await tabTo(page, /^Keyboard help$/, 'Shift+Tab');
  await press('Enter');
  await tabTo(page, /Single keys work/);
  await press('Space', 'Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  // Archiving asks first, and Escape keeps it.
  await press('6');
  await tabTo(page, /^Archive…$/);
  await press('Enter');
  await page.getByRole('dialog', { name: 'Archive Node app?' }).waitFor();
  assert.equal(await focusedName(page), 'Keep it');
  await press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await focusedName(page), 'Archive…');
  await press('Enter');
  await page.getByRole('dialog', { name: 'Archive Node app?' }).waitFor();
  await press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await focusedName(page), 'Archive…');
  await press('Enter');
  await tabTo(page, /^Archive it$/);
  await press('Enter');
  await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
  await tabTo(page, /^Look among the archived ones$/);
  await press('Enter');
  await tabTo(page, /^Node app$/);
  await press('Enter');
  await tabTo(page, /^Bring it back$/);
  await press('Enter');
  await page.getByRole('button', { name: 'Bring it back' }).waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
});
