/** The meters of launches on real tables: what is read, noted and told, by processes that may end at any time; and quotas. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { wakerOf } from '../../../commands/apps/deployment.ts';
import { refuseUsedUp } from '../../../commands/apps/quota.ts';
import { launch } from '../../../domain/apps/launch.ts';
import { Refusal } from '../../../domain/kernel/refusal.ts';
import { readUsage } from '../../../platform/usage-config.ts';
import type { ContainerUsage } from '../../../workers/adapters/docker-usage-types.ts';
import type { Engines } from '../../../workers/adapters/engine-types.ts';
import { meterLaunches, readMeters, type UsageDeps } from '../../../workers/apps/usage.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { bringUp, confirmRetired, markRunning, startLaunch } from '../../support/play.ts';
import { found, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const image = { image: 'apphub/app:1', imageId: 'sha256:1' };
const begun = Date.parse('2026-03-10T12:00:00.000Z');
const mb = 1_000_000;

suite('the meters of launches', { concurrency: 1 }, () => {
  let bench: WorkerBench;
  let target: { store: WorkerBench['store']; wrote: () => void };
  let containers: ContainerUsage[] = [];
  let nowMs = begun;
  let deps: UsageDeps;

  before(async () => {
    bench = await openWorkerBench();
    target = { store: bench.store, wrote: () => undefined };
    await createWorkerTables(bench.sql);
  });
  after(() => bench.close());
  beforeEach(() => {
    nowMs = begun;
    containers = [];
    const docker = {
      ping: async () => ({ ok: true }),
      usage: async (id?: string) => containers.filter(({ launchId }) => id === undefined || launchId === id),
    } as unknown as Engines;
    const clock = { ...bench.clock, now: () => new Date(nowMs).toISOString() };
    deps = { ...bench, docker, clock, usage: readUsage({}) };
  });
  afterEach(async () => {
    await bench.sql('worker_usage').delete();
  });

  const projected = () => bench.projected();
  const running = async (owner: string): Promise<string> => {
    const id = await bench.requestLaunch({ ...image, owner });
    await startLaunch(target, id);
    await markRunning(target, id);
    await projected();
    return id;
  };
  const reading = (launchId: string, cpuMs: number, memoryMb = 10, deployment = 1): ContainerUsage => ({
    launchId,
    deployment,
    containerId: 'k',
    engine: 'default',
    startedAt: new Date(begun).toISOString(),
    cpuMs,
    cpusMax: 1,
    memoryBytes: memoryMb * mb,
    memoryBytesMax: 256 * mb,
    processes: 3,
    processesMax: 128,
  });
  /** A round so many seconds after the start. */
  const round = async (second: number, ...now: ContainerUsage[]) => {
    nowMs = begun + second * 1_000;
    containers = now;
    await meterLaunches(deps);
    await projected();
  };
  const told = (id: string) =>
    bench.events.flatMap(event =>
      event.type === 'LaunchUsed' && event.data.launchId === id ? [event.data] : [],
    );
  const sum = (id: string) => {
    const all = told(id);
    return [
      all.reduce((all, { cpuMs }) => all + cpuMs, 0),
      all.reduce((all, { memoryMbSeconds }) => all + memoryMbSeconds, 0),
    ];
  };

  test('are told every so often, and once more when the container is gone', async () => {
    const id = await running('ann');
    for (const second of [5, 10, 290]) await round(second, reading(id, second * 100));
    assert.deepEqual(told(id), []);
    await round(305, reading(id, 30_500));
    const [first] = told(id);
    assert.deepEqual(first, {
      launchId: id,
      appId: 'app',
      owner: 'ann',
      deployment: 1,
      from: '2026-03-10T12:00:00.000Z',
      to: '2026-03-10T12:05:05.000Z',
      isLast: false,
      cpuMs: 30_500,
      // Nothing is known of the memory between 10 s and 290 s.
      memoryMbSeconds: 50 + 150,
    });
    assert.equal(found(bench, 'LaunchUsed', id).metadata.correlationId, launched(id).metadata.correlationId);
    await round(310, reading(id, 31_000));
    const data = { launchId: id, deployment: 1, reason: 'asked', because: null } as const;
    await bench.say(launch, id, { type: 'SleepLaunch', data: { ...data, at: bench.clock.now() } });
    nowMs = begun + 312_000;
    containers = [reading(id, 31_400)];
    await readMeters(deps, id, bench.log);
    containers = [];
    await confirmRetired(target, id, 1);
    await projected();
    await round(320);
    await round(325);
    const last = told(id).slice(1);
    assert.deepEqual(
      last.map(({ cpuMs, memoryMbSeconds, to, isLast }) => [cpuMs, memoryMbSeconds, to, isLast]),
      [[900, 70, '2026-03-10T12:05:12.000Z', true]],
    );
    assert.deepEqual(await bench.sql('worker_usage'), []);
  });

  const launched = (id: string) => found(bench, 'LaunchRequested', id);

  test('go on after a process was killed, wherever that was; also where their table is lost', async () => {
    const id = await running('ann');
    await round(5, reading(id, 1_000));
    await round(305, reading(id, 2_000));
    await round(310, reading(id, 2_500));
    const before = sum(id);
    // Told to the log, and killed before that was noted.
    await bench.sql('worker_usage').update({ told_at: null, told_cpu_ms: 0, told_memory_mb_seconds: 0 });
    await round(311, reading(id, 2_500));
    assert.deepEqual(sum(id), [2_500, 60]);
    assert.deepEqual(before, [2_000, 0]);
    await bench.sql('worker_usage').delete();
    await round(400, reading(id, 3_000));
    await round(410, reading(id, 3_100));
    await round(711, reading(id, 3_200));
    assert.deepEqual(sum(id), [3_200, 60 + 100]);
    const intervals = told(id).map(({ from, to }) => [from, to]);
    for (const [at, [from]] of intervals.entries()) if (at > 0) assert.equal(from, intervals[at - 1]?.[1]);
  });

  test('of two processes that read at the same time one counts', async () => {
    const id = await running('ann');
    await round(5, reading(id, 1_000));
    nowMs = begun + 10_000;
    containers = [reading(id, 2_000)];
    await Promise.all([meterLaunches(deps), meterLaunches(deps), meterLaunches(deps)]);
    const row = await bench.sql('worker_usage').where({ launch_id: id }).first();
    assert.deepEqual([row.cpu_ms, row.memory_mb_seconds, row.cpus], [2_000, 50, 0.2]);
    nowMs = begun + 310_000;
    containers = [reading(id, 3_000)];
    await Promise.all([meterLaunches(deps), meterLaunches(deps), meterLaunches(deps)]);
    await projected();
    assert.deepEqual(sum(id), [3_000, 50]);
  });

  test('of a container that was started again by hand, both runs count; of the next deployment from nothing', async () => {
    const id = await running('ann');
    await round(5, reading(id, 1_000));
    await round(10, reading(id, 200));
    await bench.say(launch, id, {
      type: 'Redeploy',
      data: {
        launchId: id,
        at: bench.clock.now(),
        cause: 'redeploy',
        ...image,
        buildId: 'b2',
        port: 8_080,
      },
    });
    await bringUp(target, id, 2);
    await round(15, reading(id, 300), reading(id, 40, 10, 2));
    await confirmRetired(target, id, 1);
    await projected();
    await round(20, reading(id, 50, 10, 2));
    assert.deepEqual(
      told(id).map(({ deployment, cpuMs, isLast }) => [deployment, cpuMs, isLast]),
      [[1, 1_300, true]],
    );
    await round(316, reading(id, 60, 10, 2));
    assert.deepEqual(sum(id), [1_360, 100 + 50]);
  });

  test('are told when the day turns, so that each counts for its own', async () => {
    const id = await running('dora');
    const second = (Date.parse('2026-03-10T23:59:58.000Z') - begun) / 1_000;
    await round(second - 5, reading(id, 100));
    await round(second, reading(id, 200));
    const before = told(id).length;
    await round(second + 5, reading(id, 300));
    assert.equal(told(id).length, before + 1);
    await round(second + 310, reading(id, 400));
    const rows = await bench
      .sql('apps_usage')
      .where({ owner: 'dora' })
      .orderBy('day')
      .select('day', 'cpu_ms');
    assert.deepEqual(rows, [
      { day: '2026-03-10', cpu_ms: 300 },
      { day: '2026-03-11', cpu_ms: 100 },
    ]);
  });

  const over = async (owner: string) => {
    const error = await refuseUsedUp(bench.store, owner, deps.clock.now()).catch((error: unknown) => error);
    return error instanceof Refusal ? [error.code, error.detail] : error;
  };

  test('bring an owner over his quota: his launches sleep and say why, nothing starts before the next period', async () => {
    deps = { ...deps, usage: readUsage({ APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '2' }) };
    const [first, second, others] = [await running('eve'), await running('eve'), await running('fred')];
    await round(5, reading(first, 900), reading(second, 900), reading(others, 900));
    assert.deepEqual(told(first), []);
    // What is not told yet would bring her over it, so it is told at once.
    await round(10, reading(first, 1_100), reading(second, 950), reading(others, 1_000));
    await round(11, reading(first, 1_100), reading(second, 950), reading(others, 1_000));
    for (const id of [first, second]) {
      const { reason, because } = found(bench, 'LaunchSlept', id).data;
      assert.equal(reason, 'quota');
      assert.equal(
        because,
        'The launches of eve have used the 2 CPU seconds that they may; there is more from 2026-04-01T00:00:00.000Z.',
      );
    }
    assert.deepEqual(history(bench, 'launch', others).slice(3), []);
    const detail = {
      owner: 'eve',
      resource: 'cpuSeconds',
      used: 2.05,
      max: 2,
      freeAt: '2026-04-01T00:00:00.000Z',
    };
    assert.deepEqual(await over('eve'), ['launch/over-quota', detail]);
    assert.equal(await over('fred'), undefined);
    await assert.rejects(wakerOf({ store: bench.store, clock: deps.clock })(first), {
      code: 'launch/over-quota',
    });
    const reached = () => bench.events.filter(({ type }) => type === 'QuotaReached').length;
    const before = reached();
    await round(16);
    assert.equal(reached(), before);
    nowMs = Date.parse('2026-04-01T00:00:00.000Z');
    assert.equal(await over('eve'), undefined);
  });

  test('a quota that is raised, or taken away, is free again', async () => {
    deps = { ...deps, usage: readUsage({ APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '1' }) };
    const id = await running('gina');
    await round(5, reading(id, 1_500));
    await round(6, reading(id, 1_500));
    assert.ok(await over('gina'));
    deps = { ...deps, usage: readUsage({}) };
    await round(11, reading(id, 1_500));
    assert.equal(await over('gina'), undefined);
    assert.deepEqual((await bench.sql('apps_quotas').where({ owner: 'gina' })).length, 0);
  });

  test('all together have a quota too', async () => {
    deps = { ...deps, usage: readUsage({ APPHUB_QUOTA_MEMORY_MB_HOURS: '1' }) };
    const id = await running('hugo');
    for (const second of [5, 35, 65]) await round(second, reading(id, 10, 1_000));
    for (const second of [95, 96]) await round(second, reading(id, 10, 1_000));
    assert.match(
      found(bench, 'LaunchSlept', id).data.because ?? '',
      /^All launches together have used the 1 MB-hours/,
    );
    const [code, detail] = (await over('whoever')) as [string, Record<string, unknown>];
    assert.deepEqual([code, detail.owner, detail.resource], ['launch/over-quota', null, 'memoryMbHours']);
  });
});
