/** CI tries again what the reporter names: the file that was run, once, and only where something failed in it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const reporter = path.resolve(import.meta.dirname, 'support/failed-files.ts');

test('files in which something failed are named once, wherever their tests stand', t => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-failed-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(path.join(folder, 'test'));
  const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
  write(
    'frame.mjs',
    `import { test } from 'node:test'; export const run = (name, does) => test(name, does);`,
  );
  const no = `() => { throw new Error('no'); }`;
  write(
    'test/two.mjs',
    `import { run } from '../frame.mjs'; run('a', ${no}); run('b', ${no}); run('c', () => {});`,
  );
  write('test/dies.mjs', 'process.exit(3);');
  write('test/fine.mjs', `import { run } from '../frame.mjs'; run('a', () => {});`);
  const { NODE_TEST_CONTEXT: _inner, ...env } = process.env;
  const args = ['--test', `--test-reporter=${reporter}`, '--test-reporter-destination=failed', 'test/*.mjs'];
  assert.throws(() => execFileSync(process.execPath, args, { cwd: folder, env }));
  const lines = readFileSync(path.join(folder, 'failed'), 'utf8').trim().split('\n');
  assert.deepEqual(lines.sort(), ['test/dies.mjs', 'test/two.mjs']);
});
