/**
 * Private launches in a browser: in the frame of the page, in a tab, by a link that is passed on, and over plain HTTP
 * elsewhere.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openBrowser, openPage, signIn, tabTo } from '../support/browser.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { startGitServer } from '../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { type Hub, makeHub } from '../support/stack.ts';

const dockerfile = `FROM ${busyboxImage}
COPY index.html /www/index.html
EXPOSE 8080
USER 65534
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
`;

async function startApp(
  e2e: E2E,
  env: Record<string, string> = {},
): Promise<{ hub: Hub; id: string; url: string }> {
  await ensureTestImages();
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
  e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
  commitTo(makeRepo(root, 'app'), { Dockerfile: dockerfile, 'index.html': '<h1>Inside</h1>' }, 'First');
  const git = await startGitServer({ root });
  e2e.registerCleanup('git server', () => git.close());
  const hub = makeHub(e2e, env);
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'app', name: 'App', repoUrl: `${git.url}/app.git` });
  await e2e.eventually(async () => {
    const { release } = await hub.get<{ release: object | null }>('/apps/app');
    assert.ok(release !== null, 'built');
  });
  const { body } = await hub.ask<{ data: { id: string } }>('POST', '/apps/app/launches', {
    ttlSeconds: 3_600,
  });
  const { id } = body.data;
  const { url } = await e2e.eventually(async () => {
    const launch = await hub.get<{ status: string; url: string }>(`/launches/${id}`);
    assert.equal(launch.status, 'running');
    return launch;
  });
  return { hub, id, url };
}

runE2E(
  'a private launch is seen in its frame for as long as it is looked at, in a tab, and by a link',
  async e2e => {
    const { hub, id, url } = await startApp(e2e);
    const browser = await openBrowser(e2e);
    const { page, complaints } = await openPage(browser, {
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await page.clock.install();
    await signIn(page, hub.url, hub.token, `/a/app/launches/${id}`);
    await page.frameLocator('iframe.frame').getByRole('heading', { name: 'Inside' }).waitFor();

    // Before the first grant ends it is renewed by the page, without a look at the app.
    const renewed = page.waitForResponse(answer =>
      answer.url().startsWith(`${url}.well-known/apphub/grant?`),
    );
    await page.clock.fastForward('09:30');
    assert.equal((await renewed).status(), 204);
    const partitioned = (await page.context().cookies()).filter(
      ({ name }) => name === '__Host-apphub-preview',
    );
    assert.equal(partitioned.length, 1);

    // In a tab, by way of the platform, at an address that gives nothing away.
    const [tab] = await Promise.all([
      page.waitForEvent('popup'),
      page.getByRole('link', { name: 'Open in a tab' }).press('Enter'),
    ]);
    await tab.getByRole('heading', { name: 'Inside' }).waitFor();
    assert.equal(tab.url(), url);
    await tab.close();

    // A link for somebody else, by keyboard: its browser knows nobody.
    await tabTo(page, /^Share…$/);
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Share App' });
    await dialog.waitFor();
    await dialog.getByRole('button', { name: 'Make a link' }).press('Enter');
    await dialog.getByLabel('Link').waitFor();
    const link = await dialog.getByLabel('Link').inputValue();
    const guest = await (await browser.newContext()).newPage();
    await guest.goto(url);
    await guest.getByRole('heading', { name: 'This preview is private' }).waitFor();
    await guest.goto(link);
    await guest.getByRole('heading', { name: 'Inside' }).waitFor();
    assert.equal(guest.url(), url);
    await guest.reload();
    await guest.getByRole('heading', { name: 'Inside' }).waitFor();

    // Whoever has no session is led to sign in; the guest's way is over once the links are.
    await dialog.getByRole('button', { name: 'Revoke all links' }).press('Enter');
    await page.getByText('No link to it is good any more').first().waitFor();
    await e2e.eventually(async () => {
      await guest.reload();
      assert.match((await guest.textContent('body')) ?? '', /The links to it have been revoked/);
    });
    await guest.goto(`${hub.url}/launches/${id}/open?to=/index.html`);
    await guest.getByRole('heading', { name: 'Sign in' }).waitFor();
    await guest.getByLabel('Operator token').fill(hub.token);
    await guest.keyboard.press('Enter');
    await guest.getByRole('heading', { name: 'Inside' }).waitFor();
    assert.equal(guest.url(), `${url}index.html`);

    // A window that was let in as somebody who is signed in is let in again without a word.
    await hub.ask('DELETE', `/launches/${id}/links`);
    await e2e.eventually(async () => assert.equal((await hub.visit(url, await hub.grant(id))).status, 200));
    await guest.goto(`${url}index.html?again`);
    await guest.getByRole('heading', { name: 'Inside' }).waitFor();
    assert.equal(guest.url(), `${url}index.html?again`);
    assert.deepEqual(complaints, []);
  },
);

runE2E('a host name of its own is claimed on the page, shows the app, and is released', async e2e => {
  const { hub, id } = await startApp(e2e);
  const browser = await openBrowser(e2e, ['--host-resolver-rules=MAP *.test 127.0.0.1']);
  const { page, complaints } = await openPage(browser, { expected: /status of 400/ });
  await signIn(page, hub.url, hub.token, '/a/app/settings');
  await page.getByRole('heading', { name: 'Host names' }).waitFor();
  const field = page.getByLabel('Another host name');
  await field.fill('10.0.0.1');
  await field.press('Enter');
  await page.getByText('must be a name, not an address').waitFor();
  await field.fill('Shop.Test');
  await field.press('Enter');
  await page.getByRole('link', { name: 'shop.test' }).waitFor();

  // It is private as its launch is, and its way in leads back to it.
  const visitor = await page.context().newPage();
  const { port } = new URL(hub.url);
  await visitor.goto(`http://shop.test:${port}/index.html`);
  await visitor.getByRole('heading', { name: 'This preview is private' }).waitFor();
  const way = await visitor.getByRole('link', { name: 'Open it with AppHub' }).getAttribute('href');
  assert.equal(way, `http://localhost:${port}/launches/${id}/open?to=%2Findex.html&host=shop.test`);
  await visitor.goto(way ?? '');
  await visitor.getByRole('heading', { name: 'Inside' }).waitFor();
  assert.equal(visitor.url(), `http://shop.test:${port}/index.html`);

  await page.getByRole('button', { name: 'Release shop.test' }).press('Enter');
  await page.getByRole('link', { name: 'shop.test' }).waitFor({ state: 'detached' });
  await e2e.eventually(async () => {
    const answer = await visitor.goto(`http://shop.test:${port}/index.html`);
    assert.equal(answer?.headers()['x-apphub-launch'], undefined);
  });
  assert.deepEqual(complaints, []);
});

runE2E('over plain HTTP elsewhere a link works in a window of its own', async e2e => {
  const { hub, id } = await startApp(e2e, { APPHUB_PREVIEW_DOMAIN: 'preview.test' });
  const { body } = await hub.ask<{ data: { url: string } }>('POST', `/launches/${id}/links`);
  const { url: link } = body.data;
  const clean = new URL(link);
  clean.search = '';
  assert.equal(clean.hostname, `${id}.preview.test`);
  const browser = await openBrowser(e2e, ['--host-resolver-rules=MAP *.test 127.0.0.1']);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(link);
  await page.getByRole('heading', { name: 'Inside' }).waitFor();
  assert.equal(page.url(), clean.href);
  const cookies = (await context.cookies()).map(({ name, domain, httpOnly, sameSite }) => [
    name,
    domain,
    httpOnly,
    sameSite,
  ]);
  assert.deepEqual(cookies, [['apphub-preview', `${id}.preview.test`, true, 'Lax']]);
  await page.reload();
  await page.getByRole('heading', { name: 'Inside' }).waitFor();
});
