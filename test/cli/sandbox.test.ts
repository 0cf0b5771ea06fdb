/** How an app is confined, from the command line. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type ApiServer, appRow, startApiServer } from '../support/api-server.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub apps sandbox', () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(() => server.close());
  beforeEach(() => {
    server.requests.length = 0;
    server.faults.length = 0;
    server.apps.set('shop', appRow('shop'));
  });
  const run = (...args: string[]) => runCli(['apps', 'sandbox', ...args], server.env);
  const put = () => server.requests.find(({ method }) => method === 'PUT');

  test('shows it where nothing is asked for', async () => {
    const { code, stdout } = await run('shop');
    assert.equal(code, 0);
    assert.match(stdout, /Speaks to +nobody\n +Root inside +never\n +Runtime +default/);
    assert.equal(put(), undefined);
    assert.deepEqual(JSON.parse((await run('shop', '--json')).stdout).data.egress, []);
  });

  test('changes what is named, and keeps the rest', async () => {
    const hosts = ['--egress', 'API.example.org', '--egress', '*.example.com:8443'];
    assert.equal((await run('shop', ...hosts, '--allow-root')).code, 0);
    const egress = ['api.example.org', '*.example.com:8443'];
    assert.deepEqual(put()?.body, { egress, allowRoot: true, runtime: 'default' });
    server.requests.length = 0;
    const { stdout, stderr } = await run('shop', '--runtime', 'runsc', '--no-allow-root');
    assert.deepEqual(put()?.body, { egress, allowRoot: false, runtime: 'runsc' });
    assert.match(stdout, /Speaks to +api\.example\.org, \*\.example\.com:8443/);
    assert.match(stderr, /counts for what is launched from now on/);
    server.requests.length = 0;
    await run('shop', '--egress', '');
    assert.deepEqual(put()?.body, { egress: [], allowRoot: false, runtime: 'runsc' });
  });

  test('what cannot be meant is said before anything is sent', async () => {
    for (const [args, why] of [
      [['--egress', '10.0.0.1'], /--egress is "10\.0\.0\.1"; it must be a host name such as/],
      [['--runtime', 'kata'], /--runtime is "kata"; it must be default or runsc/],
      [['--allow-root', '--no-allow-root'], /exclude each other/],
    ] as const) {
      const { code, stderr } = await run('shop', ...args);
      assert.equal(code, 2);
      assert.match(stderr, why);
    }
    assert.equal(server.requests.length, 0);
  });

  test('is no right of everybody', async () => {
    server.faults.push({ status: 403, code: 'forbidden', title: 'Needs the scope admin' });
    assert.equal((await run('shop', '--allow-root')).code, 4);
  });
});
