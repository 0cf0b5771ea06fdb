/** What launches use on the page: live beside what they may, in words too, and added up with the quotas. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { quotaIdOf } from '../../commands/derive-id.ts';
import { execute } from '../../commands/execute.ts';
import { quota } from '../../domain/apps/quota.ts';
import { usage } from '../../domain/apps/usage.ts';
import { readUsage } from '../../platform/usage-config.ts';
import { type Api, operatorToken, startApi } from '../support/api.ts';
import { focusedName, holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { runE2E } from '../support/e2e.ts';
import * as play from '../support/play.ts';

/** There is no app behind the launch, so its frame stays empty. */
const expected = /ERR_|status of 40[034]/;
const mb = 1_000_000;

/** A reading as the workers note it, with those of the last five minutes. */
async function note({ sql }: Api, launchId: string, cpus: number, memoryMb: number): Promise<void> {
  const now = Date.now();
  const recent = Array.from({ length: 60 }, (_, at) => [
    Math.round(now / 1_000) - (59 - at) * 5,
    at === 59 ? cpus : 0.1 + 0.08 * Math.sin(at / 4),
    (at === 59 ? memoryMb : 40 + at / 2) * mb,
  ]);
  const row = {
    engine: 'default',
    started_at: new Date(now - 300_000).toISOString(),
    read_at: new Date(now).toISOString(),
    counter_ms: 9_000,
    cpu_ms: 9_000,
    memory_mb_seconds: 9_000,
    cpus,
    cpus_max: 0.5,
    memory_bytes: memoryMb * mb,
    memory_bytes_max: 268_435_456,
    processes: 3,
    processes_max: 128,
    recent: JSON.stringify(recent),
    told_cpu_ms: 0,
    told_memory_mb_seconds: 0,
  };
  await sql('worker_usage')
    .insert({ launch_id: launchId, deployment: 1, ...row })
    .onConflict(['launch_id', 'deployment'])
    .merge();
}

runE2E('what a launch uses is live on its page, and what all have used is on another', async e2e => {
  const limits = { APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '60', APPHUB_QUOTA_MEMORY_MB_HOURS: '5000' };
  const api = await startApi({ reads: { usage: readUsage(limits) } });
  e2e.registerCleanup('server', () => api.close());
  await play.launchableApp(api, 'todo');
  const { id } = await api.write('POST', '/apps/todo/launches', { access: 'public' });
  await play.bringUp(api, id, 1);
  await note(api, id, 0.125, 60);
  const url = api.url.replace('127.0.0.1', 'localhost');
  const browser = await openBrowser(e2e);
  const metadata = () => {
    const cause = randomUUID();
    return { actor: 'workers', correlationId: cause, causationId: cause, time: new Date().toISOString() };
  };
  const at = new Date().toISOString();
  const counted = async (cpuMs: number, second: number) => {
    const startedAt = `${at.slice(0, 8)}01T00:00:00.000Z`;
    const read = new Date(Date.parse(startedAt) + second * 1_000).toISOString();
    const data = { launchId: id, appId: 'todo', owner: 'operator', deployment: 1, isLast: false };
    const meters = { startedAt, at: read, cpuMs, memoryMbSeconds: 3_600_000 };
    const command = { type: 'ReadMeters', data: { ...data, ...meters } } as const;
    api.wrote((await execute(api.store, usage, id, command, metadata())).position ?? 0n);
  };
  await counted(12_300, 5);

  const { page, complaints } = await openPage(browser, { expected });
  await signIn(page, url, operatorToken, `/a/todo/launches/${id}`);
  const used = page.locator('.usage');
  await used.getByText('0.13 of 0.5 cores').waitFor();
  await used.getByText('60.0 MB of 268 MB').waitFor();
  await page.locator('.panel-head').getByText('CPU 25 %').waitFor();
  await page.evaluate('window.isSamePage = true');
  await note(api, id, 0.5, 256);
  await used.getByText('0.5 of 0.5 cores').waitFor();
  await used.getByText('256 MB of 268 MB').waitFor();
  assert.equal(await page.evaluate('window.isSamePage'), true);
  // The line has a text, and the readings are a table that a keyboard opens.
  const line = used.getByRole('img', { name: /^CPU\. Since .*: from .* to .*, now 0\.5 cores\.$/ });
  assert.equal(await line.count(), 1);
  await tabTo(page, /^Readings of the last minutes$/);
  await page.keyboard.press('Enter');
  await used.getByRole('columnheader', { name: 'Memory' }).waitFor();
  await used.getByText(/Since it was\s+launched it has used 21\.3 CPU seconds/).waitFor();

  // By the menu of who is signed in, with the keyboard.
  await tabTo(page, /^Signed in as/, 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focusedName(page), 'Usage: what launches used');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Usage', exact: true }).waitFor();
  await page.getByText('used are 12.3 CPU seconds').waitFor();
  await counted(61_000, 9);
  await page.getByText('used are 61 CPU seconds').waitFor();
  const period = { from: at, until: new Date(Date.parse(at) + 90_000_000).toISOString() };
  const over = { resource: 'cpuMs', used: 61_000, max: 60_000 } as const;
  const data = { quotaId: quotaIdOf('operator'), owner: 'operator', at, ...over, ...period };
  await execute(api.store, quota, data.quotaId, { type: 'ReachQuota', data }, metadata());
  await page.getByText('It is used up. Nothing is started before').waitFor();
  await tabTo(page, /That of everybody/);
  await page.keyboard.press('Space');
  await page.getByRole('heading', { name: 'By owner' }).waitFor();
  await holds(e2e, page, `document.activeElement?.type === 'checkbox'`);
  assert.deepEqual(complaints, []);

  for (const colorScheme of ['light', 'dark'] as const) {
    const small = await openPage(browser, { viewport: { width: 320, height: 640 }, colorScheme, expected });
    await signIn(small.page, url, operatorToken, `/a/todo/launches/${id}`);
    await small.page.locator('.usage svg').first().waitFor();
    await small.page.getByText('Readings of the last minutes').click();
    const fits = async (what: string) => {
      assert.ok((await overflowOf(small.page)) <= 0, `${what} is wider than 320 px`);
      assert.deepEqual(await poorContrasts(small.page), [], `${colorScheme} ${what}`);
      const shots = process.env.APPHUB_TEST_SHOTS;
      if (shots !== undefined) {
        const file = `${shots}/${what.replaceAll(' ', '-')}-${colorScheme}.png`;
        await small.page.screenshot({ path: file, fullPage: true });
      }
    };
    await fits('the launch');
    await small.page.goto(`${url}/access/usage?of=everybody`);
    await small.page.getByRole('heading', { name: 'By day' }).waitFor();
    await fits('the sums');
    assert.deepEqual(small.complaints, []);
  }
  assert.deepEqual(api.logged, []);
});
