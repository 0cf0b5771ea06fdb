/** One launch, one container after another, by real workers on a real engine: redeploys, sleep and waking, restarts. */
import assert from 'node:assert/strict';
import { after, before, suite, type TestContext, test } from 'node:test';
import { type LaunchCommand, launch } from '../../../domain/apps/launch.ts';
import { openTestDocker } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';
import { eventually, found, history, openWorkerBench } from '../../support/workers.ts';

const images = openTestDocker();
/** Answers with a word; what else it does comes before. */
const answering = (word: string, more = '') => [
  `RUN mkdir -p /www && echo ${word} >/www/index.html`,
  'USER 1000',
  `CMD ["sh", "-c", "echo ${word} is up; ${more}exec httpd -f -p $PORT -h /www"]`,
];
const ids = { one: '', two: '', ill: '', brief: '' };
before(async () => {
  await ensureTestImages();
  ids.one = await images.imageOf('one', ...answering('one'));
  ids.two = await images.imageOf('two', ...answering('two'));
  ids.ill = await images.imageOf('ill', 'USER 1000', 'CMD ["sh", "-c", "echo no good; exit 3"]');
  ids.brief = await images.imageOf('brief', ...answering('brief', '(sleep 2; kill -9 $$) & '));
});
after(images.cleanUp);

const image = (imageId: string) => ({ buildId: 'b', image: 'apphub/app:1', imageId, port: 8_080 });

async function open(t: TestContext) {
  const { docker, cleanUp } = openTestDocker();
  const bench = await openWorkerBench({ docker });
  t.after(async () => {
    await bench.close();
    await cleanUp();
  });
  const at = () => bench.clock.now();
  const say = (launchId: string, command: LaunchCommand) => bench.say(launch, launchId, command);
  return {
    bench,
    docker,
    at,
    launch: (imageId: string, restart: 'no' | 'on-failure' = 'no') =>
      bench.requestLaunch({ ...image(imageId), restart }),
    redeploy: (launchId: string, imageId: string) =>
      say(launchId, { type: 'Redeploy', data: { launchId, at: at(), cause: 'redeploy', ...image(imageId) } }),
    wake: (launchId: string) => say(launchId, { type: 'WakeLaunch', data: { launchId, at: at() } }),
    sleep: (launchId: string, deployment: number) =>
      say(launchId, {
        type: 'SleepLaunch',
        data: { launchId, at: at(), deployment, reason: 'asked', because: null },
      }),
    told: (launchId: string, ...types: string[]) =>
      eventually(() => assert.deepEqual(history(bench, 'launch', launchId), types)),
    numbers: async () => (await docker.listLaunches()).map(({ deployment }) => deployment),
    /** What the deployment that serves answers. */
    async answer(launchId: string): Promise<string> {
      const { serves } = found(bench, 'LaunchRunning', launchId).data;
      return (await fetch(`http://${serves?.host}:${serves?.hostPort}/`)).text();
    },
  };
}

const up = ['LaunchRequested', 'LaunchStarting', 'LaunchRunning'];
const again = ['LaunchDeploymentRequested', 'LaunchStarting', 'LaunchRunning', 'LaunchRetired'];

suite('a launch that goes on in another container', { concurrency: true }, () => {
  test('serves until the next one answers, which then replaces it', async t => {
    const { bench, docker, launch, redeploy, told, numbers, answer } = await open(t);
    await bench.start({ launches: { ...bench.launches, drainSeconds: 2 } });
    const launchId = await launch(ids.one);
    await told(launchId, ...up);
    const { serves: before } = found(bench, 'LaunchRunning', launchId).data;
    await redeploy(launchId, ids.two);
    await eventually(async () => assert.equal(await answer(launchId), 'two\n'));
    // Whoever is still on the way to the one before gets its answer.
    assert.equal(await (await fetch(`http://${before?.host}:${before?.hostPort}/`)).text(), 'one\n');
    await told(launchId, ...up, ...again);
    assert.deepEqual(await numbers(), [2]);
    assert.equal(await bench.logText(`${launchId}-1`), 'one is up\n');
    assert.ok((await docker.listNetworks()).length <= 1);
  });

  test('stays with the one that serves when the next one does not come up', async t => {
    const { bench, launch, redeploy, told, numbers, answer } = await open(t);
    await bench.start();
    const launchId = await launch(ids.one);
    await told(launchId, ...up);
    await redeploy(launchId, ids.ill);
    const failed = ['LaunchDeploymentRequested', 'LaunchStarting', 'LaunchDeploymentFailed', 'LaunchRetired'];
    await eventually(() => assert.equal(history(bench, 'launch', launchId).at(-1), 'LaunchRetired'));
    const told2 = history(bench, 'launch', launchId).slice(up.length);
    assert.deepEqual(
      told2,
      failed.filter(type => told2.includes(type)),
    );
    const { exitCode, lastLines } = found(bench, 'LaunchDeploymentFailed', launchId).data;
    assert.deepEqual([exitCode, lastLines], [3, ['no good']]);
    assert.equal(await answer(launchId), 'one\n');
    assert.deepEqual(await numbers(), [1]);
    assert.equal(await bench.logText(`${launchId}-2`), 'no good\n');
  });

  test('sleeps without a container, and wakes in a new one', async t => {
    const { bench, docker, launch, sleep, wake, told, answer } = await open(t);
    await bench.start();
    const launchId = await launch(ids.one);
    await told(launchId, ...up);
    await sleep(launchId, 1);
    await told(launchId, ...up, 'LaunchSlept', 'LaunchRetired');
    assert.deepEqual(await docker.listLaunches(), []);
    await Promise.all([wake(launchId), wake(launchId), wake(launchId)]);
    await told(launchId, ...up, 'LaunchSlept', 'LaunchRetired', ...again.slice(0, 3));
    assert.equal(found(bench, 'LaunchDeploymentRequested', launchId).data.cause, 'wake');
    assert.equal(await answer(launchId), 'one\n');
  });

  test('is started again when it fails, and each time its words are kept', async t => {
    const { bench, launch } = await open(t);
    await bench.start();
    const launchId = await launch(ids.brief, 'on-failure');
    await eventually(() => {
      const running = bench.events.filter(({ type }) => type === 'LaunchRunning');
      assert.ok(running.length >= 2);
    });
    const { exitCode } = found(bench, 'LaunchCrashed', launchId).data;
    assert.notEqual(exitCode, 0);
    await eventually(async () => assert.equal(await bench.logText(`${launchId}-1`), 'brief is up\n'));
    await bench.stop(launchId);
    await eventually(() => found(bench, 'LaunchStopped', launchId));
  });

  test('ends with all it has when it is stopped in the middle', async t => {
    const { bench, docker, launch, redeploy, told } = await open(t);
    await bench.start({ launches: { ...bench.launches, drainSeconds: 60 } });
    const launchId = await launch(ids.one);
    await told(launchId, ...up);
    await redeploy(launchId, ids.two);
    await told(launchId, ...up, ...again.slice(0, 3));
    await bench.stop(launchId);
    await eventually(() => found(bench, 'LaunchStopped', launchId));
    await eventually(async () => assert.deepEqual(await docker.listLaunches(), []));
    assert.deepEqual(await docker.listNetworks(), []);
  });
});
