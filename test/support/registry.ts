/** A real registry of images for a test file: Debian's docker-registry on a port of its own, with or without a password. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../platform/free-port.ts';
import type { TestEngine } from './engine.ts';

const startMsMax = 10_000;
const lookEveryMs = 20;
export const registryUser = { username: 'ann', password: 'the password of ann' };
/** The same as a line of `htpasswd -B`. */
const users = 'ann:$2b$04$4F.MHLZvH2RoxKT3bw3PdeeKOcOGaxCzv403UaTv6JNv3iRJ8BQ6y\n';

export type TestRegistry = {
  /** As images name it: `127.0.0.1:43210`. */
  readonly host: string;
  kill(): Promise<void>;
  /** The same address, with everything that was in it. */
  start(): Promise<void>;
  /** Asks its HTTP API, as whoever may. */
  ask(place: string, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
};

type RegistryOptions = {
  readonly hasPassword?: boolean;
  /** On the machine of an engine of the test's own, at its address. */
  readonly at?: Pick<TestEngine, 'address' | 'home'>;
};

export async function startTestRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-registry-'));
  const { at } = options;
  const host = `${at?.address ?? '127.0.0.1'}:${await freePort()}`;
  const file = path.join(folder, 'config.yml');
  const auth = { htpasswd: { realm: 'test', path: path.join(folder, 'users') } };
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: path.join(folder, 'data') } },
    http: { addr: host },
    ...(options.hasPassword ? { auth } : {}),
  };
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify(config));
  writeFileSync(auth.htpasswd.path, users);
  const bearer = Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64');
  const ask = (place: string, headers: Record<string, string> = {}) =>
    fetch(`http://${host}${place}`, { headers: { authorization: `Basic ${bearer}`, ...headers } });
  let child: ChildProcess | undefined;
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  const start = async () => {
    const enter = ['--target', String(at?.home), '--net', '--', 'docker-registry', 'serve', file];
    const started =
      at === undefined
        ? spawn('docker-registry', ['serve', file], { stdio: 'ignore' })
        : spawn('nsenter', enter, { stdio: 'ignore' });
    child = started;
    const answers = () =>
      ask('/v2/').then(
        ({ status }) => status === 200,
        () => false,
      );
    for (let waitedMs = 0; !(await answers()); waitedMs += lookEveryMs) {
      if (started.exitCode !== null || waitedMs > startMsMax)
        throw new Error('docker-registry did not start');
      await sleep(lookEveryMs);
    }
  };
  await start();
  return {
    host,
    start,
    kill,
    ask,
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
