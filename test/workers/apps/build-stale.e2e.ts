/** Builds whose worker is killed at any step, and whose engine is: each is found again, made once, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { openLogger } from '../../../platform/log.ts';
import { openDocker } from '../../../workers/adapters/docker.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import type { Docker } from '../../../workers/adapters/docker-types.ts';
import { alone, openTestDocker } from '../../support/docker.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { startBuild } from '../../support/play.ts';
import { processesOf } from '../../support/processes.ts';
import { startTestRegistry, type TestRegistry } from '../../support/registry.ts';
import { commitTo, makeRepo } from '../../support/sample-repos.ts';
import { takeTurns } from '../../support/turn.ts';
import { openWorkerProcesses, type WorkerProcesses } from '../../support/worker-process.ts';
import { eventually, found, history, openWorkerBench } from '../../support/workers.ts';

// The engine holds the steps of all that BuildKit builds together to one limit.
takeTurns('buildkit');

const from = `FROM ${busyboxImage}\n`;
let root: string;
let git: GitServer;
before(async () => {
  await ensureTestImages();
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-stale-'));
  git = await startGitServer({ root });
});
after(async () => {
  await git.close();
  await rm(root, { recursive: true, force: true });
});

function specOf(appId: string, dockerfile: string) {
  const commit = commitTo(makeRepo(root, appId), { Dockerfile: dockerfile }, 'First');
  return { appId, repoUrl: `${git.url}/${appId}.git`, ref: null, commit, dockerfilePath: 'Dockerfile' };
}

const runs = (seconds: string) =>
  eventually(async () => assert.equal(processesOf('sleep', seconds).length, 1));
/** An engine that is killed before it has written down that a container runs never ends it. */
const isKnown = (docker: Docker) =>
  eventually(async () => {
    assert.deepEqual(
      (await docker.listBuildSteps()).map(({ isRunning }) => isRunning),
      [true],
    );
  });
const isGone = (seconds: string) =>
  eventually(async () => assert.deepEqual(processesOf('sleep', seconds), []));

suite('a build whose worker is killed', () => {
  const { api, docker, instance, cleanUp } = openTestDocker();
  let processes: WorkerProcesses;
  let registry: TestRegistry;
  before(async () => {
    registry = await startTestRegistry();
    processes = await openWorkerProcesses(docker, instance);
  });
  after(async () => {
    await processes.close();
    for (const { RepoTags } of await api.listImages()) {
      for (const tag of RepoTags ?? []) if (tag.startsWith(registry.host)) await api.getImage(tag).remove();
    }
    await registry.close();
    await cleanUp();
  });
  const imagesOf = (buildId: string) =>
    api.listImages({
      filters: { label: [`${labelOf.build}=${buildId}`, `${labelOf.instance}=${instance}`] },
    });

  for (const place of ['build.started', 'build.built', 'build.pushed', 'build.told']) {
    test(`at ${place}: the next start ends it, with one image and one end`, async () => {
      const { bench } = processes;
      const env = { APPHUB_IMAGE_REGISTRY: `${registry.host}/${place}` };
      const dying = processes.start(place, env);
      const gone = once(dying, 'exit');
      const buildId = await bench.requestBuild(specOf(place.replace('.', '-'), `${from}RUN echo ${place}\n`));
      assert.deepEqual((await gone)[1], 'SIGKILL');
      const isTold = history(bench, 'build', buildId).includes('BuildSucceeded');
      assert.equal(isTold, place === 'build.told');
      const next = processes.start(undefined, env);
      const { data } = await eventually(() => found(bench, 'BuildSucceeded', buildId));
      assert.equal(data.attempt, isTold ? 1 : 2);
      assert.match(data.pushed?.digest ?? '', /^sha256:/);
      assert.equal(data.provenance?.bases.length, 1);
      const [image, ...others] = await imagesOf(buildId);
      assert.deepEqual([image?.Id, others.length], [data.imageId, 0]);
      const ends = history(bench, 'build', buildId).filter(type => /^Build(Succeeded|Failed)$/.test(type));
      assert.equal(ends.length, 1);
      assert.equal((await processes.logText(buildId)).match(/^Building /gm)?.length, 1);
      await processes.kill(next);
    });
  }

  test('in the middle of a step: the step ends with it, and is run again', async () => {
    const { bench } = processes;
    const seconds = String(500_000 + process.pid);
    for (const [name, how] of [
      ['classic', 'RUN'],
      ['buildkit', 'RUN --mount=type=tmpfs,target=/x'],
    ] as const) {
      const dying = processes.start();
      const dockerfile = `${from}${how} test -e /never || exec sleep ${seconds}\n`;
      const buildId = await bench.requestBuild(specOf(`mid-${name}`, dockerfile));
      await runs(seconds);
      await processes.kill(dying);
      await isGone(seconds);
      assert.deepEqual(history(bench, 'build', buildId), ['BuildRequested', 'BuildStarted']);
      const next = processes.start();
      await runs(seconds);
      assert.deepEqual(history(bench, 'build', buildId), ['BuildRequested', 'BuildStarted', 'BuildStarted']);
      await bench.cancelBuild(buildId);
      await isGone(seconds);
      await processes.kill(next);
      assert.deepEqual(await imagesOf(buildId), []);
    }
  });
});

