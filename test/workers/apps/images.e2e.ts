/** Images that go from the real engine, by processes that are killed between what is wanted, what is done and what is told. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { build } from '../../../domain/apps/build.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';
import { openLog } from '../../../eventstore/esdb.ts';
import { openLogger } from '../../../platform/log.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { openTestDocker } from '../../support/docker.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { eventually, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const from = (file: string) => JSON.stringify(path.join(root, file));

suite('images that go', () => {
  const { api, docker, instance, folderOf, cleanUp } = openTestDocker();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-images-'));
  const closings: (() => Promise<unknown>)[] = [];
  let bench: WorkerBench;
  let source: string;

  before(async () => {
    await ensureTestImages();
    const log = openLogger({ level: 'silent' });
    const storage = await openSegmentStorage({
      directory: path.join(folder, 'log'),
      durability: 'none',
      log,
    });
    const server = await startLogServer({ storage, port: 0, log });
    const url = `esdb://127.0.0.1:${server.port}?tls=false`;
    const events = openLog(url);
    closings.push(
      () => storage.close(),
      () => server.close(),
      () => events.close(),
    );
    bench = await openWorkerBench({ docker, store: events.store });
    closings.push(() => bench.close());
    await createWorkerTables(bench.sql);
    source = `import { systemClock } from ${from('commands/clock.ts')};
      import { openLog } from ${from('eventstore/esdb.ts')};
      import { openLogger } from ${from('platform/log.ts')};
      import { openPostgres } from ${from('platform/postgres.ts')};
      import { readStorage } from ${from('platform/storage-config.ts')};
      import { openDocker } from ${from('workers/adapters/docker.ts')};
      import { openDisk } from ${from('workers/apps/disk.ts')};
      import { openDiskGuard } from ${from('workers/apps/disk-guard.ts')};
      const storage = readStorage({ APPHUB_IMAGES_PER_APP: '1', APPHUB_DISK_FREE_MIN_BYTES: '0' });
      const disk = openDisk({
        store: openLog(${JSON.stringify(url)}).store,
        clock: systemClock,
        sql: openPostgres(${JSON.stringify(bench.connectionString)}, { name: 'images' }),
        docker: openDocker({ instance: ${JSON.stringify(instance)}, log: openLogger({ level: 'silent' }) }),
        storage: { ...storage, dataDir: ${JSON.stringify(folder)} },
        guard: openDiskGuard(),
      });
      for (;;) { await disk.round(); await new Promise(resolve => setTimeout(resolve, 100)); }`;
  });
  after(async () => {
    for (const close of closings.reverse()) await close();
    await cleanUp();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (fault?: string): ChildProcess =>
    spawn(process.execPath, ['--input-type=module', '-e', source], {
      env: { PATH: process.env.PATH ?? '', ...(fault === undefined ? {} : { APPHUB_FAULT: fault }) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });

  /** Built for real, and told of as by a worker. */
  async function built(appId: string): Promise<{ buildId: string; imageId: string }> {
    const buildId = randomUUID();
    const at = bench.clock.now();
    const spec = {
      appId,
      repoUrl: 'https://g.example/a.git',
      ref: null,
      commit: 'c',
      dockerfilePath: 'D',
      args: {},
    };
    const asked = { buildId, cause: 'manual', pinned: true, at, ...spec } as const;
    await bench.say(build, buildId, { type: 'RequestBuild', data: asked });
    await bench.say(build, buildId, { type: 'StartBuild', data: { buildId, at } });
    const tag = `apphub/${instance}:${buildId}`;
    const { imageId, bytes, ports } = await docker.buildImage({
      directory: await folderOf({ Dockerfile: `FROM ${busyboxImage}\nRUN echo ${buildId} >/id\n` }),
      dockerfilePath: 'Dockerfile',
      tag,
      labels: { [labelOf.app]: appId, [labelOf.build]: buildId },
      limits: { cpus: 1, memoryBytes: 256 * 1024 * 1024, timeMsMax: 60_000, contextBytesMax: 10_000 },
      signal: new AbortController().signal,
      onLine: () => {},
    });
    const log = { lines: 0, bytes: 0, truncated: false };
    const result = { image: tag, imageId, bytes, ports, provenance: null, pushed: null };
    await bench.say(build, buildId, {
      type: 'FinishBuild',
      data: { buildId, attempt: 1, durationMs: 1, log, at: bench.clock.now(), result },
    });
    return { buildId, imageId };
  }
  const isThere = (imageId: string) =>
    api
      .getImage(imageId)
      .inspect()
      .then(
        () => true,
        () => false,
      );
  const told = (buildId: string) =>
    history(bench, 'build', buildId).filter(type => type.startsWith('BuildImage'));
  const gone = ['BuildImageRemoving', 'BuildImageRemoved'];

  for (const [fault, toldBefore, thereBefore] of [
    ['image.removing', [gone[0]], true],
    ['image.removed', [gone[0]], false],
    ['image.told', gone, false],
  ] as const) {
    test(`are gone once, and told once, also when the process is killed at ${fault}`, async () => {
      const appId = `app-${fault.replace('.', '-')}`;
      const [old, present] = [await built(appId), await built(appId)];
      await eventually(async () => {
        const rows = await bench.sql('apps_images').whereIn('build_id', [old.buildId, present.buildId]);
        assert.equal(rows.length, 2);
      });
      const [code, signal] = await once(start(fault), 'exit');
      assert.deepEqual([code, signal], [null, 'SIGKILL']);
      await eventually(() => assert.deepEqual(told(old.buildId), toldBefore));
      assert.equal(await isThere(old.imageId), thereBefore);
      const next = start();
      try {
        await eventually(async () => {
          assert.deepEqual(told(old.buildId), gone);
          assert.equal(await isThere(old.imageId), false);
        });
      } finally {
        next.kill('SIGKILL');
        await once(next, 'exit');
      }
      assert.deepEqual([told(present.buildId), await isThere(present.imageId)], [[], true]);
      const last = bench.events.findLast(({ type }) => type === 'BuildImageRemoved');
      assert.equal(last?.type === 'BuildImageRemoved' && last.data.reason, 'count');
    });
  }
});
