/** Looking for apps in the page: suggestions, filters, the address, small and dark screens. */
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { focusedName, holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { type Hub, makeHub, startSamples } from '../support/stack.ts';

const appsCount = 27;
const firstPage = 24;
const searchBox = (page: Page) => page.getByRole('combobox', { name: 'Search apps' });

/** Many apps, all read. There is no engine here, so that nothing is built meanwhile. */
async function startFullHub(e2e: E2E): Promise<Hub> {
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock', APPHUB_INGESTIONS_AT_ONCE: '4' });
  await hub.start();
  for (let at = 1; at <= appsCount; at += 1) {
    const number = String(at).padStart(2, '0');
    const tags = [
      { key: 'team', value: at % 2 === 0 ? 'even' : 'odd' },
      { key: 'kind', value: 'web site' },
    ];
    const body = { id: `site-${number}`, name: `Site ${number}`, repoUrl: `${gitUrl}/static-site.git`, tags };
    const { status } = await hub.ask('POST', '/apps', { ...body, ...(at === 7 ? { owner: 'Ada' } : {}) });
    assert.equal(status, 201);
  }
  await e2e.eventually(async () => {
    const { body } = await hub.ask<{ meta: { total: { count: number } } }>('GET', '/apps?status=ready');
    assert.equal(body.meta.total.count, appsCount);
  });
  return hub;
}

runE2E('apps are found by words, tags and filters; the address holds the search', async e2e => {
  const hub = await startFullHub(e2e);
  const { page, complaints } = await openPage(await openBrowser(e2e));
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const heading = (name: string) => page.getByRole('heading', { name, exact: true }).waitFor();
  await signIn(page, hub.url, hub.token);
  await heading(`${appsCount} apps`);
  assert.equal(page.url(), `${hub.url}/`, 'the token is out of the address');
  assert.match(await focusedName(page), /^Search apps/, 'search first');

  // More of them: the focus goes to the first new card, and arrows lead from card to card.
  await tabTo(page, /^Site \d/);
  await press('End');
  await tabTo(page, /^Show more$/);
  await press('Enter');
  const links = page.locator('.cards a[data-app]');
  await holds(e2e, page, `document.querySelectorAll('.cards a[data-app]').length === ${appsCount}`);
  const nameAt = (at: number) => links.nth(at).textContent();
  await holds(e2e, page, `document.activeElement?.dataset.app !== undefined`);
  assert.equal(await focusedName(page), await nameAt(firstPage));
  await press('ArrowRight');
  assert.equal(await focusedName(page), await nameAt(firstPage + 1));
  await press('ArrowLeft', 'ArrowLeft');
  assert.equal(await focusedName(page), await nameAt(firstPage - 1));

  // Tab completes a key, then a pair, and then goes on.
  await press('/');
  await page.keyboard.type('tea');
  await page.getByRole('option', { name: /team/ }).first().waitFor();
  assert.equal(await searchBox(page).getAttribute('aria-expanded'), 'true');
  await press('Tab');
  assert.equal(await searchBox(page).inputValue(), 'team:');
  await page.getByRole('option', { name: /team:odd/ }).waitFor();
  await page.keyboard.type('e');
  await page.getByRole('option', { name: /team:odd/ }).waitFor({ state: 'detached' });
  await press('Tab');
  assert.equal(await searchBox(page).inputValue(), 'team:even ');
  await heading('13 apps found');
  await page.getByRole('status').filter({ hasText: '13 apps found' }).first().waitFor({ state: 'attached' });
  await press('Tab');
  assert.equal(await focusedName(page), 'Add app', 'Tab goes on when there is nothing to complete');

  // Words and a filter, each a step in the history.
  await press('/');
  await press('End');
  await page.keyboard.type('site 0');
  await heading('4 apps found');
  await tabTo(page, /^Ready ?\d/);
  await press('Enter');
  await page.waitForURL('**status=ready**');
  await tabTo(page, /^Remove Ready$/);
  await page.goBack();
  await page.waitForURL(url => !url.search.includes('status'));
  await page.goBack();
  await heading('13 apps found');
  assert.equal(await searchBox(page).inputValue(), 'team:even');
  await page.goForward();
  await heading('4 apps found');

  // A tag on a card joins the search and leaves it again.
  await page.locator('.card').first().getByRole('button', { name: 'kind:web site' }).press('Enter');
  assert.equal(await searchBox(page).inputValue(), 'team:even site 0 kind:"web site"');
  await heading('4 apps found');
  await page.locator('.card').first().locator('[aria-pressed=true]', { hasText: 'kind' }).press('Enter');
  await page.waitForURL(url => !url.search.includes('kind'));

  // Nothing found: every part can be left out.
  await page.goto(`${hub.url}/?q=team%3Aeven+site+07&owner=Ada`);
  await page.getByRole('heading', { name: 'No app fits all of this' }).waitFor();
  await page.getByRole('button', { name: 'Search without team:even' }).press('Enter');
  await heading('1 app found');
  await press('/', 'Escape');
  await page.waitForURL(url => url.searchParams.get('q') === null);
  assert.deepEqual(complaints, []);
});

runE2E('an answer that comes late replaces no newer one; Escape closes, then empties', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  const tags = [
    { key: 'alpha', value: 'one' },
    { key: 'axis', value: 'two' },
  ];
  await hub.ask('POST', '/apps', { id: 'one', name: 'One', repoUrl: `${gitUrl}/no-dockerfile.git`, tags });
  const { page, complaints } = await openPage(await openBrowser(e2e));
  await signIn(page, hub.url, hub.token);
  await page.getByRole('heading', { name: '1 app' }).waitFor();

  const held = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  await page.route(
    url => url.pathname === '/suggest' && url.searchParams.get('q') === 'a',
    async route => {
      const answer = await route.fetch();
      held.resolve();
      await late.promise;
      await route.fulfill({ response: answer }).catch(() => undefined);
    },
  );
  await page.keyboard.type('a');
  await held.promise;
  await page.keyboard.type('l');
  const options = page.getByRole('listbox', { name: 'Suggestions' }).getByRole('option');
  await options.first().waitFor();
  const before = await options.allTextContents();
  assert.ok(before.length > 0 && before.every(text => text.startsWith('alpha')), before.join());
  late.resolve();
  // One more question and its answer: what was late has come by then.
  await page.evaluate(`fetch('/healthz').then(answer => answer.text())`);
  assert.deepEqual(await options.allTextContents(), before);

  await page.keyboard.press('Escape');
  assert.equal(await options.count(), 0);
  assert.equal(await searchBox(page).inputValue(), 'al');
  await page.keyboard.press('Escape');
  assert.equal(await searchBox(page).inputValue(), '');

  // What the page shows, it shows on small and on dark screens, and it can be read.
  const seen = [
    '/',
    '/?q=nothing',
    '/a/one',
    '/a/one/launches',
    '/a/one/builds',
    '/a/one/source',
    '/a/one/history',
    '/a/one/settings',
    '/a/nobody',
  ];
  for (const scheme of ['light', 'dark'] as const) {
    const small = await openPage(page.context().browser()!, {
      viewport: { width: 320, height: 640 },
      colorScheme: scheme,
      expected: /status of 404/,
    });
    await signIn(small.page, hub.url, hub.token);
    for (const path of seen) {
      await small.page.goto(hub.url + path);
      await small.page.locator('main h1').first().waitFor();
      await small.page.locator('main .waiting').waitFor({ state: 'detached' });
      assert.ok((await overflowOf(small.page)) <= 0, `${path} is wider than 320 px`);
      assert.deepEqual(await poorContrasts(small.page), [], `${scheme} ${path}`);
    }
    const background = await small.page.evaluate(
      'getComputedStyle(document.documentElement).backgroundColor',
    );
    assert.match(String(background), scheme === 'light' ? /rgb\(2\d\d, 2/ : /rgb\([0-3]\d, /);
    assert.deepEqual(small.complaints, []);
  }
  assert.deepEqual(complaints, []);
});
