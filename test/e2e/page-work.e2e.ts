/** Long work in the page: a build that is followed line by line and called off, and what an owner changes by hand. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { focusedName, holds, openBrowser, openPage, signIn, tabTo } from '../support/browser.ts';
import { runE2E } from '../support/e2e.ts';
import { startGitServer } from '../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { makeHub, startSamples } from '../support/stack.ts';

/** Prints a line every so often, far longer than any test takes. */
const endless = `FROM ${busyboxImage}
RUN i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo "line $i of many"; sleep 0.02; done
CMD ["busybox", "true"]
`;

runE2E('a long build is followed line by line, read at leisure, and cancelled', async e2e => {
  await ensureTestImages();
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
  e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
  commitTo(makeRepo(root, 'slow'), { Dockerfile: endless, 'README.md': '# Slow\n' }, 'First version');
  const git = await startGitServer({ root });
  e2e.registerCleanup('git server', () => git.close());
  const hub = makeHub(e2e);
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'slow', name: 'Slow', repoUrl: `${git.url}/slow.git` });

  const { page, complaints } = await openPage(await openBrowser(e2e));
  await signIn(page, hub.url, hub.token, '/a/slow');
  const log = page.getByRole('region', { name: 'Log of the build' });
  // It appears by itself on the first page of the app, and grows while the build runs.
  await log.getByText('line 40 of many').waitFor();
  await page.locator('.panel-head .status', { hasText: 'Building' }).waitFor();
  const pre = `document.querySelector('.log-view pre')`;
  const isAtEnd = `${pre}.scrollHeight - ${pre}.scrollTop - ${pre}.clientHeight < 40`;
  await holds(e2e, page, isAtEnd);

  // Who reads further up is left there, and can go back to the end.
  await tabTo(page, /^Log of the build$/);
  await page.keyboard.press('Home');
  await holds(e2e, page, `${pre}.scrollTop === 0`);
  await page.getByRole('button', { name: 'To the end' }).waitFor();
  const count = Number(await page.evaluate(`${pre}.childElementCount`));
  await holds(e2e, page, `${pre}.childElementCount > ${count + 20}`);
  assert.equal(await page.evaluate(`${pre}.scrollTop`), 0);
  await tabTo(page, /^To the end$/);
  await page.keyboard.press('Enter');
  await holds(e2e, page, isAtEnd);

  await tabTo(page, /^Cancel$/, 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.locator('.panel-head .status', { hasText: 'Cancelled' }).waitFor();
  await page.getByRole('link', { name: 'Builds and logs' }).press('Enter');
  await log.getByText('CANCELLED').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download' }).press('Enter'),
  ]);
  assert.match(
    await readFile(await download.path(), 'utf8'),
    /^Cloning [\s\S]*line 40 of many[\s\S]*CANCELLED\n$/,
  );
  assert.deepEqual(complaints, []);
});

runE2E('what an owner says of an app is changed by keyboard, and seen at once', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'words', name: 'Words', repoUrl: `${gitUrl}/no-dockerfile.git` });
  const { page, complaints } = await openPage(await openBrowser(e2e), { expected: /status of 400/ });
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await signIn(page, hub.url, hub.token, '/a/words');

  // Its source holds no Dockerfile: said plainly, with what can be done.
  await page.getByRole('heading', { name: 'The source could not be read' }).waitFor();
  await page.locator('.failure', { hasText: 'No Dockerfile' }).waitFor();
  await tabTo(page, /^Read again$/);
  await press('Enter');
  await page.locator('.timeline').first().waitFor();
  await press('4');
  await page.getByText('Reading 2, as somebody asked for it').waitFor();

  // A tag by hand: wrong, right, and away again.
  await tabTo(page, /^Add a tag$/, 'Shift+Tab');
  await press('Enter');
  await holds(e2e, page, `document.activeElement?.name === 'tag'`);
  await page.keyboard.type('Team:Beta');
  await press('Enter');
  await page.locator('.add-tag .error').waitFor();
  await press('Control+A');
  await page.keyboard.type('team:beta');
  await press('Enter');
  await page.locator('.app-tags a', { hasText: 'team:beta' }).waitFor();
  await tabTo(page, /^Remove team:beta$/, 'Shift+Tab');
  await press('Enter');
  await page.locator('.app-tags a', { hasText: 'team:beta' }).waitFor({ state: 'detached' });
  await holds(e2e, page, `document.activeElement !== document.body`);

  // A new name, while what is wrong stays at its field.
  await press('6');
  await tabTo(page, /^Name$/);
  await press('Control+A');
  await page.keyboard.type('Other words');
  await tabTo(page, /^Home page/);
  await page.keyboard.type('not a page');
  await press('Enter');
  await page.getByText('must be an http or https URL').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'homepage'`);
  await press('Control+A');
  await page.keyboard.type('https://words.example.org/');
  await press('Enter');
  await page.getByRole('heading', { name: 'Other words', level: 1 }).waitFor();
  await page.getByRole('link', { name: 'words.example.org' }).waitFor();
  assert.equal(await page.title(), 'Settings · Other words · AppHub');

  // Somebody else changes it: it is seen here without a reload, and what is being typed stays.
  await tabTo(page, /^Owner/);
  await page.keyboard.type('Gra');
  await hub.ask('PATCH', '/apps/words', { name: 'Third words' });
  await page.getByRole('heading', { name: 'Third words', level: 1 }).waitFor();
  await page.keyboard.type('ce');
  assert.match(await focusedName(page), /^Owner/);
  await press('Enter');
  await page.locator('.facts', { hasText: 'by Grace' }).waitFor();

  // What is typed while something is being saved is not lost.
  const held = Promise.withResolvers<void>();
  await page.route('**/apps/words', async route => {
    if (route.request().method() === 'PATCH') await held.promise;
    await route.continue();
  });
  const asked = page.waitForRequest(request => request.method() === 'PATCH');
  const owner = page.locator('[name=owner]');
  await owner.fill('Grace H');
  await owner.press('Enter');
  await asked;
  await owner.fill('Grace Hopper');
  const answered = page.waitForResponse(response => response.request().method() === 'PATCH');
  held.resolve();
  await (await answered).finished();
  await holds(
    e2e,
    page,
    `document.querySelector('form button.primary').getAttribute('aria-disabled') === 'false'`,
  );
  assert.equal(await owner.inputValue(), 'Grace Hopper');
  assert.deepEqual(complaints, []);
});
