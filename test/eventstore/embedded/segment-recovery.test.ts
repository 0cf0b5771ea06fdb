/** What a start makes of a log that was torn or damaged, and what is served of it: all that is sound, and nothing else. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { verifyStorage } from '../../../eventstore/embedded/segment-verify.ts';
import { StorageFailed, type StoredRecord } from '../../../eventstore/embedded/storage.ts';
import { newRecord } from '../../contract/storage.ts';
import { copyOf, filesOf, flipByte, logFolder, rememberingLog } from './log-folder.ts';

type Storage = Awaited<ReturnType<typeof openSegmentStorage>>;

const end = Number.MAX_SAFE_INTEGER;
const all = (storage: Storage) => storage.readAll(0, 'forwards', 10_000);
const ids = (records: readonly StoredRecord[]) => records.map(({ id }) => id);

/** Appends of 1, 2, 3, 1, 2, 3 … records to three streams; the length of the last segment after each of them. */
async function fill(directory: string, appends: number, segmentBytesMax = 1 << 20) {
  const storage = await openSegmentStorage({ directory, segmentBytesMax });
  const lengths: number[] = [];
  for (let at = 0; at < appends; at += 1) {
    const stream = `s-${at % 3}`;
    const count = 1 + (at % 3);
    const records = Array.from({ length: count }, () => newRecord(`{"at":${at}}`));
    await storage.append(stream, (storage.head(stream)?.revision ?? -1) + 1, records);
    lengths.push(fs.statSync(filesOf(directory, 'segment').at(-1) ?? '').size);
  }
  const records = await all(storage);
  await storage.close();
  return { records, lengths };
}

async function refusedAt(directory: string): Promise<number> {
  const error = await openSegmentStorage({ directory }).then(
    storage => storage.close(),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof StorageFailed, `opened over damage: ${error}`);
  assert.ok(error.position !== undefined);
  assert.match(error.message, new RegExp(`${error.position}`));
  return error.position;
}

suite('a torn tail', () => {
  test('cut at any byte of the last appends, the whole appends before it are left, and writing goes on', async t => {
    const folder = logFolder(t);
    const { records, lengths } = await fill(folder, 6);
    const from = lengths.at(-3) ?? 0;
    const to = lengths.at(-1) ?? 0;
    const copy = copyOf(t, folder);
    const [file = ''] = filesOf(copy, 'segment');
    const bytes = fs.readFileSync(file);
    for (let cut = from; cut <= to; cut += 1) {
      fs.writeFileSync(file, bytes.subarray(0, cut));
      const appends = lengths.filter(length => length <= cut).length;
      const count = [1, 3, 6, 7, 9, 12][appends - 1] ?? 0;
      const { problems, tornBytes } = await verifyStorage(copy);
      assert.deepEqual(problems, [], `cut at ${cut}`);
      const log = rememberingLog();
      const storage = await openSegmentStorage({ directory: copy, log });
      assert.deepEqual(ids(await all(storage)), ids(records.slice(0, count)), `cut at ${cut}`);
      const said = log.lines.filter(({ message }) => message.includes('torn tail'));
      assert.equal(said.length, tornBytes > 0 ? 1 : 0, `cut at ${cut}`);
      if (tornBytes > 0) assert.equal(said[0]?.fields.bytes, tornBytes);
      const revision = (storage.head('s-0')?.revision ?? -1) + 1;
      await storage.append('s-0', revision, [newRecord()]);
      assert.equal((await all(storage)).length, count + 1);
      await storage.close();
    }
  });

  test('whatever bytes stand behind the last whole append, they are no record', async t => {
    const folder = logFolder(t);
    const storage = await openSegmentStorage({ directory: folder });
    await storage.append('s', 0, [newRecord()]);
    await storage.close();
    const [file = ''] = filesOf(folder, 'segment');
    const sound = fs.readFileSync(file);
    const earlier = sound.subarray(64);
    for (const tail of [Buffer.alloc(5000), Buffer.alloc(3, 0xff), earlier, Buffer.alloc(100, 0x40)]) {
      fs.writeFileSync(file, Buffer.concat([sound, tail]));
      const again = await openSegmentStorage({ directory: folder });
      assert.equal((await all(again)).length, 1);
      await again.close();
      fs.writeFileSync(file, sound);
    }
  });
});

