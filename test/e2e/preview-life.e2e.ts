/** A launch under its visitors: none of their requests fails while it is redeployed, and one that sleeps wakes for them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { WebSocket } from 'ws';
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
/** Says which version it is, after a moment; ends at once when it is told to. */
const server = (version: number) => `
const server = require('node:http').createServer((request, response) => {
  let body = '';
  request.on('data', part => { body += part; });
  request.on('end', () => setTimeout(() => response.end('version ${version} ' + body), 20));
});
server.listen(8080);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

type Launch = { id: string; status: string; url: string; deployment: number; serving: number | null };

const launchOf = (hub: Hub, id: string) => hub.get<Launch>(`/launches/${id}`);

async function until(e2e: E2E, hub: Hub, id: string, status: string, serving?: number): Promise<Launch> {
  return e2e.eventually(async () => {
    const launch = await launchOf(hub, id);
    assert.equal(launch.status, status);
    if (serving !== undefined) assert.equal(launch.serving, serving);
    return launch;
  });
}

runE2E(
  'no request fails while a launch is redeployed, and one that sleeps wakes for its visitors once',
  async e2e => {
    await ensureTestImages();
    const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
    e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
    const repo = makeRepo(root, 'app');
    commitTo(repo, { Dockerfile: dockerfile, 'server.js': server(1) }, 'First');
    const git = await startGitServer({ root });
    e2e.registerCleanup('git server', () => git.close());
    const hub = makeHub(e2e, { APPHUB_LAUNCH_DRAIN_SECONDS: '1' });
    await hub.start();
    await hub.ask('POST', '/apps', { id: 'app', name: 'App', repoUrl: `${git.url}/app.git` });
    const released = async (count: number) =>
      e2e.eventually(async () => {
        const builds = await hub.get<{ id: string; status: string }[]>('/apps/app/builds');
        assert.equal(builds.filter(({ status }) => status === 'succeeded').length, count);
        const { release } = await hub.get<{ release: { buildId: string } | null }>('/apps/app');
        assert.equal(release?.buildId, builds[0]?.id);
      });
    await released(1);
    const { body } = await hub.ask<{ data: { id: string } }>('POST', '/apps/app/launches', {
      ttlSeconds: 3_600,
    });
    const { id } = body.data;
    const { url } = await until(e2e, hub, id, 'running', 1);
    const grant = await hub.grant(id);

    // Visitors come all the while, one after the other on each of four ways.
    commitTo(repo, { 'server.js': server(2) }, 'Second');
    await hub.ask('POST', '/apps/app/retry');
    await released(2);
    const seen = new Map<string, number>();
    let isOver = false;
    const visitor = async (way: number) => {
      for (let count = 0; !isOver; count += 1) {
        const { status, body: text } = await hub.visit(`${url}?${way}-${count}`, grant);
        assert.equal(status, 200, text);
        seen.set(text.trim(), (seen.get(text.trim()) ?? 0) + 1);
      }
    };
    const visitors = [0, 1, 2, 3].map(visitor);
    await hub.ask('POST', `/launches/${id}/redeploy`);
    await until(e2e, hub, id, 'running', 2);
    // Until the one before is gone, and a little longer.
    await e2e.eventually(async () => {
      const deployments = await hub.get<{ deployment: number; status: string }[]>(
        `/launches/${id}/deployments`,
      );
      assert.equal(deployments.find(({ deployment }) => deployment === 1)?.status, 'gone');
    });
    const before = seen.get('version 2') ?? 0;
    await e2e.eventually(() => assert.ok((seen.get('version 2') ?? 0) > before + 20));
    isOver = true;
    await Promise.all(visitors);
    assert.deepEqual([...seen.keys()].sort(), ['version 1', 'version 2']);

    // Asleep: a hundred visitors and a WebSocket come at once. It is woken once, and each is answered.
    await hub.ask('POST', `/launches/${id}/sleep`);
    await until(e2e, hub, id, 'asleep');
    const asked = await Promise.all(Array.from({ length: 100 }, () => hub.visit(url, grant)));
    assert.deepEqual(
      [...new Set(asked.map(({ status, body: text }) => `${status} ${text.trim()}`))],
      ['200 version 2'],
    );
    const { deployment } = await until(e2e, hub, id, 'running', 3);
    assert.equal(deployment, 3, 'one container was enough');
    const visits = await e2e.eventually(async () => {
      const history = await hub.get<{ type: string; data: { cause?: string } }[]>(
        '/apps/app/history?limit=200',
      );
      return history.filter(
        ({ type, data }) => type === 'LaunchDeploymentRequested' && data.cause === 'wake',
      );
    });
    assert.equal(visits.length, 1);

    // What anybody was let in with is over at once when the links are revoked; WebSockets are asked like others.
    const socket = (headers: Record<string, string>) =>
      new Promise<number>(resolve => {
        const { host, port } = new URL(url);
        const client = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { ...headers, host } });
        client.on('error', () => undefined);
        client.once('unexpected-response', (_request, answer) => resolve(answer.statusCode ?? 0));
        client.once('open', () => resolve(101));
      });
    assert.equal(await socket({}), 401);
    assert.notEqual(await socket(grant), 401);
    await hub.ask('DELETE', `/launches/${id}/links`);
    await e2e.eventually(async () => assert.equal((await hub.visit(url, grant)).status, 401));
    assert.equal(await socket(grant), 401);
    assert.equal((await hub.visit(url, await hub.grant(id))).status, 200);
  },
);
