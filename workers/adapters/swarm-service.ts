/** What the manager of a swarm is told of a deployment: the same confinement as on an engine, as far as services can have it. */
import type Dockerode from 'dockerode';
import {
  envOf,
  labelsOf,
  logBytesMax,
  logFilesMax,
  nobodysNames,
  openFilesMax,
  runAs,
  shmBytesMax,
  sysctls,
} from './docker-confine.ts';
import type { ImageFacts } from './docker-image-facts.ts';
import { LaunchFailure, type PushedImage, type StartContainerRequest } from './docker-types.ts';

const second = 1e9;
const stopGraceSeconds = 5;
/** As often at most as the swarm asks an app by its HEALTHCHECK, for it is running only once it has said yes. */
const healthSecondsMax = 3;

export type ServiceOf = {
  readonly request: StartContainerRequest;
  readonly image: ImageFacts;
  /** In nanoseconds, where the image declares a HEALTHCHECK. */
  readonly healthInterval: number | undefined;
  readonly pushed: PushedImage;
  readonly instance: string;
  readonly name: string;
  readonly networkId: string;
  readonly constraints: readonly string[];
};

/** Why no service can be made of it; undefined: one can. */
export function notAsService(request: StartContainerRequest): string | undefined {
  if (request.keeps || (request.volumes ?? []).length > 0) {
    return 'The app keeps files, which a swarm cannot: its volumes would stay on the node they were made on';
  }
  if (request.egress.length > 0) {
    return 'The app may reach hosts outside, which it can only on an engine of this machine';
  }
  if (request.runtime === 'runsc') {
    return 'The app asks for the runtime runsc, and in a swarm no runtime can be asked for';
  }
  return undefined;
}

export function serviceOptions(of: ServiceOf): Dockerode.CreateServiceOptions {
  const { request, instance, name, pushed, networkId, constraints, image } = of;
  const refusal = notAsService(request);
  if (refusal !== undefined) throw new LaunchFailure(refusal);
  const { user, isDemoted } = runAs(of);
  const labels = labelsOf(request, instance, isDemoted);
  const plug = { networkId, publishAddress: undefined, egressProxy: undefined };
  const { memoryBytes, cpus, pidsMax, port } = request;
  const health = of.healthInterval === undefined ? {} : { Healthcheck: healthOf(of.healthInterval) };
  return {
    Name: name,
    Labels: labels,
    TaskTemplate: {
      ContainerSpec: {
        Image: `${pushed.repository}@${pushed.digest}`,
        Labels: labels,
        Env: envOf({ request, image, plug }, isDemoted),
        ...(isDemoted ? { User: `${user.uid}:${user.gid}` } : {}),
        ReadOnly: true,
        Init: true,
        CapabilityDrop: ['ALL'],
        Mounts: foldersOf(of),
        Ulimits: [
          { Name: 'nofile', Soft: openFilesMax, Hard: openFilesMax },
          { Name: 'core', Soft: 0, Hard: 0 },
        ],
        Sysctls: sysctls,
        DNSConfig: {
          Nameservers: nobodysNames.servers,
          Search: nobodysNames.search,
          Options: nobodysNames.options,
        },
        StopGracePeriod: stopGraceSeconds * second,
        ...health,
      },
      // What is promised is there: of two launches that would not fit on a node together one goes elsewhere, or waits.
      Resources: {
        Limits: { MemoryBytes: memoryBytes, NanoCPUs: Math.round(cpus * 1e9), ...{ Pids: pidsMax } },
        Reservations: { MemoryBytes: memoryBytes },
      },
      // The platform starts it again, as a new service, where that is wanted.
      RestartPolicy: { Condition: 'none' },
      Placement: { Constraints: [...constraints] },
      LogDriver: { Name: 'json-file', Options: { 'max-size': logBytesMax, 'max-file': logFilesMax } },
      Networks: [{ Target: networkId }],
    },
    Mode: { Replicated: { Replicas: 1 } },
    EndpointSpec: {
      Mode: 'dnsrr',
      // On the node that it runs on, at the address that the node was prepared with.
      Ports: [{ Protocol: 'tcp', TargetPort: port, PublishMode: 'host' }],
    },
  };
}

const healthOf = (interval: number) => ({ Interval: Math.min(interval, healthSecondsMax * second) });

/** In memory, as on an engine; but nothing in them can be executed, and they belong to root. */
function foldersOf({ request, image }: ServiceOf): Dockerode.MountSettings[] {
  const { tmpfsBytes } = request;
  const room = { SizeBytes: tmpfsBytes, Mode: 0o1777 };
  const folders = new Map([
    ['/tmp', room],
    ['/run', room],
    ['/var/tmp', room],
    ['/dev/shm', { ...room, SizeBytes: Math.min(tmpfsBytes, shmBytesMax) }],
  ]);
  for (const { path, isEmpty } of image.volumes) {
    if (!isEmpty && !folders.has(path)) {
      const what = `The image brings files along in the volume ${path}`;
      throw new LaunchFailure(`${what}; in a swarm nothing could be put there that cannot be written to`);
    }
    folders.set(path, room);
  }
  return [...folders].map(([path, options]) => ({
    Type: 'tmpfs',
    Source: '',
    Target: path,
    TmpfsOptions: options,
  }));
}
