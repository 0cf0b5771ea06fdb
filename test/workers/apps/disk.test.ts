/** Which images go, when, and why: decided on real tables, about an engine that is not there. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, type TestContext, test } from 'node:test';
import { build } from '../../../domain/apps/build.ts';
import { launch } from '../../../domain/apps/launch.ts';
import { repository } from '../../../domain/apps/repository.ts';
import { projections } from '../../../projections/index.ts';
import { type DiskDeps, lackOf, openDisk, whyFull } from '../../../workers/apps/disk.ts';
import { openDiskGuard } from '../../../workers/apps/disk-guard.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { fakeEngine } from '../../support/fake-engine.ts';
import { eventually, history, openWorkerBench } from '../../support/workers.ts';

const limits = { ceilingBytes: null, freeBytesMin: 0 };

async function open(t: TestContext, changes: Partial<DiskDeps['storage']> = {}) {
  const bench = await openWorkerBench();
  t.after(() => bench.close());
  await createWorkerTables(bench.sql);
  const engine = fakeEngine();
  // Between two looks there is time enough for what was said to go.
  let aheadMs = 0;
  const clock = { ...bench.clock, now: () => new Date(Date.now() + aheadMs).toISOString() };
  const storage = { ...bench.deps.storage, dataDir: '/nowhere', disk: limits, ...changes };
  const guard = openDiskGuard();
  const deps = { store: bench.store, clock, sql: bench.sql, docker: engine.docker, storage, guard };
  const disk = openDisk(deps);
  /** Asked of the log itself: who follows it may be behind, too. */
  const head = async (): Promise<bigint> => {
    const signal = AbortSignal.timeout(10_000);
    const batches = bench.store.subscribe({ from: 'start', streamPrefixes: ['apps.'], signal });
    let last = 0n;
    for await (const { events, caughtUp } of batches) {
      last = events.at(-1)?.position ?? last;
      if (caughtUp) break;
    }
    return last;
  };
  const known = async () => {
    const position = await head();
    await eventually(async () => {
      const made = await bench.sql('projection_checkpoints').count('* as count').first();
      assert.equal(Number(made?.count), projections.length);
      const row = await bench
        .sql('projection_checkpoints')
        .select(bench.sql.raw('min(coalesce(position, 0)) as position'))
        .first();
      assert.ok(BigInt(row?.position ?? 0) >= position);
      assert.ok((bench.events.at(-1)?.position ?? 0n) >= position);
    });
  };
  const look = async () => {
    await known();
    aheadMs += 5_000;
    await disk.round();
    await known();
  };
  /** Finished at this minute of the day, with an image of 100 bytes on the engine. */
  const built = async (appId: string, minute: number, bytes = 100, isPushed = false) => {
    const buildId = randomUUID();
    const at = timeOf(minute);
    const spec = {
      appId,
      repoUrl: 'https://g.example/a.git',
      ref: null,
      commit: 'c',
      dockerfilePath: 'D',
      args: {},
    };
    await bench.say(build, buildId, {
      type: 'RequestBuild',
      data: { buildId, cause: 'manual', pinned: true, at, ...spec },
    });
    await bench.say(build, buildId, { type: 'StartBuild', data: { buildId, at } });
    const image = { image: `apphub/${appId}:${minute}`, imageId: `sha256:${buildId}`, bytes, ports: [] };
    const pushed = isPushed ? { repository: 'r.example/a', digest: 'sha256:1' } : null;
    const result = { ...image, provenance: null, pushed };
    const log = { lines: 0, bytes: 0, truncated: false };
    await bench.say(build, buildId, {
      type: 'FinishBuild',
      data: { buildId, attempt: 1, durationMs: 1, log, at, result },
    });
    engine.put(buildId, { bytes });
    return buildId;
  };
  const launched = (appId: string, buildId: string, minute: number) =>
    bench.requestLaunch({
      appId,
      buildId,
      image: 'apphub/x:1',
      imageId: `sha256:${buildId}`,
      ...({ at: timeOf(minute) } as object),
    });
  const release = async (appId: string, buildId: string) => {
    const one = {
      buildId,
      commit: 'c',
      image: 'i',
      imageId: `sha256:${buildId}`,
      ports: [],
      requestedAt: timeOf(0),
    };
    await bench.say(repository, appId, {
      type: 'ReleaseRepository',
      data: { appId, at: timeOf(0), release: one },
    });
  };
  const status = () => bench.sql('worker_status').where({ name: 'disk' }).first('ok', 'reason');
  return { bench, engine, guard, disk, look, built, launched, release, status };
}

