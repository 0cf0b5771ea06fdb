/** What every log store promises, wherever it keeps its bytes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { LogStore } from '../../platform/log-store.ts';
import type { LogLimits } from '../../platform/log-writer.ts';

const never = new AbortController().signal;

export type Subject = {
  open(limits?: LogLimits): LogStore;
  /** Statements of a module that make `store`, the same store, in another process. */
  readonly source: string;
  /** Puts bytes behind a log, as a writer that was killed in the middle of a line. */
  tear(id: string, text: string): Promise<void>;
};

export function logStorePromises(name: string, { open, source, tear }: Subject): void {
  suite(name, { concurrency: true }, () => {
    const store = open();
    let count = 0;
    const newId = () => `log-${++count}`;
    const write = async (logs: LogStore, id: string, ...lines: string[]) => {
      const writer = await logs.writer(id);
      for (const line of lines) await writer.write(line);
      return writer.close();
    };
    const whole = async (id: string, logs = store) => (await buffer(logs.follow(id, 0, never))).toString();

    test('what was written is read, with how much it was', async () => {
      const id = newId();
      assert.deepEqual([await store.read(id, 0), await store.size(id)], [undefined, undefined]);
      const size = { lines: 3, bytes: 17, truncated: false };
      assert.deepEqual(await write(store, id, 'one', '', 'größe ✓'), size);
      assert.equal(await whole(id), 'one\n\ngröße ✓\n');
      const part = await store.read(id, 4);
      assert.deepEqual([part?.bytes.toString(), part?.nextOffset, part?.ended], ['\ngröße ✓\n', 17, true]);
      assert.equal((await store.read(id, 0, 3))?.ended, false);
      assert.deepEqual((await store.read(id, 99))?.bytes, Buffer.alloc(0));
      assert.equal((await store.read(id, 99))?.ended, true);
      assert.deepEqual(await store.size(id), { bytes: 17, ended: true });
      await store.remove(id);
      await store.remove(id);
      assert.deepEqual([await store.read(id, 0), await store.size(id)], [undefined, undefined]);
    });

    test('a log without a line has an end, too', async () => {
      const id = newId();
      assert.deepEqual(await write(store, id), { lines: 0, bytes: 0, truncated: false });
      assert.equal(await whole(id), '');
      assert.deepEqual(await store.size(id), { bytes: 0, ended: true });
    });

    test('one line is one line, and any text is whole', async () => {
      const line = fc.string({ unit: 'binary', maxLength: 200 });
      const property = fc.asyncProperty(
        fc.array(line, { maxLength: 20 }),
        fc.integer({ min: 1, max: 50 }),
        async (lines, step) => {
          const id = newId();
          const size = await write(store, id, ...lines);
          const expected = Buffer.from(lines.map(text => `${text.replaceAll('\n', ' ')}\n`).join(''));
          assert.deepEqual([size.lines, size.bytes], [lines.length, expected.length]);
          const parts: Buffer[] = [];
          for (let offset = 0; ; ) {
            const part = await store.read(id, offset, step);
            if (part === undefined || part.bytes.length === 0) break;
            parts.push(part.bytes);
            offset = part.nextOffset;
          }
          assert.ok(Buffer.concat(parts).equals(expected));
        },
      );
      await fc.assert(property, { numRuns: 15 });
    });

    test('of a log that is too large its beginning and its end are kept, and what is left out is said', async () => {
      const small = open({ logBytesMax: 400, lineBytesMax: 20 });
      const id = newId();
      const lines = Array.from({ length: 300 }, (_, at) => `line ${at}`);
      const size = await write(small, id, 'ü'.repeat(50), ...lines);
      const text = await whole(id);
      assert.match(text, /^ü{7} …\nline 0\n(line \d+\n)+… the log is cut here: it may have 400 bytes/);
      const cut =
        /(\d+)\n… the log is cut[^\n]*\n… (\d+) lines of (\d+) bytes are left out here\nline (\d+)\n/.exec(
          text,
        );
      const [, before = '', lineCount = '', byteCount = '', next = ''] = cut ?? [];
      assert.equal(Number(next) - Number(before) - 1, Number(lineCount));
      const skipped = lines.slice(Number(before) + 1, Number(next));
      assert.equal(Number(byteCount), `${skipped.join('\n')}\n`.length);
      assert.ok(text.endsWith('line 298\nline 299\n'));
      assert.deepEqual(size, {
        truncated: true,
        bytes: Buffer.byteLength(text),
        lines: text.split('\n').length - 1,
      });
      assert.ok(size.bytes < 600);
      // A second writer adds to it no more than its own end.
      const more = await write(small, id, ...lines);
      assert.ok(more.bytes < size.bytes + 300 && (await whole(id)).startsWith(text));
    });

    test('a log that only just fits is not cut, and neither is one whose end fits', async () => {
      const small = open({ logBytesMax: 400 });
      const lines = Array.from({ length: 30 }, () => 'nine char');
      assert.deepEqual(await write(small, newId(), ...lines), { lines: 30, bytes: 300, truncated: false });
      const id = newId();
      await write(small, id, ...lines, 'the 31st');
      const text = await whole(id);
      assert.ok(text.endsWith('kept\nthe 31st\n'), text);
      assert.doesNotMatch(text, /left out/);
    });

    test('lines are masked before they are cut', async () => {
      const small = open({ lineBytesMax: 20 });
      const id = newId();
      const writer = await small.writer(id, line => line.replaceAll('secret-of-some-length', '***'));
      await writer.write('a secret-of-some-length z');
      await writer.close();
      assert.equal(await whole(id), 'a *** z\n');
    });

    test('a follower gets all of it as it comes, from its offset on, and its end', async () => {
      const id = newId();
      const early = buffer(store.follow(id, 0, never));
      const writer = await store.writer(id);
      await writer.write('first');
      const iterator = store.follow(id, 0, never)[Symbol.asyncIterator]();
      assert.equal(String((await iterator.next()).value), 'first\n');
      const next = iterator.next();
      await writer.write('second');
      assert.equal(String((await next).value), 'second\n');
      const late = buffer(store.follow(id, 6, never));
      await writer.write('third');
      await writer.close();
      assert.equal((await early).toString(), 'first\nsecond\nthird\n');
      assert.equal((await late).toString(), 'second\nthird\n');
      assert.equal(String((await iterator.next()).value), 'third\n');
      assert.equal((await iterator.next()).done, true);
    });

    test('many followers of a log that is written fast get the same, from any offset', async () => {
      const id = newId();
      const following = [0, 0, 1, 262_143, 262_144, 262_145].map(from =>
        buffer(store.follow(id, from, never)),
      );
      const lines = Array.from({ length: 6_000 }, (_, at) => `${at} ${'x'.repeat(at % 200)}`);
      const { bytes } = await write(store, id, ...lines);
      const expected = Buffer.from(`${lines.join('\n')}\n`);
      assert.equal(bytes, expected.length);
      const all = await Promise.all(following);
      for (const [at, from] of [0, 0, 1, 262_143, 262_144, 262_145].entries())
        assert.ok(all[at]?.equals(expected.subarray(from)), `from ${from}`);
    });

    test('who stops following is let go at once, also where nothing was ever written', async () => {
      const [nothing, begun] = [newId(), newId()];
      const writer = await store.writer(begun);
      await writer.write('x');
      for (const id of [nothing, begun]) {
        const leave = new AbortController();
        const following = buffer(store.follow(id, 0, leave.signal));
        leave.abort();
        await following;
      }
      await writer.close();
    });

    test('a writer that died in a line is gone on from: offsets stay good, and the line is closed', async () => {
      const id = newId();
      await write(store, id, 'whole');
      await tear(id, 'torn');
      const writer = await store.writer(id);
      assert.equal((await store.read(id, 6))?.ended, false, 'the end that was declared is taken back');
      await writer.write('again');
      assert.deepEqual(await writer.close(), { lines: 3, bytes: 17, truncated: false });
      assert.equal(await whole(id), 'whole\ntorn\nagain\n');
    });

    test('a process that is killed while it writes loses what was not stored yet, and nothing before', async () => {
      const id = newId();
      const child = spawn(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `${source}
          const writer = await store.writer(${JSON.stringify(id)});
          for (let at = 0; ; at += 1) {
            await writer.write('line ' + at);
            if (at % 1000 === 0) await new Promise(setImmediate);
          }`,
        ],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      const iterator = store.follow(id, 0, never)[Symbol.asyncIterator]();
      const before = String((await iterator.next()).value);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { lines } = await write(store, id, 'after');
      const text = await whole(id);
      assert.ok(text.startsWith(before) && text.endsWith('\nafter\n'));
      const all = text.split('\n').slice(0, -1);
      assert.equal(all.length, lines);
      for (const [at, line] of all.slice(0, -2).entries()) assert.equal(line, `line ${at}`);
      await iterator.return?.();
    });

    test('an id is a plain name; an offset is a whole number', async () => {
      for (const id of ['', '../x', 'a/b', '.x', 'a.log', 'a\0', 'x'.repeat(129), '-x']) {
        await assert.rejects(async () => store.read(id, 0), /not the id of a log/);
        await assert.rejects(async () => store.size(id), /not the id of a log/);
        await assert.rejects(async () => store.writer(id), /not the id of a log/);
        await assert.rejects(async () => store.remove(id), /not the id of a log/);
      }
      const id = newId();
      await write(store, id, 'x');
      for (const offset of [-1, 0.5, Number.NaN, 2 ** 60])
        await assert.rejects(store.read(id, offset), RangeError);
    });
  });

  test(`${name}: every log is listed, with how much there is of it`, async () => {
    const store = open();
    for await (const { id } of store.list()) await store.remove(id);
    const began = Date.now();
    await write(store, 'listed-1', 'x'.repeat(9), 'y');
    await write(store, 'listed-2');
    const writer = await store.writer('listed-3');
    await writer.write('z');
    const { bytes } = await until(store, 'listed-3');
    const listed = new Map<string, number>();
    for await (const one of store.list()) {
      listed.set(one.id, one.bytes);
      assert.ok(Math.abs(one.changedAt.getTime() - began) < 60_000);
    }
    assert.deepEqual(Object.fromEntries(listed), { 'listed-1': 12, 'listed-2': 0, 'listed-3': bytes });
    await writer.close();
    await store.remove('listed-1');
    const left: string[] = [];
    for await (const { id } of store.list()) left.push(id);
    assert.deepEqual(left.sort(), ['listed-2', 'listed-3']);
  });
}

async function write(logs: LogStore, id: string, ...lines: string[]): Promise<void> {
  const writer = await logs.writer(id);
  for (const line of lines) await writer.write(line);
  await writer.close();
}

/** Once something of it is there. */
async function until(logs: LogStore, id: string): Promise<{ bytes: number }> {
  for (;;) {
    const size = await logs.size(id);
    if (size !== undefined && size.bytes > 0) return size;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
