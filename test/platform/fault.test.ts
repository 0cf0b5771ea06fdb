import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { suite, test } from 'node:test';

const module = path.resolve(import.meta.dirname, '../../platform/fault.ts');

/** How a process ends that passes `a`, `b` and `a` again: the signal, or how often it came by. */
async function endOf(fault: string | undefined): Promise<string> {
  const script = `
    const { faultPoint } = await import(${JSON.stringify(module)});
    for (const name of ['a', 'b', 'a']) { faultPoint(name); process.stdout.write(name); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...(fault === undefined ? {} : { APPHUB_FAULT: fault }) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  child.stdout.on('data', text => {
    said += text;
  });
  const [code, signal] = await once(child, 'close');
  return `${said} ${signal ?? code}`;
}

suite('a place where a process may be made to die', () => {
  test('is passed, unless it is named, for the time it is named for, or by chance', async () => {
    const ends = [undefined, 'b', 'a:2', 'c', '*:1', '*:0'].map(endOf);
    assert.deepEqual(await Promise.all(ends), [
      'aba 0',
      'a SIGKILL',
      'ab SIGKILL',
      'aba 0',
      ' SIGKILL',
      'aba 0',
    ]);
  });
});