const timeOf = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
const imageEvents = ({ bench }: Awaited<ReturnType<typeof open>>, buildId: string) =>
  history(bench, 'build', buildId).filter(type => type.startsWith('BuildImage'));
const gone = ['BuildImageRemoving', 'BuildImageRemoved'];

suite('so many images of an app are kept', () => {
  test('the newest, and those launched last; each other one is said to go, goes, and is said to be gone', async t => {
    const all = await open(t, { images: { perAppMax: 2 } });
    const [oldest, second, third, fourth] = [1, 2, 3, 4].map(minute => all.built('todo', minute));
    const ids = await Promise.all([oldest, second, third, fourth]);
    const other = await all.built('other', 1);
    const launchId = await all.launched('todo', ids[0] ?? '', 9);
    await all.bench.stop(launchId);
    const at = timeOf(10);
    await all.bench.say(launch, launchId, { type: 'ConfirmLaunchRemoved', data: { launchId, at } });
    await all.look();
    assert.deepEqual(
      ids.map(id => imageEvents(all, id ?? '')),
      [[], [gone[0]], [gone[0]], []],
    );
    assert.equal(all.engine.list().length, 5, 'nothing has gone yet');
    await all.look();
    assert.deepEqual(
      ids.map(id => imageEvents(all, id ?? '')),
      [[], gone, gone, []],
    );
    assert.deepEqual(all.engine.list(), [ids[0], ids[3], other].map(id => `image ${id}`).sort());
    const said = all.bench.events.findLast(({ type }) => type === 'BuildImageRemoved');
    assert.equal(said?.type === 'BuildImageRemoved' && said.data.reason, 'count');
    await all.look();
    assert.equal(all.engine.asked.length, 2, 'and that was all');
  });

  test('not the one that is released, nor one that a launch needs, also while it sleeps', async t => {
    const all = await open(t, { images: { perAppMax: 1 } });
    await all.bench.register('todo', 'https://g.example/todo.git');
    const [released, running] = [await all.built('todo', 1), await all.built('todo', 2)];
    const [unused, newest] = [await all.built('todo', 3), await all.built('todo', 4)];
    await all.release('todo', released);
    await all.launched('todo', running, 2);
    await all.look();
    await all.look();
    assert.deepEqual(all.engine.list(), [released, running, newest].map(id => `image ${id}`).sort());
    assert.deepEqual(imageEvents(all, unused), gone);
  });

  test('one that somebody launches while it is about to go stays, and so does one that a container is made of', async t => {
    const all = await open(t, { images: { perAppMax: 1 } });
    const [first, second] = [await all.built('todo', 1), await all.built('todo', 2)];
    await all.built('todo', 3);
    await all.look();
    await all.launched('todo', first, 0);
    all.engine.used.add(`sha256:${second}`);
    await all.look();
    const kept = ['BuildImageRemoving', 'BuildImageKept'];
    await all.look();
    assert.deepEqual([imageEvents(all, first), imageEvents(all, second)], [kept, kept]);
    assert.equal(all.engine.list().length, 3);
  });

  test('none of an app that was archived', async t => {
    const all = await open(t);
    await all.bench.register('todo', 'https://g.example/todo.git');
    const buildId = await all.built('todo', 1);
    await all.release('todo', buildId);
    await all.look();
    assert.deepEqual(imageEvents(all, buildId), []);
    await all.bench.archive('todo');
    await all.look();
    await all.look();
    assert.deepEqual([imageEvents(all, buildId), all.engine.list()], [gone, []]);
  });
});

