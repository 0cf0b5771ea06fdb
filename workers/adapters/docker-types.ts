/** The words of the Docker adapter: its limits, results and the two ways in which it fails. */
import type Dockerode from 'dockerode';
import type { Log } from '../../platform/log.ts';
import type { EgressProxy } from '../egress/egress-proxy.ts';
import type { Labels } from './docker-labels.ts';
import type { EngineStore, Machine } from './docker-store-types.ts';
import type { FoundNetwork, Meter } from './docker-usage-types.ts';
import type { Workspaces } from './docker-workspace-types.ts';

/** What a build may use. CPU in cores, memory in bytes. */
export type BuildLimits = {
  readonly cpus: number;
  /** How much of a busy machine it gets beside others: by default 128, where a container has 1024. */
  readonly cpuShares?: number;
  readonly memoryBytes: number;
  /** Processes and threads of BuildKit's steps, where AppHub may write the engine's control groups; by default 4096. */
  readonly pidsMax?: number;
  readonly timeMsMax: number;
  readonly contextBytesMax: number;
};

/** The argument by which steps with secrets are kept apart from those of other apps and other secrets. */
export const secretsArg = 'APPHUB_SECRETS';

export const cpuSharesDefault = 128;
export const pidsMaxDefault = 4_096;

/** `capped`: only where its steps can be held to limits. */
type BuildKitUse = 'auto' | 'capped' | 'off';

type Builder = 'classic' | 'buildkit';

export type PlanOptions = {
  readonly args: Labels;
  readonly buildkit: BuildKitUse;
  /** Of the engine's version: 20, 28. */
  readonly engineMajor: number;
  /** The image of the frontend that stands in for what `# syntax=` names; undefined: the engine's own. */
  readonly frontend?: string | undefined;
};

/** How a Dockerfile is going to be built. */
export type BuildPlan = {
  readonly builder: Builder;
  /** What the classic builder does not understand, for people; null where it builds. */
  readonly because: string | null;
  /** Whether steps mount secrets: the text then asks for the argument `secretsArg`, which sets its cache apart. */
  readonly hasSecrets: boolean;
  /** The text that the builder is given, and what comes into the context with it. */
  readonly dockerfile: string;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** Of the Dockerfile as it is in the repository. */
  readonly sha256: string;
  /** Images from elsewhere, as they are referred to. */
  readonly bases: readonly string[];
  readonly instructions: readonly string[];
  /** By stage, which instructions are steps to BuildKit; counted from 1. */
  readonly stages: readonly { readonly name: string; readonly steps: readonly number[] }[];
};

/** What an image was made of, beside its repository. */
export type Papers = {
  readonly bases: { ref: string; imageId: string | null; digest: string | null }[];
  readonly builder: { kind: Builder; engine: string; platform: string };
};

export type RegistryAuth = { readonly host: string; readonly username: string; readonly password: string };

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
  readonly papers: Papers;
};

