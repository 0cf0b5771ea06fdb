/** A launch on a real engine is metered while it runs, and sleeps when its owner has used what he may. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { launch } from '../../../domain/apps/launch.ts';
import { readUsage } from '../../../platform/usage-config.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';
import { eventually, found, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const image = { image: 'apphub/app:1', port: 8_080 };

suite('the meters of an engine', { concurrency: 1 }, () => {
  const engine = openTestDocker();
  const { docker } = engine;
  let bench: WorkerBench;
  let imageId = '';
  before(async () => {
    await ensureTestImages();
    bench = await openWorkerBench({ docker });
    // Busy on one core, with 10 MB in memory.
    imageId = await engine.imageOf(
      'busy',
      'USER 1000',
      'CMD ["sh", "-c", "head -c 10000000 /dev/zero >/tmp/held; (while :; do :; done) & exec httpd -f -p 8080"]',
    );
  });
  after(async () => {
    await bench.close();
    await engine.cleanUp();
  });

  test('are read of every container that runs, and of none that does not', async () => {
    const request = startRequest(`${engine.instance}-1`, imageId, { cpus: 0.25 });
    const { containerId } = await docker.startContainer(request);
    const [first] = await eventually(async () => {
      const all = await docker.usage();
      assert.ok((all[0]?.memoryBytes ?? 0) > 10_000_000, JSON.stringify(all));
      return all;
    });
    assert.deepEqual(
      [first?.launchId, first?.deployment, first?.cpusMax, first?.memoryBytesMax, first?.processesMax],
      [request.launchId, 1, 0.25, request.memoryBytes, request.pidsMax],
    );
    assert.ok((first?.processes ?? 0) >= 2);
    await eventually(async () => {
      const [later] = await docker.usage(request.launchId);
      assert.ok((later?.cpuMs ?? 0) > (first?.cpuMs ?? 0));
    });
    await engine.api.getContainer(containerId).kill();
    await eventually(async () => assert.deepEqual(await docker.usage(), []));
    await docker.removeLaunch(request.launchId);
  });

  test('bring a launch to sleep that has used what its owner may, and are all told once it is gone', async () => {
    const usage = readUsage({ APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '1', APPHUB_USAGE_EVENT_SECONDS: '1' });
    const workers = await bench.start({ usage, everyMs: { ...bench.deps.everyMs, usage: 200 } });
    const id = await bench.requestLaunch({ ...image, imageId });
    await eventually(() => assert.equal(found(bench, 'LaunchSlept', id).data.reason, 'quota'));
    const { used, max, owner } = await eventually(() => found(bench, 'QuotaReached').data);
    assert.ok(owner === 'operator:tester' && max === 1_000 && used >= max && used < 20_000, `${used}`);
    await eventually(() => assert.equal(found(bench, 'LaunchUsed').data.isLast, true));
    const all = bench.events.flatMap(({ type, data }) => (type === 'LaunchUsed' ? [data] : []));
    for (const [at, one] of all.entries()) if (at > 0) assert.equal(one.from, all[at - 1]?.to);
    const [sum] = await bench.sql('apps_launch_usage').where({ launch_id: id });
    assert.ok(sum.cpu_ms >= 1_000 && sum.memory_mb_seconds >= 5, JSON.stringify(sum));
    const data = { launchId: id, at: bench.clock.now(), reason: 'stopped', because: null } as const;
    await bench.say(launch, id, { type: 'StopLaunch', data });
    await eventually(() => found(bench, 'LaunchStopped', id));
    await workers.close();
  });
});
