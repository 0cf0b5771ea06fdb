/** Children that outlived a parent that was killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { endOrphan } from '../../platform/orphan.ts';

suite('an orphan', () => {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'apphub-test-orphan-')));
  const children: ChildProcess[] = [];
  after(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const pidFile = path.join(folder, 'pid');
  const start = async (cwd: string) => {
    const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)'], {
      cwd,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    await once(child.stdout, 'data');
    writeFileSync(pidFile, `${child.pid}\n/data\n5432\n`);
    return child;
  };

  test('that lives in the directory is ended and waited for', async () => {
    const child = await start(folder);
    const exited = once(child, 'exit');
    await endOrphan(pidFile, folder, 'SIGTERM');
    assert.deepEqual(await exited, [null, 'SIGTERM']);
  });

  test('whose number went to somebody else is left alone', async () => {
    const elsewhere = path.join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    const child = await start(elsewhere);
    await endOrphan(pidFile, folder, 'SIGKILL');
    assert.equal(child.exitCode ?? child.signalCode, null);
    process.kill(child.pid ?? 0, 0);
  });

  test('that there never was, or of whom nothing useful is known', async () => {
    await endOrphan(path.join(folder, 'none'), folder, 'SIGKILL');
    for (const text of ['', 'x', '0', '1', '-1', '-5', '999999999', '1e3']) {
      writeFileSync(pidFile, text);
      await endOrphan(pidFile, folder, 'SIGKILL');
    }
  });
});
