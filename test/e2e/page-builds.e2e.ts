/** What builds are given, in the page and by keyboard: arguments, and a secret that nobody sees. Then the queue they wait in. */
import assert from 'node:assert/strict';
import { focusedName, holds, openBrowser, openPage, signIn, tabTo } from '../support/browser.ts';
import { runE2E } from '../support/e2e.ts';
import { makeHub, startSamples } from '../support/stack.ts';

runE2E(
  'arguments and secrets of builds are set by keyboard, and a build that waits says its place',
  async e2e => {
    const { gitUrl } = await startSamples(e2e);
    const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    await hub.start();
    const app = { id: 'counter', name: 'Counter', repoUrl: `${gitUrl}/node-app.git` };
    await hub.ask('POST', '/apps', app);
    const { page, complaints } = await openPage(await openBrowser(e2e), { expected: /status of 400/ });
    const press = (key: string) => page.keyboard.press(key);
    await signIn(page, hub.url, hub.token, '/a/counter/settings');

    await page.getByRole('heading', { name: 'What its builds are given' }).waitFor();
    await tabTo(page, /^Change arguments/);
    await press('Enter');
    await holds(e2e, page, `document.activeElement?.name === 'args'`);
    await page.keyboard.type('BUILDKIT_SYNTAX=evil');
    await tabTo(page, /^Save arguments$/);
    await press('Enter');
    await page.locator('.error', { hasText: 'keeps to itself' }).waitFor();
    await holds(e2e, page, `document.activeElement?.name === 'args'`);
    await press('Control+A');
    await page.keyboard.type('NODE_ENV=test');
    await tabTo(page, /^Save arguments$/);
    await press('Enter');
    await page.locator('li', { hasText: 'NODE_ENV=test' }).waitFor();
    assert.match(await focusedName(page), /Change arguments/);

    const value = 'a-value-that-nobody-sees';
    await tabTo(page, /^Set a secret/);
    await press('Enter');
    await holds(e2e, page, `document.activeElement?.name === 'name'`);
    await page.keyboard.type('npmrc');
    await press('Tab');
    await page.keyboard.type(value);
    await tabTo(page, /^Set secret$/);
    await press('Enter');
    await page.locator('.secrets li', { hasText: 'npmrc' }).waitFor();
    assert.ok(!(await page.content()).includes(value));
    await tabTo(page, /^Remove npmrc$/, 'Shift+Tab');
    await press('Enter');
    await tabTo(page, /^Remove it$/);
    await press('Enter');
    await page.locator('.secrets li').waitFor({ state: 'detached' });

    // Two builds of the same commit: the second one stands behind the first.
    const { body } = await hub.ask<{ data: { position: string } }>('POST', '/apps/counter/builds');
    await hub.get(`/apps/counter/builds?after=${body.data.position}`);
    await page.getByRole('link', { name: 'Builds', exact: true }).press('Enter');
    await page.locator('.waiting-for', { hasText: '2nd in the queue.' }).waitFor();
    const [newest, first] = await hub.get<{ id: string; args: object }[]>('/apps/counter/builds');
    assert.deepEqual(newest?.args, { NODE_ENV: 'test' });
    await hub.ask('POST', `/builds/${first?.id}/cancel`);
    await page.locator('.waiting-for', { hasText: '1st in the queue.' }).waitFor();
    assert.deepEqual(complaints, []);
  },
);
