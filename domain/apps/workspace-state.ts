/**
 * The words of a workspace: what happens to it, what may be asked of it, and what is known of it.
 * Its stream is `apps.workspace-<id>`; domain/apps/workspace.ts decides.
 */

/** A folder that the image declares as a volume, and the engine's volume that holds it. */
export type WorkspaceVolume = { path: string; name: string };

/**
 * What a launch has to do with a workspace. `overlap`: while one container takes the place of another, both write. Otherwise the
 * old one is gone before the new one starts.
 */
export type LaunchWorkspace = { workspaceId: string; overlap: boolean };

/** Which snapshot of which workspace. A new one is made for the clone alone, and goes when the clone has its content. */
export type WorkspaceSource = { workspaceId: string; snapshotId: string; isNew: boolean };

/** The deployment that can go on now. */
type Resumed = { launchId: string; deployment: number };

/** `nearly`: from 80 % of what it may hold. A full one is opened by nobody. */
export type WorkspaceLevel = 'fits' | 'nearly' | 'full';

/** What keeps a deployment waiting: an operation on the content, the container before it, or that there is too much of it. */
export type WorkspaceObstacle = 'snapshot' | 'restore' | 'in-use' | 'full';

/** What a snapshot came to: the object that holds it, what is in it, and how long a container stood still for it. */
export type SnapshotContent = {
  key: string;
  bytes: number;
  sha256: string;
  contentBytes: number;
  entries: number;
  paths: string[];
};

type OfWorkspace = { workspaceId: string; appId: string; at: string };
type OfSnapshot = OfWorkspace & { snapshotId: string };
type OfDeployment = OfWorkspace & { launchId: string; deployment: number };
/** A worker knows a workspace by its id alone; the decider adds whose it is. */
type Unowned<T> = Omit<T, 'appId'>;
type Resumes = { resumes: Resumed | null };
type Description = { name: string; bytesMax: number };
type Created = OfWorkspace & Description & { owner: string; source: WorkspaceSource | null };
type Made = { generation: number; engine: string; volumes: WorkspaceVolume[] };
type Restored = Made & { bytes: number; restoredInMs: number };
type Failed = { reason: string };
type AskedSnapshot = { live: boolean; cloneId: string | null };

export type WorkspaceEvent =
  | { type: 'WorkspaceCreated'; data: Created }
  | { type: 'WorkspaceChanged'; data: OfWorkspace & Description & { level: WorkspaceLevel } & Resumes }
  | { type: 'WorkspaceAttached'; data: OfWorkspace & { launchId: string } }
  | { type: 'WorkspaceDetached'; data: OfWorkspace & { launchId: string } }
  | { type: 'WorkspaceOpened'; data: OfDeployment }
  | { type: 'WorkspaceAwaited'; data: OfDeployment & { obstacle: WorkspaceObstacle } }
  | { type: 'WorkspaceClosed'; data: OfDeployment & Resumes }
  | { type: 'WorkspaceVolumesMade'; data: OfWorkspace & Made }
  | { type: 'WorkspaceVolumesRemoved'; data: OfWorkspace & { generation: number } }
  | { type: 'WorkspaceWeighed'; data: OfWorkspace & { bytes: number; level: WorkspaceLevel } & Resumes }
  | { type: 'WorkspaceSnapshotRequested'; data: OfSnapshot & AskedSnapshot }
  | {
      type: 'WorkspaceSnapshotTaken';
      data: OfSnapshot & SnapshotContent & { pausedMs: number; cloneId: string | null } & Resumes;
    }
  | { type: 'WorkspaceSnapshotFailed'; data: OfSnapshot & Failed & { cloneId: string | null } & Resumes }
  | { type: 'WorkspaceSnapshotRemoving'; data: OfSnapshot & { key: string } }
  | { type: 'WorkspaceSnapshotRemoved'; data: OfSnapshot }
  | { type: 'WorkspaceRestoring'; data: OfSnapshot & { generation: number } }
  | {
      type: 'WorkspaceRestored';
      data: OfWorkspace &
        Restored & { source: WorkspaceSource; replaced: number | null; level: WorkspaceLevel } & Resumes;
    }
  | {
      type: 'WorkspaceRestoreFailed';
      data: OfWorkspace & Failed & { generation: number; source: WorkspaceSource } & Resumes;
    }
  | { type: 'WorkspaceRemoving'; data: OfWorkspace }
  | { type: 'WorkspaceRemoved'; data: OfWorkspace };

type Ask<T> = Unowned<OfWorkspace> & T;