export type PushRequest = {
  readonly imageId: string;
  /** With host and path, without a tag. */
  readonly repository: string;
  readonly tag: string;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void | Promise<void>;
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
  readonly oomKilled: boolean;
  readonly lastLines: string[];
  readonly retryable: boolean;
  constructor(
    reason: string,
    how: {
      exitCode?: number | null;
      oomKilled?: boolean;
      lastLines?: string[];
      retryable?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(reason, { cause: how.cause });
    this.name = 'LaunchFailure';
    this.reason = reason;
    this.exitCode = how.exitCode ?? null;
    this.oomKilled = how.oomKilled ?? false;
    this.lastLines = how.lastLines ?? [];
    this.retryable = how.retryable ?? false;
  }
}

/** What the parts of the adapter share. */
export type Engine = {
  readonly api: Dockerode;
  /** Its name among the engines of the installation. */
  readonly name: string;
  /** As in DOCKER_HOST. */
  readonly address: string;
  readonly instance: string;
  readonly sandbox: EngineSandbox;
  /** The way out for launches; undefined: this process starts none. */
  readonly egress: EgressProxy | undefined;
  readonly log: Log;
  readonly builds: BuildSettings;
};

/** What holds for every build on the engine. */
export type BuildSettings = {
  readonly buildkit: BuildKitUse;
  readonly frontend?: string | undefined;
  /** Where images are pushed, and from where base images may be pulled with a name. */
  readonly auth?: RegistryAuth | undefined;
  /** The control groups of the engine, where they may be written: `/sys/fs/cgroup`. Undefined: it is not on this machine. */
  readonly cgroups?: string | undefined;
  /** Below which of them it makes its own: `docker`, unless it was started with another `--cgroup-parent`. */
  readonly cgroupParent?: string | undefined;
};

/** A container of the classic builder. */
export type BuildStep = {
  readonly containerId: string;
  readonly buildId: string;
  readonly isRunning: boolean;
  /** How long ago it ended; 0 while it runs. */
  readonly endedMs: number;
};

export type BuildSecret = { readonly value: string; readonly version: number };

/** How launches on an engine are kept apart from the world, each other and their host. */
export type EngineSandbox = {
  /** The range of addresses that their networks are cut from. */
  readonly subnets: string;
  /** What the names of their bridges begin with; the firewall knows them by it. */
  readonly bridgePrefix: string;
  /** Whether nothing is started on a host that cannot be guarded. */
  readonly hostGuard: boolean;
  readonly egressPort: number;
  /** Where their ports are published; undefined: found out, and nowhere when that is not needed. */
  readonly publish: string | undefined;
};

export type BuildImageRequest = {
  /** The context. The Dockerfile's path is relative to it. */
  readonly directory: string;
  readonly dockerfilePath: string;
  readonly tag: string;
  readonly labels: Labels;
  readonly limits: BuildLimits;
  readonly args?: Labels;
  /** By the id that a step mounts them by. Only BuildKit gives any out. */
  readonly secrets?: ReadonlyMap<string, BuildSecret>;
  /** By default it is planned anew. */
  readonly plan?: BuildPlan;
  /** Aborting it stops the engine's build; the call then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Each line of output, without its line end. The build waits for the promise: nothing piles up. */
  readonly onLine: (line: string) => void | Promise<void>;
};

export type StartContainerRequest = {
  readonly launchId: string;
  /** Which container of the launch this is: 1, 2, 3 … Each is made and started once. */
  readonly deployment: number;
  readonly appId: string;
  readonly buildId: string;
  /** Of the event that asks for it. */
  readonly eventId: string;
  /** Tag or image id; the id means the same for ever. */
  readonly image: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pidsMax: number;
  /** How much each folder that can be written to may hold. It lies in memory and counts as such. */
  readonly tmpfsBytes: number;
  /** `runsc` is gVisor: a kernel of its own in user space. */
  readonly runtime: 'default' | 'runsc';
  /** Hosts that may be reached from inside, such as `api.example.org`, `*.example.org` or `example.org:8443`. */
  readonly egress: readonly string[];
  /** The app is marked as one that may run as root inside its container. */
  readonly allowRoot: boolean;
  /** Where it has to run; wherever there is room when absent. */
  readonly engine?: string;
  /** Folders that are kept, each with the volume that holds it. The other ones it declares are thrown away with it. */
  readonly volumes?: readonly { readonly path: string; readonly name: string }[];
  /** It has or will have folders that are kept: an engine that keeps none is not for it. */
  readonly keeps?: boolean;
  /** The port the app listens on inside its container. PORT is set to it unless the environment says otherwise. */
  readonly port: number;
  /** What the engine it runs on has to be, in the labels of the installation. */
  readonly placement?: Labels;
  /** Where the image is in a registry, for an engine that has not got it. */
  readonly inRegistry?: () => Promise<PushedImage | undefined>;
  readonly labels?: Labels;
};

export type StartedContainer = {
  readonly containerId: string;
  /** The name of the engine it runs on. */
  readonly engine: string;
  /** Where the app is reached from here. */
  readonly host: string;
  readonly hostPort: number;
};

export type ReadyRequest = {
  readonly containerId: string;
  readonly engine?: string;
  readonly host: string;
  readonly hostPort: number;
  /** The path that answers 2xx or 3xx once the app is well, where one is declared. */
  readonly healthPath?: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

/** One container. */
export type FoundLaunch = {
  readonly launchId: string;
  readonly deployment: number;
  readonly appId: string;
  readonly buildId: string;
  /** The event that asked for it; null: made before containers were labelled with it. */
  readonly eventId: string | null;
  readonly containerId: string;
  readonly engine: string;
  readonly state: 'created' | 'running' | 'ended';
  /** The port on this machine while it runs, where one is published. */
  readonly hostPort: number | null;
  /** What it may use; 0: made before containers were labelled with it. */
  readonly memoryBytes: number;
  readonly cpus: number;
  /** When it was made, RFC 3339, by the clock of its engine. */
  readonly startedAt: string;
};

export type ContainerDeath = {
  readonly launchId: string;
  readonly deployment: number;
  readonly containerId: string;
  /** A sentence for people. */
  readonly reason: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
};

export type LogsRequest = {
  /** Whose words; the newest deployment's when absent. */
  readonly deployment?: number;
  /** How many of the last lines to begin with; all that is kept when absent. */
  readonly tail?: number;
  /** Wait for more until the container ends. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
};

export type EngineAnswer = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** An image in a registry: it is pulled as `<repository>@<digest>`. */
export type PushedImage = { readonly repository: string; readonly digest: string };

/** The image a build has left behind, if it has. */
export type FoundImage = Omit<BuiltImage, 'steps' | 'papers'>;

/**
 * The engine as the workers see it. Each call is safe to repeat: what is there is found by its label.
 * Errors of the engine itself (gone, overloaded) are thrown as they come and are worth a retry.
 */
export type Docker = EngineStore &
  Meter & {
    /** Whether the engine answers within 2 s, and if not a sentence for people. Never throws. */
    ping(): Promise<EngineAnswer>;
    machine(): Promise<Machine>;
    /** Which builder the Dockerfile needs. Throws BuildFailure where there is none, or no Dockerfile. */
    planBuild(request: Pick<BuildImageRequest, 'directory' | 'dockerfilePath' | 'args'>): Promise<BuildPlan>;
    /** Throws BuildFailure; or the signal's reason once it was aborted. */
    buildImage(request: BuildImageRequest): Promise<BuiltImage>;
    /** What an image that was made by this plan was made of, by what the engine has now. */
    papersOf(plan: BuildPlan): Promise<Papers>;
    /** Every step of a build that is a container, whoever's build it is. */
    listBuildSteps(): Promise<BuildStep[]>;
    removeBuildStep(containerId: string): Promise<void>;
    /** Ends what an engine that was killed has left of BuildKit's steps; answers how many processes. */
    endOrphanedSteps(): Promise<number>;
    /** Gives the image this name in its registry and sends what is not there yet. Throws BuildFailure. */
    pushImage(request: PushRequest): Promise<PushedImage>;
    /** Fetches the image, unless it is there. Its digest says what it is. Throws BuildFailure. */
    pullImage(image: PushedImage, signal: AbortSignal): Promise<FoundImage>;
    /** The newest image that carries all these labels. `tag` is put on it where it is missing. */
    findImage(labels: Labels, tag?: string): Promise<FoundImage | undefined>;
    /** Starts the deployment's container, or finds it. Throws LaunchFailure where it cannot run or has run already. */
    startContainer(request: StartContainerRequest): Promise<StartedContainer>;
    /** Resolves when the app is well. Throws LaunchFailure when it dies or is not within `timeoutMs`. */
    waitUntilReady(request: ReadyRequest): Promise<void>;
    /** Stops one container with a grace of 5 s, then removes it. Nothing there is fine. */
    removeDeployment(launchId: string, deployment: number): Promise<void>;
    /** Removes every container of the launch, and its network. Nothing there is fine. */
    removeLaunch(launchId: string): Promise<void>;
    /** Every container of this installation; of a launch the newest deployment first. */
    listLaunches(): Promise<FoundLaunch[]>;
    /** Every network of a launch of this installation. `removeLaunch` removes it, also where no container is left. */
    listNetworks(): Promise<FoundNetwork[]>;
    /** Keeps launches away from the host they run on. Throws LaunchFailure with the reason where it cannot. */
    guard(): Promise<void>;
    /** Takes away from the host's firewall what `guard` has set. */
    unguard(): Promise<void>;
    /** Looks after what protects from launches that run. To be asked every now and then; says what is wrong. */
    protect(): Promise<EngineAnswer>;
    /** Standard output and error, interleaved as written. Ends when the container or the signal does; empty if there is none. */
    containerLogs(launchId: string, request?: LogsRequest): AsyncIterable<Uint8Array>;
    /** The last lines of a deployment, or of the newest, for the reason of its failure. */
    lastLines(launchId: string, deployment?: number): Promise<string[]>;
    /**
     * Every container of this installation that dies, also those that had died before the call or while the
     * engine was away. A death may be reported twice; removal by us counts as one. Ends with the signal.
     */
    watchDeaths(signal: AbortSignal): AsyncIterable<ContainerDeath>;
    readonly workspaces: Workspaces;
  };
