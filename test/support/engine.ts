/**
 * A Docker engine of a test's own, which it may kill. It runs in namespaces of its own (processes, mounts, network), as if on
 * another machine that is one cable away: whatever it has made goes with them, also when the test itself is killed.
 *
 * Its API is a socket in a folder of the test; ports that it publishes are reached at `address`. Engines that are joined reach
 * each other at those addresses too.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import Dockerode from 'dockerode';

const run = promisify(execFile);

/** As whatever looks after services starts one again that has ended by itself. */
const startsMax = 4;
const answersMsMax = 30_000;
const endsMsMax = 20_000;
const lookEveryMs = 25;
/** Networks of four addresses in 198.18.0.0/15, which is nobody's: RFC 2544 keeps it for tests. */
const cables = 2 ** 15;
const cableAttemptsMax = 8;

export type TestEngine = {
  /** As in DOCKER_HOST. */
  readonly host: string;
  /** Where what it publishes is reached from here. */
  readonly address: string;
  readonly api: Dockerode;
  /** Ends the engine as a crash does. Its containers go on until it is there again, as those of any engine. */
  kill(): Promise<void>;
  /** Asks it to end, which stops its containers. */
  stop(): Promise<void>;
  /** Starts it where it is not running, and waits until it answers. */
  start(): Promise<void>;
  /** Brings an image here from another engine, by default the one of this machine, under the names that it has there. */
  load(image: string, from?: Dockerode): Promise<void>;
  /** The engine and everything of it is gone. */
  close(): Promise<void>;
  /** The process whose namespaces it lives in. */
  readonly home: number;
};

export type TestEngineOptions = {
  /** Further arguments of dockerd, such as `--label` or `--host`. */
  readonly args?: readonly string[];
  /** Put into its folder before it starts, as certificates are; `folder` in an argument stands for that folder. */
  readonly files?: Readonly<Record<string, string>>;
};

export async function startTestEngine({
  args = [],
  files = {},
}: TestEngineOptions = {}): Promise<TestEngine> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-engine-'));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  const home = await openHome();
  const socketPath = path.join(folder, 'docker.sock');
  const api = new Dockerode({ socketPath });
  let daemon: Daemon | undefined;
  const end = async (signal: NodeJS.Signals) => {
    if (daemon !== undefined) await endDaemon(daemon, signal);
    daemon = undefined;
  };
  const engine = {
    host: `unix://${socketPath}`,
    address: '',
    api,
    home: home.pid,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async start() {
      for (let attempt = 1; ; attempt += 1) {
        daemon ??= await startDaemon(home.pid, folder, args);
        try {
          return await untilItAnswers(api, daemon, folder);
        } catch (error) {
          await end('SIGKILL');
          if (attempt === startsMax) throw error;
          // What it had half written of its networks when it was killed may be more than it can read: version 20.10 panics.
          if (attempt > 1) await rm(`${folder}/data/network/files/local-kv.db`, { force: true });
        }
      }
    },
    async load(image: string, from = new Dockerode()) {
      const archive = await from.getImage(image).get();
      const through = new PassThrough();
      const loading = api.loadImage(through).then(answer => answer.resume());
      await Promise.all([pipeline(archive, through), loading.then(answer => once(answer, 'end'))]);
    },
    async close() {
      await home.close();
      daemon = undefined;
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    const address = await layCable(home.pid);
    await engine.start();
    return { ...engine, address };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Lets two engines reach each other at their addresses. */
export async function joinEngines(a: TestEngine, b: TestEngine): Promise<void> {
  const id = randomInt(16 ** 6).toString(16);
  const ends = [
    { name: `apa${id}`, at: a, other: b },
    { name: `apb${id}`, at: b, other: a },
  ];
  await run('ip', ['link', 'add', `apa${id}`, 'type', 'veth', 'peer', 'name', `apb${id}`]);
  for (const { name, at, other } of ends) {
    await run('ip', ['link', 'set', name, 'netns', String(at.home)]);
    await inside(at.home, 'ip', ['link', 'set', name, 'up']);
    const route = [other.address, 'dev', name, 'src', at.address];
    await inside(at.home, 'ip', ['route', 'add', ...route]);
  }
}

/** Runs a command in the network of an engine. */
export function inside(home: number, command: string, args: readonly string[]) {
  return run('nsenter', ['--target', String(home), '--net', '--', command, ...args]);
}

/**
 * Namespaces, and a first process that reaps what loses its parent and reads until its input ends: when this process is gone
 * it ends too, and with it the kernel ends everything inside.
 */
async function openHome(): Promise<{ pid: number; close(): Promise<void> }> {
  const script = [
    'mount -t tmpfs none /run/containerd 2>/dev/null || true',
    'ip link set lo up',
    'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || true',
    'echo home',
    'exec cat >/dev/null',
  ].join('\n');
  const spaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const holder = spawn('unshare', [...spaces, 'docker-init', '--', 'sh', '-c', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(holder, 'exit');
  const [line] = await Promise.race([once(holder.stdout, 'data'), exited]);
  if (!String(line).startsWith('home')) throw new Error('no namespaces for an engine: is this root?');
  const pid = childOf(holder);
  const close = async () => {
    holder.stdin.end();
    holder.kill('SIGKILL');
    await exited;
    await goneOf(pid);
  };
  return { pid, close };
}

/** A pair of interfaces between this machine and the engine's, with an address at each end: its own is the answer. */
async function layCable(home: number): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const number = randomInt(cables);
    const [high, low] = [198 * 256 + 18 + (number >> 14), (number & (2 ** 14 - 1)) * 4];
    const net = `${high >> 8}.${high & 255}.${low >> 8}`;
    const [here, there] = [`${net}.${(low & 255) + 1}`, `${net}.${(low & 255) + 2}`];
    const name = `apc${number.toString(16)}`;
    try {
      await run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(home)]);
    } catch (error) {
      if (attempt === cableAttemptsMax) throw error;
      continue;
    }
    await run('ip', ['address', 'add', `${here}/30`, 'dev', name]);
    await run('ip', ['link', 'set', name, 'up']);
    await inside(home, 'ip', ['address', 'add', `${there}/30`, 'dev', 'eth0']);
    await inside(home, 'ip', ['link', 'set', 'eth0', 'up']);
    return there;
  }
}

