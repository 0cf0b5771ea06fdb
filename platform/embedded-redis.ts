/** Redis as a child, where `redis-server` is on PATH. It keeps nothing: what it forgets, the sweep finds again. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './embedded-postgres.ts';
import { freePort } from './free-port.ts';
import { endOrphan } from './orphan.ts';
import { redisAnswers } from './redis.ts';

const startMsMax = 10_000;
const stopMsMax = 2_000;
const lookEveryMs = 50;

/** Undefined where there is no redis-server on PATH. */
export async function startEmbeddedRedis(directory: string): Promise<Child | undefined> {
  mkdirSync(directory, { recursive: true });
  const place = realpathSync(directory);
  const pidFile = path.join(place, 'pid');
  await endOrphan(pidFile, place, 'SIGTERM');
  const port = await freePort();
  const password = randomBytes(24).toString('hex');
  // By standard input: arguments can be read by everybody on the machine.
  const child = spawn('redis-server', ['-'], { cwd: place, stdio: ['pipe', 'ignore', 'ignore'] });
  const failed = once(child, 'error').then(([error]) => error as NodeJS.ErrnoException);
  const spawned = once(child, 'spawn').then(() => undefined);
  const error = await Promise.race([failed, spawned]);
  if (error !== undefined) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
  const lines = ['bind 127.0.0.1', `port ${port}`, `requirepass ${password}`, 'save ""', 'appendonly no'];
  child.stdin?.end(`${[...lines, 'maxmemory-policy noeviction'].join('\n')}\n`);
  writeFileSync(pidFile, `${child.pid}\n`);
  const url = `redis://:${password}@127.0.0.1:${port}`;
  for (let waitedMs = 0; !(await redisAnswers(url)); waitedMs += lookEveryMs) {
    if (child.exitCode !== null || waitedMs > startMsMax) throw new Error('redis-server did not start');
    await sleep(lookEveryMs);
  }
  return {
    url,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const isLate = await Promise.race([ended.then(() => false), sleep(stopMsMax, true, { ref: false })]);
      if (isLate) child.kill('SIGKILL');
      await ended;
    },
  };
}
