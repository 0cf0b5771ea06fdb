/**
 * The log is killed (kill -9) more than 200 times: while it writes, rolls segments, scavenges, starts; with a disk that
 * writes in pieces, one that is full, and bytes that flip. After each start everything acknowledged has to be there, once.
 */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type CrashHarness, junkPrefix, withHarness } from './crash-harness.ts';
import type { CrashOptions } from './crash-server.ts';
import { logFolder } from './log-folder.ts';

const livesPerLog = 12;
let killsTotal = 0;

/** Chance that can be had again: APPHUB_TEST_SEED is printed when a life fails. */
const seed = Number(process.env.APPHUB_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

function chance(salt: number): () => number {
  let state = (seed ^ Math.imul(salt, 0x9e3779b1)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function killAgainAndAgain(harness: CrashHarness, salt: number): Promise<void> {
  const random = chance(salt);
  try {
    for (let life = 0; life < livesPerLog; life += 1) {
      if (random() < 0.35) await harness.killAtStart(random() * 60);
      else
        await harness.live(async (_server, isAcknowledging) => {
          await isAcknowledging();
          await pause(random() * 40);
        });
    }
    await harness.finish();
  } catch (error) {
    throw new Error(`APPHUB_TEST_SEED=${seed}, after ${harness.kills} kills`, { cause: error });
  }
  killsTotal += harness.kills;
}

const lives: readonly { name: string; logs: number; options: CrashOptions }[] = [
  { name: 'while it writes', logs: 5, options: { segmentBytesMax: 64 << 20 } },
  {
    name: 'while it begins segments and scavenges',
    logs: 5,
    options: { segmentBytesMax: 60_000, scavenged: junkPrefix },
  },
  { name: 'in the middle of a write', logs: 5, options: { segmentBytesMax: 200_000, writeBytesMax: 700 } },
];

// One after another: the client keeps the appends of all its connections in one place, and drops them with any of them.
suite('killed', { timeout: 300_000 }, () => {
  for (const [at, { name, logs, options }] of lives.entries()) {
    for (let log = 0; log < logs; log += 1) {
      test(`${name}, log ${log + 1}`, t =>
        withHarness(`${logFolder(t)}/log`, options, harness => killAgainAndAgain(harness, at * 10 + log)));
    }
  }
});

after(() => assert.equal(killsTotal, 15 * livesPerLog));
