/** The tables by the command line, asked of the real API with the real projector and the real self-audit. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { projections } from '../../projections/index.ts';
import { selfAudit } from '../../projections/self-audit.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { runCli } from '../support/run-cli.ts';

const waitMsMax = 30_000;

suite('apphub projections', async () => {
  const api = await startApi();
  const stop = new AbortController();
  const log = { info: () => undefined, error: () => undefined };
  const report = { diverged: async () => undefined, repaired: async () => undefined };
  const { sql, store } = api;
  const deps = { sql, store, projections, report, log, percent: 100, everySeconds: 0.05 };
  const auditing = selfAudit({ ...deps, signal: stop.signal });
  after(async () => {
    stop.abort();
    await auditing;
    await api.close();
  });
  const run = (...args: string[]) =>
    runCli(['projections', ...args], { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  const until = async (what: string, met: () => Promise<boolean>) => {
    for (const giveUp = Date.now() + waitMsMax; !(await met()); )
      assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
  };
  await launchableApp(api, 'todo');

  test('each is listed with its events and how the self-audit stands', async () => {
    await until('the first round', async () => !/beginning|off/.test((await run('list')).stdout));
    const { code, stdout } = await run();
    assert.equal(code, 0);
    const [head = '', ...rows] = stdout.trimEnd().split('\n');
    assert.match(head, /^PROJECTION +VERSION +TABLES +EVENTS +BESIDE +SELF-AUDIT$/);
    assert.equal(rows.length, projections.length);
    assert.match(
      rows.find(row => row.startsWith('apps_builds ')) ?? '',
      / \d+ +1 +\d+ +- +sound .*\d rows?$/,
    );
    const { data } = JSON.parse((await run('list', '--json')).stdout);
    assert.ok(data.every((one: { events: number }) => one.events === data[0].events && one.events > 3));
  });

  test('one is rebuilt and rolled back, and it is said how that went', async () => {
    const rebuilt = await run('rebuild', 'apps_builds');
    assert.equal(rebuilt.code, 0, rebuilt.stderr);
    assert.match(rebuilt.stdout, /^apps_builds {2}shown, generation 2$/m);
    const back = await run('rollback', 'apps_builds');
    assert.match(back.stdout, /^apps_builds {2}shown, generation 1$/m);
    const none = await run('rollback', 'apps_tags');
    assert.deepEqual([none.code, none.stdout], [6, '']);
    assert.match(none.stderr, /no tables of apps_tags to go back to/);
  });

  test('all are rebuilt at once', async () => {
    const { code, stdout, stderr } = await run('rebuild', '--all');
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^${projections.length} projections shown\\.$`, 'm'));
    const { data } = await api.read('/projections');
    assert.ok(data.every((one: { generation: number }) => one.generation >= 2));
  });

  test('what the self-audit found is listed and repaired', async () => {
    const { generation } = await sql('projection_checkpoints').where({ name: 'apps_repositories' }).first();
    await sql(`p_apps_repositories_${generation}.apps_repositories`).update({ owner: 'mallory' });
    await until('the finding', async () => (await sql('projection_divergences')).length === 1);
    const found = await run('divergences', 'apps_repositories');
    assert.match(found.stdout, /^apps_repositories +app_id=todo +changed +owner +\d+ +\d+ +/m);
    assert.match((await run()).stdout, /^apps_repositories .* 1 row wrong$/m);
    const repaired = await run('repair', 'apps_repositories');
    assert.deepEqual(
      [repaired.code, repaired.stdout],
      [0, 'The rows of apps_repositories are what the log says.\n'],
    );
    assert.equal((await sql('apps_repositories').first('owner')).owner, null);
    assert.match((await run('divergences', 'apps_repositories')).stderr, /No row is known/);
  });

  test('a rebuild beside damaged rows is not shown, and it is said why', async () => {
    const { generation } = await sql('projection_checkpoints').where({ name: 'apps_builds' }).first();
    await sql(`p_apps_builds_${generation}.apps_builds`).update({ cause: 'nobody' });
    const { code, stdout } = await run('rebuild', 'apps_builds');
    assert.equal(code, 1);
    assert.match(stdout, /^apps_builds {2}not shown: Its rows differ from the live ones in apps_builds\.$/m);
  });

  test('names are needed, and known', async () => {
    assert.equal((await run('rebuild')).code, 2);
    assert.equal((await run('rebuild', 'apps_builds', '--all')).code, 2);
    assert.equal((await run('rebuild', 'nothing')).code, 5);
    assert.equal((await run('divergences', 'nothing')).code, 5);
  });
});
