/**
 * Killed with more against it: a disk that is full (a small tmpfs where one may be mounted, else injected), and bytes that
 * flipped while nobody looked. What is acknowledged stays; what is damaged is named and never served.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type CrashHarness, withHarness } from './crash-harness.ts';
import { flipByte, logFolder } from './log-folder.ts';
import { until } from './until.ts';

const livesOnDisk = 12;
const livesWithFlips = 15;
const timeout = 60_000;
const diskBytes = 3 << 20;

/** Uses a disk of its own of a few megabytes; false where this user may not mount one. */
async function onSmallDisk(use: (folder: string) => Promise<void>): Promise<boolean> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'apphub-test-disk-'));
  try {
    const size = `size=${diskBytes}`;
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', folder]).status !== 0) return false;
    try {
      await use(folder);
    } finally {
      spawnSync('umount', ['--lazy', folder]);
    }
    return true;
  } finally {
    fs.rmdirSync(folder);
  }
}

async function fillAndClear(disk: string): Promise<void> {
  const ballast = path.join(disk, 'ballast');
  // Segments are small, so that room also ends when one is begun and when an index is written.
  await withHarness(path.join(disk, 'log'), { segmentBytesMax: 50_000 }, async harness => {
    for (let life = 0; life < livesOnDisk; life += 1) {
      const killedWhileFull = life % 2 === 1;
      await harness.live(async (_server, isAcknowledging) => {
        await isAcknowledging();
        const before = harness.refusals;
        fill(disk, ballast, 4096 * (life % 5));
        await until(() => harness.refusals > before + 32, 'appends to be refused');
        if (killedWhileFull) return;
        fs.rmSync(ballast);
        await isAcknowledging();
      });
      // The start has to do without room, too.
      if (killedWhileFull) await harness.look();
      fs.rmSync(ballast, { force: true });
    }
    await harness.finish();
  });
}

suite('killed on a full disk', { timeout }, () => {
  test('a small disk that is filled and cleared: refused, read on, accepted again, killed', async t => {
    if (!(await onSmallDisk(fillAndClear)))
      t.diagnostic('no tmpfs may be mounted here: see the injected one');
  });

  test('the same, injected', t =>
    withHarness(
      path.join(logFolder(t), 'log'),
      { segmentBytesMax: 50_000, roomBytes: 40_000 },
      async harness => {
        for (let life = 0; life < livesOnDisk; life += 1) {
          await harness.live(async (server, isAcknowledging) => {
            const before = harness.refusals;
            await until(() => harness.refusals > before + 32, 'appends to be refused');
            if (life % 2 === 1) return;
            server.child.send({ room: true });
            await isAcknowledging();
          });
        }
        await harness.finish();
      },
    ));
});

/** Fills the disk with a file up to `leaveBytes`. */
function fill(disk: string, file: string, leaveBytes: number): void {
  const { bavail, bsize } = fs.statfsSync(disk);
  const fd = fs.openSync(file, 'a');
  try {
    fs.writeSync(fd, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    fs.closeSync(fd);
  }
}

test(
  'killed, and a byte flipped in what was acknowledged: named, not served, and all is well when it is back',
  {
    timeout,
  },
  t => withHarness(path.join(logFolder(t), 'log'), { segmentBytesMax: 200_000 }, flipAndLook),
);

async function flipAndLook(harness: CrashHarness): Promise<void> {
  const found: string[] = [];
  for (let life = 0; life < livesWithFlips; life += 1) {
    await harness.live(async (_server, isAcknowledging) => {
      await isAcknowledging();
      await until(() => victimsIn(harness).length > 0, 'events behind which others are synced');
      await pause(Math.random() * 20);
    });
    const victims = victimsIn(harness);
    // By turns one of the newest, in the segment that is written to, and any.
    const chosen = life % 2 === 0 ? victims.length - 1 : Math.floor(Math.random() * victims.length);
    const { stream = '', position = 0n } = victims[chosen] ?? {};
    const { file, at } = placeOf(harness.directory, Number(position));
    const byte = at + Math.floor(Math.random() * 200);
    flipByte(file, byte, 1 << (life % 8));
    found.push(await harness.lookAtDamage(position, stream));
    flipByte(file, byte, 1 << (life % 8));
  }
  await harness.finish();
  assert.ok(found.includes('start') && found.includes('reads'), `found by ${found}`);
}

/** Acknowledged events but the newest of each stream, by position: what came after them shows that they had been synced. */
function victimsIn({ writers }: CrashHarness): { stream: string; position: bigint }[] {
  return writers
    .flatMap(({ stream, stored }) =>
      stored.slice(0, -3).flatMap(({ position }) => (position === undefined ? [] : [{ stream, position }])),
    )
    .sort((a, b) => Number(a.position - b.position));
}

function placeOf(directory: string, position: number): { file: string; at: number } {
  const names = fs.readdirSync(directory).filter(name => name.endsWith('.segment'));
  const base = (name: string) => Number(name.slice(0, 16));
  const name = names.sort().findLast(one => base(one) <= position) ?? '';
  return { file: path.join(directory, name), at: position - base(name) };
}
