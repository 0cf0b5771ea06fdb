/** The containers of one launch beside each other: each is found, heard and removed by its number. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';

const { api, docker, instance, imageOf, cleanUp } = openTestDocker();
const launchId = `${instance}-launch`;
let app = '';

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString('utf8');
}

async function numbers(): Promise<number[]> {
  return (await docker.listLaunches()).map(({ deployment }) => deployment);
}

suite('deployments', () => {
  before(async () => {
    await ensureTestImages();
    app = await imageOf('deployed', 'CMD ["sh", "-c", "echo I am $NUMBER; exec sleep 1000"]');
  });
  after(cleanUp);
  const start = (deployment: number) =>
    docker.startContainer(
      startRequest(launchId, app, { deployment, env: [{ key: 'NUMBER', value: `${deployment}` }] }),
    );

  test('each has a container of its own, a name and labels that say what it is', async () => {
    const first = await start(1);
    const second = await start(2);
    assert.notEqual(first.containerId, second.containerId);
    assert.deepEqual(
      [(await start(1)).containerId, (await start(2)).containerId],
      [first.containerId, second.containerId],
    );
    const { Name: name, Config: config } = await api.getContainer(second.containerId).inspect();
    assert.equal(name, `/apphub-${launchId}-2`);
    assert.deepEqual(
      [config.Labels[labelOf.launch], config.Labels[labelOf.deployment], config.Labels[labelOf.event]],
      [launchId, '2', 'e1'],
    );
    assert.deepEqual(await numbers(), [2, 1]);
  });

  test('are heard by number, and without one the newest is', async () => {
    assert.equal(await textOf(docker.containerLogs(launchId, { deployment: 1 })), 'I am 1\n');
    assert.equal(await textOf(docker.containerLogs(launchId)), 'I am 2\n');
    assert.deepEqual(await docker.lastLines(launchId, 1), ['I am 1']);
    assert.deepEqual(await docker.lastLines(launchId), ['I am 2']);
    assert.equal(await textOf(docker.containerLogs(launchId, { deployment: 3 })), '');
  });

  test('their deaths are told with their numbers', async () => {
    const stop = new AbortController();
    await api.getContainer(`apphub-${launchId}-2`).kill();
    for await (const death of docker.watchDeaths(stop.signal)) {
      assert.deepEqual([death.launchId, death.deployment, death.exitCode], [launchId, 2, 137]);
      stop.abort();
    }
  });

  test('one is removed without the others, and the launch with all it has', async () => {
    await docker.removeDeployment(launchId, 2);
    await docker.removeDeployment(launchId, 2);
    assert.deepEqual(await numbers(), [1]);
    await start(3);
    await docker.removeLaunch(launchId);
    assert.deepEqual(await numbers(), []);
    await docker.removeLaunch(launchId);
  });

  test('a container from before they had numbers is the first, and is not started again beside itself', async () => {
    const labels = { [labelOf.instance]: instance, [labelOf.launch]: launchId };
    const ports = { PortBindings: { '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] } };
    const old = await api.createContainer({
      name: `apphub-launch-${launchId}`,
      Image: app,
      Labels: labels,
      ExposedPorts: { '8080/tcp': {} },
      HostConfig: ports,
    });
    await old.start();
    assert.deepEqual(
      (await docker.listLaunches()).map(({ deployment, eventId, state }) => [deployment, eventId, state]),
      [[1, null, 'running']],
    );
    assert.equal((await start(1)).containerId, old.id);
    await docker.removeLaunch(launchId);
    assert.deepEqual(await numbers(), []);
  });
});