export type WorkspaceCommand =
  | { type: 'CreateWorkspace'; data: Created }
  | { type: 'ChangeWorkspace'; data: Ask<Partial<Description>> }
  | { type: 'AttachWorkspace'; data: OfWorkspace & { launchId: string } }
  | { type: 'DetachWorkspace'; data: Ask<{ launchId: string }> }
  | {
      type: 'OpenWorkspace';
      data: OfWorkspace & { launchId: string; deployment: number; overlap: boolean };
    }
  | { type: 'CloseWorkspace'; data: Unowned<OfDeployment> }
  | { type: 'RecordVolumes'; data: Ask<Made> }
  | { type: 'ConfirmVolumesRemoved'; data: Ask<{ generation: number }> }
  | { type: 'WeighWorkspace'; data: Ask<{ generation: number; bytes: number }> }
  | { type: 'RequestSnapshot'; data: Unowned<OfSnapshot> & AskedSnapshot }
  | { type: 'CompleteSnapshot'; data: Unowned<OfSnapshot> & SnapshotContent & { pausedMs: number } }
  | { type: 'FailSnapshot'; data: Unowned<OfSnapshot> & Failed }
  | { type: 'RemoveSnapshot'; data: Unowned<OfSnapshot> }
  | { type: 'ConfirmSnapshotRemoved'; data: Unowned<OfSnapshot> }
  | { type: 'RestoreWorkspace'; data: Unowned<OfSnapshot> }
  | { type: 'CompleteRestore'; data: Ask<Restored> }
  | { type: 'FailRestore'; data: Ask<Failed & { generation: number }> }
  | { type: 'RemoveWorkspace'; data: Unowned<OfWorkspace> }
  | { type: 'ConfirmWorkspaceRemoved'; data: Unowned<OfWorkspace> };

export type Only<T extends WorkspaceCommand['type']> = Extract<WorkspaceCommand, { type: T }>['data'];

export type Snapshot = {
  readonly status: 'asked' | 'taken' | 'removing';
  /** Null: it is still being taken. */
  readonly content: SnapshotContent | null;
};

/** What is being done with the content. One thing at a time. */
export type Operation =
  | {
      readonly kind: 'snapshot';
      readonly snapshotId: string;
      readonly live: boolean;
      readonly cloneId: string | null;
    }
  | { readonly kind: 'restore'; readonly source: WorkspaceSource; readonly generation: number };

export type WorkspaceState = {
  readonly status: 'absent' | 'present' | 'removing' | 'removed';
  readonly appId: string | null;
  readonly name: string;
  readonly bytesMax: number;
  /** Which set of volumes holds the content. Each restore makes another set, and the number of one is never given out again. */
  readonly generation: number;
  /** The highest number of a set that was ever begun. */
  readonly generations: number;
  /** Null: nothing was put in yet. */
  readonly engine: string | null;
  readonly volumes: readonly WorkspaceVolume[];
  /** Sets that are over, and may still be on the engine. */
  readonly discarded: readonly number[];
  readonly attached: string | null;
  /** Deployments of that launch whose containers may write to it. */
  readonly open: readonly number[];
  readonly awaited: number | null;
  readonly operation: Operation | null;
  readonly snapshots: Readonly<Record<string, Snapshot>>;
  /** As they were weighed, or unpacked, last. */
  readonly bytes: number;
  readonly level: WorkspaceLevel;
  /** It was to be a clone, and did not become one. */
  readonly isBroken: boolean;
};

export const noWorkspace: WorkspaceState = {
  status: 'absent',
  appId: null,
  name: '',
  bytesMax: 0,
  generation: 1,
  generations: 1,
  engine: null,
  volumes: [],
  discarded: [],
  attached: null,
  open: [],
  awaited: null,
  operation: null,
  snapshots: {},
  bytes: 0,
  level: 'fits',
  isBroken: false,
};

const nearlyShare = 0.8;
/** An app that writes and removes around the mark is not worth an event each time. */
const fitsAgainShare = 0.7;

export function levelOf(bytes: number, bytesMax: number, before: WorkspaceLevel): WorkspaceLevel {
  if (bytes > bytesMax) return 'full';
  const share = before === 'fits' ? nearlyShare : fitsAgainShare;
  return bytes >= bytesMax * share ? 'nearly' : 'fits';
}

/** Undefined: the deployment may have it now. */
export function obstacleOf(
  { operation, open, level }: Pick<WorkspaceState, 'operation' | 'open' | 'level'>,
  overlap: boolean,
): WorkspaceObstacle | undefined {
  if (operation?.kind === 'restore') return 'restore';
  if (operation?.kind === 'snapshot' && !operation.live) return 'snapshot';
  if (level === 'full') return 'full';
  return open.length > 0 && !overlap ? 'in-use' : undefined;
}

/** Who can go on after the change. One that waits for the container before it stays unless that is gone. */
export function resumedBy(before: WorkspaceState, change: Partial<WorkspaceState>): Resumed | null {
  const { attached: launchId, awaited: deployment, ...after } = { ...before, ...change };
  if (launchId === null || deployment === null || obstacleOf(after, false) !== undefined) return null;
  return { launchId, deployment };
}
