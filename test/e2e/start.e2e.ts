/** `apphub start` as a program: what it keeps, refuses and survives. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { WebSocket } from 'ws';
import { runE2E } from '../support/e2e.ts';
import { type Hub, makeHub, startSamples } from '../support/stack.ts';

type App = { id: string; status: string; ingestion: { run: number; attempt: number } };
type Ingestion = {
  run: number;
  status: string;
  timeline: { status: string; attempt: number | null; at: string }[];
};
type Ready = { status: string; checks?: Record<string, { ok: boolean; reason?: string | null }> };

/** A socket that nobody listens on: as if there were no engine. */
const noEngine = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' };

const register = (hub: Hub, id: string, repoUrl: string) =>
  hub.ask<{ data: { position: string } }>('POST', '/apps', { id, name: id, repoUrl });

const readyApp = (e2e: Parameters<Parameters<typeof runE2E>[1]>[0], hub: Hub, id: string) =>
  e2e.eventually(async () => {
    const app = await hub.get<App>(`/apps/${id}`);
    assert.equal(app.status, 'ready', JSON.stringify(app));
    return app;
  });

runE2E('keeps a token for its owner, drains on SIGTERM, and refuses a second start', async e2e => {
  const hub = makeHub(e2e, noEngine);
  await hub.start();
  const file = path.join(hub.dataDir, 'operator-token');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(hub.output().includes(readFileSync(file, 'utf8').trim()), 'the first start tells the token');
  assert.ok(hub.output().includes(hub.url));
  assert.equal((await hub.ask('GET', '/apps', undefined, { authorization: '' })).status, 401);
  const identity = await hub.get<{ scopes: string[] }>('/auth/identity');
  assert.deepEqual(identity.scopes, ['*']);

  const second = await hub.cli('start', '--port', '0');
  assert.notEqual(second.code, 0);
  assert.match(second.stderr, /in use by/);
  assert.equal(second.stderr.trim().split('\n').length, 1, second.stderr);
  assert.equal((await hub.ask('GET', '/healthz')).status, 200, 'the first one goes on');

  // A client that stays for as long as it may does not hold the end up.
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/stream`, {
    headers: { authorization: `Bearer ${hub.token}` },
  });
  await once(socket, 'open');
  const left = once(socket, 'close');
  assert.equal(await hub.stop(), 0);
  assert.equal((await left)[0], 1001);
  const token = readFileSync(file, 'utf8').trim();
  await hub.start();
  assert.equal(hub.token, token);
});

runE2E('starts below a folder that only its owner may enter, also as root', async e2e => {
  const hub = makeHub(e2e, noEngine, 0o700);
  for (const _start of [1, 2]) {
    await hub.start();
    assert.equal((await hub.ask('GET', '/apps')).status, 200);
    assert.equal(await hub.stop(), 0);
  }
});

runE2E('a start that cannot go on says why in a sentence and leaves nothing running', async e2e => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  e2e.registerCleanup('port', () => taken.close());
  const { port } = taken.address() as AddressInfo;
  const hub = makeHub(e2e, noEngine);
  const refused = await hub.cli('start', '--port', String(port));
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, new RegExp(`apphub: .*${port}`));
  assert.ok(!existsSync(path.join(hub.dataDir, 'postgres', 'cluster', 'postmaster.pid')));
});

runE2E('npm start hands SIGTERM on', async e2e => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-npm-'));
  e2e.registerCleanup('folder', () => rmSync(root, { recursive: true, force: true }));
  const npm = spawn('npm', ['start'], {
    cwd: path.resolve(import.meta.dirname, '../..'),
    env: { ...process.env, ...noEngine, PORT: '0', APPHUB_DATA_DIR: path.join(root, 'data') },
    stdio: 'ignore',
  });
  e2e.registerCleanup('npm', () => npm.kill('SIGKILL'));
  const url = path.join(root, 'data', 'url');
  await e2e.eventually(() => assert.ok(existsSync(url)));
  npm.kill('SIGTERM');
  await e2e.eventually(() => assert.ok(!existsSync(url), 'it was stopped in order'));
  await e2e.eventually(() => assert.ok(npm.exitCode !== null || npm.signalCode !== null));
});

runE2E('without a Docker engine everything else works, builds wait, and it is said why', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, noEngine);
  await hub.start();
  assert.equal((await register(hub, 'counter', `${gitUrl}/node-app.git`)).status, 201);
  await readyApp(e2e, hub, 'counter');
  await e2e.eventually(async () => {
    const [build] = await hub.get<{ status: string; waitingFor: string | null }[]>('/apps/counter/builds');
    assert.equal(build?.status, 'queued');
    assert.match(build?.waitingFor ?? '', /Docker/);
  });
  const { status, body } = await hub.ask<Ready>('GET', '/readyz');
  assert.equal(status, 200, 'no engine is no reason to be taken out of service');
  assert.equal(body.checks?.docker?.ok, false);
  assert.match(body.checks?.docker?.reason ?? '', /Docker/);
  const listed = await hub.cli('apps', 'list', '--json');
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /"counter"/);
});

runE2E(
  'kill -9 during an ingestion: after the restart the app becomes ready, once, with one timeline',
  async e2e => {
    const { gitUrl } = await startSamples(e2e);
    const hub = makeHub(e2e, noEngine);
    const moments = ['IngestionQueued', 'IngestionStarted'];
    for (const [n, moment] of moments.entries()) {
      await hub.start();
      const id = `counter-${n}`;
      assert.equal((await register(hub, id, `${gitUrl}/node-app.git`)).status, 201);
      await e2e.eventually(async () => {
        const history = await hub.get<{ type: string }[]>(`/apps/${id}/history`);
        assert.ok(history.some(({ type }) => type === moment));
      });
      await hub.kill();
      await hub.start();
      await readyApp(e2e, hub, id);
      const ingestions = await hub.get<Ingestion[]>(`/apps/${id}/ingestions`);
      assert.equal(ingestions.length, 1, 'one run');
      const statuses = ingestions[0]?.timeline.map(({ status }) => status) ?? [];
      assert.equal(statuses.filter(status => status === 'queued').length, 1, statuses.join());
      assert.equal(statuses.filter(status => status === 'ready').length, 1, statuses.join());
      assert.equal(statuses.at(-1), 'ready');
      const history = await hub.get<{ type: string; eventId: string }[]>(`/apps/${id}/history?limit=200`);
      const count = (type: string) => history.filter(event => event.type === type).length;
      assert.deepEqual(
        [count('RepositoryRegistered'), count('IngestionSucceeded'), count('BuildRequested')],
        [1, 1, 1],
      );
      assert.equal(new Set(history.map(({ eventId }) => eventId)).size, history.length);
      assert.equal(await hub.stop(), 0);
    }
  },
);

runE2E('each room in a process of its own: the same product, and it comes back when one dies', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const hub = makeHub(e2e, { ...noEngine, LOG_LEVEL: 'info' });
  await hub.start(['--rooms=commands,read-api,projections,workers,web']);
  const { status, body } = await register(hub, 'counter', `${gitUrl}/node-app.git`);
  assert.equal(status, 201);
  assert.equal((await hub.get<App>(`/apps/counter?after=${body.data.position}`)).id, 'counter');
  await readyApp(e2e, hub, 'counter');
  const page = await hub.ask<string>('GET', '/', undefined, { authorization: '' });
  assert.match(String(page.body), /<!doctype html>/i);

  const pids = [...hub.output().matchAll(/"pid":(\d+)[^\n]*"room":"workers"/g)].map(([, pid]) => Number(pid));
  const workers = pids.at(-1);
  assert.ok(workers !== undefined, 'the room of the workers said who it is');
  process.kill(workers, 'SIGKILL');
  assert.equal((await register(hub, 'static', `${gitUrl}/static-site.git`)).status, 201);
  await readyApp(e2e, hub, 'static');
  assert.equal(await hub.stop(), 0);
});

runE2E('without Redis the jobs run in the process, unless that is forbidden', async e2e => {
  const { gitUrl } = await startSamples(e2e);
  const programs = mkdtempSync(path.join(os.tmpdir(), 'apphub-path-'));
  chmodSync(programs, 0o755);
  e2e.registerCleanup('programs', () => rmSync(programs, { recursive: true, force: true }));
  for (const name of ['git', 'sh', 'id', 'test', 'flock', 'unshare', 'true', 'useradd']) {
    const found = execFileSync('which', [name], { encoding: 'utf8' }).trim();
    symlinkSync(found, path.join(programs, name));
  }
  const forbidden = makeHub(e2e, { ...noEngine, PATH: programs, APPHUB_ALLOW_INLINE_MODE: 'false' });
  await assert.rejects(forbidden.start(), /There is no Redis/);
  const hub = makeHub(e2e, { ...noEngine, PATH: programs });
  await hub.start();
  assert.match(hub.output(), /jobs run in the process/);
  assert.equal((await register(hub, 'counter', `${gitUrl}/node-app.git`)).status, 201);
  await readyApp(e2e, hub, 'counter');
});
