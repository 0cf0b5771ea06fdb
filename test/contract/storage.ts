/** What every storage of the log keeps to: run over the one in memory and the one on disk. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { suite, test } from 'node:test';
import type { NewRecord, Storage, StoredRecord } from '../../eventstore/embedded/storage.ts';
import { decodeRecordedEvent, tombstoneRevision } from '../../eventstore/embedded/wire-record.ts';

export type OpenStorage = () => Promise<{ storage: Storage; cleanUp(): Promise<void> }>;

export function newRecord(text = '{}', type = 'Tested'): NewRecord {
  const metadata = Buffer.from(`{"of":${JSON.stringify(text)}}`);
  return { id: randomUUID(), type, contentType: 'application/json', data: Buffer.from(text), metadata };
}

const brief = (records: readonly StoredRecord[]) =>
  records.map(({ stream, revision }) => `${stream}@${revision}`);

export function storageContract(name: string, open: OpenStorage): void {
  suite(`storage contract: ${name}`, () => {
    const withStorage = async (use: (storage: Storage) => Promise<void>) => {
      const { storage, cleanUp } = await open();
      try {
        await use(storage);
      } finally {
        await storage.close();
        await cleanUp();
      }
    };

    test('is empty at first', () =>
      withStorage(async storage => {
        assert.equal(storage.lastPosition(), 0);
        assert.equal(storage.head('a'), undefined);
        assert.deepEqual(await storage.readAll(0, 'forwards', 10), []);
        assert.deepEqual(await storage.readAll(Number.MAX_SAFE_INTEGER, 'backwards', 10), []);
        assert.deepEqual(await storage.readStream('a', 0, 'forwards', 10), []);
        assert.deepEqual(await storage.readStream('a', 0, 'backwards', 10), []);
      }));

    test('counts what is accepted at once, and answers when it is stored', () =>
      withStorage(async storage => {
        const first = storage.append('a', 0, [newRecord(), newRecord()]);
        assert.deepEqual(storage.head('a'), { revision: 1 });
        const second = storage.append('a', 2, [newRecord()]);
        assert.deepEqual(storage.head('a'), { revision: 2 });
        const [one, two] = [await first, await second];
        assert.deepEqual([one.revision, two.revision], [1, 2]);
        assert.ok(one.position > 0 && two.position > one.position);
        assert.equal(storage.lastPosition(), two.position);
        assert.deepEqual(storage.head('a'), { revision: 2 });
      }));

    test('gives back what was stored, also in wire encoding', () =>
      withStorage(async storage => {
        const before = Date.now();
        const records = [
          newRecord('{"ü":"☂"}', 'Größe'),
          {
            ...newRecord(),
            contentType: 'application/octet-stream' as const,
            data: Buffer.alloc(200_000, 7),
          },
          { ...newRecord(), data: new Uint8Array(0), metadata: new Uint8Array(0) },
        ];
        const appended = await storage.append('strom-ä', 0, records);
        const stored = await storage.readStream('strom-ä', 0, 'forwards', 10);
        assert.equal(stored.length, 3);
        for (const [at, record] of stored.entries()) {
          const wanted = records[at]!;
          const wire = decodeRecordedEvent(record.wire);
          assert.deepEqual(Buffer.from(wire.data), Buffer.from(wanted.data));
          assert.deepEqual(Buffer.from(wire.metadata), Buffer.from(wanted.metadata));
          assert.equal(wire.contentType, wanted.contentType);
          for (const from of [record, wire]) {
            const { id, type, stream, revision } = from;
            assert.deepEqual(
              { id, type, stream, revision },
              { id: wanted.id, type: wanted.type, stream: 'strom-ä', revision: at },
            );
            assert.ok(from.createdMs >= before && from.createdMs <= Date.now());
          }
          assert.equal(wire.position, record.position);
        }
        assert.equal(stored[2]?.position, appended.position);
      }));

    test('reads a stream from any revision, both ways', () =>
      withStorage(async storage => {
        await storage.append('a', 0, [newRecord(), newRecord(), newRecord()]);
        await storage.append('b', 0, [newRecord()]);
        await storage.append('a', 3, [newRecord(), newRecord()]);
        const read = async (from: number, direction: 'forwards' | 'backwards', limit: number) =>
          (await storage.readStream('a', from, direction, limit)).map(record => record.revision);
        assert.deepEqual(await read(0, 'forwards', 10), [0, 1, 2, 3, 4]);
        assert.deepEqual(await read(2, 'forwards', 2), [2, 3]);
        assert.deepEqual(await read(5, 'forwards', 2), []);
        assert.deepEqual(await read(3, 'backwards', 3), [3, 2, 1]);
        assert.deepEqual(await read(0, 'backwards', 3), [0]);
        assert.deepEqual(await read(Number.MAX_SAFE_INTEGER, 'backwards', 2), [4, 3]);
      }));

    test('reads everything from any position, both ways, in one order', () =>
      withStorage(async storage => {
        for (let round = 0; round < 3; round += 1) {
          await storage.append('a', round, [newRecord()]);
          await storage.append('b', round * 2, [newRecord(), newRecord()]);
        }
        const all = await storage.readAll(0, 'forwards', 100);
        assert.deepEqual(brief(all), ['a@0', 'b@0', 'b@1', 'a@1', 'b@2', 'b@3', 'a@2', 'b@4', 'b@5']);
        for (const [at, { position }] of all.entries()) {
          assert.deepEqual(
            brief(await storage.readAll(position, 'forwards', 3)),
            brief(all.slice(at, at + 3)),
          );
          assert.deepEqual(
            brief(await storage.readAll(position + 1, 'forwards', 3)),
            brief(all.slice(at + 1, at + 4)),
          );
          const down = all.slice(0, at + 1).reverse();
          assert.deepEqual(brief(await storage.readAll(position, 'backwards', 4)), brief(down.slice(0, 4)));
          assert.deepEqual(
            brief(await storage.readAll(position - 1, 'backwards', 4)),
            brief(down.slice(1, 5)),
          );
        }
        assert.equal(storage.lastPosition(), all.at(-1)?.position);
      }));

    test('a page has about as many bytes as asked for, and at least one record', () =>
      withStorage(async storage => {
        await storage.append(
          'a',
          0,
          [1, 2, 3, 4, 5, 6].map(() => newRecord('x'.repeat(1000))),
        );
        for (const direction of ['forwards', 'backwards'] as const) {
          const from = direction === 'forwards' ? 0 : Number.MAX_SAFE_INTEGER;
          assert.equal((await storage.readAll(from, direction, 100, 1)).length, 1);
          assert.equal((await storage.readStream('a', from, direction, 100, 1)).length, 1);
          const some = await storage.readAll(from, direction, 100, 3000);
          assert.ok(some.length >= 2 && some.length <= 4, `${some.length} records`);
        }
      }));

    test('an append is one piece in the order of all, whoever else appends', () =>
      withStorage(async storage => {
        const writers = Array.from({ length: 16 }, async (_, writer) => {
          for (let turn = 0; turn < 5; turn += 1) {
            await storage.append(`w${writer}`, turn * 3, [newRecord(), newRecord(), newRecord()]);
          }
        });
        await Promise.all(writers);
        const all = await storage.readAll(0, 'forwards', 1000);
        assert.equal(all.length, 16 * 5 * 3);
        for (let at = 1; at < all.length; at += 1) assert.ok(all[at]!.position > all[at - 1]!.position);
        for (let at = 0; at < all.length; at += 3) {
          const [one, two, three] = all.slice(at, at + 3);
          assert.deepEqual([two?.stream, three?.stream], [one?.stream, one?.stream]);
          assert.deepEqual([two?.revision, three?.revision], [one!.revision + 1, one!.revision + 2]);
        }
      }));

    test('tells of each commit once, in order, until it is asked to stop', () =>
      withStorage(async storage => {
        const told: StoredRecord[] = [];
        const stop = storage.onCommit(records => told.push(...records));
        await Promise.all(
          ['a', 'b', 'c'].map(stream => storage.append(stream, 0, [newRecord(), newRecord()])),
        );
        assert.deepEqual(brief(told), brief(await storage.readAll(0, 'forwards', 100)));
        stop();
        await storage.append('d', 0, [newRecord()]);
        assert.equal(told.length, 6);
      }));

    test('a tombstone is the last revision, wherever the stream ended', () =>
      withStorage(async storage => {
        await storage.append('a', 0, [newRecord(), newRecord()]);
        await storage.append('a', tombstoneRevision, [newRecord('{}', '$streamDeleted')]);
        assert.deepEqual(storage.head('a'), { revision: tombstoneRevision });
        const down = await storage.readStream('a', Number.MAX_SAFE_INTEGER, 'backwards', 5);
        assert.deepEqual(
          down.map(record => record.revision),
          [tombstoneRevision, 1, 0],
        );
        const up = await storage.readStream('a', 2, 'forwards', 5);
        assert.deepEqual(
          up.map(record => record.revision),
          [tombstoneRevision],
        );
      }));

    test('scavenging removes what is not wanted and moves nothing else', () =>
      withStorage(async storage => {
        for (let turn = 0; turn < 40; turn += 1) {
          await storage.append('gone', turn, [newRecord('x'.repeat(500))]);
          await storage.append('stays', turn, [newRecord('y'.repeat(50))]);
        }
        const before = await storage.readAll(0, 'forwards', 1000);
        const result = await storage.scavenge(record => record.stream !== 'gone' || record.revision === 39);
        assert.equal(result.records, 39);
        assert.ok(result.bytesFreed >= 39 * 500, `${result.bytesFreed} bytes freed`);
        const wanted = before.filter(record => record.stream === 'stays' || record.revision === 39);
        assert.deepEqual(await storage.readAll(0, 'forwards', 1000), wanted);
        assert.deepEqual(
          await storage.readAll(Number.MAX_SAFE_INTEGER, 'backwards', 1000),
          [...wanted].reverse(),
        );
        assert.deepEqual(brief(await storage.readStream('gone', 0, 'forwards', 100)), ['gone@39']);
        assert.deepEqual(storage.head('gone'), { revision: 39 });
        await storage.append('gone', 40, [newRecord()]);
        assert.deepEqual(brief(await storage.readStream('gone', 0, 'forwards', 100)), ['gone@39', 'gone@40']);
      }));

    test('is read while it is written: each read is sound, and the readers miss nothing', () =>
      withStorage(async storage => {
        const last = 199;
        // Larger than what one look at the disk brings, so a read has many steps, and appends come in between.
        const large = 'x'.repeat(16_000);
        const everything = 1 << 30;
        let isWritten = false;
        // When one of them fails, the others end too.
        let isOver = false;
        const write = async () => {
          for (let revision = 0; revision <= last; revision += 1) {
            await storage.append('busy', revision, [newRecord(large)]);
          }
          isWritten = true;
        };
        const follow = async (reads: (next: number) => Promise<StoredRecord[]>) => {
          const seen: number[] = [];
          while (!isOver && seen.length <= last) {
            const page = await reads(seen.length);
            seen.push(...page.map(({ revision }) => revision));
            if (page.length === 0) await new Promise(resolve => setImmediate(resolve));
          }
          if (!isOver) assert.deepEqual(seen, [...Array(last + 1).keys()]);
        };
        /** Reads the whole of it again and again. */
        const look = async (direction: 'forwards' | 'backwards') => {
          while (!isOver && !isWritten) {
            await new Promise(resolve => setImmediate(resolve));
            const from = direction === 'forwards' ? 0 : last;
            const page = await storage.readStream('busy', from, direction, 1_000, everything);
            const seen = page.map(({ revision }) => revision);
            if (direction === 'backwards') seen.reverse();
            assert.deepEqual(seen, [...Array(page.length).keys()]);
          }
        };
        await Promise.all([
          write(),
          follow(next => storage.readStream('busy', next, 'forwards', 1_000, everything)),
          follow(async next => {
            const page = await storage.readAll(0, 'forwards', 1_000, everything);
            return page.slice(next);
          }),
          look('forwards'),
          look('forwards'),
          look('backwards'),
        ]).finally(() => {
          isOver = true;
        });
      }));
  });
}
