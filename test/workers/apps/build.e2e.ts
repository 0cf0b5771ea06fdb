/** Builds by real workers on a real engine: what the log tells of them, and what is left when something dies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { openLogger } from '../../../platform/log.ts';
import { openDocker } from '../../../workers/adapters/docker.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import type { Engines } from '../../../workers/adapters/engine-types.ts';
import { alone, openTestDocker } from '../../support/docker.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { startBuild } from '../../support/play.ts';
import { commitTo, makeRepo } from '../../support/sample-repos.ts';
import {
  type AskedBuild,
  eventually,
  found,
  history,
  openWorkerBench,
  type WorkerBench,
} from '../../support/workers.ts';

const { api, docker, instance, cleanUp } = openTestDocker();
const from = `FROM ${busyboxImage}\n`;
let root: string;
let git: GitServer;
before(async () => {
  await ensureTestImages();
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-build-'));
  git = await startGitServer({ root });
});
after(async () => {
  await git.close();
  await rm(root, { recursive: true, force: true });
  await cleanUp();
});

async function open(t: TestContext, engine: Engines = docker): Promise<WorkerBench> {
  const bench = await openWorkerBench({ docker: engine });
  t.after(() => bench.close());
  return bench;
}

/** A repository with this Dockerfile, and what is to be built of it. */
function specOf(appId: string, dockerfile: string): AskedBuild {
  const commit = commitTo(makeRepo(root, appId), { Dockerfile: dockerfile }, 'First');
  return { appId, repoUrl: `${git.url}/${appId}.git`, ref: null, commit, dockerfilePath: 'Dockerfile' };
}

/** A step that waits until it is let go. */
const waits = (marker: string) => `RUN until [ -e /go-${marker} ]; do sleep 0.1; done\n`;
const stepsOf = async (marker: string) =>
  (await api.listContainers({ all: true })).filter(({ Command }) => Command.includes(`/go-${marker} `));
const isWaiting = (marker: string) =>
  eventually(async () => {
    const [step, ...others] = await stepsOf(marker);
    assert.deepEqual([step?.State, others.length], ['running', 0]);
    return step?.Id ?? '';
  });
const hasEnded = (marker: string) =>
  eventually(async () => assert.deepEqual(await stepsOf(marker), []), 10_000);
async function letGo(marker: string): Promise<void> {
  const exec = await api.getContainer(await isWaiting(marker)).exec({ Cmd: ['touch', `/go-${marker}`] });
  (await exec.start({ Detach: true })).resume();
}

const told = (bench: WorkerBench, buildId: string, ...types: string[]) =>
  eventually(() => assert.deepEqual(history(bench, 'build', buildId), types));
const imagesOf = (buildId: string) =>
  api.listImages({ filters: { label: [`${labelOf.build}=${buildId}`, `${labelOf.instance}=${instance}`] } });

