/** Two real engines as one: where things go, how images come along, and what is on none of them twice. */
import assert from 'node:assert/strict';
import { after, before, suite, type TestContext, test } from 'node:test';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { NoEngine } from '../../../workers/adapters/engine-types.ts';
import { claimsIn } from '../../../workers/claims.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { startTestEngines, type TestEngines } from '../../support/engines.ts';
import { testDatabase } from '../../support/postgres.ts';
import { eventually } from '../../support/workers.ts';

const mib = 1024 * 1024;
const here = openTestDocker();
let engines: TestEngines;
let image = '';

before(async () => {
  engines = await startTestEngines({
    east: { labels: { zone: 'east' } },
    west: { labels: { zone: 'west' }, builds: false, launches: 3 },
  });
  image = await here.imageOf(
    'hello',
    'RUN mkdir -p /www && echo hello >/www/index.html',
    'USER 1000',
    'CMD ["sh", "-c", "exec httpd -f -p $PORT -h /www"]',
  );
  await engines.engine.east?.load(`apphub/${here.instance}:hello`);
});
after(async () => {
  await engines.close();
  await here.cleanUp();
});

let launches = 0;
const request = (changes: Partial<Parameters<typeof startRequest>[2]> = {}) => {
  launches += 1;
  return startRequest(`two-${launches}`, image, { memoryBytes: 64 * mib, ...changes });
};

async function open(t: TestContext) {
  const { sql, drop } = await testDatabase();
  const docker = await engines.open(sql);
  t.after(async () => {
    for (const { launchId } of await docker.listLaunches()) await docker.removeLaunch(launchId);
    assert.deepEqual(await engines.containers(), { east: 0, west: 0 });
    assert.deepEqual(await docker.listNetworks(), []);
    await drop();
  });
  return { docker, sql, claims: claimsIn(sql) };
}

