/** Limits of BuildKit's steps, written to folders that look like control groups of either version. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { capGroup } from '../../../workers/adapters/docker-cell.ts';

const limits = {
  cpus: 1.5,
  cpuShares: 256,
  memoryBytes: 1_000_000,
  pidsMax: 100,
  timeMsMax: 1,
  contextBytesMax: 1,
};

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

suite('the control group of BuildKit', () => {
  test('of version 1: each controller has its own tree; without swap accounting there is no limit of it', async t => {
    const group = 'docker/buildkit';
    const { root, read } = await folderWith(t, {
      [`memory/${group}/memory.limit_in_bytes`]: '9223372036854771712\n',
      [`cpu/${group}/cpu.cfs_period_us`]: '100000\n',
      [`cpu/${group}/cpu.cfs_quota_us`]: '-1\n',
      [`cpu/${group}/cpu.shares`]: '1024\n',
      [`pids/${group}/pids.max`]: 'max\n',
    });
    assert.equal(await capGroup(root, limits), null);
    assert.equal(await read(`memory/${group}/memory.limit_in_bytes`), '1000000');
    assert.equal(await read(`cpu/${group}/cpu.cfs_period_us`), '100000\n', 'what is the same is not written');
    assert.equal(await read(`cpu/${group}/cpu.cfs_quota_us`), '150000');
    assert.equal(await read(`cpu/${group}/cpu.shares`), '256');
    assert.equal(await read(`pids/${group}/pids.max`), '100');
  });

  test('of version 2: one tree, which passes its controllers on', async t => {
    const { root, read } = await folderWith(t, {
      'cgroup.controllers': 'cpu memory pids',
      'cgroup.subtree_control': '',
      'docker/cgroup.subtree_control': '',
      'docker/buildkit/memory.max': 'max\n',
      'docker/buildkit/memory.swap.max': 'max\n',
      'docker/buildkit/cpu.max': 'max 100000\n',
      'docker/buildkit/cpu.weight': '100\n',
      'docker/buildkit/pids.max': 'max\n',
    });
    assert.equal(await capGroup(root, limits), null);
    assert.equal(await read('docker/cgroup.subtree_control'), '+memory +cpu +pids');
    const files = ['memory.max', 'memory.swap.max', 'cpu.max', 'cpu.weight', 'pids.max'];
    const written = await Promise.all(files.map(file => read(`docker/buildkit/${file}`)));
    assert.deepEqual(written, ['1000000', '0', '150000 100000', '25', '100']);
  });

  test('that cannot be written is said', async t => {
    const { root } = await folderWith(t, { docker: 'a file', memory: 'another' });
    assert.match((await capGroup(root, limits)) ?? '', /cannot be written \(ENOTDIR\)/);
    assert.match(
      (await capGroup(path.join(root, 'not-there'), limits)) ?? '',
      /cannot be written \(ENOENT\)/,
    );
  });
});
