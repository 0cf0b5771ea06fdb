/** Which logs are kept, on real tables and files. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, type TestContext, test } from 'node:test';
import { repository } from '../../../domain/apps/repository.ts';
import { projections } from '../../../projections/index.ts';
import { collectLogs } from '../../../workers/apps/logs.ts';
import { finishBuild, startBuild } from '../../support/play.ts';
import { eventually, openWorkerBench } from '../../support/workers.ts';

async function open(t: TestContext, logs: { daysMax?: number | null; perAppMax?: number }) {
  const bench = await openWorkerBench();
  t.after(() => bench.close());
  const target = { store: bench.store, wrote: () => undefined };
  const write = async (id: string) => {
    const writer = await bench.deps.logs.writer(id);
    await writer.write('a line');
    await writer.close();
    return id;
  };
  const ended = async (appId: string) => {
    const spec = { appId, repoUrl: 'https://g.example/a.git', ref: null, commit: 'c', dockerfilePath: 'D' };
    const id = await bench.requestBuild(spec);
    await startBuild(target, id);
    await finishBuild(target, id, { reason: 'no', step: null, instruction: null });
    return write(id);
  };
  const ids = async () => {
    const found: string[] = [];
    for await (const { id } of bench.deps.logs.list()) found.push(id);
    return found.sort();
  };
  const collect = async (daysAhead = 0) => {
    await eventually(async () => {
      const rows = await bench.sql('projection_checkpoints').select('position');
      assert.equal(rows.length, projections.length);
      const last = bench.events.at(-1)?.position ?? 0n;
      for (const { position } of rows) assert.ok(BigInt(position ?? 0) >= last);
    });
    const clock = { ...bench.clock, now: () => new Date(Date.now() + daysAhead * 86_400_000).toISOString() };
    const kept = { bytesMax: 1, daysMax: logs.daysMax ?? null, perAppMax: logs.perAppMax ?? 1_000 };
    return collectLogs({ sql: bench.sql, clock, logs: bench.deps.logs, storage: { logs: kept } });
  };
  return { bench, write, ended, ids, collect };
}

suite('logs', () => {
  test('are kept for so many days', async t => {
    const { ended, ids, collect } = await open(t, { daysMax: 30 });
    const id = await ended('todo');
    assert.equal(await collect(29), 0);
    assert.deepEqual(await ids(), [id]);
    assert.equal(await collect(31), 1);
    assert.deepEqual(await ids(), []);
  });

  test('are kept so many of an app, the newest', async t => {
    const { ended, ids, collect } = await open(t, { perAppMax: 2 });
    const [, second, third] = [await ended('todo'), await ended('todo'), await ended('todo')];
    const other = await ended('other');
    assert.equal(await collect(10_000), 1);
    assert.deepEqual(await ids(), [second, third, other].sort());
  });

  test('stay while their build or launch is under way, and of the build that is released', async t => {
    const { bench, ended, write, ids, collect } = await open(t, { daysMax: 1, perAppMax: 1 });
    await bench.register('todo', 'https://g.example/todo.git');
    const released = await ended('todo');
    const at = bench.clock.now();
    const image = { image: 'i', imageId: 'sha256:1' };
    const release = { buildId: released, commit: 'c', ...image, ports: [], requestedAt: at };
    await bench.say(repository, 'todo', { type: 'ReleaseRepository', data: { appId: 'todo', at, release } });
    const spec = {
      appId: 'todo',
      repoUrl: 'https://g.example/a.git',
      ref: null,
      commit: 'c',
      dockerfilePath: 'D',
    };
    const running = await write(await bench.requestBuild(spec));
    const launchId = await bench.requestLaunch({ appId: 'todo', ...image });
    const [first, second] = [await write(`${launchId}-1`), await write(`${launchId}-12`)];
    assert.equal(await collect(365), 0);
    assert.deepEqual(await ids(), [released, running, first, second].sort());
    await bench.cancelBuild(running);
    assert.equal(await collect(365), 1);
  });

  test('that nobody knows go after a day', async t => {
    const { write, ids, collect } = await open(t, {});
    const ids0 = [await write(randomUUID()), await write('12345678-1234-4123-8123-123456789012')];
    assert.equal(await collect(0.9), 0);
    assert.deepEqual(await ids(), ids0.sort());
    assert.equal(await collect(1.1), 2);
  });
});
