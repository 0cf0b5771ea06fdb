/** A log in one file, and back: while it is written to, from inside and from outside, and never from or to damage. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import { backupDirectory, restoreBackup } from '../../../eventstore/embedded/segment-backup.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { verifyStorage } from '../../../eventstore/embedded/segment-verify.ts';
import { newRecord } from '../../contract/storage.ts';
import { filesOf, flipByte, logFolder } from './log-folder.ts';

type Storage = Awaited<ReturnType<typeof openSegmentStorage>>;
const segmentBytesMax = 20_000;
const all = (storage: Storage) => storage.readAll(0, 'forwards', 100_000, 1 << 30);

/** Writers that go on until they are stopped. */
function writing(storage: Storage, writers = 8) {
  let isStopped = false;
  const running = Array.from({ length: writers }, async (_, writer) => {
    for (let at = (storage.head(`w-${writer}`)?.revision ?? -1) + 1; !isStopped; at += 1)
      await storage.append(`w-${writer}`, at, [newRecord('y'.repeat(200))]);
  });
  return async () => {
    isStopped = true;
    await Promise.all(running);
  };
}

suite('backup and restore', () => {
  for (const from of ['the storage', 'its folder'] as const) {
    test(`taken from ${from} while it is written to and scavenged: what was there, at its positions`, async t => {
      const directory = logFolder(t);
      const elsewhere = logFolder(t);
      const storage = await openSegmentStorage({ directory, segmentBytesMax, durability: 'none' });
      t.after(() => storage.close());
      for (let at = 0; at < 300; at += 1) {
        await storage.append('gone', at, [newRecord('x'.repeat(100))]);
        await storage.append('stays', at, [newRecord()]);
      }
      const stop = writing(storage);
      const scavenging = storage.scavenge(({ stream }) => stream !== 'gone');
      const before = storage.lastPosition();
      const file = path.join(elsewhere, 'backup');
      const made = await (from === 'the storage' ? storage.backup(file) : backupDirectory(directory, file));
      await stop();
      await scavenging;
      assert.ok(made.lastPosition >= before);
      assert.equal(made.bytes, fs.statSync(file).size);
      const target = path.join(elsewhere, 'restored');
      assert.deepEqual(await restoreBackup(file, target), made);
      const { problems, lastPosition, missingIndexes } = await verifyStorage(target);
      assert.deepEqual([problems, lastPosition, missingIndexes], [[], made.lastPosition, 0]);
      const restored = await openSegmentStorage({ directory: target, segmentBytesMax });
      const original = await all(storage);
      const wanted = original.filter(({ position }) => position <= made.lastPosition);
      const copied = await all(restored);
      const isLeft = new Set(wanted.map(({ id }) => id));
      assert.deepEqual(
        copied.filter(({ id }) => isLeft.has(id)),
        wanted,
      );
      for (const { stream, id } of copied) assert.ok(stream === 'gone' || isLeft.has(id));
      assert.deepEqual(restored.head('gone'), { revision: 299 });
      await restored.append('stays', 300, [newRecord()]);
      await restored.close();
    });
  }

  test('a backup that is cut or changed anywhere is refused, and leaves nothing behind', async t => {
    const directory = logFolder(t);
    const elsewhere = logFolder(t);
    const storage = await openSegmentStorage({ directory, segmentBytesMax: 2000 });
    for (let at = 0; at < 12; at += 1) await storage.append('s', at, [newRecord()]);
    const file = path.join(elsewhere, 'backup');
    const { bytes } = await storage.backup(file);
    await storage.close();
    const sound = fs.readFileSync(file);
    const target = path.join(elsewhere, 'restored');
    const refused = async (what: string) => {
      await assert.rejects(restoreBackup(file, target), { name: 'StorageFailed' }, what);
      assert.deepEqual(fs.readdirSync(elsewhere), ['backup'], what);
    };
    for (let at = 0; at < bytes; at += at < 60 || at > bytes - 60 ? 1 : 41) {
      flipByte(file, at, 1 << (at % 8));
      await refused(`byte ${at}`);
      fs.writeFileSync(file, sound.subarray(0, at));
      await refused(`cut at ${at}`);
      fs.writeFileSync(file, sound);
    }
    await restoreBackup(file, target);
    await assert.rejects(restoreBackup(file, target), /not empty/);
  });

  test('an unfinished backup leaves the one before it', async t => {
    const directory = logFolder(t);
    const elsewhere = logFolder(t);
    const storage = await openSegmentStorage({ directory, segmentBytesMax: 2000 });
    t.after(() => storage.close());
    for (let at = 0; at < 30; at += 1) await storage.append('s', at, [newRecord()]);
    const file = path.join(elsewhere, 'backup');
    fs.writeFileSync(file, 'the one before');
    await assert.rejects(storage.backup(file, AbortSignal.abort(new Error('given up'))), /given up/);
    const [victim = ''] = filesOf(directory, 'segment');
    flipByte(victim, 200);
    await assert.rejects(storage.backup(file), { name: 'StorageFailed' });
    await assert.rejects(backupDirectory(directory, file), { name: 'StorageFailed' });
    assert.deepEqual(fs.readdirSync(elsewhere), ['backup']);
    assert.equal(fs.readFileSync(file, 'utf8'), 'the one before');
    await assert.rejects(backupDirectory(elsewhere, `${elsewhere}/b`), /there is no log/);
  });
});
