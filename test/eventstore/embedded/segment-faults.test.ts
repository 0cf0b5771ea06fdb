/** The storage on a disk that is slow, short, full or broken: what was acknowledged stays, and what failed is said. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { markerBytes } from '../../../eventstore/embedded/segment-format.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { verifyStorage } from '../../../eventstore/embedded/segment-verify.ts';
import { StorageFailed, StorageFull } from '../../../eventstore/embedded/storage.ts';
import { newRecord } from '../../contract/storage.ts';
import { diskError, faultyDisk } from './faulty-disk.ts';
import { filesOf, logFolder, rememberingLog } from './log-folder.ts';
import { until } from './until.ts';

type Storage = Awaited<ReturnType<typeof openSegmentStorage>>;
const all = (storage: Storage) => storage.readAll(0, 'forwards', 10_000);
const isSettled = async (promise: Promise<unknown>) =>
  (await Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    new Promise(resolve => setImmediate(resolve)),
  ])) === true;

suite('durability', () => {
  test('always: no answer before the sync, and 32 writers share one', async t => {
    const disk = faultyDisk();
    const storage = await openSegmentStorage({ directory: logFolder(t), disk });
    t.after(() => storage.close());
    const before = disk.syncs;
    const hold = Promise.withResolvers<void>();
    disk.held = hold.promise;
    const first = storage.append('first', 0, [newRecord()]);
    await until(() => disk.syncs === before + 1);
    const writers = Array.from({ length: 32 }, (_, at) => storage.append(`s-${at}`, 0, [newRecord()]));
    assert.equal(await isSettled(Promise.race([first, ...writers])), false);
    assert.deepEqual(await all(storage), [], 'served before it was durable');
    assert.equal(storage.lastPosition(), 0);
    hold.resolve();
    await Promise.all([first, ...writers]);
    assert.equal(disk.syncs, before + 2);
    assert.equal((await all(storage)).length, 33);
  });

  test('interval: answers at once, and syncs when the time has come', async t => {
    const disk = faultyDisk();
    const storage = await openSegmentStorage({
      directory: logFolder(t),
      disk,
      durability: { intervalMs: 5 },
    });
    t.after(() => storage.close());
    const hold = Promise.withResolvers<void>();
    disk.held = hold.promise;
    const before = disk.syncs;
    await storage.append('s', 0, [newRecord()]);
    await until(() => disk.syncs === before + 1);
    await storage.append('s', 1, [newRecord()]);
    hold.resolve();
    await until(() => disk.syncs === before + 2);
  });

  test('none: nothing is synced but what is closed', async t => {
    const disk = faultyDisk();
    const storage = await openSegmentStorage({ directory: logFolder(t), disk, durability: 'none' });
    const before = disk.syncs;
    for (let at = 0; at < 20; at += 1) await storage.append('s', at, [newRecord()]);
    assert.equal(disk.syncs, before);
    await storage.close();
    assert.ok(disk.syncs > before);
  });
});

suite('a disk without room', () => {
  test('appends fail, nothing of them is left, reads go on; with room it goes on, and both are said once', async t => {
    const directory = logFolder(t);
    const disk = faultyDisk();
    const log = rememberingLog();
    const storage = await openSegmentStorage({ directory, disk, log });
    await storage.append('s', 0, [newRecord()]);
    disk.roomBytes = 100;
    const failing = [
      storage.append('s', 1, [newRecord('x'.repeat(500))]),
      storage.append('s', 2, [newRecord()]),
      storage.append('t', 0, [newRecord()]),
    ];
    for (const append of failing) await assert.rejects(append, StorageFull);
    await assert.rejects(storage.append('s', 1, [newRecord('x'.repeat(500))]), StorageFull);
    assert.deepEqual(storage.head('s'), { revision: 0 });
    assert.equal(storage.head('t'), undefined);
    assert.equal((await all(storage)).length, 1);
    disk.roomBytes = Number.POSITIVE_INFINITY;
    await storage.append('s', 1, [newRecord(), newRecord()]);
    await storage.append('s', 3, [newRecord()]);
    assert.equal((await storage.readStream('s', 0, 'forwards', 10)).length, 4);
    assert.deepEqual(
      log.lines.map(({ level }) => level),
      ['error', 'info'],
    );
    await storage.close();
    assert.deepEqual((await verifyStorage(directory)).problems, []);
  });

  test('not even for the next segment or an index: the same', async t => {
    const directory = logFolder(t);
    const disk = faultyDisk();
    const options = { directory, disk, segmentBytesMax: 2000 };
    const storage = await openSegmentStorage(options);
    const acknowledged: string[] = [];
    for (let at = 0; at < 200; at += 1) {
      // Room comes and goes in pieces of a few hundred bytes, so that it ends at every kind of write.
      disk.roomBytes = at % 4 === 0 ? 6000 : (at * 37) % 700;
      const record = newRecord();
      const revision = (storage.head('s')?.revision ?? -1) + 1;
      await storage.append('s', revision, [record]).then(
        () => acknowledged.push(record.id),
        error => assert.ok(error instanceof StorageFull, String(error)),
      );
    }
    assert.ok(acknowledged.length > 60 && acknowledged.length < 200, `${acknowledged.length} of 200`);
    const stored = () => all(storage).then(records => records.map(({ id }) => id));
    assert.deepEqual(await stored(), acknowledged);
    disk.roomBytes = 0;
    await storage.close();
    const again = await openSegmentStorage(options);
    assert.deepEqual(
      (await all(again)).map(({ id }) => id),
      acknowledged,
    );
    assert.equal(again.head('s')?.revision, acknowledged.length - 1);
    disk.roomBytes = Number.POSITIVE_INFINITY;
    await again.append('s', acknowledged.length, [newRecord()]);
    await again.close();
    assert.deepEqual((await verifyStorage(directory)).problems, []);
  });
});

suite('a disk that refuses', () => {
  for (const call of ['write', 'sync'] as const) {
    test(`${call}: appends fail until a restart, reads go on, what was acknowledged is there`, async t => {
      const directory = logFolder(t);
      const disk = faultyDisk();
      const log = rememberingLog();
      const storage = await openSegmentStorage({ directory, disk, log });
      await storage.append('s', 0, [newRecord()]);
      disk.fails = { [call]: diskError('EIO') };
      await assert.rejects(storage.append('s', 1, [newRecord()]), StorageFailed);
      disk.fails = {};
      // After a sync that failed nobody knows what the disk holds: only reading it anew tells.
      await assert.rejects(storage.append('t', 0, [newRecord()]), StorageFailed);
      assert.deepEqual(storage.head('s'), { revision: 0 });
      assert.equal((await all(storage)).length, 1);
      assert.equal(log.lines.filter(({ level }) => level === 'error').length, 1);
      await storage.close();
      const again = await openSegmentStorage({ directory });
      assert.equal((await all(again)).length, 1);
      await again.append('s', 1, [newRecord()]);
      await again.close();
      assert.deepEqual((await verifyStorage(directory)).problems, []);
    });
  }

  test('to cut a failed write: appends fail until a restart cuts it', async t => {
    const directory = logFolder(t);
    const disk = faultyDisk();
    const storage = await openSegmentStorage({ directory, disk });
    await storage.append('s', 0, [newRecord()]);
    disk.roomBytes = 90;
    disk.fails = { truncate: diskError('EIO') };
    await assert.rejects(storage.append('s', 1, [newRecord()]), StorageFull);
    disk.roomBytes = Number.POSITIVE_INFINITY;
    await assert.rejects(storage.append('s', 1, [newRecord()]), StorageFailed);
    await storage.close();
    const log = rememberingLog();
    const again = await openSegmentStorage({ directory, log });
    // The group's marker came whole, and may stay.
    assert.equal(log.lines[0]?.fields.bytes, 90 - markerBytes);
    assert.equal((await all(again)).length, 1);
    await again.close();
  });
});

type Fault = { writeBytesMax: number; roomBytes: number; fails: 'write' | 'sync' | 'none'; appends: number };

const fault: fc.Arbitrary<Fault> = fc.record({
  writeBytesMax: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(100_000)),
  roomBytes: fc.oneof(fc.integer({ min: 0, max: 1500 }), fc.constant(100_000)),
  fails: fc.constantFrom('none', 'none', 'none', 'write', 'sync'),
  appends: fc.integer({ min: 1, max: 6 }),
});

test('whatever the disk does, what was acknowledged is there after a restart, in order and without holes', async t => {
  const history = async (faults: Fault[], segmentBytesMax: number) => {
    const directory = logFolder(t);
    const acknowledged = new Map<string, string[]>();
    for (const { appends, fails, ...limits } of faults) {
      const disk = faultyDisk();
      const storage = await openSegmentStorage({ directory, disk, segmentBytesMax });
      for (const [stream, wanted] of acknowledged) {
        const ids = (await storage.readStream(stream, 0, 'forwards', 1000)).map(({ id }) => id);
        assert.deepEqual(
          ids.filter(id => wanted.includes(id)),
          wanted,
        );
        // What was written but not acknowledged may have stayed.
        acknowledged.set(stream, ids);
      }
      Object.assign(disk, limits, { fails: fails === 'none' ? {} : { [fails]: diskError('EIO') } });
      const pending = Array.from({ length: appends }, async (_, at) => {
        const stream = `s-${at % 3}`;
        const records = [newRecord(), newRecord('x'.repeat(at * 50))];
        await storage.append(stream, (storage.head(stream)?.revision ?? -1) + 1, records);
        acknowledged.set(stream, [...(acknowledged.get(stream) ?? []), ...records.map(({ id }) => id)]);
      });
      await Promise.allSettled(pending);
      await storage.close();
    }
    const { problems } = await verifyStorage(directory);
    fs.rmSync(directory, { recursive: true });
    assert.deepEqual(problems, []);
  };
  const faults = fc.array(fault, { minLength: 1, maxLength: 6 });
  await fc.assert(fc.asyncProperty(faults, fc.constantFrom(700, 100_000), history), { numRuns: 40 });
});

suite('scavenging and a disk that fails in the middle', () => {
  test('at any write, sync or rename: afterwards either the old or the new form is there, whole', async t => {
    let isDone = false;
    for (let step = 0; !isDone; step += 1) {
      const directory = logFolder(t);
      const disk = faultyDisk();
      const options = { directory, segmentBytesMax: 3000 };
      const storage = await openSegmentStorage({ ...options, disk });
      for (let at = 0; at < 20; at += 1) {
        await storage.append('gone', at, [newRecord('x'.repeat(100))]);
        await storage.append('stays', at, [newRecord()]);
      }
      const before = await all(storage);
      const wanted = before.filter(({ stream, revision }) => stream === 'stays' || revision === 19);
      // From this call to the disk on, nothing works any more: as if the process had been killed there.
      let calls = 0;
      const { write, sync } = disk;
      const die = async () => {
        if (++calls > step) throw diskError('EIO');
      };
      disk.write = (...args) => die().then(() => write(...args));
      disk.sync = fd => die().then(() => sync(fd));
      await storage
        .scavenge(({ stream }) => stream === 'stays')
        .then(
          () => {
            isDone = true;
          },
          () => undefined,
        );
      const during = await all(storage);
      for (const record of wanted) assert.ok(during.some(({ id }) => id === record.id));
      calls = 500;
      await storage.close();
      const again = await openSegmentStorage(options);
      const after = await all(again);
      for (const record of wanted) assert.ok(after.some(({ id }) => id === record.id));
      for (const record of after)
        assert.deepEqual(
          record,
          before.find(({ id }) => id === record.id),
        );
      if (isDone) assert.deepEqual(after, wanted);
      await again.close();
      assert.deepEqual((await verifyStorage(directory)).problems, []);
      assert.ok(step < 500);
    }
  });

  test('a scavenge gives its bytes back to the disk, and can be given up', async t => {
    const directory = logFolder(t);
    const storage = await openSegmentStorage({ directory, segmentBytesMax: 100_000, durability: 'none' });
    t.after(() => storage.close());
    for (let at = 0; at < 200; at += 1) await storage.append('gone', at, [newRecord('x'.repeat(5000))]);
    await storage.append('stays', 0, [newRecord()]);
    const used = () => filesOf(directory, 'segment').reduce((sum, file) => sum + fs.statSync(file).size, 0);
    const before = used();
    const given = AbortSignal.abort(new Error('given up'));
    await assert.rejects(
      storage.scavenge(() => false, given),
      /given up/,
    );
    assert.equal(used(), before);
    const { bytesFreed, records } = await storage.scavenge(({ stream }) => stream === 'stays');
    assert.equal(records, 199);
    assert.ok(used() < before / 50, `${used()} bytes of ${before} are left`);
    assert.ok(Math.abs(before - used() - bytesFreed) < 200);
    assert.equal((await storage.scavenge(({ stream }) => stream === 'stays')).records, 0);
  });
});

test('open files are bounded, whatever the number of segments', {
  skip: process.platform !== 'linux',
}, async t => {
  const directory = logFolder(t);
  const storage = await openSegmentStorage({ directory, segmentBytesMax: 300, durability: 'none' });
  t.after(() => storage.close());
  const openFiles = () => fs.readdirSync('/dev/fd').length;
  const before = openFiles();
  for (let at = 0; at < 1000; at += 1) await storage.append(`s-${at % 7}`, Math.floor(at / 7), [newRecord()]);
  assert.ok(filesOf(directory, 'segment').length > 400);
  assert.equal((await all(storage)).length, 1000);
  for (let at = 0; at < 7; at += 1) await storage.readStream(`s-${at}`, 0, 'forwards', 1000);
  const open = openFiles() - before;
  assert.ok(open > 100 && open <= 128 + 256 + 16, `${open} files are open`);
});