suite('damage', () => {
  test('a flipped byte in what was synced keeps the log from being opened over it, with its position', async t => {
    const folder = logFolder(t);
    const { lengths } = await fill(folder, 6);
    const [file = ''] = filesOf(folder, 'segment');
    for (let at = 0; at < (lengths.at(-1) ?? 0); at += at < 120 ? 1 : 5) {
      flipByte(file, at, 1 << (at % 8));
      const position = await refusedAt(folder);
      assert.ok(position <= at && (at < 64 || at - position < 400), `byte ${at}: at position ${position}`);
      const { problems } = await verifyStorage(folder);
      assert.ok(problems.length > 0, `byte ${at} is not found by verify`);
      flipByte(file, at, 1 << (at % 8));
    }
    assert.deepEqual((await verifyStorage(folder)).problems, []);
  });

  test('in a closed segment: what lies before it is served, nothing at or behind it as if it were not there', async t => {
    const folder = logFolder(t);
    const { records } = await fill(folder, 60, 3000);
    const files = filesOf(folder, 'segment');
    assert.ok(files.length > 5);
    const victim = records[20] as StoredRecord;
    const file = files.findLast(name => Number(/(\d{16})/.exec(name)?.[1]) <= victim.position) ?? '';
    flipByte(file, victim.position - Number(/(\d{16})/.exec(file)?.[1]) + 60);
    const storage = await openSegmentStorage({ directory: folder, segmentBytesMax: 3000 });
    t.after(() => storage.close());
    assert.deepEqual(ids(await all(storage)), ids(records.slice(0, 20)));
    const damaged = (error: unknown) => error instanceof StorageFailed && error.position === victim.position;
    await assert.rejects(storage.readAll(victim.position, 'forwards', 10), damaged);
    const down = await storage.readAll(end, 'backwards', 10_000);
    assert.deepEqual(ids(down), ids(records.slice(records.length - down.length)).reverse());
    assert.ok(down.length < records.length - 20, 'read backwards past the damage');
    const own = await storage.readStream(victim.stream, 0, 'forwards', 1000);
    assert.deepEqual(ids(own), ids(records.slice(0, 20).filter(({ stream }) => stream === victim.stream)));
    await assert.rejects(storage.readStream(victim.stream, victim.revision, 'forwards', 1), damaged);
    const { problems } = await verifyStorage(folder);
    assert.ok(problems.some(({ position }) => position === victim.position));
    await assert.rejects(storage.backup(`${folder}/backup`), damaged);
    await assert.rejects(
      storage.scavenge(({ stream }) => stream !== victim.stream),
      StorageFailed,
    );
  });

  test('a flipped byte of an index is found by verify, and never leads a read astray', async t => {
    const folder = logFolder(t);
    const { records } = await fill(folder, 20, 2000);
    const [file = ''] = filesOf(folder, 'index');
    const size = fs.statSync(file).size;
    for (let at = 0; at < size; at += at < 1200 ? 7 : 97) {
      flipByte(file, at, 1 << (at % 8));
      const { problems } = await verifyStorage(folder);
      assert.ok(problems.length > 0, `byte ${at} is not found by verify`);
      const storage = await openSegmentStorage({ directory: folder, segmentBytesMax: 2000 });
      for (const stream of ['s-0', 's-1', 's-2']) {
        const wanted = ids(records.filter(record => record.stream === stream));
        const read = await storage
          .readStream(stream, 0, 'forwards', 1000)
          .then(ids, (error: unknown) => error);
        if (!(read instanceof StorageFailed)) assert.deepEqual(read, wanted, `byte ${at}`);
      }
      await storage.close();
      flipByte(file, at, 1 << (at % 8));
    }
  });

  test('a segment that is gone, or shorter than it was, is missed at the start', async t => {
    const folder = logFolder(t);
    await fill(folder, 40, 2000);
    const files = filesOf(folder, 'segment');
    const base = (name: string) => Number(/(\d{16})/.exec(name)?.[1]);
    for (const at of [0, 1, 3]) {
      const copy = copyOf(t, folder);
      fs.rmSync(filesOf(copy, 'segment')[at] ?? '');
      assert.equal(await refusedAt(copy), base(files[at] ?? ''));
      assert.ok((await verifyStorage(copy)).problems.length > 0);
    }
    const copy = copyOf(t, folder);
    const second = filesOf(copy, 'segment')[1] ?? '';
    fs.truncateSync(second, fs.statSync(second).size - 1);
    assert.equal(await refusedAt(copy), base(files[2] ?? '') - 1);
  });
});
