/**
 * Workers in a process of their own, which can be killed, over a real log server and the tables of this process. What they do
 * is seen by the bench; where they die can be chosen.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openSegmentStorage } from '../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { openLogger } from '../../platform/log.ts';
import { openLogStore } from '../../platform/log-store.ts';
import type { Engines } from '../../workers/adapters/engine-types.ts';
import { openWorkerBench } from './workers.ts';

const entry = path.resolve(import.meta.dirname, '../../cli/apphub.js');

export type WorkerProcesses = Awaited<ReturnType<typeof openWorkerProcesses>>;

export async function openWorkerProcesses(docker: Engines, instance: string) {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-processes-'));
  const log = openLogger({ level: 'silent' });
  const storage = await openSegmentStorage({ directory: path.join(root, 'log'), durability: 'none', log });
  const server = await startLogServer({ storage, port: 0, log });
  const eventstoreUrl = `esdb://127.0.0.1:${server.port}?tls=false`;
  const events = openLog(eventstoreUrl);
  const bench = await openWorkerBench({ docker, store: events.store });
  const dataDir = path.join(root, 'data');
  mkdirSync(dataDir);
  writeFileSync(path.join(dataDir, 'instance'), `${instance}\n`, { mode: 0o600 });
  const logs = openLogStore(path.join(dataDir, 'logs'));
  const running = new Set<ChildProcess>();
  return {
    bench,
    dataDir,
    /** What a build has said so far. */
    async logText(id: string): Promise<string> {
      return (await logs.read(id, 0, 1024 * 1024))?.bytes.toString('utf8') ?? '';
    },
    /** `fault`: where it dies, as in APPHUB_FAULT. */
    start(fault?: string, env: Readonly<Record<string, string>> = {}): ChildProcess {
      const child = spawn(process.execPath, [entry, 'start', '--rooms=workers'], {
        env: {
          PATH: process.env.PATH ?? '',
          DATABASE_URL: bench.connectionString,
          EVENTSTORE_URL: eventstoreUrl,
          APPHUB_DATA_DIR: dataDir,
          LOG_LEVEL: 'error',
          ...(fault === undefined ? {} : { APPHUB_FAULT: fault }),
          ...env,
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      running.add(child);
      child.once('exit', () => running.delete(child));
      return child;
    },
    /** Kills it as by a lack of memory: no code of ours runs after it. */
    async kill(child: ChildProcess): Promise<void> {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async close(): Promise<void> {
      for (const child of [...running]) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await gone;
      }
      await bench.close();
      await events.close();
      await server.close();
      await storage.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
