/** The first circle on real parts: repositories over HTTP are cloned, inspected, built, found, run and used. */
import assert from 'node:assert/strict';
import Dockerode from 'dockerode';
import { WebSocket } from 'ws';
import { labelOf } from '../../workers/adapters/docker-labels.ts';
import { runE2E } from '../support/e2e.ts';
import { type Hub, startStack } from '../support/stack.ts';

type Build = {
  id: string;
  status: string;
  imageId: string | null;
  durationMs: number;
  failure: { step: number; reason: string } | null;
};
type App = {
  id: string;
  status: string;
  statusMessage: string | null;
  title: string;
  dockerfilePath: string;
  commit: string;
  tags: { key: string; value: string; source: string }[];
  build?: Build;
};
type Launch = { id: string; status: string; url: string; failure: unknown };
type Accepted = { data: { id: string; position: string } };

const docker = new Dockerode();

async function register(hub: Hub, id: string, repoUrl: string): Promise<string> {
  const { status, headers, body } = await hub.ask<Accepted>('POST', '/apps', {
    id,
    name: id,
    repoUrl,
    tags: [{ key: 'made', value: 'by-hand' }],
  });
  assert.equal(status, 201);
  assert.equal(headers.get('location'), `/apps/${id}`);
  return body.data.position;
}

const containersOf = (launchId: string) =>
  docker.listContainers({ all: true, filters: { label: [`${labelOf.launch}=${launchId}`] } });

runE2E('repositories become apps that are found, built, launched, used and stopped', async e2e => {
  const { hub, gitUrl, repos } = await startStack(e2e);
  const stream = await follow(hub);
  e2e.registerCleanup('stream', () => stream.close());

  const names = ['node-app', 'static-site', 'nested', 'no-dockerfile', 'failing'] as const;
  for (const name of names) {
    const position = await register(hub, name, `${gitUrl}/${name}.git`);
    assert.equal((await hub.get<App>(`/apps/${name}?after=${position}`)).id, name);
  }
  const settled = (name: string, wanted: string) =>
    e2e.eventually(async () => {
      const app = await hub.get<App>(`/apps/${name}`);
      assert.equal(app.build?.status ?? app.status, wanted, JSON.stringify(app));
      return app;
    });

  const node = await settled('node-app', 'succeeded');
  assert.equal(node.commit, repos.node.commit);
  assert.equal(node.title, 'Counter');
  const sources = Object.fromEntries(node.tags.map(tag => [`${tag.key}:${tag.value}`, tag.source]));
  assert.equal(sources['made:by-hand'], 'author');
  assert.equal(sources['team:alpha'], 'auto:tags-file');
  assert.equal(sources['framework:express'], 'auto:package');
  assert.equal(sources['runtime:node'], 'auto:dockerfile');
  await settled('static-site', 'succeeded');
  const nested = await settled('nested', 'succeeded');
  assert.equal(nested.dockerfilePath, 'services/web/Dockerfile');
  const none = await settled('no-dockerfile', 'failed');
  assert.match(none.statusMessage ?? '', /No Dockerfile/);
  const failing = await settled('failing', 'failed');
  assert.equal(failing.build?.failure?.step, 2);

  const image = await docker.getImage(`apphub/node-app:${repos.node.commit.slice(0, 12)}`).inspect();
  assert.equal(image.Id, node.build?.imageId);
  assert.equal(image.Config.Labels[labelOf.app], 'node-app');
  assert.equal(image.Config.Labels[labelOf.commit], repos.node.commit);
  assert.equal(image.Config.Labels[labelOf.build], node.build?.id);
  const log = await hub.ask<string>('GET', `/builds/${node.build?.id}/logs?follow=true`);
  assert.match(log.body, /Step 1\/\d+ : FROM apphub-test\/node:1/);

  const found = async (query: string) => (await hub.get<App[]>(`/apps?${query}`)).map(({ id }) => id);
  assert.deepEqual(await found('q=count'), ['node-app']);
  assert.deepEqual(await found('tags=team:alpha'), ['node-app']);
  assert.deepEqual(await found('q=pages%20made:by-hand'), ['static-site']);
  const suggested = await hub.ask<{ data: { label: string; count: number }[] }>('GET', '/suggest?q=made');
  assert.deepEqual(
    suggested.body.data.map(({ count }) => count),
    suggested.body.data.map(() => 5),
  );

  const launch = await start(hub, e2e, 'node-app', {
    env: [{ key: 'GREETING', value: 'good day' }],
    resourceProfile: 'small',
    ttlSeconds: 600,
  });
  assert.equal(new URL(launch.url).hostname, `${launch.id}.localhost`);
  assert.equal((await hub.visit(launch.url)).status, 401, 'private unless it says otherwise');
  const grant = await hub.grant(launch.id);
  assert.match((await hub.visit(launch.url, grant)).body, /Hello from the counter/);
  const environment = JSON.parse((await hub.visit(`${launch.url}env`, grant)).body);
  assert.deepEqual(environment, { GREETING: 'good day' });
  assert.equal(await hello(launch.url, grant), 'hello from /live');
  await checkConfinement(launch.id);

  const stopped = await hub.ask('POST', `/launches/${launch.id}/stop`);
  assert.equal(stopped.status, 202);
  await e2e.eventually(async () => {
    assert.equal((await hub.get<Launch>(`/launches/${launch.id}`)).status, 'stopped');
    assert.deepEqual(await containersOf(launch.id), []);
  });
  assert.equal((await hub.visit(launch.url, grant)).status, 410);

  const brief = await start(hub, e2e, 'static-site', { ttlSeconds: 10, access: 'public' });
  assert.match((await hub.visit(brief.url)).body, /Hello from the static site/);
  await e2e.eventually(async () => {
    assert.equal((await hub.get<Launch>(`/launches/${brief.id}`)).status, 'expired');
    assert.deepEqual(await containersOf(brief.id), []);
  });

  const history = await hub.get<{ type: string; actor: string; causationId: string; position: string }[]>(
    '/apps/node-app/history?limit=200',
  );
  const types = history.map(({ type }) => type).reverse();
  const story = ['RepositoryRegistered', 'IngestionSucceeded', 'BuildSucceeded', 'LaunchRunning'];
  assert.deepEqual(
    types.filter(type => story.includes(type)),
    story,
  );
  assert.ok(history.every(({ actor, causationId }) => actor !== '' && causationId !== ''));
  const streamed = await e2e.eventually(() => {
    const positions = new Set(stream.events.map(({ position }) => position));
    for (const { position } of history) assert.ok(positions.has(position), `${position} was not streamed`);
    return stream.events.map(({ position }) => BigInt(position));
  });
  assert.ok(
    streamed.every((position, n) => n === 0 || position > (streamed[n - 1] ?? 0n)),
    'in order, none twice',
  );
});

