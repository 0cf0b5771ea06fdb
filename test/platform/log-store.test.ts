/** The output of builds in files: written line by line, read while it is written, found whole again after a crash. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import { type LogStore, openLogStore } from '../../platform/log-store.ts';

const modulePath = path.resolve(import.meta.dirname, '../../platform/log-store.ts');
const never = new AbortController().signal;

suite('log store', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-logs-'));
  after(() => rmSync(folder, { recursive: true }));
  const store = openLogStore(folder);
  let count = 0;
  const newId = () => `log-${++count}`;
  const fileOf = (id: string) => path.join(folder, `${id}.log`);
  const write = async (logs: LogStore, id: string, ...lines: string[]) => {
    const writer = await logs.writer(id);
    for (const line of lines) await writer.write(line);
    return writer.close();
  };
  const whole = async (id: string, logs = store) => (await buffer(logs.follow(id, 0, never))).toString();

  test('what was written is read, with how much it was', async () => {
    const id = newId();
    assert.equal(await store.read(id, 0), undefined);
    assert.deepEqual(await write(store, id, 'one', '', 'größe ✓'), { lines: 3, bytes: 17, truncated: false });
    assert.equal(await whole(id), 'one\n\ngröße ✓\n');
    const part = await store.read(id, 4);
    assert.deepEqual([part?.bytes.toString(), part?.nextOffset, part?.ended], ['\ngröße ✓\n', 17, true]);
    assert.equal((await store.read(id, 0, 3))?.ended, false);
    assert.deepEqual((await store.read(id, 99))?.bytes, Buffer.alloc(0));
    await store.remove(id);
    await store.remove(id);
    assert.equal(await store.read(id, 0), undefined);
  });

  test('one line is one line, and any text is whole', async () => {
    const line = fc.string({ unit: 'binary', maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(
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
      ),
      { numRuns: 30 },
    );
  });

  test('a line and a log have ceilings, which are said', async () => {
    const small = openLogStore(folder, { logBytesMax: 100, lineBytesMax: 20 });
    const id = newId();
    const size = await write(
      small,
      id,
      'x'.repeat(50),
      ...Array.from({ length: 30 }, () => 'eight by'),
      'never',
    );
    const text = readFileSync(fileOf(id), 'utf8');
    assert.match(text, /^x+ …\n/);
    assert.match(text, /… the log is cut here: it may have 100 bytes\n$/);
    assert.doesNotMatch(text, /never/);
    assert.deepEqual(
      [size.truncated, size.bytes, size.lines],
      [true, Buffer.byteLength(text), text.split('\n').length - 1],
    );
    assert.ok(size.bytes < 200);
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

  test('many followers of a log that is written fast get the same', async () => {
    const id = newId();
    const following = Array.from({ length: 8 }, () => whole(id));
    const lines = Array.from({ length: 3_000 }, (_, at) => `${at} ${'x'.repeat(at % 200)}`);
    const { bytes } = await write(store, id, ...lines);
    const expected = `${lines.join('\n')}\n`;
    assert.equal(bytes, expected.length);
    for (const text of await Promise.all(following)) assert.ok(text === expected);
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
    appendFileSync(fileOf(id), 'torn');
    const writer = await store.writer(id);
    assert.equal((await store.read(id, 6))?.ended, false, 'the end that was declared is taken back');
    await writer.write('again');
    assert.deepEqual(await writer.close(), { lines: 3, bytes: 17, truncated: false });
    assert.equal(await whole(id), 'whole\ntorn\nagain\n');
  });

  test('a process that is killed while it writes loses what it had not written, and nothing before', async () => {
    const id = newId();
    const source = `import { openLogStore } from ${JSON.stringify(modulePath)};
      const writer = await openLogStore(${JSON.stringify(folder)}).writer(${JSON.stringify(id)});
      for (let at = 0; ; at += 1) { await writer.write('line ' + at); if (at % 1000 === 0) await new Promise(setImmediate); }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: 'ignore' });
    const iterator = store.follow(id, 0, never)[Symbol.asyncIterator]();
    const before = String((await iterator.next()).value);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { lines } = await write(store, id, 'after');
    const text = readFileSync(fileOf(id), 'utf8');
    assert.ok(text.startsWith(before) && text.endsWith('\nafter\n'));
    const all = text.split('\n').slice(0, -1);
    assert.equal(all.length, lines);
    for (const [at, line] of all.slice(0, -2).entries()) assert.equal(line, `line ${at}`);
    await iterator.return?.();
  });

  test('a disk that refuses costs the rest of the log, and not the build', async () => {
    const id = newId();
    const source = `import { openLogStore } from ${JSON.stringify(modulePath)};
      const writer = await openLogStore(${JSON.stringify(folder)}).writer(${JSON.stringify(id)});
      for (let at = 0; at < 100; at += 1) { await writer.write('x'.repeat(999)); await new Promise(setImmediate); }
      console.log(JSON.stringify(await writer.close()));`;
    // Files end at 32 blocks of 512 bytes: what goes beyond is refused, as on a disk that is full.
    const shell = `trap '' XFSZ; ulimit -f 32; exec "$0" --input-type=module -e "$1"`;
    const child = spawn('sh', ['-c', shell, process.execPath, source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const size = JSON.parse((await buffer(child.stdout)).toString());
    assert.equal(size.truncated, true);
    const text = await whole(id);
    assert.ok(text.length >= 15_000 && text.length <= 16_384, `${text.length} bytes were kept`);
  });

  test('an id is a plain name; an offset is a whole number', async () => {
    for (const id of ['', '../x', 'a/b', '.x', 'a.log', 'a\0', 'x'.repeat(129), '-x']) {
      await assert.rejects(async () => store.read(id, 0), /not the id of a log/);
      await assert.rejects(async () => store.writer(id), /not the id of a log/);
      await assert.rejects(async () => store.remove(id), /not the id of a log/);
    }
    writeFileSync(fileOf('plain'), 'x');
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 60])
      await assert.rejects(store.read('plain', offset), RangeError);
    assert.equal(existsSync(fileOf('plain')), true);
  });
});
