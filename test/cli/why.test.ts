/** Which event set what, by the command line, asked of the real API. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub why', async () => {
  const api = await startApi();
  after(() => api.close());
  const run = (...args: string[]) => runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  before(async () => {
    await launchableApp(api, 'shop');
    await api.write('PATCH', '/apps/shop', { name: 'Shop 2' });
    await api.read('/apps/shop/history');
  });

  test('each value with its event, and one with all its changes', async () => {
    const { code, stdout, stderr } = await run('why', 'apps/shop');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^FIELD +VALUE +SINCE +BY +EVENT +POSITION +THROUGH\n/);
    assert.match(stdout, /\nname +Shop 2 .* operator +RepositoryChanged +\d+ +PATCH \/apps\/:appId\n/);
    const one = (await run('why', 'show', 'apps/shop', 'name')).stdout.trimEnd().split('\n');
    assert.deepEqual(
      one.slice(1).map(line => line.split(/ {2,}/)[0]),
      ['Shop 2', 'shop'],
    );
    const { data } = JSON.parse((await run('why', 'apps/shop', 'archived', '--json')).stdout);
    assert.deepEqual(
      data.map(({ field, value }: { field: string; value: unknown }) => [field, value]),
      [['archived', false]],
    );
  });

  test('an event with what it began with', async () => {
    const [first] = (await api.read('/apps/shop/history')).data.slice(-1);
    const { stdout } = await run('why', `events/${first.position}`);
    assert.match(
      stdout,
      /^POST \/apps\n {2}RepositoryRegistered {2}\d+ {2}.* by operator {2}apps\.repository-shop\n/,
    );
  });

  test('what is nothing is said to be', async () => {
    for (const words of [
      ['why', 'shop'],
      ['why', 'events/1', 'name'],
      ['why', 'apps/shop/x'],
    ]) {
      assert.equal((await run(...words)).code, 2, words.join(' '));
    }
    assert.match((await run('why', '--help')).stdout, /show <thing> \[<field>\]/);
    assert.notEqual((await run('why', 'apps/nobody')).code, 0);
  });
});
