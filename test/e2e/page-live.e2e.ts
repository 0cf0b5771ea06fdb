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
  // Without an engine nothing comes after the request of the first build.
  const isQuiet = (id: string) =>
    e2e.eventually(async () => {
      const [build] = await hub.get<{ status: string }[]>(`/apps/${id}/builds`);
      assert.equal(build?.status, 'queued');
    });
  await add('before');
  await isQuiet('before');
  const browser = await openBrowser(e2e);
  // A server that is down is in the console of the browser; it is what this is about.
  const { page, complaints } = await openPage(browser, { expected: /ERR_|WebSocket|status of 503/ });
  const sockets: URL[] = [];
  page.on('websocket', socket => void sockets.push(new URL(socket.url())));
  await signIn(page, hub.url, hub.token);
  await page.evaluate('window.isSamePage = true');
  await page.getByRole('link', { name: 'before' }).waitFor();
  await holds(e2e, page, connectionIs('live'));

  await hub.kill();
  await page.getByText('Connection lost').waitFor();
  // The page stays away until nothing more happens: only what it missed can tell it.
  await page.context().setOffline(true);
  await hub.start();
  await add('meanwhile');
  await isQuiet('meanwhile');
  assert.equal(await page.evaluate(connectionIs('lost')), true);
  await page.context().setOffline(false);
  await page.getByRole('link', { name: 'meanwhile' }).waitFor();
  await holds(e2e, page, connectionIs('live'));
  assert.equal(await page.getByText('Connection lost').count(), 0);
  assert.match(sockets.at(-1)?.searchParams.get('from') ?? '', /^\d+$/, 'the stream goes on where it was');
  assert.ok(
    sockets.every(url => !url.href.includes(hub.token)),
    'the token is in no address',
  );
  await add('after');
  await page.getByRole('link', { name: 'after' }).waitFor();
  assert.equal(await page.evaluate('window.isSamePage'), true);

  // Why nothing is built is said where one looks for it.
  await page.getByRole('link', { name: 'before' }).click();
  await page.getByRole('link', { name: 'Builds', exact: true }).click();
  await page.locator('.panel-head .status', { hasText: 'Queued' }).waitFor();
  const waitsFor = page.locator('.waiting-for').first();
  await waitsFor.waitFor();
  assert.match((await waitsFor.textContent()) ?? '', /1st in the queue\. .*Docker/i);
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
  await other.getByRole('button', { name: 'Signed in as operator' }).click();
  await other.getByRole('menuitem', { name: 'Sign out' }).click();
  await other.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate('localStorage.length + sessionStorage.length'), 0);
  assert.deepEqual(complaints, []);
});

runE2E(
  'what breaks on its way, as the network changes, is asked for again: a file, a read, a change',
  async e2e => {
    const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    await hub.start();
    const { page } = await openPage(await openBrowser(e2e), { expected: /ERR_/ });
    const broken: string[] = [];
    /** The first request of this kind comes to nothing. */
    const breakFirst = (name: string, method: string, pattern: RegExp) =>
      page.route(pattern, route => {
        if (broken.includes(name) || route.request().method() !== method) return route.continue();
        broken.push(name);
        return route.abort('connectionreset');
      });
    await breakFirst('file', 'GET', /\/lib\/router\.js$/);
    await breakFirst('read', 'GET', /\/apps\?/);
    await breakFirst('change', 'POST', /\/apps$/);

    await signIn(page, hub.url, hub.token);
    await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
    await page.getByRole('button', { name: 'Add the first app' }).click();
    await page.getByLabel('Git repository').fill('https://git.example/broken.git');
    await page.getByRole('dialog').getByRole('button', { name: 'Add app' }).click();
    await page.getByRole('heading', { name: 'broken' }).waitFor();
    assert.deepEqual(broken, ['file', 'read', 'change']);
    const { body } = await hub.ask<{ data: object[] }>('GET', '/apps/broken/history');
    assert.equal(body.data.filter(event => JSON.stringify(event).includes('RepositoryRegistered')).length, 1);
  },
);

runE2E('all that is still waited for is broken off at once, again and again: the page comes', async e2e => {
  const hub = makeHub(e2e, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  await hub.start();
  const { page } = await openPage(await openBrowser(e2e), { expected: /ERR_/ });
  // So many files come each time before the rest of them does not.
  const comes = [0, 3, 12, 40];
  let load = -1;
  let left = 0;
  page.on('request', request => {
    if (!request.isNavigationRequest()) return;
    load += 1;
    left = comes[load] ?? Number.POSITIVE_INFINITY;
  });
  await page.route(/\/web\//, route => {
    left -= 1;
    return left < 0 ? route.abort('connectionreset') : route.continue();
  });
  await signIn(page, hub.url, hub.token);
  await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
  assert.ok(load >= comes.length, `${load} loads`);
  await holds(e2e, page, `sessionStorage.getItem('apphub.reloads') === null`);

  // A style that does not come is fetched again by itself.
  await page.unroute(/\/web\//);
  let broken = 0;
  await page.route(/style\.css$/, route => {
    broken += 1;
    return broken > 2 ? route.continue() : route.abort('connectionreset');
  });
  await page.reload();
  await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
  await holds(e2e, page, `document.querySelector('link[href$="/style.css"]').sheet?.cssRules.length > 0`);
  assert.ok(broken >= 3, `asked for ${broken} times`);
});
