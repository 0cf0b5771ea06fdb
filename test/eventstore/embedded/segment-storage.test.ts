/** The storage on disk: the contract, a model over many small segments, and what only a disk has. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { openSegmentStorage, type SegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { verifyStorage } from '../../../eventstore/embedded/segment-verify.ts';
import type { StoredRecord } from '../../../eventstore/embedded/storage.ts';
import { newRecord, storageContract } from '../../contract/storage.ts';

const temporary = () => fs.mkdtempSync(path.join(os.tmpdir(), 'apphub-log-'));
const erase = (directory: string) => fs.rmSync(directory, { recursive: true, force: true });

storageContract('memory', async () => ({ storage: memoryStorage(), cleanUp: async () => {} }));

storageContract('segments', async () => {
  const directory = temporary();
  return { storage: await openSegmentStorage({ directory }), cleanUp: async () => erase(directory) };
});

storageContract('many small segments', async () => {
  const directory = temporary();
  const storage = await openSegmentStorage({ directory, segmentBytesMax: 700 });
  return { storage, cleanUp: async () => erase(directory) };
});

type Step =
  | { do: 'append'; stream: number; count: number; bytes: number }
  | {
      do: 'readAll' | 'readStream';
      stream: number;
      from: number;
      limit: number;
      direction: 'forwards' | 'backwards';
    }
  | { do: 'scavenge'; stream: number; below: number }
  | { do: 'reopen' };

const streamNumber = fc.integer({ min: 0, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      stream: streamNumber,
      count: fc.integer({ min: 1, max: 5 }),
      bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(40_000)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('readAll' as const, 'readStream' as const),
      stream: streamNumber,
      from: fc.integer({ min: 0, max: 40 }),
      limit: fc.integer({ min: 1, max: 20 }),
      direction: fc.constantFrom('forwards' as const, 'backwards' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('scavenge' as const),
      stream: streamNumber,
      below: fc.integer({ min: 0, max: 10 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
);

type Known = { position: number; stream: string; revision: number; id: string };
const known = ({ position, stream, revision, id }: StoredRecord): Known => ({
  position,
  stream,
  revision,
  id,
});

/** What the log should hold: an array. */
class Model {
  records: Known[] = [];
  head(stream: string): number {
    return this.records.findLast(record => record.stream === stream)?.revision ?? -1;
  }
  page(
    records: Known[],
    key: 'position' | 'revision',
    from: number,
    direction: string,
    limit: number,
  ): Known[] {
    if (direction === 'forwards') return records.filter(record => record[key] >= from).slice(0, limit);
    return records
      .filter(record => record[key] <= from)
      .reverse()
      .slice(0, limit);
  }
}

async function runStep(
  storage: SegmentStorage,
  model: Model,
  step: Exclude<Step, { do: 'reopen' }>,
): Promise<void> {
  const stream = `stream-${step.stream}`;
  if (step.do === 'append') {
    const records = Array.from({ length: step.count }, () => newRecord('z'.repeat(step.bytes)));
    const first = model.head(stream) + 1;
    assert.equal(storage.head(stream)?.revision, first === 0 ? undefined : first - 1);
    const { position, revision } = await storage.append(stream, first, records);
    assert.equal(revision, first + step.count - 1);
    const after = model.records.at(-1)?.position ?? 0;
    const stored = await storage.readAll(after + 1, 'forwards', 100);
    assert.equal(stored.at(-1)?.position, position);
    assert.deepEqual(
      stored.map(record => record.id),
      records.map(record => record.id),
    );
    model.records.push(...stored.map(known));
  } else if (step.do === 'scavenge') {
    const keep = (record: Known) => record.stream !== stream || record.revision >= step.below;
    await storage.scavenge(keep);
    const heads = new Map(model.records.map(record => [record.stream, record.revision]));
    model.records = model.records.filter(
      record => keep(record) || heads.get(record.stream) === record.revision,
    );
  } else if (step.do === 'readAll') {
    const from = (model.records[step.from]?.position ?? 0) + (step.from % 3) - 1;
    const wanted = model.page(model.records, 'position', from, step.direction, step.limit);
    assert.deepEqual((await storage.readAll(from, step.direction, step.limit)).map(known), wanted);
  } else {
    const own = model.records.filter(record => record.stream === stream);
    const wanted = model.page(own, 'revision', step.from, step.direction, step.limit);
    assert.deepEqual(
      (await storage.readStream(stream, step.from, step.direction, step.limit)).map(known),
      wanted,
    );
  }
}

suite('segment storage', () => {
  test('any history of appends, reads, scavenges and restarts is that of an array', async () => {
    const history = async (steps: Step[], segmentBytesMax: number) => {
      const directory = temporary();
      const open = () => openSegmentStorage({ directory, segmentBytesMax, durability: 'none' });
      let storage = await open();
      const model = new Model();
      try {
        for (const step of steps) {
          if (step.do !== 'reopen') await runStep(storage, model, step);
          else {
            await storage.close();
            storage = await open();
          }
        }
        assert.deepEqual((await storage.readAll(0, 'forwards', 1000)).map(known), model.records);
      } finally {
        await storage.close();
        const { problems, records } = await verifyStorage(directory);
        erase(directory);
        assert.deepEqual(problems, []);
        assert.equal(records, model.records.length);
      }
    };
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.constantFrom(300, 3000, 100_000),
      history,
    );
    await fc.assert(property, { numRuns: 60 });
  });

  test('a directory belongs to one at a time', async () => {
    const directory = temporary();
    const storage = await openSegmentStorage({ directory });
    await assert.rejects(openSegmentStorage({ directory }), { name: 'DirectoryLocked' });
    await storage.close();
    await (await openSegmentStorage({ directory })).close();
    erase(directory);
  });

  test('the same without and with a sync before the answer', async () => {
    for (const durability of ['none', { intervalMs: 1 }, 'always'] as const) {
      const directory = temporary();
      const storage = await openSegmentStorage({ directory, durability });
      await storage.append('a', 0, [newRecord('1')]);
      await storage.close();
      const again = await openSegmentStorage({ directory, durability });
      assert.equal((await again.readStream('a', 0, 'forwards', 5)).length, 1);
      await again.close();
      erase(directory);
    }
  });

  test('an index that is missing is made again, and heads of streams long closed are found', async () => {
    const directory = temporary();
    const options = { directory, segmentBytesMax: 4000, durability: 'none' } as const;
    const storage = await openSegmentStorage(options);
    for (let at = 0; at < 300; at += 1)
      await storage.append(`s-${at % 100}`, Math.floor(at / 100), [newRecord()]);
    const before = await storage.readAll(0, 'forwards', 1000);
    await storage.close();
    const indexes = fs.readdirSync(directory).filter(file => file.endsWith('.index'));
    assert.ok(indexes.length > 5);
    for (const file of indexes) fs.rmSync(path.join(directory, file));
    const again = await openSegmentStorage(options);
    for (let at = 0; at < 100; at += 1) assert.deepEqual(again.head(`s-${at}`), { revision: 2 });
    assert.equal(again.head('s-100'), undefined);
    assert.deepEqual(await again.readAll(0, 'forwards', 1000), before);
    await again.close();
    assert.deepEqual((await verifyStorage(directory)).problems, []);
    erase(directory);
  });
});
