import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type ApiServer, appRow, startApiServer } from '../support/api-server.ts';
import { runCli, startCli, until } from '../support/run-cli.ts';

suite('apphub log', () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(() => server.close());
  beforeEach(() => {
    server.events.length = 0;
    server.streamQueries.length = 0;
    server.repeats = false;
  });
  const positionsIn = (stdout: string) =>
    stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line).position);

  test('tail goes on behind the last event when the stream is cut: none lost, none twice', async () => {
    server.append('BuildRequested', 'apps.build-1', { commit: 'ab', cause: 'manual' });
    server.append('LaunchRequested', 'apps.launch-1', { image: 'x' });
    const args = [
      'log',
      'tail',
      '--from',
      'start',
      '--types',
      'Build*',
      '--streams',
      'apps.build-',
      '--json',
      '-n',
      '4',
    ];
    const cli = startCli(args, server.env);
    await cli.seen(/"position":"100"/);
    await until(() => server.sockets.size === 1);
    server.append('BuildStarted', 'apps.build-1', { attempt: 1 });
    await cli.seen(/"position":"300"/);
    server.repeats = true;
    server.cutStreams(1013, 'resume after 300');
    await until(() => server.sockets.size === 0);
    server.append('BuildFailed', 'apps.build-1', { reason: 'x' });
    await until(() => server.sockets.size === 1);
    server.append('BuildRequested', 'apps.build-2', {});
    const { code, stdout, stderr } = await cli.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(positionsIn(stdout), ['100', '300', '400', '500']);
    assert.deepEqual(
      server.streamQueries.map(query => query.get('from')),
      ['start', '300'],
    );
    assert.equal(server.streamQueries[0]?.get('types'), 'Build*');
    assert.equal(server.streamQueries[0]?.get('streams'), 'apps.build-');
  });

  test('tail from now asks for no past, and Ctrl-C ends it with 130', async () => {
    server.append('BuildStarted', 'apps.build-1', { attempt: 1 });
    const cli = startCli(['log', 'tail'], server.env);
    await until(() => server.sockets.size === 1);
    server.append('BuildFailed', 'apps.build-1', { reason: 'no\u001b[2J space', step: 3 });
    await cli.seen(
      /200 {2}03:04:05 {2}BuildFailed {2}apps\.build-1 {2}build failed at step 3: no space {2}\(operator\)/,
    );
    cli.child.kill('SIGINT');
    const { code, signal, stdout, stderr } = await cli.ended;
    assert.deepEqual([code, signal, stderr], [130, null, '']);
    assert.doesNotMatch(stdout, /BuildStarted/);
  });

  test('tail ends quietly when its reader has seen enough', async () => {
    for (let count = 0; count < 2_000; count++)
      server.append('BuildStarted', 'apps.build-1', { attempt: count });
    const cli = startCli(['log', 'tail', '--from', 'start'], server.env);
    await cli.seen(/BuildStarted/);
    cli.child.stdout?.destroy();
    await until(() => server.sockets.size === 1);
    server.append('BuildFailed', 'apps.build-1', {});
    const { code, stderr } = await cli.ended;
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('show ends where the log ends, or after so many', async () => {
    for (let count = 0; count < 5; count++) server.append('BuildStarted', 'apps.build-1', { attempt: count });
    const all = await runCli(['log', 'show', '--json'], server.env);
    assert.deepEqual(positionsIn(all.stdout), ['100', '200', '300', '400', '500']);
    const some = await runCli(['log', 'show', '--from', '200', '-n', '2', '--json'], server.env);
    assert.deepEqual(positionsIn(some.stdout), ['300', '400']);
  });

  test('show of an app is its history', async () => {
    server.apps.set('shop', appRow('shop'));
    server.append('RepositoryArchived', 'apps.repository-shop');
    const { stdout } = await runCli(['log', 'show', 'shop'], server.env);
    assert.match(stdout, /archived +RepositoryArchived +operator/);
    const { code, stderr } = await runCli(['log', 'show', 'shop', '--from', '1'], server.env);
    assert.equal(code, 2);
    assert.match(stderr, /--from does not go with the history of one app/);
  });

  test('a token nobody has is 4, by the answer and by the close', async () => {
    const stranger = { ...server.env, APPHUB_TOKEN: 'wrong' };
    const refused = await runCli(['log', 'tail'], stranger);
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /Nobody has this token \(unauthorized\)/);
    const cli = startCli(['log', 'tail'], server.env);
    await until(() => server.sockets.size === 1);
    server.cutStreams(4401, 'unauthorized');
    assert.equal((await cli.ended).code, 4);
  });

  test('a position that is none is refused before anything is sent', async () => {
    const { code, stderr } = await runCli(['log', 'tail', '--from', 'yesterday'], server.env);
    assert.equal(code, 2);
    assert.match(stderr, /--from is "yesterday"; it must be a position, or start/);
  });
});
