import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type ApiServer, appRow, launchRow, startApiServer } from '../support/api-server.ts';
import { runCli, startCli, until } from '../support/run-cli.ts';

suite('apphub launches', () => {
  let server: ApiServer;
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
  });
  const run = (...args: string[]) => runCli(['launches', ...args], server.env);

  test('start --watch prints the address when it runs', async () => {
    const options = [
      '-e',
      'MODE=demo',
      '-e',
      'QUERY=a=b',
      '--profile',
      'small',
      '--ttl',
      '10m',
      '--port',
      '8080',
      ...['--access', 'public', '--idle', 'never', '--restart', 'no', '--health-path', '/up'],
    ];
    const cli = startCli(
      ['launches', 'start', 'shop', '--build', 'build-9', ...options, '--watch'],
      server.env,
    );
    await until(() => server.launches.has('launch-1'));
    assert.deepEqual(server.requests[0]?.body, {
      buildId: 'build-9',
      env: [
        { key: 'MODE', value: 'demo' },
        { key: 'QUERY', value: 'a=b' },
      ],
      resourceProfile: 'small',
      ttlSeconds: 600,
      port: 8080,
      access: 'public',
      idleSeconds: null,
      restart: 'no',
      healthPath: '/up',
    });
    server.launches.set('launch-1', launchRow('launch-1', 'shop', { status: 'running' }));
    server.append('LaunchRunning', 'apps.launch-launch-1', { startedInMs: 420 });
    const { code, stdout, stderr } = await cli.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /running after 420 ms\nhttp:\/\/launch-1\.localhost:4000\/\n$/);
  });

  test('start --watch fails with the last lines of an app that does not come up', async () => {
    const cli = startCli(['launches', 'start', 'shop', '--watch'], server.env);
    await until(() => server.launches.has('launch-1'));
    const failure = {
      reason: 'It ended before it answered',
      exitCode: 3,
      oomKilled: false,
      lastLines: ['boom\u001b[2J', 'bye'],
      at: '2026-01-02T03:04:05.000Z',
      isLoop: true,
    };
    server.launches.set('launch-1', launchRow('launch-1', 'shop', { status: 'failed', failure }));
    server.append('LaunchFailed', 'apps.launch-launch-1', failure);
    const { code, stdout } = await cli.ended;
    assert.equal(code, 1);
    assert.match(stdout, /Exit code +3\n {2}Crash loop +yes.*\n {4}boom\n {4}bye/);
  });

  test('stop --watch waits until it is gone', async () => {
    server.launches.set('l1', launchRow('l1', 'shop', { status: 'running' }));
    const cli = startCli(['launches', 'stop', 'l1', '--watch'], server.env);
    await until(() => server.events.length > 0);
    server.append('LaunchStopped', 'apps.launch-l1');
    const { code, stdout } = await cli.ended;
    assert.equal(code, 0);
    assert.match(stdout, /stopped/);
  });

  test('open prints an address that lets its reader in, of a launch that is not over', async () => {
    server.launches.set('l1', launchRow('l1', 'shop', { status: 'asleep' }));
    server.launches.set('l2', launchRow('l2', 'shop', { status: 'stopped' }));
    const opened = await run('open', 'l1', '--print');
    assert.deepEqual([opened.code, opened.stdout], [0, 'http://l1.localhost:4000/?__apphub_grant=apg1\n']);
    assert.match((await run('open', 'l1', '--print', '--path', '/x')).stdout, /4000\/x\?/);
    assert.equal(server.requests.at(-1)?.key, undefined, 'no answer of it is kept anywhere');
    const { code, stderr } = await run('open', 'l2');
    assert.equal(code, 1);
    assert.match(stderr, /Launch l2 is stopped/);
  });

  test('share makes a link, and revoke-links ends them all', async () => {
    server.launches.set('l1', launchRow('l1', 'shop', { status: 'running' }));
    const shared = await run('share', 'l1', '--ttl', '2h');
    assert.equal(shared.stdout, 'http://l1.localhost:4000/?__apphub_grant=apg1.l\n');
    assert.match(shared.stderr, /good until 2126-01-02T03:04:05.000Z/);
    assert.deepEqual(server.requests.at(-1)?.body, { ttlSeconds: 7_200 });
    assert.equal(JSON.parse((await run('share', 'l1', '--json')).stdout).data.id, 'link-1');
    const revoked = await run('revoke-links', 'l1');
    assert.equal(revoked.code, 0);
    assert.match(revoked.stderr + revoked.stdout, /No link to launch l1 is good any more/);
    assert.equal(server.requests.at(-1)?.method, 'DELETE');
  });

  test('logs asks for the tail and passes the bytes on', async () => {
    server.launches.set('l1', launchRow('l1', 'shop', { status: 'running' }));
    server.logs.set('l1', ['listening\n', 'GET /\n']);
    const { code, stdout } = await run('logs', 'l1', '-f', '--tail', '50');
    assert.equal(code, 0);
    assert.equal(stdout, 'listening\nGET /\n');
    assert.equal(server.requests[0]?.query.get('tail'), '50');
    assert.equal(server.requests[0]?.query.get('offset'), null);
  });

  test('list and show say what is running and until when', async () => {
    const env = [{ key: 'MODE', value: 'demo' }];
    server.launches.set('l1', launchRow('l1', 'shop', { status: 'running', env }));
    assert.match((await run('list')).stdout, /l1 +shop +running .*in \d+ d +http:\/\/l1\.localhost/);
    assert.match((await run('show', 'l1')).stdout, /Variables +MODE=demo/);
    assert.equal(JSON.parse((await run('show', 'l1', '--json')).stdout).data.id, 'l1');
  });

  test('what cannot be meant is said before anything is sent', async () => {
    for (const [args, why] of [
      [['--ttl', 'soon'], /--ttl is "soon"; write seconds, or 10m, 2h, 7d/],
      [['--env', 'MODE'], /"MODE" is not a variable; write KEY=value/],
      [['--access', 'all'], /--access is "all"; it must be private or public/],
      [['--restart', 'yes'], /--restart is "yes"; it must be no or on-failure/],
      [['--idle', 'later'], /--idle is "later"; write seconds/],
      [['--port', '70000'], /--port is "70000"; it must be a whole number from 1 to 65535/],
    ] as const) {
      const { code, stderr } = await run('start', 'shop', ...args);
      assert.equal(code, 2);
      assert.match(stderr, why);
    }
    assert.equal(server.requests.length, 0);
  });
});
