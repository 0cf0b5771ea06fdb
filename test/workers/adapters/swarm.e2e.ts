/** A real swarm of two nodes: what runs in it is confined, found again, over when it is over, and on no node twice. */
import assert from 'node:assert/strict';
import { after, afterEach, before, suite, type TestContext, test } from 'node:test';
import {
  LaunchFailure,
  type PushedImage,
  type StartContainerRequest,
  type StartedContainer,
} from '../../../workers/adapters/docker-types.ts';
import { NoEngine, type OneEngine } from '../../../workers/adapters/engine-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { testDatabase } from '../../support/postgres.ts';
import { startTestSwarm, type TestSwarm } from '../../support/swarm.ts';
import { eventually } from '../../support/workers.ts';

const mib = 1024 * 1024;
const here = openTestDocker();
let swarm: TestSwarm;
let hello: Image;
let docker: OneEngine;
let launches = 0;

type Image = { readonly image: string; readonly pushed: PushedImage };

async function imageOf(name: string, ...instructions: string[]): Promise<Image> {
  const image = await here.imageOf(name, ...instructions);
  return { image, pushed: await swarm.push(image, name) };
}

function request({ image, pushed }: Image, changes: Partial<StartContainerRequest> = {}) {
  launches += 1;
  const own = { memoryBytes: 64 * mib, inRegistry: async () => pushed, ...changes };
  return startRequest(`swarmed-${launches}`, image, own);
}

/** Every end that is told of, as `launch code reason`. */
function noteDeaths(t: TestContext): string[] {
  const stop = new AbortController();
  const deaths: string[] = [];
  const watching = (async () => {
    for await (const { launchId, exitCode, reason } of docker.watchDeaths(stop.signal)) {
      deaths.push(`${launchId} ${exitCode} ${reason}`);
    }
  })();
  t.after(async () => {
    stop.abort();
    await watching;
  });
  return deaths;
}

const pageOf = async ({ host, hostPort }: Pick<StartedContainer, 'host' | 'hostPort'>) =>
  (await fetch(`http://${host}:${hostPort}/`, { signal: AbortSignal.timeout(10_000) })).text();

async function removeAll() {
  const left = [...(await docker.listLaunches()), ...(await docker.listNetworks())];
  await Promise.all(left.map(({ launchId }) => docker.removeLaunch(launchId)));
  assert.deepEqual([...(await docker.listLaunches()), ...(await docker.listNetworks())], []);
  await eventually(async () => {
    assert.deepEqual(await swarm.containers({ all: true }), { manager: 0, worker: 0 });
  });
}

before(async () => {
  swarm = await startTestSwarm();
  docker = swarm.one();
  await docker.guard();
  hello = await imageOf(
    'hello',
    'RUN mkdir -p /www /tmp && chmod 1777 /tmp && echo hello >/www/index.html',
    'USER 1000',
    'CMD ["sh", "-c", "echo words; exec httpd -f -p $PORT -h /www"]',
  );
});
after(async () => {
  await swarm.close();
  await here.cleanUp();
});

