/** Jobs in a real Redis that forgets, goes away and comes back, and processes that die with a job in their hands. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { UnrecoverableError } from 'bullmq';
import { Cancelled, type Effect, Shutdown } from '../../workers/effect.ts';
import { type JobQueue, QueueUnavailable, redisQueue } from '../../workers/queue.ts';
import { startGitServer } from '../support/git-server.ts';
import { holdingEffect, jobOf } from '../support/holding-effect.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { makeSampleRepos } from '../support/sample-repos.ts';
import { eventually, history, openWorkerBench, type WorkerBench } from '../support/workers.ts';

const quiet = { warn: () => undefined, error: () => undefined };
const lockMs = 1_000;

/** A Redis for one test, and queues on it as processes have them; all of them end with the test. */
async function open(t: TestContext) {
  const redis = await startTestRedis();
  const queues = new Set<JobQueue>();
  t.after(async () => {
    await Promise.all([...queues].map(queue => queue.close()));
    await redis.close();
  });
  const openQueue = (...effects: Effect[]) => {
    const inner = redisQueue(effects, { url: redis.url, lockMs }, quiet);
    const queue: JobQueue = {
      ...inner,
      close() {
        queues.delete(queue);
        return inner.close();
      },
    };
    queues.add(queue);
    return queue;
  };
  return { redis, openQueue };
}

const begins = (work: { begun: string[] }, ...keys: string[]) =>
  eventually(() => assert.deepEqual(work.begun, keys));
/** Redis holds nothing of the job any more, neither as waiting, running nor done. */
const forgotten = (redis: TestRedis, id: string) =>
  eventually(async () => assert.equal(await redis.ask('EXISTS', `apphub:work:${id}`), 0));

suite('jobs in Redis', { concurrency: true }, () => {
  test('told twice, to several processes, run once at a time', async t => {
    const { redis, openQueue } = await open(t);
    const [one, other] = [holdingEffect('work', 2), holdingEffect('work', 2)];
    const [here, there] = [openQueue(one.effect), openQueue(other.effect)];
    for (const queue of [here, there, here]) await queue.add(jobOf('work', 'a'));
    await eventually(() => assert.equal(one.begun.length + other.begun.length, 1));
    await there.add(jobOf('work', 'a'));
    await there.add(jobOf('work', 'b'));
    await eventually(() => assert.equal(one.running.size + other.running.size, 2));
    assert.deepEqual([...one.begun, ...other.begun].sort(), ['a', 'b']);
    for (const each of [one, other]) for (const key of ['a', 'b']) each.end(key);
    await forgotten(redis, 'work.a');
    await here.add(jobOf('work', 'a'));
    await eventually(() => assert.deepEqual([...one.begun, ...other.begun].sort(), ['a', 'a', 'b']));
  });

  test('that Redis has forgotten while they run, and is told of again, still run once', async t => {
    const { redis, openQueue } = await open(t);
    const work = holdingEffect('work', 2);
    const queue = openQueue(work.effect);
    await queue.add(jobOf('work', 'a'));
    await begins(work, 'a');
    await redis.flush();
    await queue.add(jobOf('work', 'a'));
    await queue.add(jobOf('work', 'b'));
    await begins(work, 'a', 'b');
    // It was taken a second time, and let go.
    await forgotten(redis, 'work.a');
    assert.deepEqual(work.begun, ['a', 'b']);
    work.end('a');
    await eventually(async () => {
      await queue.add(jobOf('work', 'a'));
      assert.deepEqual(work.begun, ['a', 'b', 'a']);
    });
  });

  test('that are cancelled end with that reason and are not tried again', async t => {
    const { redis, openQueue } = await open(t);
    let reason: unknown;
    const effect: Effect = {
      name: 'work',
      atOnce: 1,
      run: (_data, signal) =>
        new Promise(resolve =>
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            resolve();
          }),
        ),
    };
    const queue = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    await eventually(async () => {
      queue.cancel('work.nobody', new Cancelled());
      queue.cancel('work.a', new Cancelled());
      assert.ok(reason instanceof Cancelled);
    });
    await forgotten(redis, 'work.a');
  });

  test('that fail are tried again; given up, they leave their id to the sweep', async t => {
    const { redis, openQueue } = await open(t);
    const work = holdingEffect('work', 1);
    const queue = openQueue(work.effect);
    await queue.add(jobOf('work', 'a'));
    await begins(work, 'a');
    work.running.get('a')?.fail(new Error('not yet'));
    await begins(work, 'a', 'a');
    work.running.get('a')?.fail(new UnrecoverableError('never'));
    await forgotten(redis, 'work.a');
    await queue.add(jobOf('work', 'a'));
    await begins(work, 'a', 'a', 'a');
  });

  test('of a process that goes down end with Shutdown, and are left to the next start', async t => {
    const { redis, openQueue } = await open(t);
    const work = holdingEffect('work', 1);
    const queue = openQueue(work.effect);
    await queue.add(jobOf('work', 'a'));
    await queue.add(jobOf('work', 'b'));
    await begins(work, 'a');
    const { signal } = work.running.get('a') ?? assert.fail('a does not run');
    await queue.close();
    assert.ok(signal.reason instanceof Shutdown);
    assert.deepEqual(work.begun, ['a']);
    // Given back, so that nobody has to find out first that its process is gone.
    assert.notEqual(await redis.ask('ZSCORE', 'apphub:work:delayed', 'work.a'), null);
    await assert.rejects(queue.add(jobOf('work', 'c')), QueueUnavailable);
    const next = holdingEffect('work', 2);
    void openQueue(next.effect);
    await eventually(() => assert.deepEqual([...next.begun].sort(), ['a', 'b']));
  });

  test('of a process that dies go to another one, and not before', async t => {
    const { redis, openQueue } = await open(t);
    const module = new URL('../../workers/queue.ts', import.meta.url).href;
    const script = `
      import { redisQueue } from '${module}';
      const run = () => new Promise(() => console.log('begun'));
      const quiet = { warn() {}, error() {} };
      const queue = redisQueue([{ name: 'work', atOnce: 1, run }], { url: '${redis.url}', lockMs: ${lockMs} }, quiet);
      await queue.add({ effect: 'work', id: 'work.a', data: { key: 'a' } });`;
    const args = ['--input-type=module', '--eval', script];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const work = holdingEffect('work', 2);
    void openQueue(work.effect);
    // While it lives it renews its claim, and nobody else gets the job.
    const claim = async () => Number(await redis.ask('PTTL', 'apphub:work:work.a:lock'));
    let leftMs = await claim();
    await eventually(async () => {
      const before = leftMs;
      leftMs = await claim();
      assert.ok(leftMs > before, `${leftMs} ms are left of it`);
    });
    assert.deepEqual(work.begun, []);
    child.kill('SIGKILL');
    await exited;
    await begins(work, 'a');
  });

  test('cannot be added while Redis is away, and run once it is back', async t => {
    const { redis, openQueue } = await open(t);
    const work = holdingEffect('work', 2);
    const queue = openQueue(work.effect);
    await queue.add(jobOf('work', 'a'));
    await begins(work, 'a');
    await redis.kill();
    await assert.rejects(queue.add(jobOf('work', 'b')), QueueUnavailable);
    await redis.start();
    await eventually(() => queue.add(jobOf('work', 'b')));
    await begins(work, 'a', 'b');
  });

  test('do not keep a process that goes down while Redis is away', async t => {
    const { redis, openQueue } = await open(t);
    const work = holdingEffect('work', 1);
    const queue = openQueue(work.effect);
    await queue.add(jobOf('work', 'a'));
    await begins(work, 'a');
    await redis.kill();
    await queue.close();
    assert.equal(work.running.size, 0);
  });
});

