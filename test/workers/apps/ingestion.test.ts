/** Ingestions by real workers from a real Git server: what the log tells of them, and what is left when something dies. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ingestion } from '../../../domain/apps/ingestion.ts';
import { repository } from '../../../domain/apps/repository.ts';
import { freePort } from '../../../platform/free-port.ts';
import { type GitServer, type GitServerOptions, startGitServer } from '../../support/git-server.ts';
import { commitTo, makeRepo, makeSampleRepos, type SampleRepos } from '../../support/sample-repos.ts';
import { eventually, found, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const at = () => new Date().toISOString();
const ready = ['IngestionQueued', 'IngestionStarted', 'IngestionSucceeded'];
const dockerfile = 'FROM scratch\n';

let root: string;
let repos: SampleRepos;
let git: GitServer;
before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-ingestion-'));
  repos = makeSampleRepos(root);
  git = await startGitServer({ root });
});
after(async () => {
  await git.close();
  await rm(root, { recursive: true, force: true });
});

/** A Git server that holds back every pack after some bytes, until it is told to go on. */
async function holdingServer(): Promise<{ server: GitServer; options: GitServerOptions }> {
  const options: GitServerOptions = { root, holdAfterBytes: 200 };
  return { server: await startGitServer(options), options };
}

function fail(bench: WorkerBench, appId: string, run: number, attempt: number, retryAt: string) {
  const why = { reason: 'away', commit: null, durations: { cloneMs: 1, inspectMs: 0, storeMs: 0 } };
  const data = { appId, run, attempt, ...why, retryAt, durationMs: 1, at: at() };
  return bench.say(ingestion, appId, { type: 'FailIngestion', data });
}

/** As the reaction to the registration does it. */
async function begin(bench: WorkerBench, appId: string): Promise<void> {
  const { id } = await eventually(() => found(bench, 'RepositoryRegistered', appId));
  const data = { appId, cause: 'registered', at: at() } as const;
  await bench.say(ingestion, appId, { type: 'QueueIngestion', data }, id);
}
const startAttempt = (bench: WorkerBench, appId: string) =>
  bench.say(ingestion, appId, { type: 'StartIngestion', data: { appId, run: 1, at: at() } });

