/** What launches have on an engine beside their containers, and what these use. */

/** The network of one launch. */
export type FoundNetwork = {
  readonly launchId: string;
  readonly networkId: string;
  readonly engine: string;
  readonly eventId: string | null;
};

/** What a container uses, and may use. */
export type ContainerUsage = {
  readonly launchId: string;
  readonly deployment: number;
  readonly containerId: string;
  readonly engine: string;
  readonly startedAt: string;
  /** Time on cores since it was started. */
  readonly cpuMs: number;
  /** 0: made before containers were labelled with it. */
  readonly cpusMax: number;
  readonly memoryBytes: number;
  readonly memoryBytesMax: number;
  readonly processes: number;
  readonly processesMax: number;
};

export type Meter = {
  /** What the containers that run are using, of all launches or of one. One that cannot be read now is left out. */
  usage(launchId?: string): Promise<ContainerUsage[]>;
};
