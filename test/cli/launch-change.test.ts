/** What is asked of a launch while it lives, from the command line. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type ApiServer, appRow, launchRow, startApiServer } from '../support/api-server.ts';
import { runCli, startCli, until } from '../support/run-cli.ts';

const at = '2026-01-02T03:04:05.000Z';
const failure = {
  reason: 'It ended',
  exitCode: 3,
  oomKilled: false,
  lastLines: ['oh\u001b[2J'],
  at,
  isLoop: false,
};
const deployment = (number: number, more: object = {}) => ({
  deployment: number,
  cause: 'start',
  status: 'gone',
  buildId: `build-${number}`,
  image: `apphub/shop:${number}`,
  commit: `${number}`.repeat(40),
  imageRemoved: null,
  startedInMs: 5,
  failure: null,
  requestedAt: at,
  notBefore: null,
  runningAt: at,
  goneAt: '2026-01-02T03:06:05.000Z',
  ...more,
});

suite('a launch that is changed from the command line', () => {
  let server: ApiServer;
  const stream = 'apps.launch-l1';
  const running = { status: 'running', serving: 1, deployment: 1 };
  before(async () => {
    server = await startApiServer();
  });
  after(() => server.close());
  beforeEach(() => {
    server.launches.clear();
    server.events.length = 0;
    server.requests.length = 0;
    server.faults.length = 0;
    server.apps.set('shop', appRow('shop'));
    server.launches.set('l1', launchRow('l1', 'shop', running));
  });
  const run = (...args: string[]) => runCli(['launches', ...args], server.env);
  /** Begins, and resolves when the write is in the log. */
  const begin = async (...args: string[]) => {
    const cli = startCli(['launches', ...args], server.env);
    await until(() => server.events.length > 0 && server.sockets.size > 0);
    return cli;
  };

  test('redeploy names the build and says how to follow it', async () => {
    const { code, stdout } = await run('redeploy', 'l1', '--build', 'b7', '--idempotency-key', 'k1');
    assert.equal(code, 0);
    assert.match(stdout, /Redeploying launch l1\. Follow it with: apphub launches deployments l1/);
    const [request] = server.requests;
    assert.deepEqual(
      [request?.path, request?.body, request?.key],
      ['/launches/l1/redeploy', { buildId: 'b7' }, 'k1'],
    );
  });

  test('redeploy --watch waits for its own deployment, and prints the address', async () => {
    const cli = await begin('redeploy', 'l1', '--watch');
    server.append('LaunchRetired', stream, { deployment: 1 });
    server.append('LaunchStarting', stream, { deployment: 2, port: 80 });
    await cli.seen(/deployment 2 starting on port 80/);
    server.append('LaunchRunning', stream, { deployment: 2, startedInMs: 420, replaced: 1 });
    const { code, stdout, stderr } = await cli.ended;
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /deployment 2 running after 420 ms, in place of deployment 1\nhttp:\/\/l1\.localhost/,
    );
  });

  test('redeploy --watch ends with 1 when it does not come up, though the launch runs on', async () => {
    const cli = await begin('redeploy', 'l1', '--watch');
    Object.assign(server.launches.get('l1') ?? {}, { failure });
    server.append('LaunchDeploymentFailed', stream, { deployment: 2, ...failure });
    const { code, stdout } = await cli.ended;
    assert.equal(code, 1);
    assert.match(stdout, /deployment 2 did not come up: It ended \(exit code 3\)/);
  });

  test('rollback --watch ends with 1 when another one takes its place', async () => {
    const cli = await begin('rollback', 'l1', '--watch');
    server.append('LaunchDeploymentRequested', stream, { deployment: 3, cause: 'redeploy', superseded: 2 });
    const { code, stdout } = await cli.ended;
    assert.equal(code, 1);
    assert.match(stdout, /in place of deployment 2/);
    assert.equal(server.requests[0]?.path, '/launches/l1/rollback');
  });

  test('what came up before the stream stood is found in the list', async () => {
    server.launches.set(
      'l1',
      launchRow('l1', 'shop', { ...running, deployments: [deployment(2, { status: 'serving' })] }),
    );
    const { code, stdout } = await run('redeploy', 'l1', '--watch');
    assert.equal(code, 0);
    assert.match(stdout, /http:\/\/l1\.localhost/);
  });

  test('sleep and wake, each waited for', async () => {
    const asleep = await begin('sleep', 'l1', '--watch', '--json');
    Object.assign(server.launches.get('l1') ?? {}, { status: 'asleep', serving: null, sleepReason: 'asked' });
    assert.equal((await asleep.ended).code, 0);
    server.events.length = 0;
    const waking = await begin('wake', 'l1', '--watch');
    Object.assign(server.launches.get('l1') ?? {}, { status: 'running', serving: 2 });
    server.append('LaunchRunning', stream, { deployment: 2, startedInMs: 7 });
    const { code, stdout } = await waking.ended;
    assert.equal(code, 0);
    assert.match(stdout, /http:\/\/l1\.localhost/);
  });

  test('extend gives it time from now on', async () => {
    const { code, stdout } = await run('extend', 'l1', '--ttl', '2h');
    assert.equal(code, 0);
    assert.deepEqual(server.requests[0]?.body, { ttlSeconds: 7_200 });
    assert.match(stdout, /Launch l1 runs for 2h from now on/);
    assert.equal((await run('extend', 'l1', '--ttl', 'long')).code, 2);
  });

  test('deployments tell what each was for and how it ended', async () => {
    const list = [
      deployment(4, { status: 'coming', cause: 'redeploy', runningAt: null, goneAt: null }),
      deployment(3, { status: 'serving', cause: 'wake', goneAt: null }),
      deployment(2, { cause: 'redeploy', failure, runningAt: null }),
      deployment(1),
    ];
    server.launches.set('l1', launchRow('l1', 'shop', { ...running, deployments: list }));
    const { code, stdout } = await run('deployments', 'l1');
    assert.equal(code, 0);
    const lines = stdout.split('\n');
    assert.match(lines[1] ?? '', /^4 +coming +redeploy +444444444444 +build-4/);
    assert.match(lines[2] ?? '', /^3 +serving +wake/);
    assert.match(lines[3] ?? '', /^2 +failed +redeploy .*It ended \(exit code 3\)/);
    assert.match(lines[4] ?? '', /^1 +gone +start .*served for 2 min 0 s/);
    assert.equal(JSON.parse((await run('deployments', 'l1', '--json')).stdout).data.length, 4);
  });

  test('show says why it sleeps and what its last failure was', async () => {
    const because = '2 launches of all may run at once.';
    const asleep = { status: 'asleep', sleepReason: 'evicted', because, sleptAt: at, failure };
    server.launches.set('l1', launchRow('l1', 'shop', { ...running, ...asleep, serving: null }));
    const { stdout } = await run('show', 'l1');
    assert.match(stdout, /Because +others needed its room: 2 launches of all/);
    assert.match(stdout, /Last failure +It ended/);
    assert.match(stdout, /Sleeps +after 30 min 0 s without a visit/);
    assert.equal((await run('open', 'l1', '--print')).code, 0, 'a visit wakes it');
    assert.equal((await run('show', 'l1', '--watch')).code, 0, 'it has settled');
  });

  test('what nobody has, what is over, and what is misspelt', async () => {
    assert.equal((await run('redeploy', 'nobody')).code, 5);
    server.faults.push({ status: 409, code: 'launch/no-earlier-build', title: 'There is no earlier build' });
    const { code, stderr } = await run('rollback', 'l1');
    assert.equal(code, 6);
    assert.match(stderr, /There is no earlier build \(launch\/no-earlier-build\)/);
    assert.match((await run('rolback', 'l1')).stderr, /Did you mean: apphub launches rollback/);
    assert.match((await run('redeploy', 'l1', '--biuld', 'x')).stderr, /did you mean --build\?/);
    assert.match((await run('redeploy')).stderr, /<launch> is missing/);
  });
});
