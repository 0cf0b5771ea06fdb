/** `apphub upgrade check` beside a hub that runs, beside nothing, and killed in the middle; and what a start makes of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openPostgres } from '../../platform/postgres.ts';
import type { UpgradeReport } from '../../projections/check.ts';
import { projections } from '../../projections/index.ts';
import { runE2E } from '../support/e2e.ts';
import { makeHub } from '../support/stack.ts';

const noEngine = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' };

runE2E('an upgrade is checked while the hub runs, and refused where it is not explained', async e2e => {
  const hub = makeHub(e2e, noEngine);
  await hub.start();
  const parts = JSON.parse(readFileSync(path.join(hub.dataDir, 'parts.json'), 'utf8'));
  const sql = openPostgres(parts.databaseUrl);
  const append = (id: string) =>
    hub.ask('POST', '/apps', { id, name: id, repoUrl: `https://git.example/${id}.git` });
  for (let n = 0; n < 20; n += 1) assert.equal((await append(`app${n}`)).status, 201);
  const checked = async (): Promise<{ code: number | null; report: UpgradeReport }> => {
    const { code, stdout, stderr } = await hub.cli('upgrade', 'check', '--json');
    assert.ok(stdout.startsWith('{'), stderr);
    return { code, report: JSON.parse(stdout).data };
  };
  const leftovers = async () =>
    (await sql.raw(`select 1 from pg_namespace where nspname like 'p\\_%\\_-1'`)).rows.length;

  const first = await checked();
  assert.equal(first.code, 0, JSON.stringify(first.report));
  assert.deepEqual(
    first.report.findings.map(one => [one.projection, one.result]),
    projections.map(({ name }) => [name, 'equal']),
  );
  assert.ok(first.report.events >= 40);
  const said = await hub.cli('upgrade');
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stdout, /apps_repositories +the same +yes/);
  assert.match(said.stdout, /this version may take over/);
  assert.equal(await leftovers(), 0);

  const entry = path.resolve(import.meta.dirname, '../../cli/apphub.js');
  const killed = spawn(process.execPath, [entry, 'upgrade', 'check'], {
    env: { PATH: process.env.PATH, HOME: hub.dataDir, APPHUB_DATA_DIR: hub.dataDir },
    stdio: 'ignore',
  });
  e2e.registerCleanup('check', () => killed.kill('SIGKILL'));
  await e2e.eventually(async () => assert.ok((await leftovers()) > 0));
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  assert.ok((await leftovers()) > 0);
  assert.equal((await checked()).code, 0);
  assert.equal(await leftovers(), 0);

  // Somebody has changed a row by hand: the code does not explain that.
  await sql('p_apps_repositories_1.apps_repositories').where({ app_id: 'app3' }).update({ name: 'Another' });
  const wrong = await checked();
  assert.equal(wrong.code, 1);
  const finding = wrong.report.findings.find(one => one.projection === 'apps_repositories');
  assert.deepEqual([finding?.result, finding?.isExplained], ['rows', false]);
  assert.deepEqual(finding?.rows, [
    { table: 'apps_repositories', key: '{"app_id":"app3"}', columns: ['name'] },
  ]);
  await sql.destroy();
  assert.equal(await hub.stop(), 0);
  const alone = await checked();
  assert.equal(alone.code, 1, 'no hub is needed');
  const refused = await hub.cli('start');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /apps_repositories: Other rows in apps_repositories, and the same version/);
  assert.match(refused.stderr, /--unchecked/);
  await hub.start(['--unchecked']);
  assert.equal(await hub.stop(), 0);
});
