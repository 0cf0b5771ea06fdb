/** The page over time: restarts of the server, an engine that is missing, signing out. */
import assert from 'node:assert/strict';
import { freePort } from '../../platform/free-port.ts';
import { holds, openBrowser, openPage, signIn } from '../support/browser.ts';
import { runE2E } from '../support/e2e.ts';
import { makeHub, startSamples } from '../support/stack.ts';

const connectionIs = (state: string) => `document.querySelector('.connection')?.dataset.state === '${state}'`;

runE2E('the page lives through a restart and shows what happened meanwhile, without a reload', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const port = String(await freePort('127.0.0.1'));
  const hub = makeHub(e2e, { PORT: port, DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  const add = (id: string) =>
    hub.ask('POST', '/apps', { id, name: id, repoUrl: `${gitUrl}/static-site.git` });
  await add('before');
  const browser = await openBrowser(e2e);
  // A server that is down is in the console of the browser; it is what this is about.
  const { page, complaints } = await openPage(browser, { expected: /ERR_|WebSocket|status of 503/ });
  await signIn(page, hub.url, hub.token);
  await page.evaluate('window.isSamePage = true');
  await page.getByRole('link', { name: 'before' }).waitFor();
  await holds(e2e, page, connectionIs('live'));

  await hub.kill();
  await page.getByText('Connection lost').waitFor();
  await hub.start();
  await add('meanwhile');
  await page.getByRole('link', { name: 'meanwhile' }).waitFor();
  await holds(e2e, page, connectionIs('live'));
  assert.equal(await page.getByText('Connection lost').count(), 0);
  await add('after');
  await page.getByRole('link', { name: 'after' }).waitFor();
  assert.equal(await page.evaluate('window.isSamePage'), true);

  // Why nothing is built is said where one looks for it.
  await page.getByRole('link', { name: 'before' }).click();
  await page.getByRole('link', { name: 'Builds', exact: true }).click();
  await page.locator('.panel-head .status', { hasText: 'Queued' }).waitFor();
  const waitsFor = page.locator('.waiting-for').first();
  await waitsFor.waitFor();
  assert.match((await waitsFor.textContent()) ?? '', /It waits: .*Docker/i);
  await page
    .getByRole('complementary', { name: 'State of AppHub' })
    .getByText('Builds and launches wait')
    .waitFor();

  // Cancelling takes it out of the queue.
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.panel-head .status', { hasText: 'Cancelled' }).waitFor();

  // Signing out in one tab signs out in the other.
  const other = await page.context().newPage();
  await other.goto(hub.url);
  await other.getByRole('link', { name: 'after' }).waitFor();
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate('localStorage.length + sessionStorage.length'), 0);
  assert.deepEqual(complaints, []);
});
