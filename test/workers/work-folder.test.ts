/** Folders that effects work in go with the effect, with the next attempt, or with time. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { removeOldFolders, withWorkFolder } from '../../workers/work-folder.ts';

let root: string;
before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-work-folder-'));
});
after(() => rm(root, { recursive: true, force: true }));

async function leave(name: string): Promise<string> {
  const folder = path.join(root, name);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'half'), 'x');
  return folder;
}

test('a folder is not there yet, may be made, and goes whatever happens in it', async () => {
  const answer = await withWorkFolder(root, 'build-a', 1, async directory => {
    assert.deepEqual(await readdir(root), []);
    await leave(path.basename(directory));
    return 'done';
  });
  assert.equal(answer, 'done');
  const failing = withWorkFolder(root, 'build-a', 2, async directory => {
    await leave(path.basename(directory));
    throw new Error('no');
  });
  await assert.rejects(failing, /no/);
  assert.deepEqual(await readdir(root), []);
});

test('what attempts before it have left goes first, and nothing of others', async () => {
  for (const name of ['build-b-1', 'build-b-2', 'build-b-3', 'build-c-1']) await leave(name);
  await withWorkFolder(root, 'build-b', 2, async () => {
    assert.deepEqual((await readdir(root)).sort(), ['build-b-3', 'build-c-1']);
  });
  for (const name of ['build-b-3', 'build-c-1']) await rm(path.join(root, name), { recursive: true });
});

test('what nobody has touched for a day is removed', async () => {
  const now = Date.now();
  const old = await leave('old-1');
  const young = await leave('young-1');
  await utimes(old, new Date(now - 24.1 * 3_600_000), new Date(now - 24.1 * 3_600_000));
  await utimes(young, new Date(now - 23.9 * 3_600_000), new Date(now - 23.9 * 3_600_000));
  await removeOldFolders(root, now);
  assert.deepEqual(await readdir(root), ['young-1']);
  await removeOldFolders(path.join(root, 'not-there'), now);
});
