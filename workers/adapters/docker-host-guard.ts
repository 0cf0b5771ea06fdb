/**
 * The firewall of the host an engine runs on, as far as launches are concerned: from their bridges nothing but answers gets to
 * the host, and nothing but what may leave by the egress proxy. What belongs to others in the firewall is left alone.
 *
 * The rules are looked at before a launch starts and every now and then, because whoever reloads a firewall forgets them. They
 * are set by the host's own iptables: directly by a process that may, else in a container of an empty image that sees the
 * host's programs read-only, is on the host's network, may administer that, lives a moment and has nothing else.
 */
import { execFile } from 'node:child_process';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type Dockerode from 'dockerode';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { reachOf } from './docker-reach.ts';
import { type Engine, LaunchFailure } from './docker-types.ts';
import { guardScript } from './host-guard-script.ts';

const run = promisify(execFile);
const checkedMsMax = 20_000;
const runMsMax = 20_000;
const reasonCharsMax = 300;
const image = 'apphub-guard:1';
/** Where programs, their libraries and the links between them are. What a host does not have is left out. */
const folders = ['/usr', '/bin', '/sbin', '/lib', '/lib64', '/etc/alternatives'];
/** Two who change the firewall at once wait for each other here, where the host's iptables is of the older kind. */
const lock = '/run/xtables.lock';

const emptyTar = Buffer.alloc(1_024);

type Action = 'ensure' | 'remove';
type Check = { readonly done: Promise<void>; readonly at: number };

const checks = new WeakMap<Engine, Check>();

/** Resolves when the host is guarded, having set what was missing. Throws LaunchFailure with the reason why it cannot be. */
export function ensureHostGuard(engine: Engine): Promise<void> {
  if (!engine.sandbox.hostGuard) return Promise.resolve();
  const before = checks.get(engine);
  if (before !== undefined && performance.now() - before.at < checkedMsMax) return before.done;
  const done = guard(engine);
  checks.set(engine, { done, at: performance.now() });
  done.catch(() => checks.delete(engine));
  return done;
}

async function guard(engine: Engine): Promise<void> {
  try {
    const said = await act(engine, 'ensure');
    if (said !== '') engine.log.info({ engine: engine.name }, 'the host is guarded from launches');
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().slice(0, reasonCharsMax) : String(error);
    throw new LaunchFailure(`The host cannot be guarded from launches, so none is started: ${why}`, {
      cause: error,
      retryable: true,
    });
  }
}

/** Takes the rules away again, for whoever stops using AppHub. */
export async function removeHostGuard(engine: Engine): Promise<void> {
  checks.delete(engine);
  await act(engine, 'remove');
}

/** Gives back what the script says: the rules that it has set, or nothing. */
async function act(engine: Engine, action: Action): Promise<string> {
  const { bridgePrefix, egressPort } = engine.sandbox;
  const args = ['-c', guardScript, 'apphub', action, bridgePrefix, String(egressPort)];
  const isOwnHost = (await reachOf(engine)).publishAddress === undefined;
  if (isOwnHost && process.getuid?.() === 0) {
    const { stdout } = await run('/bin/sh', args, { timeout: runMsMax }).catch(error => {
      throw new Error(String(error.stderr || error.message));
    });
    return stdout.trim();
  }
  return await runInContainer(engine, ['/bin/sh', ...args]);
}

async function runInContainer(engine: Engine, command: string[]): Promise<string> {
  await ensureImage(engine);
  const container = await createContainer(engine, command);
  try {
    await container.start();
    const { StatusCode: exitCode } = await container.wait({ abortSignal: AbortSignal.timeout(runMsMax) });
    const output = await container.logs({ stdout: true, stderr: true });
    const words = output
      .toString('utf8')
      .replace(/[^\n\x20-\x7e]/g, '')
      .trim();
    if (exitCode !== 0) throw new Error(words || `the firewall's program ended with exit code ${exitCode}`);
    return words;
  } finally {
    await container.remove({ force: true }).catch(unless(404, 409));
  }
}

/** An image with nothing in it. */
async function ensureImage(engine: Engine): Promise<void> {
  try {
    await engine.api.getImage(image).inspect();
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    const [repo, tag] = image.split(':');
    const progress = await engine.api.importImage(Readable.from([emptyTar]), { repo, tag });
    for await (const _ of progress);
  }
}

/** What is missing on the host is found out by being refused. A bind that makes what it does not find would litter it. */
async function createContainer(engine: Engine, command: string[]): Promise<Dockerode.Container> {
  let mounts = [...folders, lock];
  for (;;) {
    try {
      return await engine.api.createContainer(guardOptions(engine, command, mounts));
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      const missing = /bind source path does not exist: (\S+)/.exec(message)?.[1];
      if (missing === undefined || !mounts.includes(missing)) throw error;
      mounts = mounts.filter(path => path !== missing);
    }
  }
}

function guardOptions(
  engine: Engine,
  [program = '', ...args]: string[],
  mounts: readonly string[],
): Dockerode.ContainerCreateOptions {
  return {
    Image: image,
    Entrypoint: [program],
    Cmd: args,
    User: '0:0',
    Labels: { [labelOf.instance]: engine.instance, [labelOf.guard]: 'true' },
    HostConfig: {
      NetworkMode: 'host',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      CapAdd: ['NET_ADMIN', 'NET_RAW'],
      SecurityOpt: ['no-new-privileges', 'label=disable'],
      PidsLimit: 64,
      Memory: 128 * 1024 * 1024,
      Mounts: mounts.map(path => ({ Type: 'bind', Source: path, Target: path, ReadOnly: path !== lock })),
    },
  };
}
