/** The words of a swarm's manager, as far as they are listened to, and what AppHub needs to know of a swarm. */
import type Dockerode from 'dockerode';
import { isStatus } from './docker-found.ts';
import type { Engine } from './docker-types.ts';

/** A swarm, by the engine of one of its managers. */
export type Swarm = {
  readonly engine: Engine;
  /** Of the same manager. What it does not answer soon fails: one that has lost the others may never answer. */
  readonly api: Dockerode;
  /** What goes before the name of an image in the registry: `registry.example.org:5000/team/`. Undefined: there is none. */
  readonly registry: string | undefined;
};

/** On a node that may run launches: `true`. */
export const launchesLabel = 'apphub.launches';
/** On a node whose ports are reached at another address than the one it speaks to the manager with. */
export const addressLabel = 'apphub.address';

export type SwarmNode = {
  readonly ID: string;
  readonly Spec: { readonly Labels?: Readonly<Record<string, string>> | null; readonly Availability: string };
  readonly Status: { readonly State: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Addr?: string };
  readonly Description?: {
    readonly Hostname?: string;
    readonly Platform?: { readonly Architecture?: string; readonly OS?: string };
    readonly Resources?: { readonly NanoCPUs?: number; readonly MemoryBytes?: number };
  };
};

export type SwarmTask = {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly CreatedAt: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number };
    readonly PortStatus?: { readonly Ports?: readonly { readonly PublishedPort?: number }[] };
  };
};

export type SwarmService = {
  readonly ID: string;
  readonly CreatedAt: string;
  readonly Spec: { readonly Name: string; readonly Labels: Readonly<Record<string, string>> };
};

/** On its way to a node, or to being a container there. */
export const comingStates: readonly string[] = [
  'new',
  'pending',
  'allocated',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
];

export const byLabels = (...label: readonly string[]) => ({ filters: { label: [...label] } });

/** A name is somebody's already. Of some things managers say so in words only. */
export const isTaken = (error: unknown) =>
  isStatus(error, 409) || (error instanceof Error && /already exists|name conflicts/i.test(error.message));
