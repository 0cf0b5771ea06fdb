/** Looking back in the page, by keyboard: the page as it was, which says so and cannot be changed, and the way back to now. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { focusedName, holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { type Hub, makeHub } from '../support/stack.ts';

/** Between two things that happen, so that they are moments of their own. */
const betweenMs = 1_200;

/** An app that has had three names, and another one that came later. There is no engine: nothing happens by itself. */
async function startOldHub(e2e: E2E): Promise<Hub> {
  const hub = makeHub(e2e, {
    DOCKER_HOST: 'unix:///nowhere/docker.sock',
    APPHUB_ALLOW_LOCAL_REPOSITORIES: 'true',
  });
  await hub.start();
  const app = (id: string, name: string) => ({ id, name, repoUrl: `https://git.invalid/${id}.git` });
  const ask = async (method: string, path: string, body: object) => {
    const { status } = await hub.ask(method, path, body);
    assert.ok(status < 300, `${method} ${path}: ${status}`);
    await pause(betweenMs);
  };
  await ask('POST', '/apps', app('shop', 'First name'));
  await ask('PATCH', '/apps/shop', { name: 'Second name' });
  await ask('POST', '/apps', app('late', 'Late one'));
  await ask('PATCH', '/apps/shop', { name: 'Third name' });
  return hub;
}

runE2E('the page looks back by keyboard, says so, changes nothing, and comes back', async e2e => {
  const hub = await startOldHub(e2e);
  const browser = await openBrowser(e2e);
  const { page, complaints } = await openPage(browser);
  const card = (name: string) => page.locator('.cards a[data-app]', { hasText: name });
  const bar = page.getByRole('region', { name: 'Looking back' });
  await signIn(page, hub.url, hub.token);
  await card('Third name').waitFor();
  await card('Late one').waitFor();
  assert.equal(await bar.count(), 0);

  await tabTo(page, /^Look back in time$/);
  await page.keyboard.press('Enter');
  await bar.waitFor();
  await holds(e2e, page, `document.activeElement?.id === 'past-slider'`);
  const words = (await bar.textContent())?.replace(/\s+/g, ' ') ?? '';
  assert.match(words, /As of .* This is what AppHub was then\. It can be looked at, not changed\./);

  // The beginning: there was nothing, or the first name alone.
  await page.keyboard.press('Home');
  await card('Late one').waitFor({ state: 'detached' });
  assert.match(page.url(), /asOf=\d{4}-/);
  const slider = page.getByRole('slider', { name: 'Time' });
  const first = await slider.getAttribute('aria-valuetext');
  await page.keyboard.press('ArrowRight');
  await holds(e2e, page, `document.activeElement?.id === 'past-slider'`);
  assert.equal(await slider.getAttribute('min'), '0');
  assert.ok(first !== null && first.length > 5);

  // Moment by moment, until the first name is another one.
  await tabTo(page, /^One moment later$/);
  for (let n = 0; n < 40 && (await card('Second name').count()) === 0; n += 1) {
    await page.keyboard.press('Enter');
    await pause(betweenMs / 4);
  }
  await card('Second name').waitFor();
  assert.equal(await card('Third name').count(), 0);
  assert.equal(await focusedName(page), 'One moment later', 'the focus stays');

  // On another page of that time nothing can be changed, and it says so there too.
  await card('Second name').press('Enter');
  await page.getByRole('heading', { name: 'Second name', exact: true }).waitFor();
  assert.match(page.url(), /\/a\/shop.*asOf=/);
  await bar.waitFor();
  const add = page.getByRole('button', { name: 'Add app' });
  assert.equal(await add.getAttribute('aria-disabled'), 'true');
  assert.match((await add.getAttribute('title')) ?? '', /past can only be looked at/);
  await page.keyboard.press('n');
  assert.equal(await page.locator('dialog[open]').count(), 0);

  // Kept by a new visit, and shared by the address.
  await page.reload();
  await page.getByRole('heading', { name: 'Second name', exact: true }).waitFor();

  // In the dark, in the light, and on a small screen.
  for (const colorScheme of ['dark', 'light'] as const) {
    const small = await openPage(browser, { viewport: { width: 320, height: 640 }, colorScheme });
    await signIn(small.page, hub.url, hub.token);
    await small.page.goto(page.url());
    await small.page.getByRole('heading', { name: 'Second name', exact: true }).waitFor();
    await small.page.getByRole('slider', { name: 'Time' }).waitFor();
    assert.ok((await overflowOf(small.page)) <= 0, 'wider than 320 px');
    assert.deepEqual(await poorContrasts(small.page), [], colorScheme);
    assert.deepEqual(small.complaints, []);
  }

  // An exact time, then back to now.
  await tabTo(page, /^Back to now$/);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Third name', exact: true }).waitFor();
  assert.equal(await bar.count(), 0);
  assert.ok(!page.url().includes('asOf'));
  assert.equal(await add.getAttribute('aria-disabled'), 'false');
  await page.keyboard.press('t');
  await bar.waitFor();
  await page.goBack();
  await bar.waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
});

runE2E('a time that cannot be shown is told of, with the way back', async e2e => {
  const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  const { page } = await openPage(await openBrowser(e2e), { expected: /400|503/ });
  await signIn(page, hub.url, hub.token, '/?asOf=2999-01-01T00:00:00Z');
  await page.getByRole('alert').filter({ hasText: 'This is in the future' }).first().waitFor();
  await tabTo(page, /^Back to now$/);
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Looking back' }).waitFor({ state: 'detached' });
  await page.getByRole('alert').waitFor({ state: 'detached' });
  assert.ok(!page.url().includes('asOf'));
});
