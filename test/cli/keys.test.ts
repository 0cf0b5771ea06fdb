import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { startApi } from '../support/api.ts';
import { startApiServer } from '../support/api-server.ts';
import { runCli } from '../support/run-cli.ts';

const ann = 'token-of-ann-0123456789';

suite('apphub keys', async () => {
  const operators = [{ subject: 'ann', token: ann, scopes: ['keys:write', 'apps:*'] }];
  const api = await startApi({ operators });
  after(() => api.close());
  const as =
    (token?: string) =>
    (...args: string[]) =>
      runCli(['keys', ...args], {
        APPHUB_URL: api.url,
        ...(token === undefined ? {} : { APPHUB_TOKEN: token }),
      });
  const run = as(ann);
  const statusOf = async (key: string) => (await api.ask('GET', '/apps', { token: key })).status;
  const settled = async () =>
    void (await api.write('POST', '/auth/api-keys', { name: 'z', scopes: ['apps:read'] }));

  test('create prints the key alone on standard output, good for what was said', async () => {
    const options = ['--scope', 'apps:read', '--scope', 'apps:launch', '--app', 'team-*', '--expires', '10m'];
    const { code, stdout, stderr } = await run('create', 'nightly', ...options);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^aph_[0-9A-Za-z]{71}\n$/);
    assert.match(stderr, /^Made key nightly: [0-9a-f-]{36}\. This is the only time it is shown\.\n$/);
    const { data } = (await api.ask('GET', '/auth/identity', { token: stdout.trim() })).body;
    assert.deepEqual([data.scopes, data.apps], [['apps:read', 'apps:launch'], ['team-*']]);
    const seconds = (Date.parse(data.expires) - Date.now()) / 1_000;
    assert.ok(seconds > 500 && seconds <= 600, data.expires);
    const never = await run('create', 'for ever', '--scope', 'apps:read', '--expires', 'never', '--json');
    const made = JSON.parse(never.stdout).data;
    assert.equal((await api.ask('GET', '/auth/identity', { token: made.key })).body.data.expires, null);
  });

  test('rotate and revoke do what they say at once', async () => {
    const made = JSON.parse((await run('create', 'turned', '--scope', 'apps:read', '--json')).stdout).data;
    const turned = await run('rotate', made.id, '--overlap', '1h');
    assert.equal(turned.code, 0, turned.stderr);
    const second = turned.stdout.trim();
    assert.deepEqual([await statusOf(made.key), await statusOf(second)], [200, 200]);
    const third = (await run('rotate', made.id)).stdout.trim();
    assert.deepEqual(await Promise.all([made.key, second, third].map(statusOf)), [401, 401, 200]);
    assert.equal((await run('revoke', made.id)).stdout, `Revoked key ${made.id}.\n`);
    assert.equal(await statusOf(third), 401);
    assert.equal((await run('rotate', made.id)).code, 6);
  });

  test('list shows whose they are and how they are, and no key', async () => {
    await run('create', 'listed', '--scope', 'apps:read', '--app', 'shop');
    await settled();
    await api.read('/auth/api-keys');
    const { code, stdout } = await run('list');
    assert.equal(code, 0);
    assert.match(stdout, /^KEY +OWNER +NAME +STATUS +SCOPES +APPS +HINT +ENDS +LAST USED\n/);
    assert.match(stdout, /ann +listed +active +apps:read +shop +….{4} +in \d+ d +-\n/);
    assert.match(stdout, /ann +turned +revoked/);
    assert.doesNotMatch(stdout, /aph_|operator/);
    const all = await as('operator-of-the-tests')('list', '--all', '--json', '-n', '1');
    assert.equal(JSON.parse(all.stdout).data[0].owner, 'operator');
    assert.equal((await run('list', '--all')).code, 4);
  });

  test('a key is asked for once, so that no second one is made that nobody has seen', async () => {
    const server = await startApiServer();
    server.faults.push('reset', 'reset');
    const { code, stdout } = await runCli(['keys', 'create', 'k', '--scope', 'apps:read'], server.env);
    await server.close();
    assert.deepEqual([code, stdout], [3, '']);
    assert.equal(server.requests.length, 1);
    assert.equal(server.requests[0]?.key, undefined);
  });

  test('what cannot be meant is said', async () => {
    for (const [args, code, why] of [
      [['create', 'k'], 2, /--scope is missing/],
      [['create', 'k', '--scope', 'apps:read', '--expires', 'soon'], 2, /--expires is "soon"; write seconds/],
      [['create', 'k', '--scope', 'apps:reed'], 2, /scopes\.0/],
      [['create', 'k', '--scope', 'admin'], 4, /A key cannot do more than its maker/],
      [['revoke', '0199c0de-0000-7000-8000-000000000000'], 5, /nothing|no /i],
    ] as const) {
      const ended = await run(...args);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, why);
    }
    assert.equal((await as('nobody-has-this-token')('list')).code, 4);
  });
});
