/** Limits of BuildKit's steps, written to folders that look like control groups of either version. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { openGroup, stepsGroup } from '../../../workers/adapters/docker-cell.ts';
import { eventually } from '../../support/workers.ts';

const limits = {
  cpus: 1.5,
  cpuShares: 256,
  memoryBytes: 1_000_000,
  pidsMax: 100,
  timeMsMax: 1,
  contextBytesMax: 1,
};
const group = 'docker/buildkit';

async function folderWith(t: TestContext, files: Record<string, string>) {
  const root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-cell-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), text);
  }
  const read = (name: string) => readFile(path.join(root, name), 'utf8');
  return { root, read };
}

const separate = {
  [`memory/${group}/memory.limit_in_bytes`]: '9223372036854771712\n',
  [`cpu/${group}/cpu.cfs_period_us`]: '100000\n',
  [`cpu/${group}/cpu.cfs_quota_us`]: '-1\n',
  [`cpu/${group}/cpu.shares`]: '1024\n',
  [`pids/${group}/pids.max`]: 'max\n',
};
const unified = {
  'cgroup.controllers': 'cpu memory pids',
  'cgroup.subtree_control': '',
  'docker/cgroup.subtree_control': '',
  'docker/buildkit/memory.max': 'max\n',
  'docker/buildkit/memory.swap.max': 'max\n',
  'docker/buildkit/cpu.max': 'max 100000\n',
  'docker/buildkit/cpu.weight': '100\n',
  'docker/buildkit/pids.max': 'max\n',
};

suite('the control group of BuildKit', () => {
  test('of version 1: each controller has its own tree; without swap accounting there is no limit of it', async t => {
    const { root, read } = await folderWith(t, separate);
    const cell = await openGroup(root, group, limits);
    assert.equal(cell.uncapped, null);
    assert.equal(await read(`memory/${group}/memory.limit_in_bytes`), '1000000');
    assert.equal(await read(`cpu/${group}/cpu.cfs_period_us`), '100000\n', 'what is the same is not written');
    assert.equal(await read(`cpu/${group}/cpu.cfs_quota_us`), '150000');
    assert.equal(await read(`cpu/${group}/cpu.shares`), '256');
    assert.equal(await read(`pids/${group}/pids.max`), '100');
    await cell.close();
  });

  test('of version 2: one tree, which passes its controllers on', async t => {
    const { root, read } = await folderWith(t, unified);
    const cell = await openGroup(root, group, limits);
    assert.equal(cell.uncapped, null);
    assert.equal(await read('docker/cgroup.subtree_control'), '+memory +cpu +pids');
    const files = ['memory.max', 'memory.swap.max', 'cpu.max', 'cpu.weight', 'pids.max'];
    const written = await Promise.all(files.map(file => read(`docker/buildkit/${file}`)));
    assert.deepEqual(written, ['1000000', '0', '150000 100000', '25', '100']);
    await cell.close();
  });

  for (const [version, files, memory, pids] of [
    [1, separate, `memory/${group}/memory.limit_in_bytes`, `pids/${group}/pids.max`],
    [2, unified, 'docker/buildkit/memory.max', 'docker/buildkit/pids.max'],
  ] as const)
    test(`of version ${version} is for all builds that run, each with what it may use, until it is over`, async t => {
      const { root, read } = await folderWith(t, files);
      const seen = async () => [await read(memory), await read(pids)];
      const first = await openGroup(root, group, limits);
      const second = await openGroup(root, group, { ...limits, memoryBytes: 500, pidsMax: 7 });
      assert.deepEqual(await seen(), ['1000500', '107']);
      await first.close();
      assert.deepEqual(await seen(), ['500', '7']);
      // Somebody else has written over it.
      await writeFile(path.join(root, pids), '4096');
      await eventually(async () => assert.deepEqual(await seen(), ['500', '7']));
      await second.close();
      const claims = await readdir(path.join(root, path.dirname(pids)));
      assert.deepEqual(
        claims.filter(name => name.startsWith('apphub')),
        [],
      );
    });

  test('does not count builds of a process that is gone, nor of one that cannot be seen once their time is over', async t => {
    const { root, read } = await folderWith(t, separate);
    const folder = path.join(root, 'pids', group);
    const cell = await openGroup(root, group, limits);
    const [own = ''] = (await readdir(folder)).filter(name => name.startsWith('apphub'));
    const [word, space, pid, start, count, deadline, ...what] = own.split('.');
    const claim = (...whose: (string | number | undefined)[]) =>
      mkdir(path.join(folder, [word, ...whose, ...what].join('.')));
    await claim(space, pid, Number(start) + 1, count, deadline);
    await claim(space, 2 ** 22, start, count, deadline);
    await claim(1, 5, start, count, 1_000);
    // In another name space nobody knows who is alive.
    await claim(1, 6, start, count, deadline);
    await eventually(async () => assert.equal(await read(`pids/${group}/pids.max`), '200'));
    assert.equal((await readdir(folder)).filter(name => name.startsWith('apphub')).length, 2);
    await cell.close();
  });

  test('is where the engine was told to make its groups', () => {
    assert.equal(stepsGroup({}), 'docker/buildkit');
    assert.equal(stepsGroup({ cgroupParent: 'machine/docker' }), 'machine/docker/buildkit');
  });

  test('that cannot be written is said', async t => {
    const { root } = await folderWith(t, { docker: 'a file', memory: 'another' });
    assert.match(
      (await openGroup(root, group, limits)).uncapped ?? '',
      /docker\/buildkit of the engine cannot be written \(ENOTDIR\)/,
    );
    // A folder alone is no control group.
    assert.match(
      (await openGroup(path.join(root, 'not-there'), group, limits)).uncapped ?? '',
      /cannot be written \(ENOENT\)/,
    );
  });
});
