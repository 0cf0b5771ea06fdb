/** A real Redis for a test file: Debian's redis-server on a port of its own, which can be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from '../../platform/free-port.ts';
import { redisAnswers } from '../../platform/redis.ts';

const startMsMax = 10_000;
const lookEveryMs = 20;

export type TestRedis = {
  readonly url: string;
  /** Everything in it is forgotten, as after a restart without its disk, but the connections stay. */
  flush(): Promise<void>;
  kill(): Promise<void>;
  /** The same address, nothing in it. */
  start(): Promise<void>;
  /** Sends one command on a connection of its own. */
  ask(command: string, ...args: string[]): Promise<unknown>;
  close(): Promise<void>;
};

export async function startTestRedis(): Promise<TestRedis> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const start = async () => {
    const flags = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const started = spawn('redis-server', flags, { cwd: folder, stdio: 'ignore' });
    child = started;
    for (let waitedMs = 0; !(await redisAnswers(url)); waitedMs += lookEveryMs) {
      if (started.exitCode !== null || waitedMs > startMsMax) throw new Error('redis-server did not start');
      await sleep(lookEveryMs);
    }
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  const ask = async (command: string, ...args: string[]) => {
    const redis = new Redis(url, { lazyConnect: true });
    try {
      await redis.connect();
      return await redis.call(command, ...args);
    } finally {
      redis.disconnect();
    }
  };
  await start();
  return {
    url,
    start,
    kill,
    ask,
    flush: async () => void (await ask('FLUSHALL')),
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
