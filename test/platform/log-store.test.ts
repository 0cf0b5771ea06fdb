/** Logs in files: written line by line, read while they are written, found whole again after a crash. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { openLogStore } from '../../platform/log-store.ts';
import { logStorePromises } from './log-store-suite.ts';

const modulePath = path.resolve(import.meta.dirname, '../../platform/log-store.ts');
const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-logs-'));
after(() => rmSync(folder, { recursive: true }));
const source = `import { openLogStore } from ${JSON.stringify(modulePath)};
  const store = openLogStore(${JSON.stringify(folder)});`;

logStorePromises('logs in files', {
  open: limits => openLogStore(folder, limits),
  source,
  tear: async (id, text) => appendFileSync(path.join(folder, `${id}.log`), text),
});

test('a disk that refuses costs the rest of the log, and not the build', async () => {
  const store = openLogStore(folder);
  const program = `${source}
    const writer = await store.writer('refused');
    for (let at = 0; at < 100; at += 1) { await writer.write('x'.repeat(999)); await new Promise(setImmediate); }
    console.log(JSON.stringify(await writer.close()));`;
  // Files end at 32 blocks of 512 bytes: what goes beyond is refused, as on a disk that is full.
  const shell = `trap '' XFSZ; ulimit -f 32; exec "$0" --input-type=module -e "$1"`;
  const child = spawn('sh', ['-c', shell, process.execPath, program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const size = JSON.parse((await buffer(child.stdout)).toString());
  assert.equal(size.truncated, true);
  const text = (await buffer(store.follow('refused', 0, new AbortController().signal))).toString();
  assert.ok(text.length >= 15_000 && text.length <= 16_384, `${text.length} bytes were kept`);
  assert.equal(existsSync(path.join(folder, 'refused.end')), true);
});

test('a flood of lines lets everybody else have a turn, and its end is kept', async () => {
  const store = openLogStore(folder, { logBytesMax: 100_000 });
  const writer = await store.writer('flood');
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  await writer.write('the log is cut soon');
  for (let at = 0; at < 100_000; at += 1) await writer.write('');
  turn();
  for (let at = 0; at < 1_000_000; at += 1) await writer.write('');
  isOver = true;
  await writer.write('the last words');
  const size = await writer.close();
  assert.ok(turns > 2, `${turns} turns`);
  assert.ok(size.truncated && size.bytes < 101_000, `${size.bytes} bytes`);
  const end = await store.read('flood', size.bytes - 15);
  assert.equal(end?.bytes.toString(), 'the last words\n');
});