suite('launches in a swarm', () => {
  let onWorker: StartContainerRequest;
  let onManager: StartContainerRequest;
  let started: StartedContainer[] = [];

  before(async () => {
    onWorker = request(hello, { placement: { disk: 'ssd' }, tmpfsBytes: 8 * mib });
    onManager = request(hello, { placement: { disk: 'none' } });
    // The guards of the nodes take a moment to come up.
    const patiently = (one: OneEngine, of: StartContainerRequest) => eventually(() => one.startContainer(of));
    const processes = [docker, swarm.one(), swarm.one()];
    started = await Promise.all([
      patiently(docker, onManager),
      ...processes.map(one => patiently(one, onWorker)),
    ]);
  });
  after(removeAll);

  test('run on its nodes, each answers at the address of its node', async t => {
    const [manager, worker] = started;
    assert.deepEqual([manager?.host, worker?.host], [swarm.manager.address, swarm.worker.address]);
    for (const one of started) {
      await docker.waitUntilReady({ ...one, timeoutMs: 20_000, signal: t.signal });
      assert.equal(await pageOf(one), 'hello\n');
    }
  });

  test('are one service each, however many workers start them at the same time', async () => {
    const [, ...same] = started;
    assert.equal(new Set(same.map(({ containerId }) => containerId)).size, 1);
    assert.equal(new Set(same.map(({ hostPort }) => hostPort)).size, 1);
    assert.deepEqual(await swarm.containers({ all: true }), { manager: 1, worker: 1 });
    assert.equal((await docker.listNetworks()).length, 2);
  });

  test('are confined as services can be confined, and labelled', async () => {
    const filters = { label: [`apphub.launch=${onWorker.launchId}`] };
    const [found] = await swarm.worker.api.listContainers({ filters });
    const container = swarm.worker.api.getContainer(found?.Id ?? '');
    const { HostConfig: host, Config: config } = await container.inspect();
    assert.equal(host.ReadonlyRootfs, true);
    assert.deepEqual([host.CapAdd, host.CapDrop], [null, ['ALL']]);
    assert.deepEqual([host.Memory, host.NanoCpus, host.PidsLimit], [64 * mib, 0.5e9, 32]);
    assert.deepEqual([host.Init, host.Privileged, host.RestartPolicy?.Name], [true, false, '']);
    assert.deepEqual(host.Dns, ['127.0.0.1']);
    const limits = host.Ulimits?.map(({ Name, Hard }) => `${Name} ${Hard}`);
    assert.deepEqual(limits, ['nofile 4096', 'core 0']);
    const mounts = host.Mounts ?? [];
    assert.equal(mounts.find(({ Target }) => Target === '/tmp')?.TmpfsOptions?.SizeBytes, 8 * mib);
    assert.ok(mounts.every(({ Type }) => Type === 'tmpfs'));
    assert.deepEqual([config.Labels['apphub.deployment'], config.Labels['apphub.event']], ['1', 'e1']);
    const listed = (await docker.listLaunches()).find(({ launchId }) => launchId === onWorker.launchId);
    assert.deepEqual(
      { ...listed, containerId: '', hostPort: 0, startedAt: '', memoryBytes: 0, cpus: 0 },
      {
        launchId: onWorker.launchId,
        deployment: 1,
        appId: 'hello',
        buildId: 'b1',
        eventId: 'e1',
        containerId: '',
        engine: 'swarm',
        state: 'running',
        hostPort: 0,
        memoryBytes: 0,
        cpus: 0,
        startedAt: '',
      },
    );
  });

  test('are kept from nodes, from what nodes reach, and from each other; and how they end is told', async t => {
    const [manager, worker] = started;
    const deaths = noteDeaths(t);
    const targets = [
      swarm.registry.host.replace(':', ' '),
      ...[manager, worker].map(one => `${one?.host} ${one?.hostPort}`),
    ];
    const tries = targets.map(target => `nc -w 1 ${target} </dev/null && echo reached ${target}`).join('; ');
    const nosy = await imageOf(
      'nosy',
      'USER 1000',
      `CMD ["sh", "-c", "cat /proc/1/status; ${tries}; exit 7"]`,
    );
    const each = ['ssd', 'none'].map(disk => request(nosy, { placement: { disk } }));
    await Promise.all(each.map(of => docker.startContainer(of).catch(() => undefined)));
    for (const of of each) {
      const end = new RegExp(`${of.launchId} 7 The app ended by itself with exit code 7`);
      await eventually(() => assert.match(deaths.join(), end));
      const parts: Uint8Array[] = [];
      for await (const part of docker.containerLogs(of.launchId)) parts.push(part);
      const said = Buffer.concat(parts).toString();
      assert.match(said, /NoNewPrivs:\t1/);
      assert.match(said, /Seccomp:\t2/);
      assert.match(said, /CapBnd:\t0000000000000000/);
      assert.doesNotMatch(said, /reached/);
      assert.match((await docker.lastLines(of.launchId, 1)).join(), /Seccomp/);
      await assert.rejects(docker.startContainer(of), error => {
        return error instanceof LaunchFailure && error.exitCode === 7 && error.lastLines.length > 5;
      });
    }
  });
});