async function start(
  hub: Hub,
  e2e: Parameters<Parameters<typeof runE2E>[1]>[0],
  app: string,
  body: object,
): Promise<Launch> {
  const asked = await hub.ask<Accepted>('POST', `/apps/${app}/launches`, body);
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  return e2e.eventually(async () => {
    const launch = await hub.get<Launch>(`/launches/${asked.body.data.id}?after=${asked.body.data.position}`);
    assert.equal(launch.status, 'running', JSON.stringify(launch));
    return launch;
  });
}

async function checkConfinement(launchId: string): Promise<void> {
  const [container] = await containersOf(launchId);
  const { HostConfig, NetworkSettings } = await docker.getContainer(container?.Id ?? '').inspect();
  assert.deepEqual(HostConfig.CapDrop, ['ALL']);
  assert.ok(HostConfig.SecurityOpt?.some((option: string) => option.startsWith('no-new-privileges')));
  assert.ok(
    (HostConfig.Memory ?? 0) > 0 && (HostConfig.PidsLimit ?? 0) > 0 && (HostConfig.NanoCpus ?? 0) > 0,
  );
  assert.equal(HostConfig.ReadonlyRootfs, true);
  assert.deepEqual(NetworkSettings.Ports, {});
}

/** What the app says over a WebSocket through the preview. */
function hello(previewUrl: string, headers: Record<string, string>): Promise<string> {
  const { host, port } = new URL(previewUrl);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/live`, { headers: { ...headers, host } });
  return new Promise((resolve, reject) => {
    socket.once('message', message => resolve(String(message)));
    socket.once('error', reject);
  });
}

async function follow(hub: Hub) {
  const events: { stream: string; type: string; position: string }[] = [];
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/stream?from=start`, {
    headers: { authorization: `Bearer ${hub.token}` },
  });
  socket.on('message', message => {
    const frame = JSON.parse(String(message));
    if (frame.kind === 'event') events.push(frame.event);
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return { events, close: () => socket.terminate() };
}