suite('an ingestion', { concurrency: true }, () => {
  let bench: WorkerBench;
  before(async () => {
    bench = await openWorkerBench();
    await bench.start();
  });
  after(() => bench.close());
  const ends = (appId: string, ...types: string[]) =>
    eventually(() => assert.deepEqual(history(bench, 'ingestion', appId), types));

  test('clones, looks, keeps the pictures, and has a build made of what it saw', async () => {
    await bench.register('counter', `${git.url}/node-app.git`);
    await ends('counter', ...ready);
    const { data, metadata } = found(bench, 'IngestionSucceeded', 'counter');
    assert.deepEqual([data.run, data.attempt, data.commit, data.branch], [1, 1, repos.node.commit, 'main']);
    assert.ok(data.durations.cloneMs > 0 && data.durations.inspectMs > 0, JSON.stringify(data.durations));
    assert.equal(data.inspection.title, 'Counter');
    const sha256 = data.inspection.previews[0]?.sha256 ?? 'none';
    assert.ok(await bench.objects.has(`pictures/${sha256}`), `no picture ${sha256}`);
    assert.equal(metadata.actor, 'workers');
    assert.equal(metadata.causationId, found(bench, 'IngestionQueued', 'counter').id);
    assert.equal(
      metadata.correlationId,
      found(bench, 'RepositoryRegistered', 'counter').metadata.correlationId,
    );
    const build = await eventually(() => {
      const requested = bench.events.filter(each => each.type === 'BuildRequested');
      return requested.find(each => each.data.appId === 'counter') ?? assert.fail('no build');
    });
    assert.equal(build.type === 'BuildRequested' && build.data.commit, repos.node.commit);
    const row = await eventually(async () => {
      const one = await bench.sql('apps_ingestions').where({ app_id: 'counter' }).first();
      assert.equal(one.status, 'ready');
      return one;
    });
    assert.deepEqual([row.commit, row.attempt, row.durations], [repos.node.commit, 1, data.durations]);
  });

  test('of a server that is away is tried three times, later each time, and says why', async () => {
    await bench.register('away', `http://127.0.0.1:${await freePort()}/x.git`);
    const attempt = ['IngestionStarted', 'IngestionAttemptFailed'];
    await ends('away', 'IngestionQueued', ...attempt, ...attempt, 'IngestionStarted', 'IngestionFailed');
    const of = (type: string) =>
      bench.events.filter(event => event.type === type && event.stream.endsWith('-away')) as never as {
        data: { at: string; retryAt: string; reason: string; commit: null; attempt: number };
      }[];
    const [first, second] = of('IngestionAttemptFailed');
    const [, startedSecond, startedThird] = of('IngestionStarted');
    assert.ok(first && second && startedSecond && startedThird);
    const waits = [first, second].map(({ data }) => Date.parse(data.retryAt) - Date.parse(data.at));
    assert.deepEqual(waits, [2_000, 10_000]);
    assert.ok(startedSecond.data.at >= first.data.retryAt && startedThird.data.at >= second.data.retryAt);
    const { data } = found(bench, 'IngestionFailed', 'away');
    assert.match(data.reason, /could not be reached/);
    assert.deepEqual([data.attempt, data.commit], [3, null]);
    const row = await bench.sql('apps_ingestions').where({ app_id: 'away' }).first();
    assert.match(row.message, /could not be reached/);
  });

  test('that would end the same way again is not tried again, and tells how far it came', async () => {
    await bench.register('none', `${git.url}/no-dockerfile.git`);
    await ends('none', 'IngestionQueued', 'IngestionStarted', 'IngestionFailed');
    const { data } = found(bench, 'IngestionFailed', 'none');
    assert.match(data.reason, /No Dockerfile was found/);
    assert.equal(data.commit, repos.none.commit);
    assert.ok(data.durations.cloneMs > 0 && data.durations.inspectMs > 0, JSON.stringify(data.durations));
    assert.equal(data.durations.storeMs, 0);
    await bench.register('nowhere', `${git.url}/not-there.git`);
    await ends('nowhere', 'IngestionQueued', 'IngestionStarted', 'IngestionFailed');
    await bench.register('no-branch', `${git.url}/node-app.git`, { ref: 'not-there' });
    await ends('no-branch', 'IngestionQueued', 'IngestionStarted', 'IngestionFailed');
  });

  test('is asked for again by hand, and sees what was mended', async () => {
    const repo = makeRepo(root, 'mended');
    commitTo(repo, { 'README.md': '# Mended\n' }, 'First');
    await bench.register('mended', `${git.url}/mended.git`);
    await ends('mended', 'IngestionQueued', 'IngestionStarted', 'IngestionFailed');
    const commit = commitTo(repo, { Dockerfile: dockerfile }, 'Second');
    await bench.retry('mended');
    await ends('mended', 'IngestionQueued', 'IngestionStarted', 'IngestionFailed', ...ready);
    const { data } = found(bench, 'IngestionSucceeded', 'mended');
    assert.deepEqual([data.run, data.attempt, data.commit], [2, 1, commit]);
    assert.equal(found(bench, 'IngestionQueued', 'mended').data.cause, 'retry');
  });

  test('that is called off while it clones stops at once and leaves nothing', async () => {
    const { server } = await holdingServer();
    try {
      await bench.register('held', `${server.url}/node-app.git`);
      await eventually(() => assert.ok(server.requests.some(line => line.includes('git-upload-pack'))));
      await eventually(async () =>
        assert.ok((await bench.workFolders()).some(name => name.startsWith('ingest-held-'))),
      );
      await bench.cancelIngestion('held');
      await eventually(() => assert.equal(server.open(), 0), 5_000);
      await eventually(async () =>
        assert.ok(!(await bench.workFolders()).some(name => name.startsWith('ingest-held-'))),
      );
      await ends('held', 'IngestionQueued', 'IngestionStarted', 'IngestionCancelled');
    } finally {
      await server.close();
    }
  });

  test('of another address is queued when the address changes, and once more after the present one', async () => {
    const { server, options } = await holdingServer();
    try {
      const change = (repoUrl: string) =>
        bench.say(repository, 'moved', {
          type: 'ChangeRepository',
          data: { appId: 'moved', at: at(), changes: { repoUrl } },
        });
      await bench.register('moved', `${server.url}/static-site.git`);
      await eventually(() => found(bench, 'IngestionStarted', 'moved'));
      await change(`${git.url}/node-app.git`);
      await eventually(() => found(bench, 'IngestionDeferred', 'moved'));
      await bench.say(repository, 'moved', {
        type: 'ChangeRepository',
        data: { appId: 'moved', at: at(), changes: { name: 'Only the name' } },
      });
      // The one that is held is called off by its server: the next attempt has the new address already.
      delete options.holdAfterBytes;
      await server.close();
      await eventually(() =>
        assert.equal(found(bench, 'IngestionSucceeded', 'moved').data.commit, repos.node.commit),
      );
      await eventually(() => assert.equal(found(bench, 'IngestionQueued', 'moved').data.run, 2));
      await eventually(() => assert.equal(found(bench, 'IngestionSucceeded', 'moved').data.run, 2));
      const queued = history(bench, 'ingestion', 'moved').filter(type => type === 'IngestionQueued');
      assert.equal(queued.length, 2);
    } finally {
      await server.close();
    }
  });
});

