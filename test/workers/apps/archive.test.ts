/** Archiving an app: what of it waits or runs ends, once, also when a process dies over it or the tables lag. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { startGitServer } from '../../support/git-server.ts';
import { commit, markRunning, startBuild, startLaunch } from '../../support/play.ts';
import { makeSampleRepos } from '../../support/sample-repos.ts';
import { eventually, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const repoUrl = 'https://git.example/app.git';
const spec = { repoUrl, ref: null, commit, dockerfilePath: 'Dockerfile' };
const image = { image: 'apphub/app:1', imageId: 'sha256:1' };

async function open(t: TestContext): Promise<WorkerBench> {
  const bench = await openWorkerBench();
  t.after(() => bench.close());
  return bench;
}

/** Builds and launches in every state in which they do something; without an engine they stay there. */
async function beginWork(bench: WorkerBench, appId: string) {
  const target = { store: bench.store, wrote: () => undefined };
  const [queued, running] = [
    await bench.requestBuild({ appId, ...spec }),
    await bench.requestBuild({ appId, ...spec }),
  ];
  await startBuild(target, running);
  const launch = () => bench.requestLaunch({ appId, ...image });
  const [requested, starting, up] = [await launch(), await launch(), await launch()];
  for (const launchId of [starting, up]) await startLaunch(target, launchId);
  await markRunning(target, up);
  return { builds: [queued, running], launches: [requested, starting, up] };
}

type Work = Awaited<ReturnType<typeof beginWork>>;

const count = (types: readonly string[], wanted: string) => types.filter(type => type === wanted).length;

const endedOnce = (bench: WorkerBench, { builds, launches }: Work) =>
  eventually(() => {
    for (const id of builds) assert.equal(count(history(bench, 'build', id), 'BuildCancelled'), 1);
    for (const id of launches) assert.equal(count(history(bench, 'launch', id), 'LaunchStopping'), 1);
  });

suite('an app that is archived', { concurrency: true }, () => {
  test('has its builds cancelled and its launches stopped, by the workers, and no others', async t => {
    const bench = await open(t);
    for (const appId of ['gone', 'kept']) await bench.register(appId, repoUrl);
    const [gone, kept] = [await beginWork(bench, 'gone'), await beginWork(bench, 'kept')];
    await bench.start();
    await bench.archive('gone');
    await endedOnce(bench, gone);
    const archived = bench.events.find(({ type }) => type === 'RepositoryArchived');
    const ends = bench.events.filter(({ type }) => ['BuildCancelled', 'LaunchStopping'].includes(type));
    assert.equal(ends.length, 5);
    for (const { data, metadata } of ends) {
      assert.equal('appId' in data ? data.appId : '', 'gone');
      assert.deepEqual([metadata.actor, metadata.causationId], ['workers', archived?.id]);
      assert.equal(metadata.correlationId, archived?.metadata.correlationId);
    }
    for (const id of kept.builds) assert.equal(count(history(bench, 'build', id), 'BuildCancelled'), 0);
  });

  test('while it is cloned: the clone ends at once, and nothing of it is queued or built', async t => {
    const root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-archive-'));
    t.after(() => rm(root, { recursive: true, force: true }));
    makeSampleRepos(root);
    const server = await startGitServer({ root, holdAfterBytes: 200 });
    t.after(() => server.close());
    const bench = await open(t);
    await bench.start();
    await bench.register('gone', `${server.url}/node-app.git`);
    await eventually(() => assert.ok(server.requests.some(line => line.includes('git-upload-pack'))));
    await bench.archive('gone');
    await eventually(() => assert.equal(server.open(), 0));
    await eventually(() =>
      assert.deepEqual(history(bench, 'ingestion', 'gone'), [
        'IngestionQueued',
        'IngestionStarted',
        'IngestionCancelled',
      ]),
    );
    await eventually(async () => assert.deepEqual(await bench.workFolders(), []));
    assert.ok(!bench.events.some(({ type }) => type === 'BuildRequested'));
  });

  test('right after something was asked of it, which the tables do not know yet: that ends too', async t => {
    const bench = await open(t);
    await bench.register('gone', repoUrl);
    await bench.start({ everyMs: { sweep: 3_600_000, docker: 100 } });
    await eventually(async () => assert.equal((await bench.sql('apps_repositories')).length, 1));
    const work = await bench.sql.transaction(async tx => {
      // The projector has to wait; readers need not.
      await tx.raw('lock table apps_builds in share mode');
      const begun = await beginWork(bench, 'gone');
      const archived = await bench.archive('gone');
      await eventually(async () => {
        const { position } = await bench.sql('reaction_checkpoints').first();
        assert.ok(BigInt(position) >= archived);
      });
      return begun;
    });
    await endedOnce(bench, work);
  });

  test('while no worker runs: the next start ends its work', async t => {
    const bench = await open(t);
    await bench.register('gone', repoUrl);
    const work = await beginWork(bench, 'gone');
    await bench.archive('gone');
    await bench.start();
    await endedOnce(bench, work);
  });

  test('by a process that dies half-way: the rest ends with the next start, and nothing twice', async t => {
    const bench = await open(t);
    await bench.register('gone', repoUrl);
    const work = await beginWork(bench, 'gone');
    // The log takes the end of one build, and then nothing more.
    let ends = 0;
    bench.faults.append = types => {
      if (types.includes('BuildCancelled')) ends += 1;
      return ends > 1 || types.includes('LaunchStopping');
    };
    const first = await bench.start();
    await bench.archive('gone');
    await eventually(() => assert.ok(ends > 1));
    await first.close();
    const cancelled = () => bench.events.filter(({ type }) => type === 'BuildCancelled').length;
    assert.equal(cancelled(), 1);
    delete bench.faults.append;
    await bench.start();
    await endedOnce(bench, work);
  });

  test('by two processes: each thing ends once', async t => {
    const bench = await open(t);
    await bench.register('gone', repoUrl);
    const work = await beginWork(bench, 'gone');
    await bench.start();
    await bench.start();
    await bench.archive('gone');
    await endedOnce(bench, work);
    // Whatever the slower one has still to say is said when it has gone.
    await bench.close();
    assert.equal(bench.events.filter(({ type }) => type === 'BuildCancelled').length, 2);
    assert.equal(bench.events.filter(({ type }) => type === 'LaunchStopping').length, 3);
  });

  test('and registered again is left alone', async t => {
    const bench = await open(t);
    await bench.register('back', repoUrl);
    const work = await beginWork(bench, 'back');
    await bench.archive('back');
    await bench.register('back', repoUrl);
    await bench.start();
    await bench.register('other', repoUrl);
    const other = await beginWork(bench, 'other');
    await bench.archive('other');
    await endedOnce(bench, other);
    for (const id of work.builds) assert.equal(count(history(bench, 'build', id), 'BuildCancelled'), 0);
  });
});
