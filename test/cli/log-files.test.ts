/** The verbs that work on the log's own files: through the command, on a folder that a storage has written. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import { openSegmentStorage } from '../../eventstore/embedded/segment-storage.ts';
import { newRecord } from '../contract/storage.ts';
import { filesOf, flipByte, logFolder } from '../eventstore/embedded/log-folder.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub log verify, backup, restore', () => {
  test('on a log that is in use: sound, copied, and the copy sound too, found by --data or by APPHUB_DATA_DIR', async t => {
    const data = logFolder(t);
    const storage = await openSegmentStorage({ directory: path.join(data, 'log'), segmentBytesMax: 2000 });
    t.after(() => storage.close());
    for (let at = 0; at < 20; at += 1) await storage.append('s', at, [newRecord()]);
    const last = storage.lastPosition();

    const verified = await runCli(['log', 'verify', '--data', data, '--json']);
    assert.equal(verified.code, 0, verified.stderr);
    const { records, lastPosition, problems, folder } = JSON.parse(verified.stdout);
    assert.deepEqual([records, lastPosition, problems, folder], [20, last, [], path.join(data, 'log')]);

    const file = path.join(data, 'backup');
    const copied = await runCli(['log', 'backup', file], { APPHUB_DATA_DIR: data });
    assert.equal(copied.code, 0, copied.stderr);
    assert.match(copied.stdout, new RegExp(`up to position ${last}\n`));
    const other = path.join(data, 'other');
    const restored = await runCli(['log', 'restore', file, '--data', other, '--json']);
    assert.equal(JSON.parse(restored.stdout).lastPosition, last);
    const again = await runCli(['log', 'verify', '--data', other]);
    assert.match(again.stdout, /20 in \d+ segments[\s\S]*sound\n$/);
    const twice = await runCli(['log', 'restore', file, '--data', other]);
    assert.equal(twice.code, 1);
    assert.match(twice.stderr, /not empty/);
  });

  test('damage is told with its place, ends with 1, and is not copied', async t => {
    const data = logFolder(t);
    const storage = await openSegmentStorage({ directory: path.join(data, 'log'), segmentBytesMax: 2000 });
    for (let at = 0; at < 20; at += 1) await storage.append('s', at, [newRecord()]);
    const [, second] = await storage.readAll(0, 'forwards', 2);
    await storage.close();
    flipByte(filesOf(path.join(data, 'log'), 'segment')[0] ?? '', (second?.position ?? 0) + 50);
    const verified = await runCli(['log', 'verify', '--data', data]);
    assert.equal(verified.code, 1);
    assert.match(verified.stdout, new RegExp(`position ${second?.position}: is damaged[\\s\\S]*damaged\n$`));
    const copied = await runCli(['log', 'backup', path.join(data, 'backup'), '--data', data]);
    assert.equal(copied.code, 1);
    assert.match(copied.stderr, new RegExp(`damaged at position ${second?.position}`));
    assert.ok(!fs.existsSync(path.join(data, 'backup')));
  });

  test('a folder without a log is a mistake in the command', async t => {
    const data = logFolder(t);
    for (const args of [['verify'], ['backup', 'x'], ['restore', path.join(data, 'none')]]) {
      const { code, stderr } = await runCli(['log', ...args, '--data', data]);
      assert.equal(code, 2);
      assert.match(stderr, /There is no (log|file)/);
    }
  });
});
