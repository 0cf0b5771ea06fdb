/** The words of the Docker adapter: its labels, limits, results and the two ways in which it fails. */
import type Dockerode from 'dockerode';
import type { Log } from '../../platform/log.ts';

/** The names of the labels. Their values are ids; people find them with `docker ps --filter label=…`. */
export const labelOf = {
  /** The installation that owns the thing: several may share one engine and must leave each other alone. */
  instance: 'apphub.instance',
  app: 'apphub.app',
  build: 'apphub.build',
  commit: 'apphub.commit',
  launch: 'apphub.launch',
} as const;

export type Labels = Readonly<Record<string, string>>;

/** What a build may use. CPU in cores, memory in bytes. */
type BuildLimits = {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly timeMsMax: number;
  readonly contextBytesMax: number;
};

export type BuiltImage = {
  /** Content digest of the image's configuration, `sha256:…`. */
  readonly imageId: string;
  /** Digest in a registry, where it was pulled from or pushed to one. */
  readonly digest?: string;
  readonly bytes: number;
  /** Exposed TCP ports, ascending. */
  readonly ports: number[];
  /** Instructions of the Dockerfile that were run. */
  readonly steps: number;
};

/** The image could not be made. `retryable`: the engine or the network was at fault, not the repository. */
export class BuildFailure extends Error {
  readonly reason: string;
  readonly step: number | null;
  readonly instruction: string | null;
  readonly retryable: boolean;
  constructor(
    reason: string,
    where: { step?: number | null; instruction?: string | null; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(reason, { cause: where.cause });
    this.name = 'BuildFailure';
    this.reason = reason;
    this.step = where.step ?? null;
    this.instruction = where.instruction ?? null;
    this.retryable = where.retryable ?? false;
  }
}

/** The container died, never answered, or could not be made. */
export class LaunchFailure extends Error {
  readonly reason: string;
  readonly exitCode: number | null;
  readonly lastLines: string[];
  readonly retryable: boolean;
  constructor(
    reason: string,
    how: { exitCode?: number | null; lastLines?: string[]; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(reason, { cause: how.cause });
    this.name = 'LaunchFailure';
    this.reason = reason;
    this.exitCode = how.exitCode ?? null;
    this.lastLines = how.lastLines ?? [];
    this.retryable = how.retryable ?? false;
  }
}

/** What the parts of the adapter share. */
export type Engine = {
  readonly api: Dockerode;
  readonly instance: string;
  readonly log: Log;
};

export type BuildImageRequest = {
  /** The context. The Dockerfile's path is relative to it. */
  readonly directory: string;
  readonly dockerfilePath: string;
  readonly tag: string;
  readonly labels: Labels;
  readonly limits: BuildLimits;
  /** Aborting it stops the engine's build; the call then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Each line of output, without its line end. The build waits for the promise: nothing piles up. */
  readonly onLine: (line: string) => void | Promise<void>;
};

export type StartContainerRequest = {
  readonly launchId: string;
  readonly appId: string;
  readonly buildId: string;
  /** Tag or image id; the id means the same for ever. */
  readonly image: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pidsMax: number;
  /** The port the app listens on inside its container. PORT is set to it unless the environment says otherwise. */
  readonly port: number;
  readonly labels?: Labels;
};

export type StartedContainer = { readonly containerId: string; readonly hostPort: number };

export type ReadyRequest = {
  readonly containerId: string;
  readonly hostPort: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

export type FoundLaunch = {
  readonly launchId: string;
  readonly appId: string;
  readonly buildId: string;
  readonly containerId: string;
  readonly state: 'created' | 'running' | 'ended';
  /** The port on 127.0.0.1 while it runs. */
  readonly hostPort: number | null;
};

export type ContainerDeath = {
  readonly launchId: string;
  readonly containerId: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
};

export type LogsRequest = {
  /** How many of the last lines to begin with; all that is kept when absent. */
  readonly tail?: number;
  /** Wait for more until the container ends. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
};

export type EngineAnswer = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** The image a build has left behind, if it has. */
export type FoundImage = Omit<BuiltImage, 'steps'>;

/**
 * The engine as the workers see it. Each call is safe to repeat: what is there is found by its label.
 * Errors of the engine itself (gone, overloaded) are thrown as they come and are worth a retry.
 */
export type Docker = {
  /** Whether the engine answers within 2 s, and if not a sentence for people. Never throws. */
  ping(): Promise<EngineAnswer>;
  /** Builds with the classic builder. Throws BuildFailure; or the signal's reason once it was aborted. */
  buildImage(request: BuildImageRequest): Promise<BuiltImage>;
  /** The newest image that carries all these labels. `tag` is put on it where it is missing. */
  findImage(labels: Labels, tag?: string): Promise<FoundImage | undefined>;
  /** Starts the launch's container, or finds it. Throws LaunchFailure where it cannot run or has run already. */
  startContainer(request: StartContainerRequest): Promise<StartedContainer>;
  /** Resolves when the app answers. Throws LaunchFailure when it dies or stays silent for `timeoutMs`. */
  waitUntilReady(request: ReadyRequest): Promise<void>;
  /** Stops with a grace of 5 s, then removes. Nothing there is fine. */
  removeLaunch(launchId: string): Promise<void>;
  /** Every container of this installation. */
  listLaunches(): Promise<FoundLaunch[]>;
  /** Standard output and error, interleaved as written. Ends when the container or the signal does; empty if there is none. */
  containerLogs(launchId: string, request?: LogsRequest): AsyncIterable<Uint8Array>;
  /** The last lines of a launch, for the reason of its failure. */
  lastLines(launchId: string): Promise<string[]>;
  /**
   * Every container of this installation that dies, also those that had died before the call or while the
   * engine was away. A death may be reported twice; removal by us counts as one. Ends with the signal.
   */
  watchDeaths(signal: AbortSignal): AsyncIterable<ContainerDeath>;
};
