/** Why an app is as it is, on its page: by keyboard, and on the smallest screen. */
import assert from 'node:assert/strict';
import { freePort } from '../../platform/free-port.ts';
import { openBrowser, openPage, signIn, tabTo } from '../support/browser.ts';
import { runE2E } from '../support/e2e.ts';
import { makeHub, startSamples } from '../support/stack.ts';

runE2E('what set a value and what led to an event is read by keyboard in the history', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const port = String(await freePort('127.0.0.1'));
  const hub = makeHub(e2e, { PORT: port, DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'site', name: 'site', repoUrl: `${gitUrl}/static-site.git` });
  await e2e.eventually(async () => {
    const [build] = await hub.get<{ status: string }[]>('/apps/site/builds');
    assert.equal(build?.status, 'queued');
  });
  const browser = await openBrowser(e2e);
  const { page, complaints } = await openPage(browser, { expected: /status of 503/ });
  await signIn(page, hub.url, hub.token);
  await page.goto(`${hub.url}/a/site/history`);
  await page.locator('.history li').first().waitFor();

  await tabTo(page, /^Which event set each value/);
  await page.keyboard.press('Enter');
  const name = page.locator('.values dt', { hasText: /^name$/ }).locator('+ dd');
  await name.waitFor();
  assert.match((await name.textContent()) ?? '', /site\s+Repository registered by operator,.*POST \/apps/s);
  // Live: who changes it now is there without a reload.
  await hub.ask('PATCH', '/apps/site', { name: 'Site 2' });
  await name.filter({ hasText: 'Site 2' }).waitFor();

  await tabTo(page, /^Build requested/);
  await page.keyboard.press('Enter');
  await tabTo(page, /^What led to it/);
  await page.keyboard.press('Enter');
  const rows = page.locator('.cause-tree > li');
  await rows.first().waitFor();
  const told = (await rows.allTextContents()).map(text => text.trim().replace(/\s+/g, ' '));
  assert.match(told[0] ?? '', /^POST \/apps was asked for$/);
  assert.match(told[1] ?? '', /^Repository registered by operator/);
  const current = page.locator('.cause-tree [aria-current]');
  assert.match((await current.textContent()) ?? '', /Build requested/);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 320, height: 900 });
    const wide = await page.evaluate('document.documentElement.scrollWidth');
    assert.ok(Number(wide) <= 320, `${wide} px wide`);
  }
  assert.deepEqual(complaints, []);
});
