/**
 * The guard of the nodes: a service of AppHub's own with a task on each node that may run launches. The task sets the rules of
 * the host guard with the node's own iptables, and sets them again every few seconds, for as long as it is there. It is healthy,
 * and by that running, only while they are set: no launch goes to a node where it is not.
 *
 * It is on the node's network, may administer that, sees the node's programs read-only and has nothing else. It also sees what
 * the manager does not know of nodes: whether what runs on them may gain privileges.
 */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type Dockerode from 'dockerode';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { pushImage } from './docker-registry.ts';
import { LaunchFailure, type PushedImage } from './docker-types.ts';
import { guardScript } from './host-guard-script.ts';
import { linksTar } from './links-tar.ts';
import { isTaken, launchesLabel, type Swarm, type SwarmNode, type SwarmTask } from './swarm-types.ts';

const image = 'apphub-node-guard';
const pushMsMax = 60_000;
const second = 1e9;
const saidMsMax = 2_000;
const memoryBytes = 64 * 1024 * 1024;

/** As rules name the bridge that each node has for the overlays that are on it: its whole name would be too long by a letter. */
const bridgePrefix = 'docker_gwb';

/** Given: the script of the rules, what the name of the bridge begins with, the port of the egress proxy. */
const nodeScript = `
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "$1" >&2; exit 1; }
grep -q '^NoNewPrivs:.1' /proc/self/status || fail 'the engine of the node does not run with --no-new-privileges'
grep -q '^Seccomp:.2' /proc/self/status || fail 'the engine of the node does not filter system calls'
[ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)" = 1 ] ||
  fail 'the firewall of the node does not see what its bridges carry'
trap 'exit 0' TERM
while :; do
  words=$(/bin/sh -c "$1" apphub ensure "$2" "$3" 2>&1) || fail "$words"
  iptables -w 5 -t nat -S DOCKER 2>/dev/null | grep -v -e ' -d ' | grep -q "! -i $2.* -j DNAT" &&
    fail 'the node publishes ports at all of its addresses'
  : >/run/guarded
  sleep 5 & wait $!
done
`;

const guardName = ({ engine }: Swarm) => `apphub-guard-${engine.instance}`;

type Made = { readonly done: Promise<void>; readonly at: number };
const made = new WeakMap<Swarm, Made>();
const madeMsMax = 20_000;

/** Sees to it that the guard is there. What it says of each node is asked of `guardedNodes`. */
export function ensureNodeGuard(swarm: Swarm): Promise<void> {
  if (!swarm.engine.sandbox.hostGuard) return Promise.resolve();
  const before = made.get(swarm);
  if (before !== undefined && performance.now() - before.at < madeMsMax) return before.done;
  const done = make(swarm).catch(error => {
    made.delete(swarm);
    throw error;
  });
  made.set(swarm, { done, at: performance.now() });
  return done;
}

