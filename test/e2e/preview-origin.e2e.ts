/**
 * A launched app that means harm, visited by somebody who is signed in: whatever it tries with the platform, or with another
 * private launch that the visitor may see, fails.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openBrowser, signIn } from '../support/browser.ts';
import { type E2E, runE2E } from '../support/e2e.ts';
import { startGitServer } from '../support/git-server.ts';
import { ensureTestImages, nodeImage } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { type Hub, makeHub } from '../support/stack.ts';

const dockerfile = `FROM ${nodeImage}
COPY server.js /server.js
EXPOSE 8080
USER 65534
CMD ["node", "/server.js"]
`;

/** Answers with what it was asked so far, and with every field that might reach beyond its own origin. */
const server = `
const asked = [];
require('node:http').createServer((request, response) => {
  if (request.url === '/asked') return response.end(JSON.stringify(asked));
  asked.push({ method: request.method, url: request.url, headers: request.headers });
  if (request.url === '/worker.js') {
    response.writeHead(200, { 'content-type': 'text/javascript', 'service-worker-allowed': '/' });
    return response.end("self.onfetch = event => self.seen = [self.seen, event.request.url];");
  }
  response.writeHead(200, {
    'content-type': 'text/html',
    'access-control-allow-origin': '*',
    'clear-site-data': '"cookies", "storage", "*"',
    'set-cookie': [
      '__Host-apphub-session=mine; Path=/; Secure',
      '__Host-apphub-preview=mine; Path=/; Secure',
      'wide=1; Domain=localhost; Path=/',
    ],
  });
  response.end('<h1>Harmless</h1>');
}).listen(8080);
`;

/** What the app does, in its own page. Answers what it got by each try. */
const attack = (hub: string, other: string) => `(async (hub, other) => {
  const soon = attempt => Promise.race([attempt, new Promise(late => setTimeout(late, 15_000, 'late'))]);
  const got = attempt => soon(attempt.then(
    async answer => [answer.type, answer.status, (await answer.text()).slice(0, 40)].join(' '),
    () => 'nothing',
  ));
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
  const framed = url => {
    const frame = document.createElement('iframe');
    frame.src = url;
    document.body.append(frame);
    return soon(new Promise(resolve => {
      frame.onload = () => resolve(readable(frame.contentWindow));
    }));
  };
  // Its own host's, beside ours, which no script can touch.
  const own = '__Host-apphub-preview=mine; path=/; secure';
  for (const cookie of [
    '__Host-apphub-session=mine; domain=localhost; path=/; secure',
    'apphub=mine; domain=localhost; path=/',
    'tossed=1; domain=localhost; path=/',
    own,
    own + '; samesite=none; partitioned',
  ]) {
    document.cookie = cookie;
  }
  const worker = await soon(navigator.serviceWorker.register('/worker.js', { scope: '/' }));
  const grant = hub + '/launches/' + new URL(other).hostname.split('.')[0];
  const chat = new WebSocket(other.replace('http', 'ws') + 'chat');
  const chatted = new Promise(resolve => {
    chat.onopen = () => resolve('open');
    chat.onclose = () => resolve('nothing');
  });
  return {
    reads: await ask('/apps'),
    'reads who is signed in': await ask('/auth/identity'),
    'asks blindly': await ask('/apps', { mode: 'no-cors' }),
    writes: await ask('/apps', { method: 'POST', body, headers }),
    'writes blindly': await ask('/apps', { method: 'POST', body, mode: 'no-cors' }),
    'signs in': await ask('/auth/sessions', { method: 'POST', body: '{"token":"x"}', mode: 'no-cors' }),
    'asks for a grant': await got(fetch(grant + '/grants', { method: 'POST', credentials: 'include' })),
    'asks to be led in': await got(fetch(grant + '/open?again=1', { credentials: 'include' })),
    follows: await soon(heard),
    frames: await framed(hub),
    'frames the way in': await framed(grant + '/open'),
    opens: readable(window.open(hub)),
    keeps: /apphub=|session|tossed/.test(document.cookie) ? document.cookie : 'nothing',
    'reads another launch': await got(fetch(other + 'reads', { credentials: 'include' })),
    'asks another launch blindly': await got(fetch(other + 'blindly', { credentials: 'include', mode: 'no-cors' })),
    'changes another launch': await got(
      fetch(other + 'changes', { method: 'POST', credentials: 'include', mode: 'no-cors', body: 'x' }),
    ),
    'frames another launch': await framed(other + 'framed'),
    'talks to another launch': await soon(chatted),
    'works for more than itself':
      worker !== 'late' && new URL(worker.scope).origin === location.origin ? 'nothing' : worker.scope ?? worker,
    'sees its own grant': /grant|apg1/.test(location.href + document.referrer) ? location.href : 'nothing',
  };
})(${JSON.stringify(hub)}, ${JSON.stringify(other)})`;

