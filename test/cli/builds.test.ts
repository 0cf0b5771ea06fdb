import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type ApiServer, appRow, buildRow, startApiServer } from '../support/api-server.ts';
import { runCli, startCli, until } from '../support/run-cli.ts';

suite('apphub builds', () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(() => server.close());
  beforeEach(() => {
    server.apps.clear();
    server.builds.clear();
    server.events.length = 0;
    server.requests.length = 0;
    server.faults.length = 0;
    server.apps.set('shop', appRow('shop'));
  });
  const run = (...args: string[]) => runCli(['builds', ...args], server.env);

  test('start --watch ends with 0 when the image is there', async () => {
    const cli = startCli(['builds', 'start', 'shop', '--commit', 'ab'.repeat(20), '--watch'], server.env);
    await until(() => server.builds.has('build-1'));
    assert.deepEqual(server.requests[0]?.body, { commit: 'ab'.repeat(20) });
    server.append('BuildStarted', 'apps.build-build-1', { attempt: 1 });
    await cli.seen(/building, attempt 1/);
    const image = { image: 'apphub/shop:abababababab', bytes: 12_345_678, durationMs: 65_000 };
    server.builds.set('build-1', buildRow('build-1', 'shop', { status: 'succeeded', ...image }));
    server.append('BuildSucceeded', 'apps.build-build-1', image);
    const { code, stdout, stderr } = await cli.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /built apphub\/shop:abababababab \(12\.3 MB\) in 1 min 5 s/);
    assert.match(stdout, /Build build-1 of shop {2}succeeded in 1 min 5 s/);
  });

  test('retry --watch ends with 1 when a step fails, and says which', async () => {
    server.builds.set('old', buildRow('old', 'shop', { status: 'failed' }));
    const cli = startCli(['builds', 'retry', 'old', '-w'], server.env);
    await until(() => server.builds.has('build-2'));
    const failure = { reason: 'exit code 7', step: 2, instruction: 'RUN make' };
    server.builds.set('build-2', buildRow('build-2', 'shop', { status: 'failed', failure }));
    server.append('BuildFailed', 'apps.build-build-2', { ...failure, durationMs: 10 });
    const { code, stdout } = await cli.ended;
    assert.equal(code, 1);
    assert.match(stdout, /build failed at step 2 \(RUN make\): exit code 7/);
  });

  test('a build that was over before the watch could see it ends it all the same', async () => {
    server.builds.set('old', buildRow('old', 'shop', { status: 'cancelled' }));
    const { code, stdout } = await run('show', 'old', '--watch');
    assert.equal(code, 1);
    assert.match(stdout, /Build old of shop {2}cancelled/);
  });

  test('a queued build says what it waits for', async () => {
    server.builds.set('old', buildRow('old', 'shop', { waitingFor: 'there is no Docker engine' }));
    const cli = startCli(['builds', 'show', 'old', '--watch'], server.env);
    await cli.seen(/Waiting, 1st in the queue: there is no Docker engine/);
    server.append('BuildCancelled', 'apps.build-old');
    assert.equal((await cli.ended).code, 1);
  });

  test('superseded builds end a watch with 1, and say by what', async () => {
    server.builds.set('old', buildRow('old', 'shop', { args: { A: '1', B: 'x y' } }));
    const cli = startCli(['builds', 'show', 'old', '--watch'], server.env);
    await cli.seen(/Waiting, 1st in the queue/);
    const by = { buildId: 'new', commit: 'ab'.repeat(20) };
    server.builds.set('old', buildRow('old', 'shop', { status: 'superseded', supersededBy: by }));
    server.append('BuildSuperseded', 'apps.build-old', { by });
    const { code, stdout } = await cli.ended;
    assert.equal(code, 1);
    assert.match(stdout, /given up for that of abababababab/);
    assert.match(stdout, /Instead +build new of the newer commit abababababab/);
  });

  test('Ctrl-C ends a watch with 130 and no words', async () => {
    server.builds.set('old', buildRow('old', 'shop', { status: 'running' }));
    const watching = startCli(['builds', 'show', 'old', '--watch'], server.env);
    await until(() => server.sockets.size === 1);
    watching.child.kill('SIGINT');
    const { code, signal, stderr } = await watching.ended;
    assert.deepEqual([code, signal, stderr], [130, null, '']);
  });

  test('logs -f goes on where the connection broke, without a byte lost or repeated', async () => {
    server.builds.set('old', buildRow('old', 'shop'));
    const chunks = ['Step 1 : FROM häuser\n', 'hälf a ', 'line\n\u001b[31mred\u001b[0m\n', 'end'];
    server.logs.set('old', chunks);
    server.breakLogAfter = 2;
    const { code, stdout, stderr } = await run('logs', '-f', 'old');
    assert.equal(code, 0, stderr);
    assert.equal(stdout, chunks.join(''));
    const offsets = server.requests.map(({ query }) => [query.get('offset'), query.get('follow')]);
    const got = Buffer.byteLength(chunks.slice(0, 2).join(''));
    assert.deepEqual(offsets, [
      ['0', 'true'],
      [String(got), 'true'],
    ]);
  });

  test('logs --json is a record a line, and --offset enters in the middle', async () => {
    server.builds.set('old', buildRow('old', 'shop'));
    server.logs.set('old', ['one\ntwo\n', 'three']);
    const { stdout } = await run('logs', 'old', '--json', '--offset', '4');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).line);
    assert.deepEqual(lines, ['two', 'three']);
  });

  test('list shows builds of all apps or of one', async () => {
    server.builds.set('b1', buildRow('b1', 'shop', { status: 'succeeded', durationMs: 3_200, bytes: 999 }));
    server.builds.set('b2', buildRow('b2', 'other', { waitingFor: 'no Docker engine' }));
    const all = await run('list');
    assert.match(all.stdout, /b2 +other +queued 1st/);
    assert.match(all.stdout, /b1 +shop +succeeded +0123456789ab +3\.2 s +999 B/);
    assert.match(all.stderr, /Queued builds wait: no Docker engine/);
    assert.doesNotMatch((await run('list', 'shop')).stdout, /b2/);
    assert.doesNotMatch((await run('list', '--status', 'queued')).stdout, /b1/);
  });

  test('cancel of a finished build is a conflict: 6, with what the server says', async () => {
    server.faults.push({
      status: 409,
      code: 'build/already-finished',
      title: 'The build has already finished',
    });
    const { code, stderr } = await run('cancel', 'old');
    assert.equal(code, 6);
    assert.match(stderr, /The build has already finished \(build\/already-finished\)/);
  });
});