/** A way to the engine that can be shut: then it is as if the engine had gone. */
async function openDoor(t: TestContext) {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const listen = async (port: number) => {
    server = createServer(socket => {
      const engine = connect('/var/run/docker.sock');
      for (const [one, other] of [
        [socket, engine],
        [engine, socket],
      ] as const) {
        sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const shut = async () => {
    const closed = new Promise(resolve => server?.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const port = await listen(0);
  t.after(() => server?.listening && shut());
  const log = openLogger({ level: 'silent' });
  const behind = alone(openDocker({ host: `tcp://127.0.0.1:${port}`, instance, log }));
  return { docker: behind, shut, reopen: () => listen(port) };
}

suite('a build', { concurrency: true }, () => {
  test('fails with the step and the instruction that failed, once', async t => {
    const bench = await open(t);
    await bench.start();
    const buildId = await bench.requestBuild(specOf('fails', `${from}RUN echo before; exit 3\nRUN true\n`));
    await told(bench, buildId, 'BuildRequested', 'BuildStarted', 'BuildFailed');
    const { data } = found(bench, 'BuildFailed', buildId);
    assert.match(data.reason, /returned a non-zero code: 3/);
    assert.deepEqual(
      [data.appId, data.attempt, data.step, data.instruction],
      ['fails', 1, 2, 'RUN echo before; exit 3'],
    );
    const lines = (await bench.logText(buildId)).trimEnd().split('\n');
    assert.ok(lines.includes('before'), lines.join('\n'));
    assert.equal(lines.at(-1), `FAILED ${data.reason}`);
    assert.equal(data.log.lines, lines.length);
    assert.deepEqual(await bench.workFolders(), []);
  });

  test('of a commit that is not there fails for good, and names no step', async t => {
    const bench = await open(t);
    await bench.start();
    const spec = { ...specOf('nowhere', from), commit: '1'.repeat(40) };
    const buildId = await bench.requestBuild(spec);
    await told(bench, buildId, 'BuildRequested', 'BuildStarted', 'BuildFailed');
    const { data } = found(bench, 'BuildFailed', buildId);
    assert.match(data.reason, /no commit/);
    assert.deepEqual([data.attempt, data.step, data.instruction], [1, null, null]);
  });

  test('that is newest is released, also when an older one ends after it', async t => {
    const bench = await open(t);
    await bench.start();
    const old = specOf('races', `${from}EXPOSE 1111\n${waits('races')}`);
    await bench.register('races', old.repoUrl);
    await isWaiting('races');
    const older = found(bench, 'BuildRequested').data.buildId;
    const dockerfile = `${from}EXPOSE 2222\n`;
    const commit = commitTo(path.join(root, 'races.git'), { Dockerfile: dockerfile }, 'Second');
    const newer = await bench.requestBuild({ ...old, commit });
    const { data } = await eventually(() => found(bench, 'RepositoryReleased'));
    const { imageId, image } = found(bench, 'BuildSucceeded', newer).data;
    const { requestedAt: _when, ...release } = data.release;
    assert.deepEqual(release, { buildId: newer, commit, image, imageId, ports: [2222] });
    await letGo('races');
    const last = await eventually(() => found(bench, 'BuildSucceeded', older));
    // The reaction to it has been made.
    await eventually(async () => {
      const { position } = await bench.sql('reaction_checkpoints').first();
      assert.ok(BigInt(position) >= last.position);
    });
    assert.equal(bench.events.filter(({ type }) => type === 'RepositoryReleased').length, 1);
  });

  test('that is cancelled ends within seconds, and leaves no container and no folder', async t => {
    const bench = await open(t);
    await bench.start();
    const buildId = await bench.requestBuild(specOf('cancelled', `${from}${waits('cancelled')}`));
    await isWaiting('cancelled');
    await bench.cancelBuild(buildId);
    await hasEnded('cancelled');
    await eventually(async () => assert.deepEqual(await bench.workFolders(), []));
    await eventually(async () => assert.match(await bench.logText(buildId), /\nCANCELLED\n$/));
    assert.deepEqual(history(bench, 'build', buildId), ['BuildRequested', 'BuildStarted', 'BuildCancelled']);
    assert.deepEqual(await imagesOf(buildId), []);
    assert.deepEqual(
      bench.logged.filter(({ line }) => line === 'a job failed'),
      [],
    );
  });

  test('waits while there is no engine, and is made as soon as there is one', async t => {
    const door = await openDoor(t);
    await door.shut();
    const bench = await open(t, door.docker);
    // No round but the one that looks after the engine.
    await bench.start({ everyMs: { docker: 100, sweep: 3_600_000 } });
    const buildId = await bench.requestBuild(specOf('waits', from));
    const status = () => bench.sql('worker_status').where({ name: 'docker' }).first('ok', 'reason');
    await eventually(async () => assert.match((await status())?.reason ?? '', /is not running/));
    await eventually(async () => {
      const { position } = await bench.sql('reaction_checkpoints').first();
      assert.equal(BigInt(position), bench.events.at(-1)?.position);
    });
    assert.deepEqual(history(bench, 'build', buildId), ['BuildRequested']);
    await eventually(async () => assert.equal((await bench.sql('apps_builds')).length, 1));
    await door.reopen();
    await told(bench, buildId, 'BuildRequested', 'BuildStarted', 'BuildSucceeded');
    assert.deepEqual(await status(), { ok: true, reason: null });
  });

  test('whose engine goes away under it is begun again when it is back', async t => {
    const door = await openDoor(t);
    const bench = await open(t, door.docker);
    await bench.start();
    const buildId = await bench.requestBuild(specOf('dropped', `${from}${waits('dropped')}`));
    await isWaiting('dropped');
    await door.shut();
    await eventually(async () =>
      assert.match(await bench.logText(buildId), /\nINTERRUPTED .*tried again\n$/),
    );
    await hasEnded('dropped');
    await door.reopen();
    await letGo('dropped');
    await told(bench, buildId, 'BuildRequested', 'BuildStarted', 'BuildStarted', 'BuildSucceeded');
    assert.equal((await imagesOf(buildId)).length, 1);
  });
});

suite('a build whose process ends', { concurrency: true }, () => {
  test('by SIGTERM: its step ends, nothing is told, and the next start begins it again', async t => {
    const bench = await open(t);
    const first = await bench.start();
    const buildId = await bench.requestBuild(specOf('drained', `${from}${waits('drained')}`));
    await isWaiting('drained');
    await first.close();
    await hasEnded('drained');
    assert.deepEqual(history(bench, 'build', buildId), ['BuildRequested', 'BuildStarted']);
    assert.deepEqual(await bench.workFolders(), []);
    assert.match(await bench.logText(buildId), /\nINTERRUPTED AppHub is going down; the next start/);
    await bench.start();
    await letGo('drained');
    await told(bench, buildId, 'BuildRequested', 'BuildStarted', 'BuildStarted', 'BuildSucceeded');
    assert.equal(found(bench, 'BuildSucceeded', buildId).data.attempt, 2);
    assert.match(await bench.logText(buildId), /\n--- attempt 2 ---\n/);
    assert.deepEqual(
      bench.logged.filter(({ level }) => level === 'error'),
      [],
    );
  });

  test('by SIGTERM in the last attempt it has: that is no failure of its own', async t => {
    const bench = await open(t);
    const buildId = await bench.requestBuild(specOf('last', `${from}${waits('last')}`));
    const target = { store: bench.store, wrote: () => undefined };
    for (let attempt = 1; attempt <= 4; attempt += 1) await startBuild(target, buildId);
    const workers = await bench.start();
    await isWaiting('last');
    await workers.close();
    assert.equal(history(bench, 'build', buildId).at(-1), 'BuildStarted');
  });

  test('between the image and the log: it is found by its label and not made twice', async t => {
    const bench = await open(t);
    bench.faults.append = types => types.includes('BuildSucceeded');
    const first = await bench.start();
    const buildId = await bench.requestBuild(specOf('unsaid', `${from}EXPOSE 3333\n`));
    await eventually(() => assert.ok(bench.logged.some(({ line }) => line === 'a job failed')));
    await first.close();
    const [made, ...others] = await imagesOf(buildId);
    assert.ok(made !== undefined && others.length === 0);
    // Its tag is lost meanwhile: that does not matter.
    for (const tag of made.RepoTags ?? []) await api.getImage(tag).tag({ repo: `apphub/${instance}` });
    for (const tag of made.RepoTags ?? []) await api.getImage(tag).remove({ noprune: true });
    delete bench.faults.append;
    await bench.start();
    const { data } = await eventually(() => found(bench, 'BuildSucceeded', buildId));
    assert.deepEqual([data.imageId, data.ports], [made.Id, [3333]]);
    assert.equal((await api.getImage(data.image).inspect()).Id, made.Id);
    assert.equal((await imagesOf(buildId)).length, 1);
    const builds = (await bench.logText(buildId)).match(/^Building /gm);
    assert.equal(builds?.length, 1);
    assert.equal(history(bench, 'build', buildId).filter(type => type === 'BuildSucceeded').length, 1);
  });

  test('each time it is begun: at last it is given up', async t => {
    const bench = await open(t);
    const buildId = await bench.requestBuild(specOf('deadly', from));
    const target = { store: bench.store, wrote: () => undefined };
    for (let attempt = 1; attempt <= 5; attempt += 1) await startBuild(target, buildId);
    await bench.start();
    const { data } = await eventually(() => found(bench, 'BuildFailed', buildId));
    assert.deepEqual([data.attempt, data.reason], [6, 'The build was interrupted too often.']);
    assert.deepEqual(await imagesOf(buildId), []);
  });
});
