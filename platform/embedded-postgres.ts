/**
 * PostgreSQL for a machine that has none: the server of the npm package, as a child, with its files in the data directory. The
 * tables can be made again from the log at any time, so commits do not wait for the disk.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { endOrphan } from './orphan.ts';
import { initCluster, spawnServer } from './postgres-server.ts';
import { keepSecret } from './secret-file.ts';

const user = 'postgres';
const startMsMax = 60_000;
const stopMsMax = 6_000;
const connectPauseMs = 50;
const outputCharsMax = 8_000;

const settings = {
  max_connections: '100',
  shared_buffers: '128MB',
  synchronous_commit: 'off',
  max_wal_size: '1GB',
};

export type Child = { readonly url: string; stop(): Promise<void> };

/** Starts the server, made on the first start. A server that an earlier process left behind is ended first. */
export async function startEmbeddedPostgres(directory: string): Promise<Child> {
  mkdirSync(directory, { recursive: true });
  const place = realpathSync(directory);
  const files = path.join(place, 'cluster');
  await endOrphan(path.join(files, 'postmaster.pid'), files, 'SIGINT');
  const { secret: password } = keepSecret(path.join(place, 'password'));
  let output = '';
  const note = (text: string) => {
    output = (output + text).slice(-outputCharsMax);
  };
  const port = await freePort();
  try {
    if (!existsSync(files)) await initialise(files, password);
    const child = await spawnServer({ files, port, settings, note });
    const url = `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;
    await answers(url, child);
    return { url, stop: () => stop(child) };
  } catch (error) {
    throw new Error(`PostgreSQL did not start in ${place}: ${error}\n${output}`, { cause: error });
  }
}

/** In a folder beside it first: a start that is cut off here leaves nothing half made. */
async function initialise(files: string, password: string): Promise<void> {
  const unfinished = `${files}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  await initCluster({ files: unfinished, user, password });
  renameSync(unfinished, files);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  const isLate = await Promise.race([ended.then(() => false), sleep(stopMsMax, true, { ref: false })]);
  if (isLate) child.kill('SIGQUIT');
  await ended;
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += connectPauseMs) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      return;
    } catch (error) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended');
      if (waitedMs > startMsMax) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
    await sleep(connectPauseMs);
  }
}
