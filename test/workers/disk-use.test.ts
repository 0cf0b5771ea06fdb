import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { folderBytes, freeBytesOf } from '../../workers/disk-use.ts';

test('a folder takes what its files really take, links and holes aside', async t => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-disk-'));
  t.after(() => rm(folder, { recursive: true }));
  const empty = await folderBytes(folder);
  await mkdir(path.join(folder, 'a/b'), { recursive: true });
  const folders = (await folderBytes(folder)) - empty;
  for (let at = 0; at < 200; at += 1) await writeFile(path.join(folder, `a/b/${at}`), Buffer.alloc(4_096, 1));
  const filled = await folderBytes(folder);
  assert.ok(filled >= 200 * 4_096 && filled <= 200 * 4_096 + folders + 64 * 1_024, `${filled} bytes`);
  await symlink('/usr', path.join(folder, 'link'));
  assert.ok((await folderBytes(folder)) < filled + 8_192);
  assert.equal(await folderBytes(path.join(folder, 'nowhere')), 0);
});

test('how much is free is known where there is a folder', async () => {
  assert.ok(Number(await freeBytesOf(os.tmpdir())) > 0);
  assert.equal(await freeBytesOf('/nowhere/at/all'), null);
});
