/**
 * An engine that is killed again and again, at any moment, while launches come, change and go and both builders build. When it is
 * back, what it holds is what the log says; in the end nothing is lost, nothing is there twice, and nothing is left behind.
 *
 * It is run where APPHUB_TEST_ENGINE_KILLS says how often: what chance finds is for whoever looks for it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { stateOf } from '../../commands/execute.ts';
import { type LaunchCommand, launch } from '../../domain/apps/launch.ts';
import { openLogger } from '../../platform/log.ts';
import { openDocker } from '../../workers/adapters/docker.ts';
import { labelOf } from '../../workers/adapters/docker-labels.ts';
import type { Engines } from '../../workers/adapters/engine-types.ts';
import { chanceFrom, countFrom, seed } from '../support/chance.ts';
import { alone, openTestDocker } from '../support/docker.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { takeTurns } from '../support/turn.ts';
import { eventually, history, openWorkerBench, type WorkerBench } from '../support/workers.ts';

const kills = countFrom('APPHUB_TEST_ENGINE_KILLS', 2);
const launchesMax = 4;
/** A container that is killed six times in a row is not started again; that is tried elsewhere. */
const killsPerLaunchMax = 3;
const busyMsMax = 2_500;
const startsMax = 4;
const buildsMsMax = 300_000;
/** Ten seconds is what is wished for, on a machine that has nothing else to do. */
const slowMs = 10_000;
const trueMsMax = 150_000;
const hows = ['RUN', 'RUN --mount=type=tmpfs,target=/x'];
const image = { buildId: 'b', image: 'apphub/app:1', port: 8_080 };

const isWanted = process.env.APPHUB_TEST_ENGINE_KILLS !== undefined;
// The engine holds the steps of all that BuildKit builds together to one limit.
if (isWanted) takeTurns('buildkit');

