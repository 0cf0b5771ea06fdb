/** What a sweep finds in the tables: work that waits or was interrupted, launches whose time is over, work of archived apps. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { projections } from '../../projections/index.ts';
import { inlineQueue } from '../../workers/inline-queue.ts';
import { sweepArchived, sweepJobs } from '../../workers/sweep.ts';
import {
  commit,
  confirmRemoved,
  failLaunch,
  finishBuild,
  markRunning,
  startBuild,
  startIngestion,
  startLaunch,
} from '../support/play.ts';
import { eventually, history, openWorkerBench, type WorkerBench } from '../support/workers.ts';

const quiet = { warn: () => undefined, error: () => undefined };
const spec = { repoUrl: 'https://git.example/app.git', ref: null, commit, dockerfilePath: 'Dockerfile' };
const image = { image: 'apphub/app:1', imageId: 'sha256:1' };

/** The real queue, with effects that only note what they are run for. */
function openNotingQueue() {
  const ran: string[] = [];
  const effects = ['ingest', 'build', 'deploy', 'retire', 'remove'].map(name => ({
    name,
    atOnce: 10,
    run: async (data: object) => void ran.push(`${name} ${Object.values(data).join(' ')}`),
  }));
  return { ran, queue: inlineQueue(effects, quiet) };
}

const projected = (bench: WorkerBench) => bench.projected();

suite('a sweep', () => {
  let bench: WorkerBench;
  let target: { store: WorkerBench['store']; wrote: () => void };
  before(async () => {
    bench = await openWorkerBench();
    target = { store: bench.store, wrote: () => undefined };
  });
  after(() => bench.close());

  const queueIngestion = (appId: string) =>
    bench.say(ingestion, appId, {
      type: 'QueueIngestion',
      data: { appId, cause: 'registered', at: new Date().toISOString() },
    });
  /** Only what is of this test: the others have left theirs. */
  const about = (ran: readonly string[], ids: readonly string[]) =>
    ran.filter(line => ids.some(id => line.includes(id))).sort();

  test('queues what waits or was interrupted, and nothing that has ended', async () => {
    for (const appId of ['in-queue', 'begun', 'called-off']) await queueIngestion(appId);
    await startIngestion(target, 'begun');
    await bench.cancelIngestion('called-off');
    const build = () => bench.requestBuild({ appId: 'app', ...spec });
    const [waiting, running, built, cancelled] = [await build(), await build(), await build(), await build()];
    for (const buildId of [running, built]) await startBuild(target, buildId);
    await finishBuild(target, built);
    await bench.cancelBuild(cancelled);
    const launch = () => bench.requestLaunch(image);
    const [requested, starting, up] = [await launch(), await launch(), await launch()];
    const [stopping, stopped, failed] = [await launch(), await launch(), await launch()];
    for (const launchId of [starting, up, failed]) await startLaunch(target, launchId);
    await markRunning(target, up);
    await failLaunch(target, failed);
    for (const launchId of [stopping, stopped]) await bench.stop(launchId);
    await confirmRemoved(target, stopped);
    await projected(bench);
    const { ran, queue } = openNotingQueue();
    await sweepJobs({ ...bench, queue });
    await eventually(() =>
      assert.deepEqual(
        about(ran, ['in-queue', 'begun', 'called-off', waiting, running, built, cancelled]),
        [`ingest begun 1`, `ingest in-queue 1`, `build ${waiting}`, `build ${running}`].sort(),
      ),
    );
    assert.deepEqual(
      about(ran, [requested, starting, up, stopping, stopped, failed]),
      [`deploy ${requested} 1`, `deploy ${starting} 1`, `remove ${stopping}`].sort(),
    );
    await queue.close();
  });

  test('ends what archived apps still do, each once, and leaves the others alone', async () => {
    const idsOf = async (appId: string) => {
      await bench.register(appId, spec.repoUrl);
      const build = await bench.requestBuild({ appId, ...spec });
      const launch = await bench.requestLaunch({ appId, ...image });
      return { build, launch };
    };
    const kept = await idsOf('kept');
    const gone = await idsOf('gone');
    await bench.archive('gone');
    await projected(bench);
    await Promise.all([sweepArchived(bench), sweepArchived(bench)]);
    await eventually(() =>
      assert.deepEqual(history(bench, 'build', gone.build), ['BuildRequested', 'BuildCancelled']),
    );
    assert.deepEqual(history(bench, 'launch', gone.launch), ['LaunchRequested', 'LaunchStopping']);
    assert.deepEqual(history(bench, 'build', kept.build), ['BuildRequested']);
    assert.deepEqual(history(bench, 'launch', kept.launch), ['LaunchRequested']);
  });
});

test('a sweep takes the thousand that wait longest, and finds the rest when they are done', async () => {
  const bench = await openWorkerBench();
  try {
    // Nothing but the projector's own tables: their rows are made here as it would.
    await eventually(() =>
      Promise.all(
        projections.flatMap(({ tables }) => Object.keys(tables)).map(one => bench.sql(one).count()),
      ),
    );
    const row = (number: number) => ({
      build_id: `build-${number}`,
      app_id: 'app',
      repo_url: 'https://git.example/app.git',
      commit,
      args: {},
      pinned: true,
      asked_position: number,
      dockerfile_path: 'Dockerfile',
      cause: 'manual',
      status: 'queued',
      attempt: 0,
      requested_at: new Date(Date.UTC(2026, 0, 1) + number * 1_000),
    });
    const rows = Array.from({ length: 1_100 }, (_, at) => row(at)).reverse();
    await bench.sql.batchInsert('apps_builds', rows, 1_100);
    const first = openNotingQueue();
    await sweepJobs({ ...bench, queue: first.queue });
    await eventually(() => assert.equal(first.ran.length, 1_000));
    assert.equal(first.ran[0], 'build build-0');
    assert.ok(!first.ran.includes('build build-1000'));
    const done = Array.from({ length: 1_000 }, (_, at) => `build-${at}`);
    await bench.sql('apps_builds').whereIn('build_id', done).update({ status: 'succeeded' });
    const second = openNotingQueue();
    await sweepJobs({ ...bench, queue: second.queue });
    await eventually(() => assert.equal(second.ran.length, 100));
    assert.equal(second.ran[0], 'build build-1000');
  } finally {
    await bench.close();
  }
});
