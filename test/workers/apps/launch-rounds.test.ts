/** What becomes of launches as time goes by, on real tables: they end, they sleep, and they make room for each other. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { launch } from '../../../domain/apps/launch.ts';
import {
  expireLaunches,
  type RoundDeps,
  restartLaunches,
  sleepLaunches,
} from '../../../workers/apps/launch-rounds.ts';
import { makeRoom, NoRoom, openRoom } from '../../../workers/apps/room.ts';
import { inlineQueue } from '../../../workers/inline-queue.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { failLaunch, markRunning, startLaunch } from '../../support/play.ts';
import { found, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const image = { image: 'apphub/app:1', imageId: 'sha256:1' };
const nobody = inlineQueue([], { warn: () => undefined, error: () => undefined });

const projected = (bench: WorkerBench) => bench.projected();

type Target = { store: WorkerBench['store']; wrote: () => void };

/** A launch that runs, and was last visited so many seconds ago; undefined: never. */
async function running(
  bench: WorkerBench,
  target: Target,
  more: { appId?: string; owner?: string; idleSeconds?: number | null } = {},
): Promise<string> {
  const id = await bench.requestLaunch({ ...image, ...more });
  await startLaunch(target, id);
  await markRunning(target, id);
  return id;
}

const visit = (bench: WorkerBench, launchId: string, secondsAgo: number, visits = 1) =>
  bench
    .sql('preview_activity')
    .insert({ launch_id: launchId, last_visit_at: new Date(Date.now() - secondsAgo * 1_000), visits })
    .onConflict('launch_id')
    .merge();

suite('as time goes by', () => {
  let bench: WorkerBench;
  let target: Target;
  const queue = nobody;
  before(async () => {
    bench = await openWorkerBench();
    target = { store: bench.store, wrote: () => undefined };
    await createWorkerTables(bench.sql);
  });
  after(() => bench.close());

  test('stops launches whose time is over, each once, and no others', async () => {
    const over = { ...image, expiresAt: new Date(Date.now() - 1_000).toISOString() };
    const [fresh, requested, up, stopping, failed] = [
      await bench.requestLaunch(image),
      await bench.requestLaunch(over),
      await bench.requestLaunch(over),
      await bench.requestLaunch(over),
      await bench.requestLaunch(over),
    ];
    await startLaunch(target, up);
    await markRunning(target, up);
    await bench.stop(stopping);
    await failLaunch(target, failed);
    await projected(bench);
    const deps: RoundDeps = { ...bench, queue };
    // The tables know nothing yet of what the first has said when the second looks.
    await Promise.all([expireLaunches(deps), expireLaunches(deps)]);
    await projected(bench);
    await expireLaunches(deps);
    for (const launchId of [requested, up]) {
      const told = bench.events.filter(({ stream }) => stream === `apps.launch-${launchId}`);
      const stops = told.filter(each => each.type === 'LaunchStopping');
      assert.deepEqual(
        stops.map(({ data, metadata }) => [data.reason, metadata.actor]),
        [['expired', 'workers']],
      );
    }
    assert.deepEqual(history(bench, 'launch', fresh), ['LaunchRequested']);
    assert.deepEqual(history(bench, 'launch', stopping), ['LaunchRequested', 'LaunchStopping']);
    assert.deepEqual(history(bench, 'launch', failed), ['LaunchRequested', 'LaunchFailed']);
  });

  test('is not put off by a launch that has ended while the tables still say otherwise', async () => {
    const over = { ...image, expiresAt: new Date(Date.now() - 1_000).toISOString() };
    const launches = [await bench.requestLaunch(over), await bench.requestLaunch(over)] as const;
    await projected(bench);
    await bench.sql.transaction(async tx => {
      // The projector has to wait; readers need not.
      await tx.raw('lock table apps_launches in share mode');
      for (const launchId of launches) await failLaunch(target, launchId);
      await expireLaunches({ ...bench, queue });
    });
    for (const launchId of launches)
      assert.deepEqual(history(bench, 'launch', launchId), ['LaunchRequested', 'LaunchFailed']);
  });

  test('puts to sleep what nobody has visited for as long as it said, but for the most visited', async () => {
    const idle = await running(bench, target, { idleSeconds: 1 });
    const visited = await running(bench, target, { idleSeconds: 60 });
    const popular = await running(bench, target, { idleSeconds: 1 });
    const never = await running(bench, target, { idleSeconds: null });
    await projected(bench);
    await bench.sql('apps_launches').update({ running_at: new Date(Date.now() - 120_000) });
    await visit(bench, visited, 5);
    await visit(bench, idle, 90);
    await visit(bench, popular, 90, 50);
    const deps = { ...bench, queue, keptAwake: 1 };
    await Promise.all([sleepLaunches(deps), sleepLaunches(deps)]);
    await projected(bench);
    await sleepLaunches(deps);
    assert.deepEqual(history(bench, 'launch', idle).slice(3), ['LaunchSlept']);
    assert.equal(found(bench, 'LaunchSlept', idle).data.reason, 'idle');
    for (const id of [visited, popular, never]) assert.deepEqual(history(bench, 'launch', id).slice(3), []);
  });

  test('starts again what failed, once its wait is over', async () => {
    const ran: object[] = [];
    const effect = { name: 'deploy', atOnce: 9, run: async (data: object) => void ran.push(data) };
    const noting = inlineQueue([effect], { warn: () => undefined, error: () => undefined });
    const id = await bench.requestLaunch({ ...image, restart: 'on-failure' });
    await startLaunch(target, id);
    await markRunning(target, id);
    await failLaunch(target, id);
    const { notBefore } = found(bench, 'LaunchDeploymentRequested', id).data;
    await projected(bench);
    const early = {
      ...bench,
      queue: noting,
      clock: { ...bench.clock, now: () => '2020-01-01T00:00:00.000Z' },
    };
    await restartLaunches(early);
    assert.deepEqual(ran, []);
    await restartLaunches({ ...early, clock: { ...bench.clock, now: () => notBefore ?? '' } });
    assert.deepEqual(ran, [{ launchId: id, deployment: 2 }]);
  });
});

