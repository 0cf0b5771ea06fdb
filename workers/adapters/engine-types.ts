/** The words of several engines: how they are asked as one, and what each can be asked for the sake of the others. */

import type { Labels } from './docker-labels.ts';
import type { Machine } from './docker-store-types.ts';
import type {
  BuildLimits,
  Docker,
  EngineAnswer,
  FoundLaunch,
  StartContainerRequest,
} from './docker-types.ts';
import type { FoundNetwork } from './docker-usage-types.ts';

/** The engine that is to do something does not answer, or none that may do it has room. It is worth waiting for. */
export class NoEngine extends Error {
  override readonly name = 'NoEngine';
}

/** What there is on all engines that answer, in one look. */
export type Survey = {
  readonly launches: readonly FoundLaunch[];
  readonly networks: readonly FoundNetwork[];
  /** Of what these hold nothing is known. */
  readonly away: readonly AwayEngine[];
  /** Every engine there is. What is said to be on another one is nowhere. */
  readonly engines: readonly string[];
};

export type AwayEngine = {
  readonly name: string;
  /** A sentence for people. */
  readonly reason: string;
  /** It has been away for so long that what it held is taken for lost. */
  readonly isGivenUp: boolean;
};

/** An engine as people see it. */
export type EngineState = {
  readonly name: string;
  readonly kind: 'engine' | 'swarm';
  readonly labels: Labels;
  readonly builds: boolean;
  /** Null: it answers. */
  readonly awayReason: string | null;
  /** RFC 3339; null while it answers. */
  readonly awaySince: string | null;
  /** What it has, or may promise where that is set; null: it has not been heard of yet. */
  readonly cpus: number | null;
  readonly memoryBytes: number | null;
  readonly launchesMax: number | null;
  readonly promised: Promised;
};

export type Promised = { readonly cpus: number; readonly memoryBytes: number; readonly launches: number };

export type HeldImage = {
  readonly imageId: string;
  /** Such as `linux/amd64`. */
  readonly platform: string;
  readonly tags: readonly string[];
};

/** One engine of several. */
export type OneEngine = Docker & {
  /** By tag or id; undefined: it is not there. */
  imageOf(image: string): Promise<HeldImage | undefined>;
  /** The image as an archive, with its layers. */
  exportImage(imageId: string): Promise<NodeJS.ReadableStream>;
  /** Why it will never run this, a sentence for people; undefined: it may. One that is without this runs what there is. */
  refuses?(request: StartContainerRequest): Promise<string | undefined>;
  /** Takes such an archive in, and puts the tags on the image. */
  importImage(archive: NodeJS.ReadableStream, imageId: string, tags: readonly string[]): Promise<void>;
};

export type BuildPlace = {
  readonly appId: string;
  /** Where this is already. */
  readonly imageId?: string | undefined;
  readonly limitsOn: (machine: Machine) => BuildLimits;
  /** Ends waiting for an engine. */
  readonly signal: AbortSignal;
};

/** All engines as one. */
export type Engines = Docker & {
  /** Whether an engine answers, of those that build where that is asked; if not a sentence for people. Never throws. */
  ping(what?: 'build'): Promise<EngineAnswer>;
  /** Has one engine do all of a build: what is planned there is built, looked at and pushed there. Waits for one with room. */
  onBuilder<T>(place: BuildPlace, work: (docker: Docker) => Promise<T>): Promise<T>;
  /** Of one engine only, where it is named. */
  removeDeployment(launchId: string, deployment: number, engine?: string): Promise<void>;
  /** Throws only where no engine answers. */
  survey(): Promise<Survey>;
  /** Asks every engine how it is. Never throws. */
  engines(): Promise<EngineState[]>;
};