suite('a swarm', () => {
  after(removeAll);

  test('refuses what it cannot do safely', async () => {
    const refused: [Partial<StartContainerRequest>, RegExp][] = [
      [{ egress: ['example.org'] }, /may reach hosts outside/],
      [{ keeps: true }, /keeps files/],
      [{ runtime: 'runsc' }, /runsc/],
      [{ placement: { disk: 'tape' } }, /No node of the swarm/],
      [{ inRegistry: async () => undefined }, /APPHUB_IMAGE_REGISTRY has to be set/],
    ];
    for (const [changes, says] of refused) {
      const of = request(hello, changes);
      assert.match((await docker.refuses?.(of)) ?? '', says);
      await assert.rejects(docker.startContainer(of), error => {
        return error instanceof LaunchFailure && says.test(error.reason);
      });
    }
    const bare = swarm.one({ registry: undefined });
    assert.match((await bare.refuses?.(request(hello))) ?? '', /APPHUB_IMAGE_REGISTRY has to be set/);
    // More memory than a node has.
    const large = request(hello, { memoryBytes: 2 ** 42 });
    await assert.rejects(docker.startContainer(large), error => {
      return error instanceof NoEngine && /insufficient resources/.test(error.message);
    });
    await docker.removeLaunch(large.launchId);
    assert.deepEqual(await docker.listLaunches(), []);
  });

  test('is one engine among others: its nodes are not counted twice, and what it cannot do goes elsewhere', async t => {
    const { sql, drop } = await testDatabase();
    t.after(drop);
    const engines = await swarm.open(sql);
    const placed = request(hello, { placement: { place: 'swarm', disk: 'ssd' } });
    assert.equal((await engines.startContainer(placed)).engine, 'swarm');
    const kept = request(hello, { egress: [], inRegistry: async () => undefined });
    assert.equal((await engines.startContainer(kept)).engine, 'plain');
    const found = (await engines.survey()).launches.map(({ launchId, engine }) => [launchId, engine]);
    assert.deepEqual(found.toSorted(), [
      [placed.launchId, 'swarm'],
      [kept.launchId, 'plain'],
    ]);
    assert.deepEqual((await engines.listNetworks()).map(({ engine }) => engine).toSorted(), [
      'plain',
      'swarm',
    ]);
    await Promise.all([placed, kept].map(({ launchId }) => engines.removeLaunch(launchId)));
    assert.deepEqual(await engines.listNetworks(), []);
    await assert.rejects(
      engines.startContainer(request(hello, { placement: { place: 'moon' } })),
      /there is none/,
    );
  });
});

suite('a swarm of which a node is killed', () => {
  afterEach(removeAll);

  test('tells that its launches there are over, and starts them on another node', async t => {
    const deaths = noteDeaths(t);
    const of = request(hello, { placement: { disk: 'ssd' } });
    assert.equal((await docker.startContainer(of)).host, swarm.worker.address);
    await swarm.worker.kill();
    await eventually(() => assert.match(deaths.join(), new RegExp(`${of.launchId} -1 The node .* is away`)));
    const [found] = await docker.listLaunches();
    assert.equal(found?.state, 'ended');
    await docker.removeDeployment(of.launchId, 1);
    const { placement: _, ...again } = of;
    const moved = await docker.startContainer({ ...again, deployment: 2 });
    assert.equal(moved.host, swarm.manager.address);
    await swarm.worker.start();
    await eventually(async () => {
      assert.deepEqual(await swarm.containers({ all: true }), { manager: 1, worker: 0 });
    });
    await eventually(async () => {
      const back = request(hello, { placement: { disk: 'ssd' } });
      await docker.startContainer(back).finally(() => docker.removeLaunch(back.launchId));
    }, 30_000);
  });

  test('says that its manager is away; what runs on other nodes is still there when it is back', async () => {
    const [there, here] = [
      request(hello, { placement: { disk: 'ssd' } }),
      request(hello, { placement: { disk: 'none' } }),
    ];
    const { host, hostPort, containerId } = await docker.startContainer(there);
    await docker.startContainer(here);
    await swarm.manager.kill();
    const answer = await docker.ping();
    assert.equal(answer.ok, false);
    assert.equal(await pageOf({ host, hostPort }), 'hello\n');
    await swarm.manager.start();
    await eventually(async () => {
      assert.deepEqual(await docker.ping(), { ok: true });
      const found = (await docker.listLaunches()).map(({ launchId, state }) => `${launchId} ${state}`);
      assert.deepEqual(found.toSorted(), [`${there.launchId} running`, `${here.launchId} ended`].toSorted());
    }, 10_000);
    const again = await docker.startContainer(there);
    assert.deepEqual([again.containerId, again.hostPort], [containerId, hostPort]);
    assert.equal(await pageOf({ host, hostPort }), 'hello\n');
    assert.deepEqual(await swarm.containers(), { manager: 0, worker: 1 });
  });
});