suite('a build whose engine is killed', () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startTestEngine();
    await engine.load(busyboxImage);
  });
  after(() => engine.close());

  for (const [name, how] of [
    ['classic', 'RUN'],
    ['buildkit', 'RUN --mount=type=tmpfs,target=/x'],
  ] as const) {
    test(`in the middle of a step of the ${name} builder: it is begun again when the engine is back`, async t => {
      const instance = `stale-${name}`;
      const docker = alone(openDocker({ host: engine.host, instance, log: openLogger({ level: 'silent' }) }));
      const bench = await openWorkerBench({ docker });
      t.after(() => bench.close());
      await bench.start({ everyMs: { docker: 100, sweep: 500 } });
      const seconds = String((name === 'classic' ? 600_000 : 800_000) + process.pid);
      const dockerfile = `${from}${how} if [ ! -e /proc/1/root/go ]; then exec sleep ${seconds}; fi\n`;
      const buildId = await bench.requestBuild(specOf(`engine-${name}`, dockerfile));
      await runs(seconds);
      const [before] = processesOf('sleep', seconds);
      if (name === 'classic') await isKnown(docker);
      await engine.kill();
      await eventually(async () =>
        assert.match(await bench.logText(buildId), /\nINTERRUPTED .*tried again\n/),
      );
      await engine.start();
      await eventually(() =>
        assert.deepEqual(history(bench, 'build', buildId), [
          'BuildRequested',
          'BuildStarted',
          'BuildStarted',
        ]),
      );
      // One step runs, and it is not the one from before.
      await eventually(async () => {
        const [now, ...others] = processesOf('sleep', seconds);
        assert.deepEqual([now === before, others], [false, []]);
        assert.ok(now !== undefined);
      });
      const steps = await docker.listBuildSteps();
      assert.deepEqual(
        steps.map(step => [step.buildId, step.isRunning]),
        name === 'classic' ? [[buildId, true]] : [],
      );
      await bench.cancelBuild(buildId);
      await isGone(seconds);
      await eventually(async () => assert.deepEqual(await docker.listBuildSteps(), []));
      assert.deepEqual((await engine.api.listContainers({ all: true })).length, 0);
    });
  }

  test('again and again: at last it is given up, with the reason', async t => {
    const docker = alone(
      openDocker({
        host: engine.host,
        instance: 'stale-deadly',
        log: openLogger({ level: 'silent' }),
      }),
    );
    const bench = await openWorkerBench({ docker });
    t.after(() => bench.close());
    const seconds = String(700_000 + process.pid);
    const buildId = await bench.requestBuild(specOf('deadly-engine', `${from}RUN exec sleep ${seconds}\n`));
    const target = { store: bench.store, wrote: () => undefined };
    for (let attempt = 1; attempt <= 4; attempt += 1) await startBuild(target, buildId);
    await bench.start({ everyMs: { docker: 100, sweep: 500 } });
    await runs(seconds);
    await isKnown(docker);
    await engine.kill();
    const { data } = await eventually(() => found(bench, 'BuildFailed', buildId));
    assert.equal(data.attempt, 5);
    assert.match(data.reason, /aborted|ECONNRESET|went away|socket hang up/);
    await engine.start();
    await isGone(seconds);
    await eventually(async () => assert.deepEqual(await docker.listBuildSteps(), []));
  });
});
