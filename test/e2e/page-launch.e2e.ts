/** A launch over its life, by keyboard in a real browser: used, replaced without a gap, rolled back, asleep, awake. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { focusedName, holds, openBrowser, openPage, signIn, tabTo } from '../support/browser.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { startGitServer } from '../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { type Hub, makeHub } from '../support/stack.ts';

const visitEveryMs = 10;
const dockerfile = `FROM ${busyboxImage}
COPY index.html /site/index.html
EXPOSE 8080
CMD ["busybox", "httpd", "-f", "-p", "8080", "-h", "/site"]
`;
const frameMsMax = 5_000;
const version = (name: string) => ({
  Dockerfile: dockerfile,
  'index.html': `<!doctype html><title>Pages</title><h1>Version ${name}</h1>\n`,
  'README.md': '# Pages\n',
});

/** A hub with one app that is built, and a way to bring out a next version of it. */
async function startPages(e2e: E2E): Promise<{ hub: Hub; bringOut: (name: string) => Promise<string> }> {
  await ensureTestImages();
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
  e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
  const repo = makeRepo(root, 'pages');
  const git = await startGitServer({ root });
  e2e.registerCleanup('git server', () => git.close());
  const hub = makeHub(e2e);
  await hub.start();
  let isThere = false;
  const bringOut = async (name: string) => {
    const commit = commitTo(repo, version(name), `Version ${name}`);
    if (isThere) await hub.ask('POST', '/apps/pages/retry');
    else await hub.ask('POST', '/apps', { id: 'pages', name: 'Pages', repoUrl: `${git.url}/pages.git` });
    isThere = true;
    await e2e.eventually(async () => {
      const { release } = await hub.get<{ release: { commit: string } | null }>('/apps/pages');
      assert.equal(release?.commit, commit);
    });
    return commit.slice(0, 7);
  };
  return { hub, bringOut };
}

/** Visits again and again; what was answered otherwise than by a whole page of some version is a failure. */
function visitOften(e2e: E2E, hub: Hub, url: string) {
  const failures: string[] = [];
  const seen = new Set<string>();
  let count = 0;
  let isOver = false;
  const visit = async () => {
    while (!isOver) {
      const { status, body } = await hub.visit(url).catch(error => ({ status: 0, body: String(error) }));
      const found = /<h1>(Version \w+)<\/h1>/.exec(body)?.[1];
      if (status === 200 && found !== undefined) seen.add(found);
      else failures.push(`${status} ${body.slice(0, 80)}`);
      count += 1;
      // Visitors are many, but leave the builder some of the machine.
      await pause(visitEveryMs);
    }
  };
  const visitors = [visit(), visit()];
  const end = async () => {
    isOver = true;
    await Promise.all(visitors);
  };
  e2e.registerCleanup('visitors', end);
  return { failures, seen, end, count: () => count };
}

const shown = (page: Page) => page.frameLocator('iframe.frame').getByRole('heading');
/** What the browser broke off in the frame, as the machine's networks changed, is loaded anew as its reader would do it. */
const shows = (e2e: E2E, page: Page, text: string) =>
  e2e.eventually(async () => {
    const isBrokenOff = page.frames().some(frame => frame.url().startsWith('chrome-error:'));
    if (isBrokenOff) await page.evaluate(`document.querySelector('iframe.frame').src += ''`);
    await shown(page).getByText(text).waitFor({ timeout: frameMsMax });
  });
const hasFocus = 'document.activeElement !== document.body && document.activeElement !== null';
const status = (page: Page, text: string) => page.locator('.launch .status', { hasText: text }).waitFor();
const words = (page: Page, text: string) => page.locator('.launch-words', { hasText: text }).waitFor();

