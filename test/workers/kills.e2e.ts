/**
 * Workers that are killed again and again, at any step between what is wanted and what is told, while launches come, change,
 * sleep and go. In the end nothing is lost, nothing is there twice, and nothing is left behind.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { stateOf } from '../../commands/execute.ts';
import { type LaunchCommand, launch } from '../../domain/apps/launch.ts';
import { openSegmentStorage } from '../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { openLogger } from '../../platform/log.ts';
import { type Chance, chanceFrom, countFrom, seed } from '../support/chance.ts';
import { openTestDocker } from '../support/docker.ts';
import { ensureTestImages } from '../support/images.ts';
import { eventually, openWorkerBench } from '../support/workers.ts';

const entry = path.resolve(import.meta.dirname, '../../cli/apphub.js');
const killsMin = countFrom('APPHUB_TEST_KILLS', 100);
/** At each of the places between two effects. */
const chance = 0.25;
const launchesMax = 6;

suite('workers that are killed', () => {
  const images = openTestDocker();
  const { docker, instance } = images;
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-kills-'));
  const log = openLogger({ level: 'silent' });
  let bench: Awaited<ReturnType<typeof openWorkerBench>>;
  let env: Record<string, string>;
  let imageId = '';
  const closings: (() => Promise<unknown>)[] = [];

  before(async () => {
    await ensureTestImages();
    const storage = await openSegmentStorage({ directory: path.join(root, 'log'), durability: 'none', log });
    const server = await startLogServer({ storage, port: 0, log });
    const eventstoreUrl = `esdb://127.0.0.1:${server.port}?tls=false`;
    const events = openLog(eventstoreUrl);
    closings.push(
      () => storage.close(),
      () => server.close(),
      () => events.close(),
    );
    bench = await openWorkerBench({ docker, store: events.store });
    closings.push(() => bench.close());
    const dataDir = path.join(root, 'data');
    mkdirSync(dataDir);
    writeFileSync(path.join(dataDir, 'instance'), `${instance}\n`, { mode: 0o600 });
    env = {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: bench.connectionString,
      EVENTSTORE_URL: eventstoreUrl,
      APPHUB_DATA_DIR: dataDir,
      APPHUB_LAUNCH_DRAIN_SECONDS: '0',
      LOG_LEVEL: 'warn',
    };
    imageId = await images.imageOf(
      'app',
      'RUN mkdir -p /www && echo hi >/www/index.html',
      'USER 1000',
      'CMD ["sh", "-c", "exec httpd -f -p $PORT -h /www"]',
    );
  });
  after(async () => {
    for (const close of closings.reverse()) await close();
    await images.cleanUp();
    rmSync(root, { recursive: true, force: true });
  });

  function startWorkers(fault?: string): ChildProcess {
    return spawn(process.execPath, [entry, 'start', '--rooms=workers'], {
      env: { ...env, ...(fault === undefined ? {} : { APPHUB_FAULT: fault }) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  const say = (id: string, command: LaunchCommand) => bench.say(launch, id, command);
  const at = () => bench.clock.now();
  const image = { buildId: 'b', image: 'apphub/app:1', port: 8_080 };
  const asked: ((launchId: string) => LaunchCommand)[] = [
    launchId => ({ type: 'Redeploy', data: { launchId, at: at(), cause: 'redeploy', ...image, imageId } }),
    launchId => ({ type: 'WakeLaunch', data: { launchId, at: at() } }),
    launchId => ({ type: 'StopLaunch', data: { launchId, at: at(), reason: 'stopped', because: null } }),
  ];

  const stateOfLaunch = async (id: string) => {
    const found = await stateOf(bench.store, launch, id);
    assert.ok(found !== null);
    return found.state;
  };

  /** One thing that somebody may ask of the launches that are there, or a new one. */
  async function askSomething({ number, pick }: Chance, alive: Set<string>): Promise<void> {
    if (alive.size < launchesMax && number() < 0.6) {
      alive.add(await bench.requestLaunch({ image: image.image, imageId, restart: 'on-failure' }));
      return;
    }
    const launchId = pick([...alive]);
    if (launchId === undefined) return;
    const { serving } = await stateOfLaunch(launchId);
    const sleep: LaunchCommand = {
      type: 'SleepLaunch',
      data: { launchId, at: at(), deployment: serving?.deployment ?? 0, reason: 'idle', because: null },
    };
    const command = number() < 0.3 ? sleep : pick(asked)(launchId);
    await say(launchId, command);
    if (command.type === 'StopLaunch') alive.delete(launchId);
  }

  /** What the engine holds is what the log says, for each launch there ever was. */
  async function assertTrue(ids: readonly string[]): Promise<void> {
    const found = await docker.listLaunches();
    const there = found.map(one => `${one.launchId}.${one.deployment} ${one.state}`).sort();
    const wanted: string[] = [];
    for (const id of ids) {
      const { status, serving, coming, retiring } = await stateOfLaunch(id);
      assert.ok(['running', 'asleep', 'ended'].includes(status), `${id} is ${status}`);
      assert.deepEqual([coming, retiring], [null, []], id);
      if (serving === null) continue;
      wanted.push(`${id}.${serving.deployment} running`);
      const { host, hostPort } = serving.place ?? {};
      const answer = await fetch(`http://${host}:${hostPort}/`, { signal: AbortSignal.timeout(5_000) });
      assert.equal(await answer.text(), 'hi\n');
    }
    assert.deepEqual(there, wanted.sort());
    const ended = new Set(ids);
    for (const { launchId } of await docker.listNetworks()) assert.ok(ended.has(launchId), launchId);
  }

  test(`at any step, ${killsMin} times: nothing is lost, doubled or left`, { timeout: 900_000 }, async t => {
    t.diagnostic(`seed ${seed}`);
    const chances = chanceFrom(seed);
    const alive = new Set<string>();
    const all = new Set<string>();
    let kills = 0;
    while (kills < killsMin) {
      const child = startWorkers(`*:${chance}`);
      const gone = once(child, 'exit').then(([code, signal]) => {
        assert.equal(signal, 'SIGKILL', `the workers ended by themselves with ${code}`);
        return true;
      });
      let isGone = false;
      while (!isGone) {
        await askSomething(chances, alive);
        for (const id of alive) all.add(id);
        isGone = await Promise.race([gone, new Promise<false>(resolve => setTimeout(resolve, 150, false))]);
      }
      kills += 1;
    }
    const last = startWorkers();
    try {
      const begun = performance.now();
      await eventually(() => assertTrue([...all]));
      t.diagnostic(`true ${Math.round(performance.now() - begun)} ms after the last start`);
    } finally {
      last.kill('SIGTERM');
      await once(last, 'exit');
    }
    const failures = bench.events.filter(({ type }) => /Failed$|Crashed$/.test(type));
    assert.deepEqual(
      failures.map(({ type, data }) => `${type} ${'reason' in data ? data.reason : ''}`),
      [],
    );
    t.diagnostic(`${kills} kills, ${all.size} launches, ${bench.events.length} events`);
  });
});