suite('workers over a Redis', { concurrency: true }, () => {
  /** Workers that ingest one app at a time, from a Git server that holds back every pack until it is told to go on. */
  async function openHeld(t: TestContext) {
    const root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-queue-'));
    makeSampleRepos(root);
    const holding = await startGitServer({ root, holdAfterBytes: 200 });
    const server = await startGitServer({ root });
    const redis = await startTestRedis();
    const bench = await openWorkerBench();
    t.after(async () => {
      await bench.close();
      await Promise.all([redis.close(), holding.close(), server.close()]);
      await rm(root, { recursive: true, force: true });
    });
    await bench.start({ redisUrl: redis.url, ingestionsAtOnce: 1, everyMs: { sweep: 100 } });
    await bench.register('held', `${holding.url}/static-site.git`);
    await eventually(() =>
      assert.deepEqual(history(bench, 'ingestion', 'held'), ['IngestionQueued', 'IngestionStarted']),
    );
    // The only place is free again once nobody wants the held one.
    const release = () => bench.cancelIngestion('held');
    return { bench, redis, url: server.url, release };
  }

  const waiting = (bench: WorkerBench, apps: readonly string[]) =>
    eventually(() => {
      for (const appId of apps) assert.deepEqual(history(bench, 'ingestion', appId), ['IngestionQueued']);
    });
  const endedOnce = (bench: WorkerBench, apps: readonly string[]) =>
    eventually(() => {
      for (const appId of apps)
        assert.deepEqual(history(bench, 'ingestion', appId), [
          'IngestionQueued',
          'IngestionStarted',
          'IngestionSucceeded',
        ]);
    });

  test('that forgets what waits in it: the sweep brings it back, and each is done once', async t => {
    const { bench, redis, url, release } = await openHeld(t);
    const apps = ['one', 'two', 'three', 'four'];
    for (const appId of apps) await bench.register(appId, `${url}/static-site.git`);
    await waiting(bench, apps);
    await redis.flush();
    assert.equal(await redis.ask('EXISTS', 'apphub:ingest:ingest.one.1'), 0);
    await release();
    await endedOnce(bench, apps);
    assert.equal(history(bench, 'ingestion', 'held').filter(type => type === 'IngestionQueued').length, 1);
  });

  test('that is killed and comes back empty: work goes on by itself, with what was asked for meanwhile', async t => {
    const { bench, redis, url, release } = await openHeld(t);
    await bench.register('before', `${url}/static-site.git`);
    await waiting(bench, ['before']);
    await redis.kill();
    await bench.register('meanwhile', `${url}/static-site.git`);
    // Its ingestion is in the log, its job nowhere: the reaction waits for Redis.
    await eventually(() =>
      assert.ok(bench.logged.some(({ line }) => line.startsWith('reactions stopped; trying again'))),
    );
    await release();
    await redis.start();
    await endedOnce(bench, ['before', 'meanwhile']);
  });
});
