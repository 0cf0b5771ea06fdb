/** The tables in the page: made anew with progress, rolled back, wrong rows named and mended, by keyboard, in a real browser. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import pg from 'pg';
import { holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { runE2E } from '../support/e2e.ts';
import { testDatabase } from '../support/postgres.ts';
import { makeHub, startSamples } from '../support/stack.ts';

const reader = {
  subject: 'reader@example.org',
  token: 'token-of-the-reader',
  scopes: ['metrics:read', 'stream:read', 'apps:read'],
};

runE2E('tables are made anew, looked at and mended, by keyboard and live', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const { connectionString, drop } = await testDatabase();
  e2e.registerCleanup('database', drop);
  const hub = makeHub(e2e, {
    DATABASE_URL: connectionString,
    DOCKER_HOST: 'unix:///nowhere/docker.sock',
    APPHUB_OPERATOR_TOKENS: JSON.stringify([reader]),
    APPHUB_SELF_AUDIT_PERCENT: '100',
    APPHUB_SELF_AUDIT_SECONDS: '1',
  });
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'shop', name: 'Shop', repoUrl: `${gitUrl}/static-site.git` });
  const browser = await openBrowser(e2e);
  // On a slow machine the tables may be behind for longer than a read waits; the page asks again.
  const expected = /status of 503/;
  const { page, complaints } = await openPage(browser, { expected });
  await signIn(page, hub.url, hub.token);

  // There by the menu.
  await page.getByRole('button', { name: /^Signed in as/ }).press('Enter');
  await page.getByRole('menuitem', { name: /^Tables/ }).press('Enter');
  await page.getByRole('heading', { name: 'Tables' }).waitFor();
  const item = page.locator('[data-projection=apps_repositories]');
  await item.getByText('Sound').waitFor();

  // Made anew, and rolled back.
  await tabTo(page, /^Make apps_repositories anew$/);
  await page.keyboard.press('Enter');
  await item.getByText('tables 2').waitFor();
  await tabTo(page, /^Show the tables of apps_repositories of before$/);
  await page.keyboard.press('Enter');
  await item.getByText('tables 1').waitFor();

  // A row is damaged, and the page says so without being loaded again.
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`update p_apps_repositories_1.apps_repositories set owner = 'mallory'`);
  await client.end();
  await item.getByText('1 row wrong').waitFor();
  await item.getByText(/app_id shop/).waitFor();
  await item
    .getByText(/owner is not what the log says; the first event it does not hold is at \d+/)
    .waitFor();
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await e2e.eventually(async () => assert.deepEqual(await poorContrasts(page), [], scheme), 5_000);
    if (process.env.APPHUB_TEST_SHOTS !== undefined)
      await page.screenshot({
        path: `${process.env.APPHUB_TEST_SHOTS}/tables-${scheme}.png`,
        fullPage: true,
      });
  }
  await page.setViewportSize({ width: 320, height: 700 });
  assert.ok((await overflowOf(page)) <= 0);
  if (process.env.APPHUB_TEST_SHOTS !== undefined)
    await page.screenshot({ path: `${process.env.APPHUB_TEST_SHOTS}/tables-320.png` });
  await tabTo(page, /^Mend the rows of apps_repositories$/);
  await page.keyboard.press('Enter');
  await item.getByText('Sound').waitFor();
  await page.setViewportSize({ width: 1_280, height: 900 });

  // An event that cannot be applied: said why, tried again, and left out for a reason.
  const { eventstoreUrl } = JSON.parse(readFileSync(path.join(hub.dataDir, 'parts.json'), 'utf8'));
  const log = EventStoreDBClient.connectionString(eventstoreUrl);
  const poison = jsonEvent({ type: 'BuildStarted', data: null as never, metadata: {} });
  await log.appendToStream('apps.build-b1', [poison]);
  await log.dispose();
  const builds = page.locator('[data-projection=apps_builds]');
  await builds.getByText('1 stream stopped').waitFor();
  await builds.getByText(/its data is no object/).waitFor();
  await tabTo(page, /^Try BuildStarted at \d+ again$/);
  await page.keyboard.press('Enter');
  await builds.getByText(/tried [2-9] times/).waitFor();
  if (process.env.APPHUB_TEST_SHOTS !== undefined)
    await page.screenshot({ path: `${process.env.APPHUB_TEST_SHOTS}/letters.png`, fullPage: true });
  assert.deepEqual(await poorContrasts(page), []);
  assert.ok((await overflowOf(page)) <= 0);
  await builds.getByRole('button', { name: /^Leave BuildStarted at \d+ out$/ }).press('Enter');
  await page.getByRole('button', { name: 'Leave it out' }).press('Enter');
  await page.getByText('Say why this event is left out.').waitFor();
  await page.getByLabel('Why').fill('a tool wrote it');
  await page.getByLabel('Why').press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await builds.getByText('1 stream stopped').waitFor({ state: 'detached' });

  // All at once.
  await page.getByRole('button', { name: 'Make all anew' }).click();
  await holds(
    e2e,
    page,
    `document.querySelectorAll('.projection').length > 10 &&
    [...document.querySelectorAll('.projection .facts')].every(one => !one.textContent.includes('tables 1'))`,
  );
  const { data } = (await hub.ask<{ data: { generation: number }[] }>('GET', '/projections')).body;
  assert.ok(data.every(({ generation }) => generation >= 2));
  assert.deepEqual(complaints, []);

  // Who may only look is told why.
  const other = await openPage(browser, {});
  await signIn(other.page, hub.url, reader.token, '/tables');
  const button = other.page.getByRole('button', { name: 'Make all anew' });
  await button.waitFor();
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  await other.page.getByText('Needs the scope admin').first().waitFor();
  assert.deepEqual(other.complaints, []);
});
