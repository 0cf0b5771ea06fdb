/** How a container is confined: all that the engine is told about it, decided from what is known of request, image and engine. */
import type Dockerode from 'dockerode';
import type { EngineFacts } from './docker-engine-facts.ts';
import type { ImageFacts, ImageUser } from './docker-image-facts.ts';
import { labelOf } from './docker-labels.ts';
import { LaunchFailure, type StartContainerRequest } from './docker-types.ts';

/** `nobody` in nearly every image. Whoever asks by number who it is gets an answer, unlike with a number of our own. */
const nobody: ImageUser = { uid: 65_534, gid: 65_534 };

export const logBytesMax = '10m';
export const logFilesMax = '2';
export const openFilesMax = 4_096;
const inodesMax = 65_536;
export const shmBytesMax = 64 * 1024 * 1024;
/** Threads of gVisor itself, which the kernel counts as the app's: with too few it dies before the app begins. */
const runscThreads = 256;
/** The first to go when the machine itself runs out of memory. */
const oomScoreAdj = 500;

/** Where it is plugged in, and where it may go. */
export type Plug = {
  readonly networkId: string;
  /** Published here when it cannot be reached directly. */
  readonly publishAddress: string | undefined;
  /** The way out, for those who may go there. */
  readonly egressProxy: string | undefined;
};

export type Confined = {
  readonly request: StartContainerRequest;
  readonly image: ImageFacts;
  readonly engine: EngineFacts;
  readonly plug: Plug;
  readonly instance: string;
  readonly name: string;
};

export function containerOptions(all: Confined): Dockerode.ContainerCreateOptions {
  const { request, engine, instance, name, plug } = all;
  const { port } = request;
  if (engine.refusal !== undefined) throw new LaunchFailure(engine.refusal);
  if (request.runtime === 'runsc' && !engine.runtimes.includes('runsc')) {
    throw new LaunchFailure('The app asks for the runtime runsc, which this engine does not have');
  }
  const { user, isDemoted } = runAs(all);
  return {
    name,
    Image: request.image,
    ...(isDemoted ? { User: `${user.uid}:${user.gid}` } : {}),
    Env: envOf(all, isDemoted),
    ...(plug.publishAddress === undefined ? {} : { ExposedPorts: { [`${port}/tcp`]: {} } }),
    Labels: labelsOf(request, instance, isDemoted),
    HostConfig: {
      ...limitsOf(request),
      ...foldersOf(all, user),
      ...networkOf(all),
      ReadonlyRootfs: true,
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', ...(engine.hasAppArmor ? ['apparmor=docker-default'] : [])],
      IpcMode: 'private',
      Init: true,
      ...(request.runtime === 'runsc' ? { Runtime: 'runsc' } : {}),
      // The platform starts it again, as a new container, where that is wanted.
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': logBytesMax, 'max-file': logFilesMax } },
    },
  };
}

/** By which it is found again. */
export function labelsOf(request: StartContainerRequest, instance: string, isDemoted: boolean) {
  return {
    ...request.labels,
    [labelOf.instance]: instance,
    [labelOf.app]: request.appId,
    [labelOf.build]: request.buildId,
    [labelOf.launch]: request.launchId,
    [labelOf.deployment]: String(request.deployment),
    [labelOf.event]: request.eventId,
    ...(request.egress.length === 0 ? {} : { [labelOf.egress]: JSON.stringify(request.egress) }),
    ...(isDemoted ? { [labelOf.demoted]: 'true' } : {}),
  };
}

/** An image that says root, or nothing, is run as nobody unless its app is marked. Then no capability is left to it either. */
export function runAs({ request, image }: Pick<Confined, 'request' | 'image'>): {
  user: ImageUser;
  isDemoted: boolean;
} {
  if (image.user !== null) return { user: image.user, isDemoted: false };
  if (request.allowRoot) return { user: { uid: 0, gid: 0 }, isDemoted: false };
  const known = image.passwd.find(({ name, uid }) => name === `${nobody.uid}` || uid === nobody.uid);
  if (known !== undefined && known.uid !== nobody.uid) {
    throw new LaunchFailure(
      `The image runs as root, and its /etc/passwd has another user named ${nobody.uid}`,
    );
  }
  return { user: nobody, isDemoted: true };
}

