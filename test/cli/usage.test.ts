/** What is used by the command line, asked of the real API. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { quotaIdOf } from '../../commands/derive-id.ts';
import { execute } from '../../commands/execute.ts';
import { quota } from '../../domain/apps/quota.ts';
import { usage } from '../../domain/apps/usage.ts';
import { readUsage } from '../../platform/usage-config.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub usage', async () => {
  const api = await startApi({
    reads: { usage: readUsage({ APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '60' }) },
  });
  after(() => api.close());
  const run = (...args: string[]) => runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  const at = new Date().toISOString();
  const metadata = () => {
    const cause = randomUUID();
    return { actor: 'workers', correlationId: cause, causationId: cause, time: at };
  };
  let launchId = '';
  before(async () => {
    await launchableApp(api, 'shop');
    launchId = (await api.write('POST', '/apps/shop/launches')).id;
    const data = { launchId, appId: 'shop', owner: 'operator', deployment: 1, isLast: false, at };
    const meters = { startedAt: `${at.slice(0, 10)}T00:00:00.000Z`, cpuMs: 61_500, memoryMbSeconds: 9_000 };
    const command = { type: 'ReadMeters', data: { ...data, ...meters } } as const;
    const { position } = await execute(api.store, usage, launchId, command, metadata());
    api.wrote(position ?? 0n);
    await api.read('/usage');
  });

  test('by app, with what may be used', async () => {
    const { code, stdout, stderr } = await run('usage');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^From \d{4}-\d{2}-01 until \d{4}-\d{2}-01\n/);
    assert.match(stdout, /CPU +61\.5 CPU-s\n/);
    assert.match(stdout, /Memory +2\.5 MB-h\n/);
    assert.match(stdout, /Quota +61\.5 CPU-s of 60 CPU-s\n/);
    assert.match(stdout, /\nAPP +CPU +MEMORY\nshop +61\.5 CPU-s +2\.5 MB-h/);
    const all = JSON.parse((await run('usage', '--all', '--json')).stdout).data;
    assert.deepEqual(all.owners, [{ owner: 'operator', cpuSeconds: 61.5, memoryMbHours: 2.5 }]);
    const wrong = await run('usage', '--period', 'yesterday');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /period/);
  });

  test('when it is used up that is said, and why nothing starts', async () => {
    const period = { from: at, until: new Date(Date.parse(at) + 90_000_000).toISOString() };
    const over = { resource: 'cpuMs', used: 61_500, max: 60_000 } as const;
    const data = { quotaId: quotaIdOf('operator'), owner: 'operator', at, ...over, ...period };
    const command = { type: 'ReachQuota', data } as const;
    api.wrote((await execute(api.store, quota, data.quotaId, command, metadata())).position ?? 0n);
    await api.read('/usage');
    assert.match((await run('usage')).stdout, /Quota .*; used up, free again in 1 d/);
    const { code, stderr } = await run('launches', 'start', 'shop');
    assert.notEqual(code, 0);
    assert.match(stderr, /used as much as they may for now/);
    assert.match(stderr, new RegExp(period.until));
  });

  test('of a launch just now, and by itself where nothing was read', async () => {
    assert.match((await run('launches', 'usage', launchId)).stdout, /No container of it was read lately/);
    await api.sql('worker_usage').insert({
      launch_id: launchId,
      deployment: 1,
      engine: 'default',
      started_at: at,
      read_at: new Date().toISOString(),
      counter_ms: 0,
      cpu_ms: 61_500,
      memory_mb_seconds: 9_000,
      cpus: 0.254,
      cpus_max: 0.5,
      memory_bytes: 5_000_000,
      memory_bytes_max: 256_000_000,
      processes: 3,
      processes_max: 128,
      recent: '[]',
      told_cpu_ms: 61_500,
      told_memory_mb_seconds: 9_000,
    });
    const { stdout } = await run('launches', 'usage', launchId);
    assert.match(stdout, /^Deployment 1, read /);
    assert.match(stdout, /CPU +0\.25 of 0\.5 cores\n/);
    assert.match(stdout, /Memory +5\.0 MB of 256\.0 MB\n/);
    assert.match(stdout, /Processes +3 of 128\n/);
    assert.match(stdout, /Used so far +61\.5 CPU-s, 2\.5 MB-h/);
  });
});