runE2E('an app is launched, used, redeployed and rolled back, and no visitor notices', async e2e => {
  const { hub, bringOut } = await startPages(e2e);
  const one = await bringOut('one');
  const { page, complaints } = await openPage(await openBrowser(e2e), { expected: /status of 400/ });
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await signIn(page, hub.url, hub.token, '/a/pages/launches');
  await page.getByRole('heading', { name: 'Never launched' }).waitFor();

  // The form: what is wrong is said at its field, in what was folded away; and nothing of it is kept in the browser.
  await tabTo(page, /^Options…$/, 'Shift+Tab');
  await press('Enter');
  await page.getByRole('dialog', { name: 'Launch Pages' }).waitFor();
  await page.getByRole('option', { name: 'Small: 256 MB, half a core' }).waitFor({ state: 'attached' });
  await tabTo(page, /^Private/);
  await press('ArrowDown');
  assert.match(await focusedName(page), /^Public/);
  await tabTo(page, /^Sleeps when unvisited for/);
  await page.keyboard.type('Never');
  await tabTo(page, /^Port and health$/);
  await press('Enter');
  await tabTo(page, /^Health path/);
  await page.keyboard.type('no slash');
  await press('Enter');
  await page.getByText('Begin with a slash, and use no spaces.').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'healthPath'`);
  await press('Control+A');
  await page.keyboard.type('/index.html');
  await press('Enter');
  await page.waitForURL('**/a/pages/launches/*');
  await shows(e2e, page, 'Version one');
  const kept = String(await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])'));
  assert.doesNotMatch(kept, /index\.html|public|env/);
  const id = new URL(page.url()).pathname.split('/').at(-1) ?? '';
  const launch = await hub.get<Record<string, unknown>>(`/launches/${id}`);
  assert.deepEqual(
    [launch.access, launch.idleSeconds, launch.healthPath, launch.restart],
    ['public', null, '/index.html', 'on-failure'],
  );
  await tabTo(page, /^How it runs$/);
  await press('Enter');
  await page.locator('.launch-facts', { hasText: 'Everybody who has its address' }).waitFor();
  await page.getByText('Once another build has run here, you can go back').waitFor();

  // A newer version comes out: it is offered, and takes over while visitors come and go.
  const visitors = visitOften(e2e, hub, String(launch.url));
  await page.evaluate('window.isSamePage = true');
  const two = await bringOut('two');
  await page.locator('.strip.offer', { hasText: `This launch runs ${one}` }).waitFor();
  await tabTo(page, new RegExp(`^Redeploy with ${two}$`));
  await press('Enter');
  await shows(e2e, page, 'Version two');
  await page.locator('.deployment[aria-current]', { hasText: two }).waitFor();
  await holds(e2e, page, hasFocus);
  await holds(
    e2e,
    page,
    `document.querySelector('#spoken').textContent.includes('Launch of Pages: Running')`,
  );

  // And back in one action, from the list.
  await tabTo(page, new RegExp(`^Roll back to ${one}, deployment 1$`));
  await press('Enter');
  await shows(e2e, page, 'Version one');
  await page
    .locator('.deployment', { hasText: 'Rolled back' })
    .getByText('Serves', { exact: true })
    .waitFor();
  await page
    .locator('.deployment', { hasText: 'Redeployed' })
    .getByText(/Served for/)
    .waitFor();
  await holds(e2e, page, hasFocus);
  await visitors.end();
  assert.deepEqual(visitors.failures, []);
  assert.deepEqual([...visitors.seen].sort(), ['Version one', 'Version two']);
  assert.ok(visitors.count() > 100, `only ${visitors.count()} visits`);
  assert.equal(await page.evaluate('window.isSamePage'), true);

  // More time, and an end; what has ended can be launched again as it was.
  await tabTo(page, /^More time…$/, 'Shift+Tab');
  await press('Enter');
  await page.getByRole('dialog', { name: 'More time' }).waitFor();
  await page.keyboard.type('1 day');
  await tabTo(page, /^Let it run$/);
  await press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page
    .locator('.launch .panel-head')
    .getByText(/23 h \d+ min left/)
    .waitFor();
  assert.equal(await focusedName(page), 'More time…');
  await tabTo(page, /^Stop$/);
  await press('Enter');
  await status(page, 'Stopped');
  await words(page, 'It was stopped, and its containers are gone.');
  await holds(e2e, page, hasFocus);
  await tabTo(page, /^Launch again…$/);
  await press('Enter');
  await page.getByRole('dialog', { name: 'Launch Pages again' }).waitFor();
  assert.equal(await page.getByLabel('Health path').inputValue(), '/index.html');
  assert.equal(await page.getByRole('radio', { name: /^Public/ }).isChecked(), true);
  await press('Escape');
  assert.equal(await focusedName(page), 'Launch again…');
  assert.deepEqual(complaints, []);
});

runE2E('a launch falls asleep, says so, and wakes for a visit and for a key', async e2e => {
  const { hub, bringOut } = await startPages(e2e);
  await bringOut('one');
  const { body } = await hub.ask<{ data: { id: string } }>('POST', '/apps/pages/launches', {
    idleSeconds: 10,
    access: 'public',
  });
  const { id } = body.data;
  const { url } = await e2e.eventually(() => hub.get<{ url: string }>(`/launches/${id}`));
  const { page, complaints } = await openPage(await openBrowser(e2e));
  await signIn(page, hub.url, hub.token, `/a/pages/launches/${id}`);
  await shows(e2e, page, 'Version one');
  await page.evaluate('window.isSamePage = true');

  // Nobody comes.
  await status(page, 'Asleep');
  await words(page, 'Nobody had visited it for 10 s, so it fell asleep.');
  assert.equal(await page.locator('iframe.frame').count(), 0, 'the page itself would wake it');

  // Somebody does, elsewhere: he is answered, and the page shows the app again by itself.
  const visit = await hub.visit(url);
  assert.deepEqual([visit.status, /Version one/.test(visit.body)], [200, true]);
  await shows(e2e, page, 'Version one');
  await page.locator('.deployment', { hasText: 'Woken' }).first().waitFor();

  // Put to sleep and woken by keyboard: the focus stays with what there is to do.
  await tabTo(page, /^Sleep$/);
  await press(page, 'Enter');
  await words(page, 'It was put to sleep. The next visit wakes it');
  await holds(e2e, page, hasFocus);
  await tabTo(page, /^Wake$/);
  await press(page, 'Enter');
  await shows(e2e, page, 'Version one');
  await holds(e2e, page, hasFocus);
  assert.equal(await page.evaluate('window.isSamePage'), true);
  assert.deepEqual(complaints, []);
});

const press = (page: Page, key: string) => page.keyboard.press(key);