suite('two engines', () => {
  test('share launches, each answers at the address of its engine, and the image comes along once', async t => {
    const { docker } = await open(t);
    const west = engines.engine.west;
    assert.equal(
      (await west?.api.listImages())?.some(({ Id }) => Id === image),
      false,
    );
    const started = [];
    for (let number = 0; number < 4; number += 1) started.push(await docker.startContainer(request()));
    assert.deepEqual(await engines.containers(), { east: 2, west: 2 });
    for (const { host, hostPort, engine, ...one } of started) {
      assert.equal(host, engines.engine[engine]?.address);
      const ready = { ...one, engine, host, hostPort, timeoutMs: 20_000 };
      await docker.waitUntilReady({ ...ready, signal: new AbortController().signal });
      assert.equal(await (await fetch(`http://${host}:${hostPort}/`)).text(), 'hello\n');
    }
    const held = await west?.api.getImage(image).inspect();
    assert.deepEqual(held?.RepoTags, [`apphub/${here.instance}:hello`]);
  });

  test('are chosen by what is promised there, and by limits', async t => {
    const { docker } = await open(t);
    const large = await docker.startContainer(request({ memoryBytes: 2_048 * mib, cpus: 1.5 }));
    const others = [];
    for (let number = 0; number < 3; number += 1) others.push(await docker.startContainer(request()));
    const other = large.engine === 'east' ? 'west' : 'east';
    assert.ok(others.slice(0, 2).every(({ engine }) => engine === other));
    const state = (await docker.engines()).find(({ name }) => name === large.engine);
    assert.ok(Number(state?.promised.memoryBytes) >= 2_048 * mib);
    assert.ok(Number(state?.promised.cpus) >= 1.5);
  });

  test('an engine that is full is left alone; where all that fit are, the launch waits', async t => {
    const { docker } = await open(t);
    const placement = { zone: 'west' };
    const started = [];
    for (let number = 0; number < 3; number += 1) {
      started.push(await docker.startContainer(request({ placement })));
    }
    assert.ok(started.every(({ engine }) => engine === 'west'));
    const next = request({ placement });
    await assert.rejects(docker.startContainer(next), error => error instanceof NoEngine);
    assert.equal((await docker.startContainer(request())).engine, 'east');
    await docker.removeLaunch(`two-${launches - 2}`);
    assert.equal((await docker.startContainer(next)).engine, 'west');
  });

  test('an engine that nobody has is not waited for', async t => {
    const { docker } = await open(t);
    await assert.rejects(
      docker.startContainer(request({ placement: { zone: 'north' } })),
      error =>
        error instanceof LaunchFailure && /engine with zone=north, and there is none/.test(error.reason),
    );
  });

  test('what was claimed before a crash goes to the same engine, however full, and is one container', async t => {
    const { docker, sql, claims } = await open(t);
    for (let number = 0; number < 2; number += 1) {
      await docker.startContainer(request({ placement: { zone: 'west' } }));
    }
    const interrupted = request();
    assert.equal(await claims.claim(interrupted.launchId, 1, 'west'), 'west');
    const processes = [await engines.open(sql), await engines.open(sql), docker];
    const started = await Promise.all(processes.map(one => one.startContainer(interrupted)));
    assert.deepEqual([...new Set(started.map(({ engine }) => engine))], ['west']);
    assert.equal(new Set(started.map(({ containerId }) => containerId)).size, 1);
    assert.deepEqual(await engines.containers(), { east: 0, west: 3 });
  });

  test('two processes that choose at the same time make one container', async t => {
    const { docker, sql } = await open(t);
    const both = request();
    await engines.engine.west?.load(`apphub/${here.instance}:hello`);
    const other = () => engines.open(sql, { isReversed: true });
    const processes = [docker, await other(), await engines.open(sql), await other()];
    const started = await Promise.all(processes.map(one => one.startContainer(both)));
    assert.equal(new Set(started.map(({ containerId }) => containerId)).size, 1);
    assert.equal((await docker.listLaunches()).length, 1);
    await docker.removeDeployment(both.launchId, 1);
    assert.deepEqual(await engines.containers(), { east: 0, west: 0 });
    assert.equal((await sql('engine_claims').where({ launch_id: both.launchId })).length, 0);
    // The network of a launch stays as long as the launch.
    await docker.removeLaunch(both.launchId);
  });

  test('words, deaths and removal are those of the engine that it is on', async t => {
    const { docker } = await open(t);
    const says = await here.imageOf('says', 'USER 1000', 'CMD ["sh", "-c", "echo words; sleep 1; exit 7"]');
    await engines.engine.east?.load(`apphub/${here.instance}:says`);
    const stop = new AbortController();
    const deaths: string[] = [];
    const watching = (async () => {
      for await (const { launchId, exitCode } of docker.watchDeaths(stop.signal)) {
        deaths.push(`${launchId} ${exitCode}`);
      }
    })();
    const both = [request({ image: says }), request({ image: says, placement: { zone: 'west' } })];
    for (const one of both) await docker.startContainer(one).catch(() => undefined);
    await eventually(() => {
      for (const { launchId } of both) assert.ok(deaths.includes(`${launchId} 7`), deaths.join());
    });
    for (const { launchId } of both) assert.deepEqual(await docker.lastLines(launchId), ['words']);
    stop.abort();
    await watching;
  });

  test('builds go only where they may', async t => {
    const { docker } = await open(t);
    const limits = { cpus: 1, memoryBytes: 256 * mib, timeMsMax: 60_000, contextBytesMax: 10_000 };
    const { signal } = new AbortController();
    const place = { appId: 'hello', limitsOn: () => limits, signal };
    const directory = await here.folderOf({
      Dockerfile: 'FROM apphub-test/busybox:1\nRUN echo built >/built\n',
    });
    const built = await docker.onBuilder(place, one =>
      one.buildImage({
        directory,
        dockerfilePath: 'Dockerfile',
        tag: `apphub/${engines.instance}:built`,
        labels: { 'apphub.build': 'b1' },
        limits,
        signal,
        onLine: () => undefined,
      }),
    );
    await engines.engine.east?.api.getImage(built.imageId).inspect();
    await assert.rejects(async () => engines.engine.west?.api.getImage(built.imageId).inspect());
    assert.equal((await docker.findImage({ 'apphub.build': 'b1' }))?.imageId, built.imageId);
    assert.deepEqual(
      (await docker.listImages()).filter(({ buildId }) => buildId === 'b1').map(({ engine }) => engine),
      ['east'],
    );
  });
});
