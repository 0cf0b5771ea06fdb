/** What launches have used, as it is read: one's own, everybody's for administrators, and what is refused beyond a quota. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { quotaIdOf } from '../../../commands/derive-id.ts';
import { execute } from '../../../commands/execute.ts';
import { type QuotaCommand, quota } from '../../../domain/apps/quota.ts';
import { type UsageCommand, usage } from '../../../domain/apps/usage.ts';
import { readUsage } from '../../../platform/usage-config.ts';
import { startApi } from '../../support/api.ts';
import { launchableApp } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const now = '2026-03-10T12:00:00.000Z';

suite('what is used', { concurrency: 1 }, async () => {
  const limits = {
    APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '60',
    APPHUB_QUOTA_MEMORY_MB_HOURS: '5000',
  };
  const api = await startApi({
    clock: { now: () => now, newId: randomUUID },
    operators: [
      { subject: 'ann', token: 'a-token-of-ann-1234', scopes: ['apps:*'] },
      { subject: 'bob', token: 'a-token-of-bob-1234', scopes: ['apps:*'], apps: ['shop'] },
    ],
    reads: { usage: readUsage(limits) },
  });
  after(() => api.close());

  const ask = (place: string, token: string) => api.ask('GET', place, { token });
  const metadata = () => {
    const cause = randomUUID();
    return { actor: 'workers', correlationId: cause, causationId: cause, time: now };
  };
  const used = async (launchId: string, more: Partial<UsageCommand['data']>) => {
    const data = { launchId, appId: 'shop', owner: 'ann', deployment: 1, isLast: false };
    const meters = { startedAt: '2026-03-09T00:00:00.000Z', at: now, cpuMs: 0, memoryMbSeconds: 0 };
    const command = { type: 'ReadMeters', data: { ...data, ...meters, ...more } } as const;
    const { position } = await execute(api.store, usage, launchId, command, metadata());
    api.wrote(position ?? 0n);
  };
  const quotaOf = async (owner: string | null, command: QuotaCommand) => {
    const { position } = await execute(api.store, quota, quotaIdOf(owner), command, metadata());
    api.wrote(position ?? 0n);
  };

  let launchId = '';
  before(async () => {
    await launchableApp(api, 'shop');
    await launchableApp(api, 'other');
    const body = await api.ask('POST', '/apps/shop/launches', { token: 'a-token-of-ann-1234' });
    launchId = body.body.data.id;
    api.wrote(BigInt(body.body.data.position));
    await used(launchId, { cpuMs: 12_345, memoryMbSeconds: 7_200 });
    await used(randomUUID(), { appId: 'other', cpuMs: 1_000, startedAt: '2026-03-10T00:00:00.000Z' });
    await used(randomUUID(), { owner: 'bob', cpuMs: 5_000 });
    await used(randomUUID(), { cpuMs: 7_000, startedAt: '2026-02-28T23:00:00.000Z' });
    await api.read('/healthz');
    await api.read('/usage');
  });

  test('is one’s own by app and day, in the present period', async () => {
    const { data } = (await ask('/usage', 'a-token-of-ann-1234')).body;
    assert.deepEqual(data, {
      period: { from: '2026-03-01T00:00:00.000Z', until: '2026-04-01T00:00:00.000Z' },
      cpuSeconds: 13.345,
      memoryMbHours: 2,
      quotas: [
        { owner: 'ann', resource: 'cpuSeconds', used: 13.345, max: 60, freeAt: null },
        { owner: null, resource: 'memoryMbHours', used: null, max: 5_000, freeAt: null },
      ],
      apps: [
        { appId: 'shop', cpuSeconds: 12.345, memoryMbHours: 2 },
        { appId: 'other', cpuSeconds: 1, memoryMbHours: 0 },
      ],
      days: [
        { day: '2026-03-09', cpuSeconds: 12.345, memoryMbHours: 2 },
        { day: '2026-03-10', cpuSeconds: 1, memoryMbHours: 0 },
      ],
      owners: [],
    });
  });

  test('is that of another month or of one day where that is asked for', async () => {
    const month = (await ask('/usage?period=2026-02', 'a-token-of-ann-1234')).body.data;
    assert.deepEqual([month.cpuSeconds, month.period.until], [7, '2026-03-01T00:00:00.000Z']);
    const day = (await ask('/usage?period=2026-03-10', 'a-token-of-ann-1234')).body.data;
    assert.deepEqual([day.cpuSeconds, day.apps.length], [1, 1]);
    assertInvalid(await ask('/usage?period=2026-13', 'a-token-of-ann-1234'), 'period');
  });

  test('of everybody is for administrators; a credential for one app sees that app alone', async () => {
    assertProblem(await ask('/usage?all=true', 'a-token-of-ann-1234'), 403, 'forbidden');
    const { data } = await api.read('/usage?all=true');
    assert.deepEqual(data.owners, [
      { owner: 'ann', cpuSeconds: 13.345, memoryMbHours: 2 },
      { owner: 'bob', cpuSeconds: 5, memoryMbHours: 0 },
    ]);
    assert.deepEqual(data.quotas, [
      { owner: null, resource: 'memoryMbHours', used: 2, max: 5_000, freeAt: null },
    ]);
    const bob = (await ask('/usage', 'a-token-of-bob-1234')).body.data;
    assert.deepEqual(
      bob.apps.map(({ appId }: { appId: string }) => appId),
      ['shop'],
    );
  });

  test('of a launch is what was counted and what was read since, with what its containers use now', async () => {
    const row = { engine: 'default', counter_ms: 13_000, started_at: now, processes: 3, processes_max: 128 };
    await api.sql('worker_usage').insert({
      ...row,
      launch_id: launchId,
      deployment: 1,
      read_at: now,
      cpu_ms: 13_345,
      memory_mb_seconds: 10_800,
      cpus: 0.25,
      cpus_max: 0.5,
      memory_bytes: 5_000_000,
      memory_bytes_max: 256_000_000,
      recent: JSON.stringify([[Date.parse(now) / 1_000, 0.25, 5_000_000]]),
      told_cpu_ms: 12_345,
      told_memory_mb_seconds: 7_200,
    });
    await api.sql('worker_usage').insert({
      ...row,
      launch_id: launchId,
      deployment: 2,
      read_at: '2026-03-10T11:00:00.000Z',
      cpu_ms: 0,
      memory_mb_seconds: 0,
      cpus_max: 0.5,
      memory_bytes: 1,
      memory_bytes_max: 2,
      recent: '[]',
      told_cpu_ms: 0,
      told_memory_mb_seconds: 0,
    });
    const { data } = (await ask(`/launches/${launchId}/usage`, 'a-token-of-ann-1234')).body;
    assert.deepEqual(data, {
      containers: [
        {
          deployment: 1,
          readAt: now,
          cpus: 0.25,
          cpusMax: 0.5,
          memoryBytes: 5_000_000,
          memoryBytesMax: 256_000_000,
          processes: 3,
          processesMax: 128,
          recent: [{ at: now, cpus: 0.25, memoryBytes: 5_000_000 }],
        },
      ],
      cpuSeconds: 13.345,
      memoryMbHours: 3,
    });
    assert.equal((await ask(`/launches/${launchId}/usage`, 'a-token-of-bob-1234')).status, 200);
    assertProblem(await ask(`/launches/${randomUUID()}/usage`, 'a-token-of-ann-1234'), 404, 'not-found');
  });

  test('beyond a quota is refused, with what is used and when it is free again; others go on', async () => {
    const at = now;
    const over = { resource: 'cpuMs', used: 61_000, max: 60_000 } as const;
    const period = { from: '2026-03-01T00:00:00.000Z', until: '2026-04-01T00:00:00.000Z' };
    const data = { quotaId: quotaIdOf('ann'), owner: 'ann', at, ...over, ...period };
    await quotaOf('ann', { type: 'ReachQuota', data });
    const launch = (token: string) => api.ask('POST', '/apps/shop/launches', { token });
    const refused = await launch('a-token-of-ann-1234');
    assertProblem(refused, 409, 'launch/over-quota');
    const { owner, resource, used: sum, max, freeAt } = refused.body;
    assert.deepEqual([owner, resource, sum, max, freeAt], ['ann', 'cpuSeconds', 61, 60, period.until]);
    for (const what of ['redeploy', 'wake'] as const) {
      const asked = await api.ask('POST', `/launches/${launchId}/${what}`, { token: 'a-token-of-ann-1234' });
      assertProblem(asked, 409, 'launch/over-quota');
    }
    assert.equal((await launch('a-token-of-bob-1234')).status, 202);
    await api.read('/usage');
    const { quotas } = (await ask('/usage', 'a-token-of-ann-1234')).body.data;
    assert.equal(quotas[0].freeAt, period.until);
    await quotaOf(null, { type: 'ReachQuota', data: { ...data, quotaId: 'all', owner: null } });
    assertProblem(await launch('a-token-of-bob-1234'), 409, 'launch/over-quota');
    await quotaOf(null, { type: 'FreeQuota', data: { quotaId: 'all', owner: null, at, resource: 'cpuMs' } });
    assert.equal((await launch('a-token-of-bob-1234')).status, 202);
  });
});
