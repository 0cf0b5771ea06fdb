/** Everything a launch can come to, as the page says it while it happens; what the workers would report is played. */
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { type Api, operatorToken, startApi } from '../support/api.ts';
import { focusedName, holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import * as play from '../support/play.ts';

const readerToken = 'token-of-the-reader';
/** There is no app behind these launches, so their frames stay empty. */
const expected = /ERR_|status of 40[034]/;

/** An app of two builds, and a launch of the first one. */
async function startTodo(e2e: E2E) {
  const api = await startApi({ tokens: { [readerToken]: ['apps:read', 'stream:read'] } });
  e2e.registerCleanup('server', () => api.close());
  const first = await play.launchableApp(api, 'todo');
  const { id: second } = await api.write('POST', '/apps/todo/builds');
  await play.startBuild(api, second);
  await play.finishBuild(api, second, { image: 'apphub/x:2', imageId: 'sha256:2', bytes: 5, ports: [90] });
  const launch = async (body: object = {}) => {
    const { id } = await api.write('POST', '/apps/todo/launches', {
      buildId: first,
      access: 'public',
      ...body,
    });
    return id;
  };
  const running = async (body: object = {}) => {
    const id = await launch(body);
    await play.bringUp(api, id, 1);
    return id;
  };
  const url = api.url.replace('127.0.0.1', 'localhost');
  return { api, url, second, launch, running };
}

type Todo = Awaited<ReturnType<typeof startTodo>>;
const ask = (api: Api, id: string, what: string, body?: object) =>
  api.write('POST', `/launches/${id}/${what}`, body);

/** A launch in each state, by what the page must say of it. */
async function everyState({ api, second, launch, running }: Todo): Promise<Map<string, RegExp>> {
  const said = new Map<string, RegExp>();
  said.set(await launch(), /Requested.*It will be started in a moment/s);
  const coming = await running();
  await ask(api, coming, 'redeploy', { buildId: second });
  said.set(coming, /Deployment 2 \(redeployed with 0123456\) is coming.*Deployment 1 goes on serving/s);
  const notUp = await running();
  await ask(api, notUp, 'redeploy', { buildId: second });
  await play.endDeployment(api, notUp, 2);
  said.set(
    notUp,
    /Deployment 2 with\s+0123456 did not come up\. Deployment 1 goes on\s+serving.*exit code 3.*Try/s,
  );
  const asleep = await running();
  await ask(api, asleep, 'sleep');
  said.set(asleep, /It was put to sleep\. The next visit wakes it, at the same address/);
  const notWoken = await running();
  await ask(api, notWoken, 'sleep');
  await ask(api, notWoken, 'wake');
  await play.endDeployment(api, notWoken, 2);
  said.set(notWoken, /Asleep.*It was to start and did not come up.*oh\s+no/s);
  const hungry = await running();
  const outOfMemory = { reason: 'The app used more memory than it may', exitCode: 137, oomKilled: true };
  await play.endDeployment(api, hungry, 1, outOfMemory);
  said.set(
    hungry,
    /Starting again.*The next try is.*more memory than it may \(exit code 137\).*a larger size/s,
  );
  const recovered = await running();
  await play.endDeployment(api, recovered, 1);
  await play.bringUp(api, recovered, 2);
  said.set(recovered, /It ended by itself .*, and was started again/);
  const looped = await running();
  for (let number = 1; number <= 6; number += 1) {
    await play.endDeployment(api, looped, number);
    if (number < 6) await play.bringUp(api, looped, number + 1);
  }
  said.set(looped, /Failed.*It failed again and again, so it is not started any more/s);
  const stopped = await running();
  await ask(api, stopped, 'stop');
  said.set(stopped, /Stopping.*Its containers are being removed/s);
  return said;
}

const panel = (page: Page) => page.locator('.launch');
const spoken = (words: string) =>
  `document.querySelector('#spoken').textContent.includes(${JSON.stringify(words)})`;

runE2E('each state of a launch is said in words, in both themes and on the smallest screen', async e2e => {
  const todo = await startTodo(e2e);
  const { api, url } = todo;
  const said = await everyState(todo);
  const browser = await openBrowser(e2e);
  for (const colorScheme of ['light', 'dark'] as const) {
    const viewport = { width: 320, height: 640 };
    const { page, complaints } = await openPage(browser, { viewport, colorScheme, expected });
    await signIn(page, url, operatorToken);
    const fits = async (what: string) => {
      assert.ok((await overflowOf(page)) <= 0, `${what} is wider than 320 px`);
      assert.deepEqual(await poorContrasts(page), [], `${colorScheme} ${what}`);
    };
    for (const [id, words] of said) {
      await page.goto(`${url}/a/todo/launches/${id}`);
      await page.locator('.deployment').first().waitFor();
      await e2e.eventually(async () => assert.match((await panel(page).textContent()) ?? '', words));
      for (const more of await panel(page).locator('summary').all()) await more.click();
      await fits(String(words));
    }
    await page.goto(`${url}/a/todo/launches`);
    await page.getByRole('button', { name: 'Options…' }).click();
    await page.getByText('Port and health').click();
    await fits('the launch form');
    await page.goto(`${url}/a/todo/launches/00000000-0000-4000-8000-000000000000`);
    await page.getByRole('heading', { name: 'There is no such launch' }).waitFor();
    assert.deepEqual(complaints, []);
  }
  assert.deepEqual(api.logged, []);
});

runE2E('what happens to a launch is shown and read out as it happens, and the focus is kept', async e2e => {
  const { api, url, second, running } = await startTodo(e2e);
  const id = await running();
  const { page, complaints } = await openPage(await openBrowser(e2e), { expected });
  await signIn(page, url, operatorToken, `/a/todo/launches/${id}`);
  await page.locator('.deployment[aria-current]').waitFor();
  await page.evaluate('window.isSamePage = true');

  // A build that is released later is offered, and is not offered again while it comes.
  await play.release(api, 'todo', second);
  await tabTo(page, /^Redeploy with 0123456$/);
  await page.keyboard.press('Enter');
  await holds(e2e, page, spoken('Deployment 2 (redeployed with 0123456) is coming'));
  await holds(e2e, page, `document.activeElement !== document.body`);
  assert.equal(await page.locator('.strip.offer').count(), 0);
  assert.equal(
    await page.getByRole('button', { name: 'Sleep' }).count(),
    0,
    'nothing sleeps while it changes',
  );
  await play.endDeployment(api, id, 2);
  await holds(e2e, page, spoken('Deployment 2 did not come up. Deployment 1 goes on serving.'));

  // Tried again it comes up; then the way back is there.
  await tabTo(page, /^Try 0123456 again$/);
  await page.keyboard.press('Enter');
  await page.locator('.strip.busy').waitFor();
  await play.bringUp(api, id, 3);
  await page.getByRole('button', { name: 'Roll back to 0123456, deployment 1' }).waitFor();

  // It ends by itself, and is started again later each time.
  await play.endDeployment(api, id, 3);
  await holds(e2e, page, spoken('Starting again. It ended by itself and is started again.'));
  await play.bringUp(api, id, 4);
  await holds(e2e, page, spoken('Launch of todo: Running'));
  await play.endDeployment(api, id, 4);
  await panel(page).getByText('It has failed 2 times in a row.').waitFor();

  // An image that is gone is no way back, and the list says why.
  const [, firstBuild] = (await api.read('/apps/todo/builds')).data as { id: string }[];
  await play.removeImage(api, firstBuild?.id ?? '', 'count');
  await ask(api, id, 'extend', { ttlSeconds: 7_200 });
  await page.getByText('Its image made room for newer ones.').waitFor();
  assert.equal(await page.getByRole('button', { name: /^Roll back/ }).count(), 0);

  // On the overview what failed stays to be seen after its end.
  await page.goto(`${url}/a/todo`);
  await panel(page).waitFor();
  for (let number = 5; number <= 6; number += 1) {
    await play.bringUp(api, id, number);
    await play.endDeployment(api, id, number);
  }
  await play.bringUp(api, id, 7).catch(() => undefined);
  await play.endDeployment(api, id, 7).catch(() => undefined);
  await panel(page).getByText('It failed again and again').waitFor();
  assert.deepEqual(complaints, []);
});

runE2E('how an app is confined is said to everybody, and changed by administrators', async e2e => {
  const { api, url, running } = await startTodo(e2e);
  const id = await running();
  const browser = await openBrowser(e2e);
  const reader = await openPage(browser, { expected });
  await signIn(reader.page, url, readerToken, '/a/todo/settings');
  await reader.page.getByText('It can speak to nobody').waitFor();
  const change = reader.page.getByRole('button', { name: 'Change…' });
  assert.equal(await change.getAttribute('aria-disabled'), 'true');
  await reader.page.getByText('Needs the scope admin').waitFor();
  await reader.page.goto(`${url}/a/todo/launches/${id}`);
  const stop = reader.page.getByRole('button', { name: 'Stop', exact: true });
  await stop.waitFor();
  assert.equal(await stop.getAttribute('aria-disabled'), 'true');
  await panel(reader.page).getByText('Needs the scope apps:launch').waitFor();

  const { page, complaints } = await openPage(browser, { expected });
  await signIn(page, url, operatorToken, '/a/todo/settings');
  await page.getByText('It can speak to nobody').waitFor();
  await tabTo(page, /^Change…$/);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'How todo is confined' }).waitFor();
  assert.match(await focusedName(page), /^Hosts it may speak to/);
  await page.keyboard.type('api.example.org\n10.0.0.1');
  await tabTo(page, /^Its processes may be root/);
  await page.keyboard.press('Space');
  await tabTo(page, /^Save$/);
  await page.keyboard.press('Enter');
  await page.getByText('“10.0.0.1” must be a host name such as').waitFor();
  await holds(e2e, page, `document.activeElement?.name === 'egress'`);
  await page.keyboard.press('Control+A');
  await page.keyboard.type('api.example.org *.example.com:8443');
  await tabTo(page, /^Save$/);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await focusedName(page), 'Change…');
  await page
    .getByText('It can speak to api.example.org and *.example.com:8443, and to nobody else.')
    .waitFor();
  await page.getByText('Its processes may be root inside of their container.').waitFor();
  await reader.page.goto(`${url}/a/todo/settings`);
  await reader.page.getByText('It can speak to api.example.org').waitFor();
  assert.deepEqual((await api.read('/apps/todo')).data.sandbox, {
    egress: ['api.example.org', '*.example.com:8443'],
    allowRoot: true,
    runtime: 'default',
  });
  assert.deepEqual(complaints, []);
});