async function make(swarm: Swarm): Promise<void> {
  const { api } = swarm;
  const name = guardName(swarm);
  const present = await api.listServices({ filters: { name: [name] } });
  if (present.some(({ Spec: spec }) => spec?.Name === name)) return;
  const { repository, digest } = await pushGuard(swarm);
  try {
    const { auth } = swarm.engine.builds;
    const spec = guardSpec(swarm, `${repository}@${digest}`);
    await (auth === undefined
      ? api.createService(spec)
      : api.createService({ ...auth, serveraddress: auth.host }, spec));
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
}

/** An image with links where nodes have links, into what is mounted. */
async function pushGuard({ engine, registry }: Swarm): Promise<PushedImage> {
  if (registry === undefined) throw new LaunchFailure(noRegistry);
  const links = { bin: 'usr/bin', sbin: 'usr/sbin', lib: 'usr/lib', lib64: 'usr/lib64' };
  const stream = new PassThrough();
  stream.end(linksTar(links));
  const progress = await engine.api.importImage(stream, { repo: image, tag: '1' });
  progress.resume();
  await once(progress, 'end');
  const { Id: imageId } = await engine.api.getImage(`${image}:1`).inspect();
  return await pushImage(engine, {
    imageId,
    repository: `${registry}${image}`,
    tag: '1',
    signal: AbortSignal.timeout(pushMsMax),
    onLine: () => undefined,
  });
}

export const noRegistry =
  'A swarm takes images from a registry and from nowhere else: APPHUB_IMAGE_REGISTRY has to be set, and the app built since';

function guardSpec(swarm: Swarm, pushed: string): Dockerode.CreateServiceOptions {
  const { instance, sandbox } = swarm.engine;
  const { egressPort } = sandbox;
  const labels = { [labelOf.instance]: instance, [labelOf.guard]: 'true' };
  const mounts = ['/usr', '/etc/alternatives'].map(path => ({
    Type: 'bind' as const,
    Source: path,
    Target: path,
    ReadOnly: true,
  }));
  const run = { Type: 'tmpfs' as const, Target: '/run', TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o755 } };
  return {
    Name: guardName(swarm),
    Labels: labels,
    TaskTemplate: {
      ContainerSpec: {
        Image: pushed,
        Command: ['/bin/sh', '-c', nodeScript, 'apphub', guardScript, bridgePrefix, String(egressPort)],
        User: '0:0',
        Labels: labels,
        ReadOnly: true,
        // The engine would put its own into a folder that is the node's.
        Init: false,
        CapabilityDrop: ['ALL'],
        CapabilityAdd: ['NET_ADMIN', 'NET_RAW'],
        Mounts: [...mounts, run] as Dockerode.MountSettings[],
        ...{
          Healthcheck: {
            Test: ['CMD', '/usr/bin/test', '-e', '/run/guarded'],
            Interval: second,
            Timeout: 5 * second,
            Retries: 10,
          },
        },
      },
      RestartPolicy: { Condition: 'any', Delay: 2 * second },
      Resources: { Limits: { MemoryBytes: memoryBytes, ...{ Pids: 64 } } },
      Placement: { Constraints: [`node.labels.${launchesLabel}==true`] },
      LogDriver: { Name: 'json-file', Options: { 'max-size': '1m', 'max-file': '2' } },
      Networks: [{ Target: 'host' }],
    },
    Mode: { Global: {} },
    EndpointSpec: { Mode: 'dnsrr' },
  };
}

export async function removeNodeGuard(swarm: Swarm): Promise<void> {
  made.delete(swarm);
  await swarm.api.getService(guardName(swarm)).remove().catch(unless(404));
}

export type Guarded = { readonly nodes: ReadonlySet<string>; readonly whyNot: ReadonlyMap<string, string> };

/** The ids of the nodes whose guard says that all is well; of the others what it says. */
export async function guardedNodes(swarm: Swarm, nodes: readonly SwarmNode[]): Promise<Guarded> {
  if (!swarm.engine.sandbox.hostGuard)
    return { nodes: new Set(nodes.map(({ ID }) => ID)), whyNot: new Map() };
  const { api } = swarm;
  const tasks: SwarmTask[] = await api
    .listTasks({ filters: { service: [guardName(swarm)] } })
    .catch(error => {
      if (isStatus(error, 404)) return [];
      throw error;
    });
  const guarded = new Set<string>();
  const whyNot = new Map<string, string>();
  for (const task of tasks.sort((a, b) => a.CreatedAt.localeCompare(b.CreatedAt))) {
    const { NodeID: nodeId = '', Status: status, DesiredState: desired } = task;
    if (status.State === 'running' && desired === 'running') guarded.add(nodeId);
    else if (status.Err) whyNot.set(nodeId, await saidBy(swarm, task, status.Err));
  }
  return { nodes: guarded, whyNot };
}

/** What a guard that has ended had to say; the manager's own words where that cannot be had. */
async function saidBy({ api }: Swarm, { ID: taskId }: SwarmTask, error: string): Promise<string> {
  try {
    const abortSignal = AbortSignal.timeout(saidMsMax);
    const options = { stderr: true, stdout: true, tail: 1, abortSignal };
    // The types do not know that tasks have words of their own.
    const task = api.getTask(taskId) as unknown as Pick<Dockerode.Service, 'logs'>;
    const said = await task.logs({ ...options, follow: false });
    const words = String(said)
      .replace(/[^\n\x20-\x7e]/g, '')
      .trim();
    return words === '' ? error : words;
  } catch {
    return error;
  }
}
