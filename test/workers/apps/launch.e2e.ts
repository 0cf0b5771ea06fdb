/** Launches by real workers on a real engine: how they end, and that no container is started twice or left behind. */
import assert from 'node:assert/strict';
import { after, before, suite, type TestContext, test } from 'node:test';
import type { Engines } from '../../../workers/adapters/engine-types.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { failLaunch, startLaunch } from '../../support/play.ts';
import { eventually, found, history, openWorkerBench } from '../../support/workers.ts';

const images = openTestDocker();
/** Answers on its port, and does what it is told to. */
let app = '';
/** Runs, but never listens. */
let silent = '';
before(async () => {
  await ensureTestImages();
  const obey = 'until [ -e /tmp/told ]; do sleep 0.1; done; . /tmp/told';
  app = await imageOf(
    'app',
    `mkdir /tmp/www; echo hi >/tmp/www/index.html; echo up; httpd -p $PORT -h /tmp/www; ${obey}`,
  );
  silent = await imageOf('silent', 'echo waiting; exec sleep 1000');
});
after(images.cleanUp);

async function imageOf(name: string, script: string): Promise<string> {
  const command = JSON.stringify(['sh', '-c', script]);
  const { imageId } = await images.docker.buildImage({
    directory: await images.folderOf({ Dockerfile: `FROM ${busyboxImage}\nUSER nobody\nCMD ${command}\n` }),
    dockerfilePath: 'Dockerfile',
    tag: `apphub/${images.instance}:${name}`,
    labels: {},
    limits: { cpus: 1, memoryBytes: 256 * 1024 * 1024, timeMsMax: 60_000, contextBytesMax: 10_000 },
    signal: new AbortController().signal,
    onLine: () => {},
  });
  return imageId;
}

/** Workers on the engine under a name of their own: they remove every container of theirs that the log does not know. */
async function open(t: TestContext) {
  const { api, docker, cleanUp } = openTestDocker();
  const bench = await openWorkerBench({ docker });
  t.after(async () => {
    await bench.close();
    await cleanUp();
  });
  const target = { store: bench.store, wrote: () => undefined };
  return {
    bench,
    api,
    docker,
    target,
    launch: (imageId: string, more: { expiresAt?: string } = {}) =>
      bench.requestLaunch({ image: 'apphub/app:1', imageId, ...more }),
    told: (launchId: string, ...types: string[]) =>
      eventually(() => assert.deepEqual(history(bench, 'launch', launchId), types)),
    containers: async () => (await docker.listLaunches()).map(({ launchId }) => launchId),
    isGone: () => eventually(async () => assert.deepEqual(await docker.listLaunches(), [])),
    /** Has the app of this launch run a line of shell. */
    async tell(launchId: string, line: string): Promise<void> {
      const script = `echo '${line}' >/tmp/told.part; mv /tmp/told.part /tmp/told`;
      const container = api.getContainer(found(bench, 'LaunchStarting', launchId).data.containerId);
      const exec = await container.exec({ Cmd: ['sh', '-c', script] });
      (await exec.start({ Detach: true })).resume();
    },
  };
}

const starting = ['LaunchRequested', 'LaunchStarting'];
const running = [...starting, 'LaunchRunning'];