type Daemon = { readonly pid: number; readonly process: ChildProcess };

async function startDaemon(home: number, folder: string, args: readonly string[]): Promise<Daemon> {
  await writeFile(path.join(folder, 'daemon.json'), '{}');
  // What a killed engine leaves behind: the number in it may be that of another process by now.
  await rm(path.join(folder, 'docker.pid'), { force: true });
  const own = [
    `--host=unix://${folder}/docker.sock`,
    `--data-root=${folder}/data`,
    `--exec-root=${folder}/run`,
    `--pidfile=${folder}/docker.pid`,
    `--config-file=${folder}/daemon.json`,
    '--log-level=warn',
  ];
  const given = args.map(arg => arg.replaceAll('folder', folder));
  const enter = ['--target', String(home), '--mount', '--net', '--pid', '--', 'dockerd'];
  // Its words are kept: they are what a failed start is explained by.
  const script = `exec nsenter "$@" >>${folder}/log 2>&1`;
  const process = spawn('sh', ['-c', script, 'sh', ...enter, ...own, ...given], { stdio: 'ignore' });
  const deadline = Date.now() + answersMsMax;
  for (;;) {
    if (process.exitCode !== null) throw new Error(`no engine: ${await wordsOf(folder)}`);
    const pid = findChild(process);
    if (pid !== undefined) return { pid, process };
    if (Date.now() > deadline) throw new Error('no engine: its process is not there');
    await wait(lookEveryMs);
  }
}

async function endDaemon({ pid, process: entered }: Daemon, signal: NodeJS.Signals): Promise<void> {
  const exited = entered.exitCode === null && entered.signalCode === null ? once(entered, 'exit') : undefined;
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
  const late = setTimeout(() => process.kill(pid, 'SIGKILL'), endsMsMax);
  await exited;
  clearTimeout(late);
}

async function untilItAnswers(api: Dockerode, daemon: Daemon, folder: string): Promise<void> {
  const deadline = Date.now() + answersMsMax;
  for (;;) {
    const answers = await api.ping().then(
      () => true,
      () => false,
    );
    if (answers) return;
    const { exitCode, signalCode } = daemon.process;
    if (exitCode !== null || signalCode !== null || Date.now() > deadline) {
      throw new Error(`the engine does not start: ${await wordsOf(folder)}`);
    }
    await wait(lookEveryMs);
  }
}

async function wordsOf(folder: string): Promise<string> {
  return (await readFile(path.join(folder, 'log'), 'utf8').catch(() => '')).slice(-2_000);
}

function childOf(parent: ChildProcess): number {
  const child = findChild(parent);
  if (child === undefined) throw new Error('a process has no child');
  return child;
}

/** Not every kernel lists the children of a process, but each process names its parent. */
function findChild({ pid: parent }: ChildProcess): number | undefined {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
  const found = pids.find(pid => {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ');
      return Number(fields?.[1]) === parent;
    } catch {
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}

/** The kernel ends the processes of a namespace one by one. */
async function goneOf(pid: number): Promise<void> {
  const deadline = Date.now() + endsMsMax;
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    if (Date.now() > deadline) throw new Error('what was in the namespaces of an engine is still there');
    await wait(lookEveryMs);
  }
}