suite('what the engine holds and what the log says are made to agree', () => {
  test('an image that is missing twice is said to be, and found again when it is', async t => {
    const all = await open(t);
    const [lost, pushed] = [await all.built('todo', 1), await all.built('todo', 2, 100, true)];
    for (const image of await all.engine.docker.listImages()) await all.engine.docker.removeImage(image);
    await all.look();
    assert.deepEqual(imageEvents(all, lost), []);
    await all.look();
    assert.deepEqual([imageEvents(all, lost), imageEvents(all, pushed)], [['BuildImageRemoved'], []]);
    all.engine.put(lost);
    await all.look();
    assert.deepEqual(imageEvents(all, lost), ['BuildImageRemoved', 'BuildImageKept']);
    assert.equal(all.engine.has(lost), true);
  });

  test('an image on an engine that is away is not missing, however often it is looked for', async t => {
    const all = await open(t);
    const [far, near] = [await all.built('todo', 1), await all.built('todo', 2)];
    const image = (await all.engine.docker.listImages()).find(({ buildId }) => buildId === far);
    assert.ok(image !== undefined);
    await all.engine.docker.removeImage(image);
    // One look at it missing does not count when the next one cannot see everything.
    await all.look();
    all.engine.state.isWhole = false;
    for (let looks = 0; looks < 3; looks += 1) await all.look();
    all.engine.state.isWhole = true;
    await all.look();
    assert.deepEqual([imageEvents(all, far), imageEvents(all, near)], [[], []]);
    assert.deepEqual(await all.status(), { ok: true, reason: null }, 'the disk is looked after all the same');
    await all.look();
    assert.deepEqual(imageEvents(all, far), ['BuildImageRemoved']);
  });

  test('images that no build knows, of builds that ended without one, and of ones removed before go', async t => {
    const all = await open(t, { strangerMsMin: 0, images: { perAppMax: 1 } });
    const stranger = randomUUID();
    all.engine.put(stranger);
    const spec = {
      appId: 'todo',
      repoUrl: 'https://g.example/a.git',
      ref: null,
      commit: 'c',
      dockerfilePath: 'D',
    };
    const cancelled = await all.bench.requestBuild(spec);
    await all.bench.cancelBuild(cancelled);
    const running = await all.bench.requestBuild(spec);
    await all.bench.say(build, running, { type: 'StartBuild', data: { buildId: running, at: timeOf(1) } });
    all.engine.put(cancelled);
    all.engine.put(running);
    const [old] = [await all.built('todo', 1), await all.built('todo', 2)];
    await all.look();
    await all.look();
    all.engine.put(old);
    await all.look();
    assert.equal(all.engine.list().length, 2);
    assert.deepEqual([all.engine.has(running), all.engine.has(old)], [true, false]);
    const orphans = all.bench.events.filter(({ type }) => type === 'OrphanRemoved');
    assert.deepEqual(
      orphans.map(({ data }) => ('reason' in data ? data.reason : '')),
      ['The log has no build of this id.', 'Its build ended without it.', 'It was removed before.'],
    );
  });

  test('what is new is left alone, though no build knows it yet', async t => {
    const all = await open(t);
    all.engine.put(randomUUID());
    all.engine.put(randomUUID(), { kind: 'leftover' });
    await all.look();
    assert.equal(all.engine.list().length, 2);
  });

  test('what a failed build has left stays a while, and goes when another one has succeeded or it was called off', async t => {
    const all = await open(t);
    const spec = {
      appId: 'todo',
      repoUrl: 'https://g.example/a.git',
      ref: null,
      commit: 'c',
      dockerfilePath: 'D',
    };
    const failed = await all.bench.requestBuild(spec);
    await all.bench.say(build, failed, { type: 'StartBuild', data: { buildId: failed, at: timeOf(1) } });
    const log = { lines: 0, bytes: 0, truncated: false };
    const result = { reason: 'no', step: 2, instruction: null };
    await all.bench.say(build, failed, {
      type: 'FinishBuild',
      data: { buildId: failed, attempt: 1, durationMs: 1, log, at: timeOf(1), result },
    });
    const succeeded = await all.built('todo', 2);
    all.engine.put(failed, { kind: 'leftover' });
    all.engine.put(succeeded, { kind: 'leftover', imageId: 'sha256:left' });
    const aged = await all.bench.requestBuild(spec);
    await all.bench.cancelBuild(aged);
    all.engine.put(aged, { kind: 'leftover', createdAt: new Date(Date.now() - 25 * 3_600_000) });
    await all.look();
    assert.deepEqual(all.engine.list(), [`image ${succeeded}`, `leftover ${failed}`]);
    assert.equal(
      all.bench.events.some(({ type }) => type === 'OrphanRemoved'),
      false,
    );
  });
});

