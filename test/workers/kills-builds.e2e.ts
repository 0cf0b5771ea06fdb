/**
 * Workers that are killed again and again while both builders build: at the places between two effects, and in the middle of a
 * step. In the end each build has succeeded once, with one image, and no step is left.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { labelOf } from '../../workers/adapters/docker-labels.ts';
import { chanceFrom, countFrom, seed } from '../support/chance.ts';
import { openTestDocker } from '../support/docker.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';
import { processesOf } from '../support/processes.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { takeTurns } from '../support/turn.ts';
import { openWorkerProcesses, type WorkerProcesses } from '../support/worker-process.ts';
import { eventually, history } from '../support/workers.ts';

// The engine holds the steps of all that BuildKit builds together to one limit.
takeTurns('buildkit');

const kills = countFrom('APPHUB_TEST_BUILD_KILLS', 2);
/** A build that was begun five times is given up; that is tried elsewhere. */
const startsMax = 4;
const waitingMax = 2;
const stepMsMax = 2_500;
const places = ['build.started', 'build.built', 'build.told', 'a step'];
const hows = ['RUN', 'RUN --mount=type=tmpfs,target=/x'];

suite('workers that are killed in builds', () => {
  const { api, docker, instance, cleanUp } = openTestDocker();
  let processes: WorkerProcesses;
  let git: GitServer;
  let root = '';
  before(async () => {
    await ensureTestImages();
    root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-build-kills-'));
    git = await startGitServer({ root });
    processes = await openWorkerProcesses(docker, instance);
  });
  after(async () => {
    await processes.close();
    await git.close();
    await rm(root, { recursive: true, force: true });
    await cleanUp();
  });

  /** The duration of the step that its processes are known by, too. */
  const mark = `1.${String(process.pid).padStart(7, '0')}`;
  const request = (number: number, how: string) => {
    const appId = `killed-${number}`;
    const dockerfile = `FROM ${busyboxImage}\n${how} echo ${number} && sleep ${mark}\nRUN echo ${number} >/n\n`;
    const commit = commitTo(makeRepo(root, appId), { Dockerfile: dockerfile }, 'First');
    const spec = { appId, repoUrl: `${git.url}/${appId}.git`, ref: null, commit };
    return processes.bench.requestBuild({ ...spec, dockerfilePath: 'Dockerfile' });
  };
  const of = (buildId: string) => history(processes.bench, 'build', buildId);
  const isOver = (buildId: string) => of(buildId).some(type => /^Build(Succeeded|Failed)$/.test(type));
  const startsOf = (buildId: string) => of(buildId).filter(type => type === 'BuildStarted').length;
  const steps = () => processesOf('sleep', mark).length;

  test(`${kills} times: each build is made once, and nothing is left`, { timeout: 900_000 }, async t => {
    t.diagnostic(`seed ${seed}`);
    const { number, pick } = chanceFrom(seed);
    const all: string[] = [];
    const under = new Map<string, number>();
    for (let killed = 0; killed < kills; ) {
      while (all.filter(id => !isOver(id)).length < waitingMax)
        all.push(await request(all.length, pick(hows)));
      if (all.some(id => !isOver(id) && startsOf(id) >= startsMax)) {
        // Those that were killed so often come to their end first.
        const calm = processes.start();
        await eventually(() => assert.ok(all.filter(id => startsOf(id) >= startsMax).every(isOver)));
        await processes.kill(calm);
        continue;
      }
      const place = pick(places);
      const dying = processes.start(place === 'a step' ? undefined : place);
      const gone = once(dying, 'exit');
      if (place === 'a step') {
        await eventually(async () => assert.ok(steps() > 0));
        await wait(number() * stepMsMax);
        dying.kill('SIGKILL');
      }
      assert.equal((await gone)[1], 'SIGKILL', place);
      under.set(place, (under.get(place) ?? 0) + 1);
      killed += 1;
    }
    const last = processes.start();
    await eventually(() =>
      assert.deepEqual(
        all.filter(id => !isOver(id)),
        [],
      ),
    );
    for (const id of all) {
      const ends = of(id).filter(type => /^Build(Succeeded|Failed|Cancelled)$/.test(type));
      assert.deepEqual(ends, ['BuildSucceeded'], of(id).join(' '));
      const label = [`${labelOf.build}=${id}`, `${labelOf.instance}=${instance}`];
      assert.equal((await api.listImages({ filters: { label } })).length, 1);
    }
    await eventually(async () => {
      assert.equal(steps(), 0);
      assert.deepEqual(
        (await docker.listBuildSteps()).filter(({ buildId }) => all.includes(buildId)),
        [],
      );
    });
    await processes.kill(last);
    t.diagnostic(`${kills} kills in ${all.length} builds: ${JSON.stringify([...under])}`);
  });
});