suite('room for one more launch', () => {
  let bench: WorkerBench;
  let target: Target;
  before(async () => {
    bench = await openWorkerBench();
    target = { store: bench.store, wrote: () => undefined };
    await createWorkerTables(bench.sql);
  });
  after(() => bench.close());

  const roomOf = (max: number, perAppMax = 100, perOwnerMax = 100) =>
    openRoom({ max, perAppMax, perOwnerMax });
  const guest = { launchId: 'new', appId: 'new', owner: 'eve' };

  test('is made by the one visited longest ago, which is told why', async () => {
    const ids = [await running(bench, target), await running(bench, target), await running(bench, target)];
    const [first = '', second = '', third = ''] = ids;
    await projected(bench);
    await bench.sql('apps_launches').update({ running_at: new Date(Date.now() - 120_000) });
    await visit(bench, first, 5);
    await visit(bench, second, 60);
    await visit(bench, third, 30);
    const room = roomOf(3);
    const leave = await makeRoom({ ...bench, room }, guest);
    await projected(bench);
    const { reason, because } = found(bench, 'LaunchSlept', second).data;
    assert.equal(reason, 'evicted');
    assert.equal(because, '3 launches of all may run at once, and this one was visited longest ago.');
    for (const id of [first, third]) assert.deepEqual(history(bench, 'launch', id).slice(3), []);
    // The one that was let in counts until the tables have it.
    await makeRoom({ ...bench, room }, { ...guest, launchId: 'newer' });
    await projected(bench);
    assert.deepEqual(history(bench, 'launch', third).slice(3), ['LaunchSlept']);
    leave();
    await makeRoom({ ...bench, room }, { ...guest, launchId: 'newest' });
    assert.deepEqual(history(bench, 'launch', first).slice(3), []);
  });

  test('is counted for each app and each owner too', async () => {
    const app = await running(bench, target, { appId: 'shop', owner: 'ann' });
    const owner = await running(bench, target, { appId: 'other', owner: 'bob' });
    await projected(bench);
    await makeRoom({ ...bench, room: roomOf(100, 1) }, { launchId: 'a', appId: 'shop', owner: 'cid' });
    await makeRoom({ ...bench, room: roomOf(100, 100, 1) }, { launchId: 'b', appId: 'x', owner: 'bob' });
    assert.match(found(bench, 'LaunchSlept', app).data.because ?? '', /^1 launches of this app/);
    assert.match(found(bench, 'LaunchSlept', owner).data.because ?? '', /^1 launches of bob/);
  });

  test('is waited for where all the others are starting', async () => {
    const id = await bench.requestLaunch({ ...image, appId: 'busy' });
    await startLaunch(target, id);
    await projected(bench);
    const asked = makeRoom({ ...bench, room: roomOf(100, 1) }, { launchId: 'c', appId: 'busy', owner: 'x' });
    await assert.rejects(asked, NoRoom);
    assert.deepEqual(history(bench, 'launch', id), ['LaunchRequested', 'LaunchStarting']);
    await bench.say(launch, id, {
      type: 'StopLaunch',
      data: { launchId: id, reason: 'stopped', because: null, at: bench.clock.now() },
    });
  });
});