suite('where room is scarce', () => {
  const scarce = { disk: { ceilingBytes: 1_000, freeBytesMin: 0 }, images: { perAppMax: 100 } };

  test('the cache goes first, and only as much as has to', async t => {
    const all = await open(t, scarce);
    for (let minute = 1; minute <= 6; minute += 1) await all.built('todo', minute);
    all.engine.room.cacheBytes = 350;
    await all.look();
    assert.deepEqual(all.engine.asked, ['prune 150']);
    assert.equal(
      all.bench.events.some(({ type }) => type === 'BuildImageRemoving'),
      false,
    );
    assert.deepEqual(await all.status(), { ok: true, reason: null });
  });

  test('then what failed builds have left, then the images that were used longest ago', async t => {
    const all = await open(t, scarce);
    const ids: string[] = [];
    for (let minute = 1; minute <= 9; minute += 1) ids.push(await all.built(`app-${minute}`, minute));
    const failed = await all.bench.requestBuild({
      appId: 'todo',
      repoUrl: 'https://g.example/a.git',
      ref: null,
      commit: 'c',
      dockerfilePath: 'D',
    });
    await all.bench.cancelBuild(failed);
    all.engine.put(failed, { kind: 'leftover', createdAt: new Date() });
    const launchId = await all.launched('app-2', ids[1] ?? '', 3);
    all.engine.room.cacheBytes = 50;
    await all.look();
    assert.deepEqual(all.engine.asked.slice(0, 2).sort(), ['prune 50', `remove sha256:${failed}`]);
    assert.deepEqual(await all.status(), { ok: true, reason: null });
    await all.look();
    assert.deepEqual(imageEvents(all, ids[0] ?? ''), gone);
    assert.deepEqual(imageEvents(all, ids[1] ?? ''), [], 'it is launched');
    const last = all.bench.events.findLast(({ type }) => type === 'BuildImageRemoved');
    assert.equal(last?.type === 'BuildImageRemoved' && last.data.reason, 'disk');
    assert.equal(all.engine.list().length, 8);
    assert.ok(launchId);
  });

  test('new builds wait where nothing can go, and say why', async t => {
    const all = await open(t, scarce);
    await all.bench.register('todo', 'https://g.example/todo.git');
    const buildId = await all.built('todo', 1, 1_000);
    await all.release('todo', buildId);
    await all.look();
    const { ok, reason } = (await all.status()) ?? {};
    assert.equal(ok, false);
    assert.match(reason, /^AppHub uses 0.00 GB of the 0.00 GB that it may\.$/);
    assert.equal(all.engine.has(buildId), true);
    const roomy = await open(t, { disk: { ceilingBytes: null, freeBytesMin: 500 } });
    roomy.engine.room.freeBytes = 499;
    await roomy.look();
    assert.match((await roomy.status())?.reason, /^Only 0.00 GB are free on the disk/);
    roomy.engine.room.freeBytes = 500;
    await roomy.look();
    assert.deepEqual(await roomy.status(), { ok: true, reason: null });
  });

  test('how much has to go, and when builds wait', () => {
    const room = (usedBytes: number, freeBytes: number | null = null) => ({ usedBytes, freeBytes });
    const ceiling = { ceilingBytes: 100, freeBytesMin: 0 };
    assert.deepEqual(
      [80, 90, 91, 100, 200].map(used => lackOf(room(used), ceiling)),
      [0, 0, 11, 20, 120],
    );
    assert.deepEqual(
      [99, 100].map(used => whyFull(room(used), ceiling) === undefined),
      [true, false],
    );
    const free = { ceilingBytes: null, freeBytesMin: 50 };
    assert.deepEqual(
      [60, 50, 40].map(left => lackOf(room(1, left), free)),
      [0, 0, 10],
    );
    assert.deepEqual(
      [50, 49].map(left => whyFull(room(1, left), free) === undefined),
      [true, false],
    );
    assert.equal(lackOf(room(1, null), free), 0, 'where nobody can see, nobody acts');
    assert.equal(lackOf(room(95, 0), { ceilingBytes: 100, freeBytesMin: 7 }), 15);
  });
});

suite('builds under way', () => {
  test('are ended before they take the last of the disk, and told why', async t => {
    const all = await open(t, { disk: { ceilingBytes: null, freeBytesMin: 2 ** 60 } });
    const never = new AbortController().signal;
    const building = all.guard.during(
      never,
      signal =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await all.disk.watch();
    assert.equal(all.guard.isOnGuard(), true, 'nobody can see the disk of this folder');
    const seen = await open(t, { dataDir: '/', disk: { ceilingBytes: null, freeBytesMin: 2 ** 60 } });
    const other = seen.guard.during(
      never,
      signal =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await seen.disk.watch();
    await assert.rejects(other, { name: 'BuildFailure', retryable: false, reason: /disk is nearly full/ });
    assert.equal(seen.guard.isOnGuard(), false);
    all.guard.end('over');
    await assert.rejects(building, { reason: 'over' });
  });
});
