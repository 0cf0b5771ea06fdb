/** A real swarm of two nodes: what runs in it is confined, found again, over when it is over, and on no node twice. */
import assert from 'node:assert/strict';
import { after, before, suite, type TestContext, test } from 'node:test';
import {
  LaunchFailure,
  type PushedImage,
  type StartContainerRequest,
} from '../../../workers/adapters/docker-types.ts';
import { NoEngine } from '../../../workers/adapters/engine-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { testDatabase } from '../../support/postgres.ts';
import { startTestSwarm, type TestSwarm } from '../../support/swarm.ts';
import { eventually } from '../../support/workers.ts';

const mib = 1024 * 1024;
const here = openTestDocker();
let swarm: TestSwarm;
let hello: { image: string; pushed: PushedImage };
let guarded = false;

before(async () => {
  swarm = await startTestSwarm();
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

async function imageOf(name: string, ...instructions: string[]) {
  const image = await here.imageOf(name, ...instructions);
  return { image, pushed: await swarm.push(image, name) };
}

let launches = 0;
function request({ image, pushed }: typeof hello, changes: Partial<StartContainerRequest> = {}) {
  launches += 1;
  const own = { memoryBytes: 64 * mib, inRegistry: async () => pushed, ...changes };
  return startRequest(`swarmed-${launches}`, image, own);
}

/** The guards of the nodes take a moment to come up, once. */
async function open(t: TestContext) {
  const docker = swarm.one();
  if (!guarded) {
    await docker.guard();
    const first = request(hello);
    await eventually(async () => void (await docker.startContainer(first)), 15_000);
    await docker.removeLaunch(first.launchId);
    guarded = true;
  }
  t.after(async () => {
    const left = [...(await docker.listLaunches()), ...(await docker.listNetworks())];
    await Promise.all(left.map(({ launchId }) => docker.removeLaunch(launchId)));
    assert.deepEqual([...(await docker.listLaunches()), ...(await docker.listNetworks())], []);
    await eventually(async () => {
      assert.deepEqual(await swarm.containers({ all: true }), { manager: 0, worker: 0 });
    });
  });
  return docker;
}

suite('a swarm', () => {
  test('runs launches on its nodes, each answers at the address of its node', async t => {
    const docker = await open(t);
    const started = [];
    for (let number = 0; number < 2; number += 1) {
      started.push(await docker.startContainer(request(hello)));
    }
    const addresses = started.map(({ host }) => host);
    assert.deepEqual(addresses.toSorted(), [swarm.manager.address, swarm.worker.address].toSorted());
    for (const { host, hostPort, ...one } of started) {
      await docker.waitUntilReady({ ...one, host, hostPort, timeoutMs: 20_000, signal: t.signal });
      assert.equal(await (await fetch(`http://${host}:${hostPort}/`)).text(), 'hello\n');
    }
  });

  test('confines them as services can be confined, and labels them', async t => {
    const docker = await open(t);
    const of = request(hello, { placement: { disk: 'ssd' }, tmpfsBytes: 8 * mib });
    await docker.startContainer(of);
    const filters = { label: [`apphub.launch=${of.launchId}`] };
    const [found] = await swarm.worker.api.listContainers({ filters });
    const { HostConfig: host, Config: config } = await swarm.worker.api
      .getContainer(found?.Id ?? '')
      .inspect();
    assert.equal(host.ReadonlyRootfs, true);
    assert.deepEqual([host.CapAdd, host.CapDrop], [null, ['ALL']]);
    assert.deepEqual([host.Memory, host.NanoCpus, host.PidsLimit], [64 * mib, 0.5e9, 32]);
    assert.deepEqual([host.Init, host.Privileged, host.RestartPolicy?.Name], [true, false, '']);
    assert.deepEqual(host.Dns, ['127.0.0.1']);
    assert.deepEqual(
      host.Ulimits?.map(({ Name, Hard }) => [Name, Hard]),
      [
        ['nofile', 4_096],
        ['core', 0],
      ],
    );
    assert.equal(
      (host.Mounts ?? []).find(({ Target }) => Target === '/tmp')?.TmpfsOptions?.SizeBytes,
      8 * mib,
    );
    assert.deepEqual(
      (host.Mounts ?? []).map(({ Type }) => Type).filter(type => type !== 'tmpfs'),
      [],
    );
    assert.equal(config.Labels['apphub.deployment'], '1');
    assert.equal(config.Labels['apphub.event'], 'e1');
    const [listed] = await docker.listLaunches();
    assert.deepEqual(
      [listed?.launchId, listed?.deployment, listed?.appId, listed?.buildId, listed?.eventId, listed?.engine],
      [of.launchId, 1, 'hello', 'b1', 'e1', 'swarm'],
    );
    assert.equal(listed?.state, 'running');
  });

  test('keeps them from nodes, from what nodes reach, and from each other', async t => {
    const docker = await open(t);
    const other = await docker.startContainer(request(hello));
    const registry = swarm.registry.host.replace(':', ' ');
    const targets = [
      registry,
      `${swarm.worker.address} ${other.hostPort}`,
      `${other.host} ${other.hostPort}`,
    ];
    const tries = targets.map(target => `nc -w 1 ${target} </dev/null && echo reached ${target}`).join('; ');
    const nosy = await imageOf(
      'nosy',
      'USER 1000',
      `CMD ["sh", "-c", "${tries}; cat /proc/1/status; exit 3"]`,
    );
    const each = ['ssd', 'none'].map(disk => request(nosy, { placement: { disk } }));
    await Promise.all(each.map(of => docker.startContainer(of).catch(() => undefined)));
    for (const of of each) {
      await eventually(async () => {
        const found = (await docker.listLaunches()).find(({ launchId }) => launchId === of.launchId);
        assert.equal(found?.state, 'ended');
      });
      const said = (await bytesOf(docker.containerLogs(of.launchId))).toString();
      assert.match(said, /NoNewPrivs:\t1/);
      assert.match(said, /CapBnd:\t0000000000000000/);
      assert.doesNotMatch(said, /reached/);
    }
  });

  test('says how they ended, and what they said last; a removal is an end too', async t => {
    const docker = await open(t);
    const ends = await imageOf('ends', 'USER 1000', 'CMD ["sh", "-c", "echo last words; sleep 1; exit 7"]');
    const stop = new AbortController();
    const deaths: string[] = [];
    const watching = (async () => {
      for await (const { launchId, exitCode, reason } of docker.watchDeaths(stop.signal)) {
        deaths.push(`${launchId} ${exitCode} ${reason}`);
      }
    })();
    const [of, removed] = [request(ends), request(hello)];
    await docker.startContainer(of).catch(() => undefined);
    const { containerId } = await docker.startContainer(removed);
    await eventually(() => assert.match(deaths.join(), /7 The app ended by itself with exit code 7/));
    assert.deepEqual(await docker.lastLines(of.launchId, 1), ['last words']);
    await assert.rejects(
      docker.startContainer(of),
      error => error instanceof LaunchFailure && error.exitCode === 7 && error.lastLines[0] === 'last words',
    );
    await swarm.manager.api.getService(containerId).remove();
    await eventually(() => assert.match(deaths.join(), new RegExp(`${removed.launchId} -1 The service of`)));
    stop.abort();
    await watching;
  });

  test('makes one service, however many workers make it at the same time', async t => {
    const docker = await open(t);
    const of = request(hello);
    const processes = [docker, swarm.one(), swarm.one(), swarm.one()];
    const started = await Promise.all(processes.map(one => one.startContainer(of)));
    assert.equal(new Set(started.map(({ containerId }) => containerId)).size, 1);
    assert.equal(new Set(started.map(({ hostPort }) => hostPort)).size, 1);
    const { manager, worker } = await swarm.containers();
    assert.equal(manager + worker, 1);
    assert.equal((await docker.listNetworks()).length, 1);
    // Its network is that of the launch, and goes with it.
    await docker.removeDeployment(of.launchId, 1);
    assert.deepEqual(await swarm.containers(), { manager: 0, worker: 0 });
    assert.equal((await docker.listNetworks()).length, 1);
  });

  test('refuses what it cannot do safely', async t => {
    const docker = await open(t);
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
    assert.deepEqual(await docker.listLaunches(), []);
  });

  test('is one engine among others: its nodes are not counted twice, and what it cannot do goes elsewhere', async t => {
    await open(t);
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
  test('tells that its launches there are over, and starts them on another node', async t => {
    const docker = await open(t);
    const stop = new AbortController();
    const deaths: string[] = [];
    const watching = (async () => {
      for await (const { launchId, reason } of docker.watchDeaths(stop.signal))
        deaths.push(`${launchId} ${reason}`);
    })();
    const of = request(hello, { placement: { disk: 'ssd' } });
    assert.equal((await docker.startContainer(of)).host, swarm.worker.address);
    await swarm.worker.kill();
    await eventually(() => assert.match(deaths.join(), new RegExp(`${of.launchId} The node .* is away`)));
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
    stop.abort();
    await watching;
  });

  test('says that its manager is away; what runs on other nodes is still there when it is back', async t => {
    const docker = await open(t);
    const [there, here] = [
      request(hello, { placement: { disk: 'ssd' } }),
      request(hello, { placement: { disk: 'none' } }),
    ];
    const { host, hostPort, containerId } = await docker.startContainer(there);
    await docker.startContainer(here);
    await swarm.manager.kill();
    const answer = await docker.ping();
    assert.equal(answer.ok, false);
    assert.equal(await (await fetch(`http://${host}:${hostPort}/`)).text(), 'hello\n');
    await swarm.manager.start();
    await eventually(async () => {
      assert.deepEqual(await docker.ping(), { ok: true });
      const found = (await docker.listLaunches()).map(({ launchId, state }) => `${launchId} ${state}`);
      assert.deepEqual(found.toSorted(), [`${there.launchId} running`, `${here.launchId} ended`].toSorted());
    }, 10_000);
    const again = await docker.startContainer(there);
    assert.deepEqual([again.containerId, again.hostPort], [containerId, hostPort]);
    assert.equal(await (await fetch(`http://${host}:${hostPort}/`)).text(), 'hello\n');
    assert.deepEqual(await swarm.containers(), { manager: 0, worker: 1 });
  });
});

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
