/**
 * A deployment is one container of a launch. A launch keeps its address; its deployments are numbered 1, 2, 3 … and each is
 * started exactly once, whatever it is for. At most one serves and one is coming; those before them are retiring until their
 * containers are gone.
 */
import { restartsMax, restartWaitMsMax, restartWaitMsMin, steadyMsMin } from '../kernel/limits.ts';

/** Why there is a deployment. */
export type DeploymentCause = 'start' | 'redeploy' | 'rollback' | 'wake' | 'restart';

/**
 * Why there is none for a while. `replaced`: by another one that is to have the workspace alone; `full`: the workspace holds more
 * than it may; `quota`: its owner, or all together, have used what they may in this period.
 */
export type SleepReason = 'idle' | 'asked' | 'evicted' | 'replaced' | 'full' | 'quota';

/** What runs in it: the image by tag, for people, and by content digest, for the engine. */
export type DeploymentImage = {
  buildId: string;
  image: string;
  imageId: string;
  /** The port inside the container; null: PORT of the environment, else the lowest exposed one, else 8080. */
  port: number | null;
};

/** Where the container was made and where it listens, as the preview proxy reaches it. */
export type DeploymentPlace = { containerId: string; engine: string; host: string; hostPort: number };

/** How a container ended, or why there is none. */
export type DeploymentEnd = {
  reason: string;
  exitCode: number | null;
  oomKilled: boolean;
  lastLines: string[];
};

export type Deployment = DeploymentImage & {
  readonly deployment: number;
  readonly cause: DeploymentCause;
  /** Null: there is no container yet. */
  readonly place: DeploymentPlace | null;
};

/** Whether the container is to be started again after such an end: it failed, by its exit code or by the memory it took. */
export function isFailure({ exitCode, oomKilled }: Pick<DeploymentEnd, 'exitCode' | 'oomKilled'>): boolean {
  return oomKilled || exitCode !== 0;
}

/** Ends in a row: an app that has run for a while begins anew. Both times are RFC 3339; null: it has never run. */
export function endsInARow(before: number, runningSince: string | null, at: string): number {
  const isSteady = runningSince !== null && Date.parse(at) - Date.parse(runningSince) >= steadyMsMin;
  return isSteady ? 1 : before + 1;
}

/** When the next one may be started after so many ends in a row: twice as late each time. Undefined: it loops, no more. */
export function restartAt(ends: number, at: string): string | undefined {
  if (ends > restartsMax) return undefined;
  const waitMs = Math.min(restartWaitMsMin * 2 ** (ends - 1), restartWaitMsMax);
  return new Date(Date.parse(at) + waitMs).toISOString();
}