suite('an ingestion whose process ends', () => {
  test('by SIGTERM: git is ended, nothing is told, and the next start goes on', async () => {
    const bench = await openWorkerBench();
    const { server, options } = await holdingServer();
    try {
      const workers = await bench.start();
      await bench.register('app', `${server.url}/node-app.git`);
      await eventually(() => assert.ok(server.requests.some(line => line.includes('git-upload-pack'))));
      await workers.close();
      assert.deepEqual(history(bench, 'ingestion', 'app'), ['IngestionQueued', 'IngestionStarted']);
      await eventually(() => assert.equal(server.open(), 0), 5_000);
      assert.deepEqual(await bench.workFolders(), []);
      delete options.holdAfterBytes;
      await bench.start();
      await eventually(() => found(bench, 'IngestionSucceeded', 'app'));
      assert.deepEqual(history(bench, 'ingestion', 'app'), [
        'IngestionQueued',
        'IngestionStarted',
        'IngestionStarted',
        'IngestionSucceeded',
      ]);
      assert.deepEqual(
        bench.logged.filter(({ level }) => level === 'error'),
        [],
      );
    } finally {
      await bench.close();
      await server.close();
    }
  });

  test('while the tables are behind: the next start finds it as soon as they have it', async () => {
    const bench = await openWorkerBench();
    const { server, options } = await holdingServer();
    const behind = await bench.sql.transaction();
    try {
      await bench.projected();
      // They can be read, and nothing can be written to them.
      await behind.raw('lock table apps_ingestions in exclusive mode');
      const workers = await bench.start();
      await bench.register('app', `${server.url}/node-app.git`);
      await eventually(() => assert.ok(server.requests.some(line => line.includes('git-upload-pack'))));
      const seen = BigInt(found(bench, 'IngestionStarted', 'app').position);
      await eventually(async () => {
        const row = await bench.sql('reaction_checkpoints').first('position');
        assert.ok(BigInt(row?.position ?? 0) >= seen, 'it is told of again');
      });
      await workers.close();
      delete options.holdAfterBytes;
      await bench.start({ everyMs: { ...bench.everyMs, sweep: 3_600_000 } });
      assert.deepEqual(await bench.sql('apps_ingestions').select('app_id'), []);
      await behind.rollback();
      await eventually(() => found(bench, 'IngestionSucceeded', 'app'));
    } finally {
      if (!behind.isCompleted()) await behind.rollback();
      await bench.close();
      await server.close();
    }
  });

  test('by SIGKILL: what it left is removed, and the app is ready once', async () => {
    const bench = await openWorkerBench();
    try {
      await bench.register('app', `${git.url}/node-app.git`);
      await begin(bench, 'app');
      await startAttempt(bench, 'app');
      const left = path.join(bench.workDir, 'ingest-app-1-1');
      await mkdir(left, { recursive: true });
      await writeFile(path.join(left, 'half'), 'x');
      await bench.start();
      await eventually(() => assert.equal(found(bench, 'IngestionSucceeded', 'app').data.attempt, 2));
      assert.deepEqual(await bench.workFolders(), []);
      await eventually(() => found(bench, 'BuildRequested'));
      assert.deepEqual(history(bench, 'ingestion', 'app'), [
        'IngestionQueued',
        'IngestionStarted',
        'IngestionStarted',
        'IngestionSucceeded',
      ]);
    } finally {
      await bench.close();
    }
  });

  test('after its work, before the log has it: it is done again, and told once', async () => {
    const bench = await openWorkerBench();
    try {
      bench.faults.append = types =>
        types.includes('IngestionSucceeded') || types.includes('IngestionAttemptFailed');
      const workers = await bench.start();
      await bench.register('app', `${git.url}/node-app.git`);
      await eventually(() => assert.ok(bench.logged.some(({ line }) => line === 'a job failed')));
      await workers.close();
      assert.ok(!history(bench, 'ingestion', 'app').includes('IngestionSucceeded'));
      delete bench.faults.append;
      await bench.start();
      await eventually(() => found(bench, 'IngestionSucceeded', 'app'));
      await eventually(() => found(bench, 'BuildRequested'));
      const types = history(bench, 'ingestion', 'app');
      assert.equal(types.filter(type => type === 'IngestionSucceeded').length, 1);
    } finally {
      await bench.close();
    }
  });

  test('while it waits for the next attempt: it still waits for it', async () => {
    const bench = await openWorkerBench();
    try {
      await bench.register('app', `${git.url}/node-app.git`);
      await begin(bench, 'app');
      await startAttempt(bench, 'app');
      const retryAt = new Date(Date.now() + 1_500).toISOString();
      await fail(bench, 'app', 1, 1, retryAt);
      await bench.start();
      const { data } = await eventually(() => found(bench, 'IngestionSucceeded', 'app'));
      assert.equal(data.attempt, 2);
      const started = found(bench, 'IngestionStarted', 'app').data;
      assert.ok(started.at >= retryAt, `${started.at} is before ${retryAt}`);
    } finally {
      await bench.close();
    }
  });

  test('each time it is begun: at last it is given up', async () => {
    const bench = await openWorkerBench();
    try {
      await bench.register('app', `${git.url}/node-app.git`);
      await begin(bench, 'app');
      for (let attempt = 1; attempt <= 6; attempt += 1) await startAttempt(bench, 'app');
      await bench.start();
      const { data } = await eventually(() => found(bench, 'IngestionFailed', 'app'));
      assert.deepEqual([data.attempt, data.reason], [7, 'The ingestion was interrupted too often.']);
    } finally {
      await bench.close();
    }
  });

  test('twice at once: two processes do the same, and one is heard', async () => {
    const bench = await openWorkerBench();
    try {
      await bench.start();
      await bench.start();
      for (let n = 1; n <= 5; n += 1) await bench.register(`app-${n}`, `${git.url}/static-site.git`);
      for (let n = 1; n <= 5; n += 1) await eventually(() => found(bench, 'IngestionSucceeded', `app-${n}`));
      for (let n = 1; n <= 5; n += 1) {
        const types = history(bench, 'ingestion', `app-${n}`);
        assert.equal(types.filter(type => type === 'IngestionQueued').length, 1, types.join());
        assert.equal(types.filter(type => type === 'IngestionSucceeded').length, 1, types.join());
        assert.ok(!types.includes('IngestionDeferred'), types.join());
      }
      await eventually(() => {
        const built = bench.events.filter(({ type }) => type === 'BuildRequested');
        assert.equal(built.length, 5);
      });
    } finally {
      await bench.close();
    }
  });
});