suite('a launch', { concurrency: true }, () => {
  test('runs until it is stopped, and leaves its words and no container', async t => {
    const { bench, launch, told, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(app);
    await told(launchId, ...running);
    const { host, hostPort } = found(bench, 'LaunchStarting', launchId).data;
    assert.equal(await (await fetch(`http://${host}:${hostPort}/`)).text(), 'hi\n');
    await bench.stop(launchId);
    await told(launchId, ...running, 'LaunchStopping', 'LaunchStopped');
    await isGone();
    assert.equal(await bench.logText(`${launchId}-1`), 'up\n');
  });

  test('ends when its time is over', async t => {
    const { bench, launch, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(app, { expiresAt: new Date(Date.now() + 2_500).toISOString() });
    await eventually(() => found(bench, 'LaunchExpired', launchId));
    assert.equal(found(bench, 'LaunchStopping', launchId).data.reason, 'expired');
    await isGone();
  });

  test('that dies by itself fails with its exit code and last lines, and is removed', async t => {
    const { bench, launch, told, tell, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(app);
    await told(launchId, ...running);
    await tell(launchId, 'echo bye >&2; exit 7');
    await told(launchId, ...running, 'LaunchFailed');
    const { reason, exitCode, lastLines } = found(bench, 'LaunchFailed', launchId).data;
    assert.deepEqual(
      [reason, exitCode, lastLines],
      ['The app ended by itself with exit code 7', 7, ['up', 'bye']],
    );
    await isGone();
    assert.equal(await bench.logText(`${launchId}-1`), 'up\nbye\n');
  });

  test('whose container is removed by hand fails', async t => {
    const { bench, api, launch, told, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(app);
    await told(launchId, ...running);
    await api.getContainer(found(bench, 'LaunchStarting', launchId).data.containerId).remove({ force: true });
    await told(launchId, ...running, 'LaunchFailed');
    await isGone();
  });

  test('that wants more memory than it may fails and says so', async t => {
    const { bench, launch, told, tell, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(app);
    await told(launchId, ...running);
    await tell(launchId, 'exec tail /dev/zero');
    await told(launchId, ...running, 'LaunchFailed');
    const { reason, exitCode } = found(bench, 'LaunchFailed', launchId).data;
    assert.deepEqual([reason, exitCode], ['The app used more memory than it may and was killed', 137]);
    await isGone();
  });

  test('whose image is gone fails at once', async t => {
    const { bench, launch, told, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(`sha256:${'0'.repeat(64)}`);
    await told(launchId, 'LaunchRequested', 'LaunchFailed');
    const { reason } = found(bench, 'LaunchFailed', launchId).data;
    assert.equal(reason, 'The image of this build is no longer there');
    await isGone();
  });

  test('that is stopped while it is waited for ends at once', async t => {
    const { bench, launch, told, isGone } = await open(t);
    await bench.start();
    const launchId = await launch(silent);
    await told(launchId, ...starting);
    await bench.stop(launchId);
    await told(launchId, ...starting, 'LaunchStopping', 'LaunchStopped');
    await isGone();
    assert.deepEqual(
      bench.logged.filter(({ line }) => line === 'a job failed'),
      [],
    );
  });

  test('that is stopped and gone before a slow engine has started its container leaves none', async t => {
    const { bench, docker, launch, told, isGone } = await open(t);
    const late = Promise.withResolvers<void>();
    const slow: Engines = {
      ...docker,
      async startContainer(request) {
        await bench.stop(request.launchId);
        await eventually(() => found(bench, 'LaunchStopped', request.launchId));
        // Its network may be taken away under it, and then it does not start at all.
        return docker.startContainer(request).finally(() => late.resolve());
      },
    };
    // No sweep is to find it.
    await bench.start({ docker: slow, everyMs: { sweep: 3_600_000 } });
    const launchId = await launch(app);
    await told(launchId, 'LaunchRequested', 'LaunchStopping', 'LaunchStopped');
    await late.promise;
    await isGone();
  });
});

suite('a launch whose process ends', { concurrency: true }, () => {
  test('before the log has its container: that is found again, and none is started beside it', async t => {
    const { bench, docker, launch, told } = await open(t);
    bench.faults.append = types => types.includes('LaunchStarting');
    const first = await bench.start();
    const launchId = await launch(app);
    await eventually(() => assert.ok(bench.logged.some(({ line }) => line === 'a job failed')));
    await first.close();
    const [started, ...others] = await docker.listLaunches();
    assert.deepEqual([started?.launchId, others], [launchId, []]);
    assert.deepEqual(history(bench, 'launch', launchId), ['LaunchRequested']);
    delete bench.faults.append;
    await bench.start();
    await told(launchId, ...running);
    assert.equal(found(bench, 'LaunchStarting', launchId).data.containerId, started?.containerId);
    assert.equal((await docker.listLaunches()).length, 1);
  });

  test('while it is waited for: the next start goes on waiting', async t => {
    const { bench, docker, launch, told } = await open(t);
    const first = await bench.start();
    const launchId = await launch(silent);
    await told(launchId, ...starting);
    await first.close();
    assert.deepEqual(history(bench, 'launch', launchId), starting);
    const [before] = await docker.listLaunches();
    await bench.start();
    await bench.stop(launchId);
    await told(launchId, ...starting, 'LaunchStopping', 'LaunchStopped');
    assert.equal(found(bench, 'LaunchStarting', launchId).data.containerId, before?.containerId);
  });

  test('between the removal and the log: it is told once, with the words it had', async t => {
    const { bench, launch, told, isGone } = await open(t);
    bench.faults.append = types => types.includes('LaunchStopped');
    const first = await bench.start();
    const launchId = await launch(app);
    await told(launchId, ...running);
    await bench.stop(launchId);
    await eventually(() => assert.ok(bench.logged.some(({ line }) => line === 'a job failed')));
    await first.close();
    await isGone();
    assert.deepEqual(history(bench, 'launch', launchId), [...running, 'LaunchStopping']);
    delete bench.faults.append;
    await bench.start();
    await told(launchId, ...running, 'LaunchStopping', 'LaunchStopped');
    assert.equal(await bench.logText(`${launchId}-1`), 'up\n');
  });

  test('and which dies or is removed by hand meanwhile: the next start finds out', async t => {
    const { bench, api, launch, told, tell, isGone } = await open(t);
    const first = await bench.start();
    const [dies, removed] = [await launch(app), await launch(app)];
    for (const launchId of [dies, removed]) await told(launchId, ...running);
    await first.close();
    await tell(dies, 'echo alone; exit 5');
    await api.getContainer(found(bench, 'LaunchStarting', removed).data.containerId).remove({ force: true });
    await api.getContainer(found(bench, 'LaunchStarting', dies).data.containerId).wait();
    await bench.start();
    for (const launchId of [dies, removed]) await told(launchId, ...running, 'LaunchFailed');
    const { exitCode, lastLines } = found(bench, 'LaunchFailed', dies).data;
    assert.deepEqual([exitCode, lastLines], [5, ['up', 'alone']]);
    const { data } = found(bench, 'LaunchFailed', removed);
    assert.deepEqual([data.reason, data.exitCode], ['The container is gone.', null]);
    await isGone();
  });

  test('after the log has its end: containers of launches that are over, or unknown, are removed', async t => {
    const { bench, docker, target, launch, isGone, containers } = await open(t);
    const over = await launch(app);
    const unknown = 'of-a-log-that-was-lost';
    for (const launchId of [over, unknown]) await docker.startContainer(startRequest(launchId, app));
    await startLaunch(target, over);
    await failLaunch(target, over);
    assert.deepEqual((await containers()).sort(), [over, unknown].sort());
    // The reaction has seen its end already: only the sweep can find it.
    const position = `${bench.events.at(-1)?.position}`;
    await createWorkerTables(bench.sql);
    await bench.sql('reaction_checkpoints').insert({ name: 'workers', position, moved_at: new Date() });
    await bench.start({ everyMs: { sweep: 100, docker: 100, expiry: 100 } });
    await isGone();
    assert.equal(history(bench, 'launch', over).at(-1), 'LaunchFailed');
  });
});
