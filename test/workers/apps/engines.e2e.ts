/** Engines that are killed and come back, or do not: every launch and build ends in a true state, once, and nothing is left. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { openTestDocker } from '../../support/docker.ts';
import { startTestEngines, type TestEngines } from '../../support/engines.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { busyboxImage } from '../../support/images.ts';
import { commitTo, makeRepo } from '../../support/sample-repos.ts';
import { eventually, found, history, openWorkerBench } from '../../support/workers.ts';

const here = openTestDocker();
let engines: TestEngines;
let git: GitServer;
let root = '';
let imageId = '';

before(async () => {
  engines = await startTestEngines({
    east: { labels: { zone: 'east' } },
    west: { labels: { zone: 'west' } },
  });
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-engines-'));
  git = await startGitServer({ root });
  imageId = await here.imageOf(
    'hello',
    'RUN mkdir -p /www && echo hello >/www/index.html',
    'USER 1000',
    'CMD ["sh", "-c", "exec httpd -f -p $PORT -h /www"]',
  );
  for (const engine of Object.values(engines.engine)) await engine.load(`apphub/${here.instance}:hello`);
});
after(async () => {
  await git.close();
  await rm(root, { recursive: true, force: true });
  await engines.close();
  await here.cleanUp();
});

async function open(t: TestContext, awaySeconds: number) {
  const { sql, ...bench } = await openWorkerBench();
  const docker = await engines.open(sql, { awaySeconds });
  t.after(async () => {
    for (const engine of Object.values(engines.engine)) await engine.start();
    await bench.close();
    const fresh = await engines.containers();
    assert.deepEqual(fresh, { east: 0, west: 0 });
  });
  const quick = { docker: 200, sweep: 1_000, reconcile: 300, expiry: 200 };
  return {
    bench,
    sql,
    start: () => bench.start({ docker, everyMs: quick }),
    docker,
    launch: (restart: 'no' | 'on-failure' = 'on-failure') =>
      bench.requestLaunch({ image: 'apphub/app:1', imageId, restart }),
    runs: (launchId: string) =>
      eventually(() => assert.equal(history(bench, 'launch', launchId).at(-1), 'LaunchRunning')),
    /** The launch is what its newest event says: it answers where that says, and nowhere else is anything of it. */
    async answers(launchId: string) {
      const { serves } = found(bench, 'LaunchRunning', launchId).data;
      const answer = await fetch(`http://${serves?.host}:${serves?.hostPort}/`);
      assert.equal(await answer.text(), 'hello\n');
      return serves?.engine;
    },
  };
}

/** A step that waits until it is let go, on whichever engine it is. */
const waits = (marker: string) => `RUN until [ -e /go-${marker} ]; do sleep 0.1; done\n`;

async function stepOf(marker: string) {
  for (const [name, { api }] of Object.entries(engines.engine)) {
    const all = await api.listContainers().catch(() => []);
    const step = all.find(({ Command }) => Command.includes(`/go-${marker} `));
    if (step !== undefined) return { name, container: api.getContainer(step.Id) };
  }
  throw new Error(`no step waits for ${marker}`);
}

async function letGo(marker: string): Promise<void> {
  await eventually(async () => {
    const { container } = await stepOf(marker);
    const exec = await container.exec({ Cmd: ['touch', `/go-${marker}`] });
    await exec.start({ Detach: true });
  });
}

function specOf(appId: string, marker: string) {
  const dockerfile = `FROM ${busyboxImage}\n${waits(marker)}`;
  const commit = commitTo(makeRepo(root, appId), { Dockerfile: dockerfile }, 'First');
  return { appId, repoUrl: `${git.url}/${appId}.git`, ref: null, commit, dockerfilePath: 'Dockerfile' };
}