type Asked = { method: string; url: string; headers: Record<string, string> };

async function start(e2e: E2E, hub: Hub, id: string) {
  const { body } = await hub.ask<{ data: { id: string } }>('POST', `/apps/${id}/launches`);
  return e2e.eventually(async () => {
    const found = await hub.get<{ id: string; status: string; url: string }>(`/launches/${body.data.id}`);
    assert.equal(found.status, 'running');
    return found;
  });
}

runE2E('an app that means harm gets nothing of the platform from a browser that is signed in', async e2e => {
  await ensureTestImages();
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
  e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
  commitTo(makeRepo(root, 'hostile'), { Dockerfile: dockerfile, 'server.js': server }, 'First');
  const git = await startGitServer({ root });
  e2e.registerCleanup('git server', () => git.close());
  const hub = makeHub(e2e);
  await hub.start();
  await hub.ask('POST', '/apps', { id: 'hostile', name: 'Hostile', repoUrl: `${git.url}/hostile.git` });
  await e2e.eventually(async () => {
    const { release } = await hub.get<{ release: object | null }>('/apps/hostile');
    assert.ok(release !== null, 'built');
  });
  const launch = await start(e2e, hub, 'hostile');
  const other = await start(e2e, hub, 'hostile');

  const context = await (await openBrowser(e2e)).newContext();
  const page = await context.newPage();
  await signIn(page, hub.url, hub.token);
  const before = await context.cookies(hub.url);
  assert.deepEqual(
    before.map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite]),
    [['__Host-apphub-session', true, true, 'Strict']],
  );

  // Somebody who is not signed in is told where to go, and whoever is gets there by it.
  const app = await context.newPage();
  await app.goto(launch.url);
  const [opened] = await Promise.all([
    context.waitForEvent('page'),
    app.getByRole('link', { name: 'Open it with AppHub' }).press('Enter'),
  ]);
  await opened.getByRole('heading', { name: 'Harmless' }).waitFor();
  assert.equal(opened.url(), launch.url, 'the address is clean');
  const victim = await context.newPage();
  await victim.goto(`${hub.url}/launches/${other.id}/open?to=/mine`);
  await victim.getByRole('heading', { name: 'Harmless' }).waitFor();
  assert.equal(victim.url(), `${other.url}mine`);
  const { hostname } = new URL(launch.url);
  const own = (await context.cookies(launch.url)).map(({ name, domain }) => `${name} ${domain}`);
  assert.deepEqual(
    own.sort(),
    [`__Host-apphub-preview ${hostname}`, `wide ${hostname}`],
    'for this very host only, and one of the platform',
  );

  const got = (await opened.evaluate(attack(hub.url, other.url))) as Record<string, string>;
  for (const [what, result] of Object.entries(got)) {
    // An opaque answer is one that the page can see nothing of.
    assert.ok(['nothing', 'opaque 0 '].includes(result), `the app ${what}: ${result}`);
  }
  assert.equal((await hub.ask('GET', '/apps/stolen')).status, 404);
  assert.deepEqual(await context.cookies(hub.url), before, 'the cookies of the platform are as they were');
  const identity = `fetch('/auth/identity').then(answer => answer.status)`;
  await e2e.eventually(async () => assert.equal(await page.evaluate(identity), 200));
  // It is still let in where it was, and its own visitor too: nobody was thrown out by what it set and cleared.
  for (const one of [opened, victim]) {
    await one.reload();
    await one.getByRole('heading', { name: 'Harmless' }).waitFor();
  }

  // Of the other launch nothing came but what its own visitor asked for; neither was shown what lets anybody in.
  for (const one of [launch, other]) {
    const { body } = await hub.visit(`${one.url}asked`, await hub.grant(one.id));
    const asked = JSON.parse(body) as Asked[];
    const places = asked.map(({ url }) => url).filter(url => url !== '/favicon.ico');
    // It was asked for / to see whether it is up.
    const known = one === launch ? ['/', '/worker.js'] : ['/', '/mine'];
    assert.ok(places.length > 0 && places.every(url => known.includes(url)), String(places));
    assert.doesNotMatch(body, /apphub-|apg1|__apphub/);
  }

  // It has been tried, and not by whoever is signed in: the browser has kept the cookie to itself.
  await e2e.eventually(async () => {
    const tried = await hub.get<{ action: string; actor: string }[]>('/audit?outcome=unauthorized');
    const actions = tried.map(({ action, actor }) => `${actor} ${action}`);
    for (const action of ['GET /apps', 'GET /auth/identity', 'POST /apps']) {
      assert.ok(actions.includes(`anonymous ${action}`), `${action} is not among ${actions}`);
    }
  });
});