function limitsOf({ memoryBytes, cpus, pidsMax, tmpfsBytes, runtime }: StartContainerRequest) {
  return {
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: runtime === 'runsc' ? pidsMax + runscThreads : pidsMax,
    ShmSize: Math.min(tmpfsBytes, shmBytesMax),
    OomScoreAdj: oomScoreAdj,
    OomKillDisable: false,
    // Not nproc: the kernel counts that for a user over all containers, and one app could use up what the others need.
    Ulimits: [
      { Name: 'nofile', Soft: openFilesMax, Hard: openFilesMax },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
  };
}

/**
 * What can be written to lies in memory, and nothing on the disk. /tmp may hold programs: runtimes unpack their libraries there.
 * A declared volume that is empty in the image belongs to whoever runs it; one that brings files along stays as it is, because
 * an app whose own files are in it would not start without them. What a workspace keeps lies on the disk, in its volumes.
 */
function foldersOf({ request, image, name, instance }: Confined, { uid, gid }: ImageUser) {
  const room = `size=${request.tmpfsBytes},nr_inodes=${inodesMax},uid=${uid},gid=${gid}`;
  const folders: Record<string, string> = {};
  const kept: string[] = [];
  for (const { path, isEmpty } of image.volumes) {
    if (isEmpty) folders[path] = `rw,nosuid,nodev,exec,${room}`;
    else kept.push(path);
  }
  folders['/tmp'] = `rw,nosuid,nodev,exec,mode=1777,${room}`;
  folders['/run'] = `rw,nosuid,nodev,noexec,mode=755,${room}`;
  folders['/var/tmp'] = `rw,nosuid,nodev,noexec,mode=1777,${room}`;
  const own = request.volumes ?? [];
  const isOwn = (folder: string) => own.some(({ path }) => path === folder);
  const copies = kept
    .filter(path => folders[path] === undefined && !isOwn(path))
    .map((path, number) => ({
      Type: 'volume' as const,
      // The engine makes none without a name that cannot be written to.
      Source: `${name}-${number + 1}`,
      Target: path,
      ReadOnly: true,
      VolumeOptions: { NoCopy: false, Labels: copyLabels(instance, request), DriverConfig: localDriver },
    }));
  return {
    Tmpfs: Object.fromEntries(Object.entries(folders).filter(([folder]) => !isOwn(folder))),
    Mounts: [...copies, ...own.map(keptMount)],
  };
}

/** Nothing is copied into it: what the image brings along was put in when the volume was made. */
const keptMount = ({ path, name }: { path: string; name: string }) => ({
  Type: 'volume' as const,
  Source: name,
  Target: path,
  ReadOnly: false,
  VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: localDriver },
});

const localDriver = { Name: 'local', Options: {} };

/** By which the copies go with the container they were made for. */
function copyLabels(
  instance: string,
  { launchId, deployment, eventId }: Pick<StartContainerRequest, 'launchId' | 'deployment' | 'eventId'>,
) {
  return {
    [labelOf.instance]: instance,
    [labelOf.launch]: launchId,
    [labelOf.deployment]: String(deployment),
    [labelOf.event]: eventId,
    [labelOf.copy]: 'true',
  };
}

/**
 * Its own loopback, where nobody answers. Otherwise the engine's resolver asks the servers of the host, some of them with the
 * host's own voice: then what is asked for goes out of a network that has no way out.
 */
export const nobodysNames = { servers: ['127.0.0.1'], search: ['.'], options: ['timeout:1', 'attempts:1'] };

/** Ports below 1024 are for everybody who has no capability. */
export const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '0' };

function networkOf({ request: { port }, plug: { networkId, publishAddress } }: Confined) {
  return {
    NetworkMode: networkId,
    Dns: nobodysNames.servers,
    DnsSearch: nobodysNames.search,
    DnsOptions: nobodysNames.options,
    Sysctls: sysctls,
    ...(publishAddress === undefined
      ? {}
      : { PortBindings: { [`${port}/tcp`]: [{ HostIp: publishAddress, HostPort: '' }] } }),
  };
}

/** What the app is given goes before what is only useful to most. */
export function envOf(
  { request, image, plug: { egressProxy } }: Pick<Confined, 'request' | 'image' | 'plug'>,
  isDemoted: boolean,
): string[] {
  const own = request.env.map(({ key, value }) => `${key}=${value}`);
  const useful: Record<string, string> = { PORT: String(request.port) };
  // nobody's home is nowhere.
  if (isDemoted && !image.env.some(line => line.startsWith('HOME='))) useful.HOME = '/tmp';
  if (egressProxy !== undefined) {
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
      useful[name] = egressProxy;
      useful[name.toLowerCase()] = egressProxy;
    }
    useful.NO_PROXY = useful.no_proxy = 'localhost,127.0.0.1,::1';
    useful.NODE_USE_ENV_PROXY = '1';
  }
  const isGiven = (name: string) => request.env.some(({ key }) => key === name);
  const added = Object.entries(useful).filter(([name]) => !isGiven(name));
  return [...added.map(([name, value]) => `${name}=${value}`), ...own];
}
