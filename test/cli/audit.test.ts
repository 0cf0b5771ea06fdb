import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { operatorToken, startApi } from '../support/api.ts';
import { runCli, startCli } from '../support/run-cli.ts';

const ann = 'token-of-ann-0123456789';
const repoUrl = 'https://git.example/team/app.git';

suite('apphub audit', async () => {
  const operators = [{ subject: 'ann', token: ann, scopes: ['apps:read'] }];
  const api = await startApi({ operators, records: true });
  after(() => api.close());
  const env = { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken };
  const run = (...args: string[]) => runCli(['audit', ...args], env);
  before(async () => {
    await api.write('POST', '/apps', { id: 'shop', name: 'Shop', repoUrl });
    await api.write('PATCH', '/apps/shop', { name: 'Shop!' });
    await api.read('/apps');
  });

  test('shows what was done, newest first, with or without its verb', async () => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    const [head = '', ...rows] = stdout.trimEnd().split('\n');
    assert.match(head, /^AT +ACTOR +ACTION +TARGET +OUTCOME +FROM$/);
    assert.match(
      rows[0] ?? '',
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +operator +RepositoryChanged +apps\/shop +succeeded +127/,
    );
    assert.match(rows[1] ?? '', /RepositoryRegistered/);
    assert.equal((await run('list')).stdout, stdout);
    assert.match((await run('--help')).stdout, /Usage: apphub audit <verb>/);
    const { data, meta } = JSON.parse((await run('--json', '-n', '1')).stdout);
    assert.equal(data[0].action, 'RepositoryChanged');
    assert.ok(meta.nextCursor !== null);
  });

  test('each filter goes along', async () => {
    const actions = async (...args: string[]) =>
      JSON.parse((await run(...args, '--json')).stdout).data.map((entry: { action: string }) => entry.action);
    assert.deepEqual(await actions('--action', '*Registered*'), []);
    assert.deepEqual(await actions('--action', 'RepositoryR*'), ['RepositoryRegistered']);
    assert.deepEqual(await actions('--actor', 'ann'), []);
    assert.equal((await actions('--target', 'apps/*', '--outcome', 'succeeded')).length, 2);
    assert.deepEqual(await actions('--outcome', 'refused'), []);
    assert.deepEqual(await actions('--from', '2126-01-01T00:00:00Z'), []);
    assert.deepEqual(await actions('--to', '2026-01-01T00:00:00Z'), []);
    assert.match((await run('--actor', 'ann')).stderr, /Nothing like that is recorded\./);
  });

  test('follow goes on with what comes, each once and oldest first', async () => {
    const cli = startCli(['audit', '--follow', '--target', 'apps/*'], env);
    await cli.seen(/RepositoryChanged/);
    assert.equal((await api.ask('DELETE', '/apps/shop', { token: ann })).status, 403);
    await cli.seen(/forbidden/);
    await api.write('DELETE', '/apps/shop');
    await cli.seen(/RepositoryArchived/);
    cli.child.kill('SIGINT');
    const { code, stdout } = await cli.ended;
    assert.equal(code, 130);
    assert.deepEqual(
      stdout
        .trimEnd()
        .split('\n')
        .map(line => line.split('  ').slice(1, 5).join('|')),
      [
        'operator|RepositoryRegistered|apps/shop|succeeded',
        'operator|RepositoryChanged|apps/shop|succeeded',
        'ann|DELETE /apps/:appId|apps/shop|forbidden',
        'operator|RepositoryArchived|apps/shop|succeeded',
      ],
    );
  });

  test('the log tells the same in words, without digests', async () => {
    await api.write('POST', '/auth/api-keys', { name: 'k', scopes: ['apps:read'] });
    const { stdout } = await runCli(['log', 'show', '--from', 'start', '--streams', 'access.'], env);
    assert.match(stdout, /API key k of operator made/);
    assert.match(stdout, /ann refused 1×: DELETE \/apps\/:appId \(forbidden\)/);
    assert.doesNotMatch(stdout, /[0-9a-f]{64}/);
  });

  test('what cannot be meant, and what is not allowed, is said', async () => {
    assert.match((await run('--from', 'yesterday')).stderr, /from/);
    assert.equal((await run('--outcome', 'sucess')).code, 2);
    assert.equal((await run('--follow', '--to', '2026-01-01T00:00:00Z')).code, 2);
    assert.equal((await run('lits')).code, 2);
    assert.equal((await runCli(['audit'], { ...env, APPHUB_TOKEN: ann })).code, 4);
  });
});
