/** A launched app that means harm, visited by somebody who is signed in: whatever it tries with the platform fails. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openBrowser } from '../support/browser.ts';
import { runE2E } from '../support/e2e.ts';
import { startGitServer } from '../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { makeHub } from '../support/stack.ts';

const dockerfile = `FROM ${busyboxImage}
COPY index.html /www/index.html
EXPOSE 8080
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
`;

/** What the app does, in its own page. Answers what it got by each try. */
const attack = (hub: string) => `(async hub => {
  const got = attempt => attempt.then(
    async answer => [answer.type, answer.status, (await answer.text()).slice(0, 40)].join(' '),
    () => 'nothing',
  );
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ id: 'stolen', name: 'Stolen', repoUrl: 'https://git.example/a.git' });
  const ask = (path, more = {}) => got(fetch(hub + path, { credentials: 'include', ...more }));
  const socket = new WebSocket(hub.replace('http', 'ws') + '/stream', ['apphub']);
  const heard = new Promise(resolve => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = () => resolve('nothing');
  });
  const readable = of => {
    try {
      return of.document.title || 'nothing';
    } catch {
      return 'nothing';
    }
  };
  const frame = document.createElement('iframe');
  frame.src = hub;
  const framed = new Promise(resolve => {
    frame.onload = () => resolve(readable(frame.contentWindow));
  });
  document.body.append(frame);
  document.cookie = '__Host-apphub-session=mine; domain=localhost; path=/; secure';
  document.cookie = 'apphub=mine; domain=localhost; path=/';
  return {
    reads: await ask('/apps'),
    'reads who is signed in': await ask('/auth/identity'),
    'asks blindly': await ask('/apps', { mode: 'no-cors' }),
    writes: await ask('/apps', { method: 'POST', body, headers }),
    'writes blindly': await ask('/apps', { method: 'POST', body, mode: 'no-cors' }),
    'signs in': await ask('/auth/sessions', { method: 'POST', body: '{"token":"x"}', mode: 'no-cors' }),
    follows: await heard,
    frames: await framed,
    opens: readable(window.open(hub)),
    keeps: document.cookie.includes('apphub') ? document.cookie : 'nothing',
  };
})(${JSON.stringify(hub)})`;

runE2E('an app that means harm gets nothing of the platform from a browser that is signed in', async e2e => {
  await ensureTestImages();
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
  e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
  commitTo(makeRepo(root, 'hostile'), { Dockerfile: dockerfile, 'index.html': '<h1>Harmless</h1>' }, 'First');
  const git = await startGitServer({ root });
  e2e.registerCleanup('git server', () => git.close());
  const hub = makeHub(e2e);
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'hostile', name: 'Hostile', repoUrl: `${git.url}/hostile.git` });
  await e2e.eventually(async () => {
    const { release } = await hub.get<{ release: object | null }>('/apps/hostile');
    assert.ok(release !== null, 'built');
  });
  const { body } = await hub.ask<{ data: { id: string } }>('POST', '/apps/hostile/launches');
  const launch = await e2e.eventually(async () => {
    const found = await hub.get<{ status: string; url: string }>(`/launches/${body.data.id}`);
    assert.equal(found.status, 'running');
    return found;
  });

  const context = await (await openBrowser(e2e)).newContext();
  const page = await context.newPage();
  await page.goto(hub.url);
  const identity = `fetch('/auth/identity').then(answer => answer.status)`;
  const signIn = JSON.stringify({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: hub.token }),
  });
  const signedIn = await page.evaluate(`fetch('/auth/sessions', ${signIn}).then(() => ${identity})`);
  assert.equal(signedIn, 200);
  const before = await context.cookies(hub.url);
  assert.equal(before.length, 1);
  assert.deepEqual(
    [before[0]?.name, before[0]?.httpOnly, before[0]?.secure, before[0]?.sameSite],
    ['__Host-apphub-session', true, true, 'Strict'],
  );

  const app = await context.newPage();
  await app.goto(launch.url);
  await app.getByRole('heading', { name: 'Harmless' }).waitFor();
  const got = (await app.evaluate(attack(hub.url))) as Record<string, string>;
  for (const [what, result] of Object.entries(got)) {
    // An opaque answer is one that the page can see nothing of.
    assert.ok(['nothing', 'opaque 0 '].includes(result), `the app ${what}: ${result}`);
  }
  assert.equal((await hub.ask('GET', '/apps/stolen')).status, 404);
  assert.deepEqual(await context.cookies(hub.url), before, 'the cookies of the platform are as they were');
  await e2e.eventually(async () => assert.equal(await page.evaluate(identity), 200));
  // It has been tried, and not by whoever is signed in: the browser has kept the cookie to itself.
  await e2e.eventually(async () => {
    const tried = await hub.get<{ action: string; actor: string }[]>('/audit?outcome=unauthorized');
    const actions = tried.map(({ action, actor }) => `${actor} ${action}`);
    for (const action of ['GET /apps', 'GET /auth/identity', 'POST /apps']) {
      assert.ok(actions.includes(`anonymous ${action}`), `${action} is not among ${actions}`);
    }
  });
});