suite('an engine that is killed', () => {
  test('with launches and a build, and comes back: each launch runs once, and the build is made once', async t => {
    const { bench, start, launch, runs, answers } = await open(t, 60);
    await start();
    const buildId = await bench.requestBuild(specOf('killed', 'killed'));
    const { name } = await eventually(() => stepOf('killed'));
    const ids = await Promise.all([1, 2, 3, 4].map(() => launch()));
    for (const id of ids) await runs(id);
    const before = await Promise.all(ids.map(answers));
    assert.deepEqual([...new Set(before)].toSorted(), ['east', 'west']);

    await engines.engine[name]?.kill();
    await engines.engine[name]?.start();

    await eventually(async () => {
      for (const [index, id] of ids.entries()) {
        const types = history(bench, 'launch', id);
        // Those on the other engine were not touched; those on this one have crashed, and are there again.
        assert.equal(types.includes('LaunchCrashed'), before[index] === name);
        assert.ok(['LaunchRunning', 'LaunchRetired'].includes(types.at(-1) ?? ''), types.join());
        assert.ok(types.lastIndexOf('LaunchRunning') > types.lastIndexOf('LaunchCrashed'));
        await answers(id);
      }
    });
    assert.deepEqual(
      Object.values(await engines.containers()).reduce((sum, one) => sum + one),
      4,
    );
    await letGo('killed');
    await eventually(() => found(bench, 'BuildSucceeded', buildId));
    assert.equal(history(bench, 'build', buildId).filter(type => type === 'BuildSucceeded').length, 1);
    for (const id of ids) await bench.stop(id);
    for (const id of ids) await eventually(() => found(bench, 'LaunchStopped', id));
  });

  test('for long: its launches go to the other one or fail with the reason, and what it still holds is removed', async t => {
    const { bench, sql, start, launch, runs, answers } = await open(t, 2);
    await start();
    const ids = await Promise.all([launch(), launch('no'), launch(), launch('no')]);
    for (const id of ids) await runs(id);
    const places = await Promise.all(ids.map(answers));
    const buildId = await bench.requestBuild(specOf('long', 'long'));
    const { name: lost } = await eventually(() => stepOf('long'));
    const kept = lost === 'east' ? 'west' : 'east';

    await engines.engine[lost]?.kill();
    await eventually(async () => {
      const row = await sql('worker_engines').where({ name: lost }).first('state');
      assert.match(row?.state.awayReason ?? '', /Nothing answers|There is no Docker engine/);
    });
    for (const [index, id] of ids.entries()) {
      if (places[index] === kept) continue;
      if (index % 2 === 0) {
        await eventually(async () => assert.equal(await answers(id), kept));
      } else {
        const { reason } = (await eventually(() => found(bench, 'LaunchFailed', id))).data;
        assert.match(reason, new RegExp(`^The engine ${lost} is away for long: `));
      }
    }
    await letGo('long');
    await eventually(() => found(bench, 'BuildSucceeded', buildId));
    for (const [index, id] of ids.entries()) {
      if (places[index] !== kept) continue;
      assert.deepEqual(history(bench, 'launch', id), ['LaunchRequested', 'LaunchStarting', 'LaunchRunning']);
    }

    await engines.engine[lost]?.start();
    await eventually(async () => assert.equal((await engines.containers())[lost], 0));
    for (const [index, id] of ids.entries()) {
      if (places[index] === kept || index % 2 === 0) assert.equal(await answers(id), kept);
    }
    for (const id of ids) await bench.stop(id).catch(() => undefined);
    await eventually(async () => assert.deepEqual(await engines.containers(), { east: 0, west: 0 }));
  });

  test('while launches come up: none is lost, and none is there twice', async t => {
    const { bench, start, launch } = await open(t, 60);
    await start();
    const ids = await Promise.all([1, 2, 3, 4, 5, 6].map(() => launch()));
    await eventually(() => assert.ok(bench.events.some(({ type }) => type === 'LaunchStarting')));
    await engines.engine.east?.kill();
    await engines.engine.east?.start();
    const over = ['LaunchRunning', 'LaunchRetired', 'LaunchFailed'];
    await eventually(async () => {
      for (const id of ids) assert.ok(over.includes(history(bench, 'launch', id).at(-1) ?? ''), id);
      const failed = ids.filter(id => history(bench, 'launch', id).includes('LaunchFailed'));
      const there = Object.values(await engines.containers()).reduce((sum, one) => sum + one);
      assert.equal(there, ids.length - failed.length);
    });
    for (const id of ids) await bench.stop(id).catch(() => undefined);
    await eventually(async () => assert.deepEqual(await engines.containers(), { east: 0, west: 0 }));
  });
});
