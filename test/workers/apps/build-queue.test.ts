/** Builds that wait: in which order they are begun, and which of them a newer commit makes needless. No engine is needed. */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import type { Engines } from '../../../workers/adapters/engine-types.ts';
import { supersede } from '../../../workers/apps/build.ts';
import { reportStatus } from '../../../workers/tables.ts';
import { startBuild } from '../../support/play.ts';
import {
  type AskedBuild,
  eventually,
  found,
  history,
  noDocker,
  openWorkerBench,
  type WorkerBench,
} from '../../support/workers.ts';

const commits = ['1', '2', '3', '4'].map(digit => digit.repeat(40));
const [first = '', second = '', third = ''] = commits;

/** An engine that can be there or not. Nothing is ever built on it: no repository is at the address. */
function switchedDocker() {
  const state = { isThere: false };
  const ping = async () => (state.isThere ? { ok: true } : { ok: false, reason: 'away' }) as never;
  const docker = new Proxy(noDocker, {
    get: (target, name) =>
      name === 'ping'
        ? ping
        : name === 'findImage'
          ? async () => undefined
          : name === 'survey'
            ? async () => ({ launches: [], networks: [], away: [], engines: [] })
            : name === 'onBuilder'
              ? (_place: unknown, work: (one: unknown) => unknown) => work(docker)
              : Reflect.get(target, name),
  }) as Engines;
  return { docker, state };
}

async function open(t: TestContext) {
  const { docker, state } = switchedDocker();
  const bench = await openWorkerBench({ docker });
  t.after(() => bench.close());
  const at = (appId: string, commit: string, more: Partial<AskedBuild> = {}) =>
    bench.requestBuild({
      appId,
      // Refused before anything is asked of the network.
      repoUrl: '/nowhere',
      ref: null,
      commit,
      dockerfilePath: 'Dockerfile',
      pinned: false,
      ...more,
    });
  return { bench, state, at };
}

const projected = (bench: WorkerBench) => bench.projected();
const target = (bench: WorkerBench) => ({ store: bench.store, wrote: () => undefined });
const startedInOrder = (bench: WorkerBench) =>
  bench.events
    .filter(({ type }) => type === 'BuildStarted')
    .map(({ data }) => (data as { buildId: string }).buildId);

suite('builds that wait', { concurrency: true }, () => {
  test('make room for a newer commit of the same app; what runs, is pinned or is of another app does not', async t => {
    const { bench, at } = await open(t);
    const running = await at('todo', first);
    await startBuild(target(bench), running);
    const waiting = await at('todo', first);
    const same = await at('todo', second);
    const pinned = await at('todo', first, { pinned: true });
    const other = await at('other', first);
    await bench.start();
    const newest = await at('todo', second);
    const { data } = await eventually(() => found(bench, 'BuildSuperseded', waiting));
    // The first one of the newer commit is enough; the newest of them is named.
    assert.deepEqual(data.by.commit, second);
    assert.ok([same, newest].includes(data.by.buildId));
    const last = await at('todo', third);
    for (const buildId of [same, newest]) {
      const by = { buildId: last, commit: third };
      assert.deepEqual((await eventually(() => found(bench, 'BuildSuperseded', buildId))).data.by, by);
    }
    await projected(bench);
    const row = await bench.sql('apps_builds').where({ build_id: same }).first();
    assert.deepEqual(row.superseded_by, { buildId: last, commit: third });
    for (const buildId of [running, pinned, other, last]) {
      assert.ok(!history(bench, 'build', buildId).includes('BuildSuperseded'));
    }
    // Caused by the request of the newer one, by nobody in person.
    const event = found(bench, 'BuildSuperseded', same);
    assert.equal(event.metadata.causationId, found(bench, 'BuildRequested', last).id);
  });

  test('a build that is pinned makes nobody needless', async t => {
    const { bench, at } = await open(t);
    await bench.start();
    const waiting = await at('todo', first);
    await at('todo', second, { pinned: true });
    await projected(bench);
    await supersede({ ...bench.deps, sql: bench.sql }, {});
    assert.deepEqual(history(bench, 'build', waiting), ['BuildRequested']);
  });

  test('are begun in the order they were asked for, when the engine comes back and after a restart', async t => {
    const { bench, state, at } = await open(t);
    const slow = { everyMs: { docker: 50, sweep: 3_600_000 }, buildsAtOnce: 1 };
    const workers = await bench.start(slow);
    const ids = [await at('a-one', first), await at('b-two', first), await at('c-three', first)];
    await projected(bench);
    await workers.close();
    ids.push(await at('d-four', first));
    await bench.start(slow);
    ids.push(await at('e-five', first));
    await projected(bench);
    assert.deepEqual(startedInOrder(bench), []);
    state.isThere = true;
    await eventually(() => assert.equal(bench.events.filter(({ type }) => type === 'BuildFailed').length, 5));
    assert.deepEqual(startedInOrder(bench), ids);
  });

  test('wait while the disk is full, in their places', async t => {
    const { bench, state, at } = await open(t);
    state.isThere = true;
    await reportStatus(bench.sql, 'disk', false, 'The disk is full.').catch(() => undefined);
    await bench.start({ everyMs: { docker: 50, sweep: 50 }, buildsAtOnce: 1 });
    await reportStatus(bench.sql, 'disk', false, 'The disk is full.');
    const ids = [await at('a-one', first), await at('b-two', first)];
    await projected(bench);
    // A round of everything has passed.
    await reportStatus(bench.sql, 'sentinel', true, null);
    const cycle = async () => {
      const { at: before } = await bench.sql('worker_status').where({ name: 'docker' }).first('at');
      await eventually(async () => {
        const { at: now } = await bench.sql('worker_status').where({ name: 'docker' }).first('at');
        assert.ok(now > before);
      });
    };
    await cycle();
    await cycle();
    assert.deepEqual(startedInOrder(bench), []);
    await reportStatus(bench.sql, 'disk', true, null);
    await eventually(() => assert.deepEqual(startedInOrder(bench), ids));
  });
});