if (isWanted)
  suite('an engine that is killed at random', () => {
    const images = openTestDocker();
    const instance = images.instance;
    let engine: TestEngine;
    let docker: Engines;
    let bench: WorkerBench;
    let git: GitServer;
    let root = '';
    let imageId = '';
    before(async () => {
      await ensureTestImages();
      imageId = await images.imageOf(
        'app',
        'RUN mkdir -p /www && echo hi >/www/index.html',
        'USER 1000',
        'CMD ["sh", "-c", "exec httpd -f -p $PORT -h /www"]',
      );
      engine = await startTestEngine();
      await engine.load(busyboxImage);
      await engine.load(`apphub/${instance}:app`);
      const sandbox = { publish: engine.address };
      docker = alone(
        openDocker({ host: engine.host, instance, sandbox, log: openLogger({ level: 'silent' }) }),
      );
      bench = await openWorkerBench({ docker });
      root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-engine-kills-'));
      git = await startGitServer({ root });
      await bench.start({ everyMs: { docker: 200, sweep: 1_000, reconcile: 300, expiry: 200, usage: 500 } });
    });
    after(async () => {
      await bench.close();
      await git.close();
      await engine.close();
      await rm(root, { recursive: true, force: true });
      await images.cleanUp();
    });

    const at = () => bench.clock.now();
    const launchOf = async (id: string) => {
      const found = await stateOf(bench.store, launch, id);
      assert.ok(found !== null);
      return found.state;
    };
    const asked: ((launchId: string) => LaunchCommand)[] = [
      launchId => ({ type: 'Redeploy', data: { launchId, at: at(), cause: 'redeploy', ...image, imageId } }),
      launchId => ({ type: 'WakeLaunch', data: { launchId, at: at() } }),
      launchId => ({ type: 'StopLaunch', data: { launchId, at: at(), reason: 'stopped', because: null } }),
    ];
    const requestBuild = (number: number, how: string) => {
      const appId = `engine-killed-${number}`;
      const dockerfile = `FROM ${busyboxImage}\n${how} echo ${number} && sleep 1\nRUN echo ${number} >/n\n`;
      const commit = commitTo(makeRepo(root, appId), { Dockerfile: dockerfile }, 'First');
      const spec = { appId, repoUrl: `${git.url}/${appId}.git`, ref: null, commit };
      return bench.requestBuild({ ...spec, dockerfilePath: 'Dockerfile' });
    };

    /** When and how it came to where it is. */
    const storyOf = (id: string) => {
      const events = bench.events
        .filter(({ stream }) => stream === `apps.launch-${id}`)
        .map(({ type, created, data }) => `${created} ${type} ${'reason' in data ? data.reason : ''}`);
      const said = bench.logged
        .filter(({ detail }) => JSON.stringify(detail.job ?? '').includes(id))
        .map(({ detail, line }) => `${line}: ${detail.err}`);
      return [...events, ...said].join('\n');
    };

    /** What the engine holds is what the log says; a launch may be waiting to be started again. */
    async function assertTrue(ids: Iterable<string>, isFinal: boolean): Promise<void> {
      const there = (await docker.listLaunches()).map(
        one => `${one.launchId}.${one.deployment} ${one.state}`,
      );
      const wanted: string[] = [];
      for (const id of ids) {
        const { status, serving, coming, retiring } = await launchOf(id);
        const waits = status === 'restarting' && coming?.place === null && !isFinal;
        assert.ok(
          waits || ['running', 'asleep', 'ended'].includes(status),
          `${id} is ${status}: ${storyOf(id)}`,
        );
        assert.deepEqual([waits ? null : coming, retiring], [null, []], id);
        if (serving === null) continue;
        wanted.push(`${id}.${serving.deployment} running`);
        const { host, hostPort } = serving.place ?? {};
        const answer = await fetch(`http://${host}:${hostPort}/`, { signal: AbortSignal.timeout(2_000) });
        assert.equal(await answer.text(), 'hi\n');
      }
      assert.deepEqual(there.toSorted(), wanted.toSorted());
    }

    test(`${kills} times: nothing is lost, doubled or left`, { timeout: 1_200_000 }, async t => {
      t.diagnostic(`seed ${seed}`);
      const { number, pick } = chanceFrom(seed);
      const all = new Map<string, number>();
      const alive = new Set<string>();
      const builds: string[] = [];
      const assertNoneLost = () => {
        const lost = bench.events.filter(({ type }) => type === 'LaunchFailed');
        assert.deepEqual(
          lost.map(({ data }) => data),
          [],
        );
      };
      const askSomething = async () => {
        assertNoneLost();
        if (alive.size < launchesMax && number() < 0.6) {
          const id = await bench.requestLaunch({ image: image.image, imageId, restart: 'on-failure' });
          alive.add(id);
          return void all.set(id, 0);
        }
        if (number() < 0.2) return void builds.push(await requestBuild(builds.length, pick(hows)));
        const launchId = pick([...alive]);
        if (launchId === undefined) return;
        const { serving } = await launchOf(launchId);
        const deployment = serving?.deployment ?? 0;
        const sleep = { launchId, at: at(), deployment, reason: 'asked', because: null } as const;
        const command =
          number() < 0.3 ? ({ type: 'SleepLaunch', data: sleep } as const) : pick(asked)(launchId);
        await bench.say(launch, launchId, command);
        if (command.type === 'StopLaunch') alive.delete(launchId);
      };
      const isOver = (id: string) =>
        history(bench, 'build', id).some(type => /^Build(Succeeded|Failed)$/.test(type));
      const startsOf = (id: string) =>
        history(bench, 'build', id).filter(type => type === 'BuildStarted').length;
      const tookMs: number[] = [];
      for (let killed = 0; killed < kills; killed += 1) {
        builds.push(await requestBuild(builds.length, pick(hows)));
        const until = performance.now() + 500 + number() * busyMsMax;
        while (performance.now() < until) {
          await askSomething();
          await wait(100);
        }
        // A build that was begun five times is given up; that is tried elsewhere.
        const worn = builds.filter(id => startsOf(id) >= startsMax);
        await eventually(
          () =>
            assert.deepEqual(
              worn.filter(id => !isOver(id)),
              [],
            ),
          buildsMsMax,
        );
        await engine.kill();
        await wait(number() * 1_000);
        await engine.start();
        const back = performance.now();
        await eventually(() => assertTrue(all.keys(), false), trueMsMax);
        tookMs.push(Math.round(performance.now() - back));
        if ((tookMs.at(-1) ?? 0) > slowMs) for (const id of alive) t.diagnostic(storyOf(id));
        for (const id of [...alive]) {
          const survived = (all.get(id) ?? 0) + 1;
          all.set(id, survived);
          if (survived < killsPerLaunchMax) continue;
          const command = asked[2]?.(id);
          if (command !== undefined) await bench.say(launch, id, command);
          alive.delete(id);
        }
      }
      t.diagnostic(`true after ${Math.max(...tookMs)} ms at most: ${tookMs.join(' ')}`);
      await eventually(() => assertTrue(all.keys(), true), trueMsMax);
      assertNoneLost();
      const unfinished = () => builds.filter(id => !isOver(id));
      await eventually(() => assert.deepEqual(unfinished(), []), buildsMsMax);
      for (const id of builds) {
        const types = history(bench, 'build', id);
        assert.equal(types.filter(type => type === 'BuildSucceeded').length, 1, types.join(' '));
        const filters = { label: [`${labelOf.build}=${id}`] };
        assert.equal((await engine.api.listImages({ filters })).length, 1);
      }
      await eventually(async () => assert.deepEqual(await docker.listBuildSteps(), []));
      for (const id of alive) await bench.stop(id);
      await eventually(async () => {
        assert.deepEqual(await docker.listLaunches(), []);
        assert.deepEqual(await docker.listNetworks(), []);
        // What was made for a moment is removed when it is five minutes old.
        const left = (await engine.api.listContainers({ all: true })).filter(
          ({ Labels }) => Labels[labelOf.look] === undefined && Labels[labelOf.guard] === undefined,
        );
        assert.deepEqual(
          left.map(({ Command, Labels, Status }) => [Command, Labels, Status]),
          [],
        );
      });
      t.diagnostic(`${kills} kills, ${all.size} launches, ${builds.length} builds`);
    });
  });
