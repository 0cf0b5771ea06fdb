/** Putting a snapshot back, and filling a clone: into volumes of their own, which take over in one event when all is in. */
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { stateOf } from '../../commands/execute.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type {
  Operation,
  SnapshotContent,
  WorkspaceSource,
  WorkspaceState,
} from '../../domain/apps/workspace-state.ts';
import type { Recorded } from '../../domain/events.ts';
import { messageCharsMax } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { faultPoint } from '../../platform/fault.ts';
import { WorkspaceFailure } from '../adapters/docker-workspace-types.ts';
import { attempt, causedBy, type Effect, textOf } from '../effect.ts';
import { counted } from './workspace-snapshot.ts';
import type { WorkspaceDeps } from './workspace-use.ts';

const atOnce = 2;
/** What an archive needs for an entry beside what is in the file: headers, long names, and the end of the last block. */
const entryBytesMax = 16 * 1024;
const slackBytes = 1024 * 1024;

type Present = { readonly state: WorkspaceState; readonly events: readonly Recorded[] };
type PuttingBack = Extract<Operation, { kind: 'restore' }>;

export function restoreWorkspace(deps: WorkspaceDeps): Effect {
  return {
    name: 'restore',
    atOnce,
    async run(data, signal) {
      const workspaceId = textOf(data, 'workspaceId');
      const found = await stateOf(deps.store, workspace, workspaceId);
      const operation = found?.state.operation;
      if (found === null || operation?.kind !== 'restore' || !(await deps.docker.ping()).ok) return;
      const cause = causeOf(found.events);
      if (cause === undefined) return;
      try {
        const content = await contentOf(deps, workspaceId, found, operation, cause);
        if (content === undefined) return;
        await putBack(deps, workspaceId, found.state, operation, content, cause, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof WorkspaceFailure)) throw error;
        const reason = error.message.slice(0, messageCharsMax);
        const failed = { workspaceId, generation: operation.generation, reason, at: deps.clock.now() };
        const command = { type: 'FailRestore', data: failed } as const;
        await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), []);
      }
    },
  };
}

const causeOf = (events: readonly Recorded[]) =>
  events.findLast(({ type }) => type === 'WorkspaceRestoring' || type === 'WorkspaceCreated');

/** Undefined: it is still being taken, and its end sets this going again. */
async function contentOf(
  deps: WorkspaceDeps,
  workspaceId: string,
  own: Present,
  { source }: PuttingBack,
  cause: Recorded,
): Promise<SnapshotContent | undefined> {
  const isOwn = source.workspaceId === workspaceId;
  const from = isOwn ? own : await stateOf(deps.store, workspace, source.workspaceId);
  const snapshot = from?.state.snapshots[source.snapshotId];
  if (snapshot?.status === 'taken' && snapshot.content !== null) return snapshot.content;
  if (snapshot?.status === 'asked') return undefined;
  if (snapshot === undefined && from !== null && source.isNew) {
    return requestFor(deps, workspaceId, source, from, cause);
  }
  throw new WorkspaceFailure('The snapshot is not there any more');
}

/** Asks for the snapshot that a clone is to be filled from, once; and says why there is none where that did not help. */
async function requestFor(
  deps: WorkspaceDeps,
  cloneId: string,
  { workspaceId, snapshotId }: WorkspaceSource,
  { events }: Present,
  cause: Recorded,
): Promise<undefined> {
  const isThis = ({ data }: Recorded) => 'snapshotId' in data && data.snapshotId === snapshotId;
  const last = events.findLast(isThis);
  if (last?.type === 'WorkspaceSnapshotFailed') throw new WorkspaceFailure(last.data.reason);
  if (last !== undefined) throw new WorkspaceFailure('The snapshot is not there any more');
  const data = { workspaceId, snapshotId, live: false, cloneId, at: deps.clock.now() };
  const command = { type: 'RequestSnapshot', data } as const;
  try {
    // Busy: the sweep asks again.
    await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), ['workspace/busy']);
  } catch (error) {
    throw error instanceof Refusal ? new WorkspaceFailure(error.message, { cause: error }) : error;
  }
  faultPoint('clone.asked');
  return undefined;
}

async function putBack(
  deps: WorkspaceDeps,
  workspaceId: string,
  state: WorkspaceState,
  { generation }: PuttingBack,
  content: SnapshotContent,
  cause: Recorded,
  signal: AbortSignal,
): Promise<void> {
  const { bytesMax, appId, engine } = state;
  if (content.contentBytes > bytesMax) {
    throw new WorkspaceFailure(
      `The snapshot holds ${content.contentBytes} bytes, and the workspace may hold ${bytesMax}`,
    );
  }
  const begun = performance.now();
  const request = {
    set: { workspaceId, generation, engine },
    appId: appId ?? '',
    eventId: cause.id,
    paths: content.paths,
    perAppMax: deps.workspaces.perAppMax,
  };
  faultPoint('restore.begun');
  const made = await unpack(deps, request, content, signal);
  faultPoint('restore.unpacked');
  const restoredInMs = Math.round(performance.now() - begun);
  const data = {
    workspaceId,
    generation,
    ...made,
    bytes: content.contentBytes,
    restoredInMs,
    at: deps.clock.now(),
  };
  const command = { type: 'CompleteRestore', data } as const;
  await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), []);
  faultPoint('restore.told');
}

type Unpack = Parameters<WorkspaceDeps['docker']['workspaces']['unpack']>[0];

/** What comes is held against what was stored: no more than it held is unpacked, and nothing of another content is kept. */
async function unpack(
  { docker, objects }: WorkspaceDeps,
  request: Unpack,
  { key, sha256, contentBytes, entries }: SnapshotContent,
  signal: AbortSignal,
) {
  const stored = await objects.get(key);
  if (stored === undefined) throw new WorkspaceFailure(`The object ${key} is not in the store any more`);
  const hash = createHash('sha256');
  const sum = counted((_length, chunk) => hash.update(chunk));
  const tarBytesMax = contentBytes + entries * entryBytesMax + slackBytes;
  let tarBytes = 0;
  const bound = counted(length => {
    tarBytes += length;
    if (tarBytes > tarBytesMax)
      throw new WorkspaceFailure('The object is not the one that was stored: it holds more');
  });
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const streams = [stored.stream, sum, createZstdDecompress(), bound] as const;
  const read = pipeline(...streams, { signal: until }).catch(error => {
    // It may have failed before there was anybody to write, who would then wait for ever.
    stop.abort(error);
    const isCorrupt = error instanceof Error && 'code' in error && /^Z(STD)?_/.test(String(error.code));
    if (!isCorrupt) throw error;
    throw new WorkspaceFailure('The object is not the one that was stored: it cannot be read', {
      cause: error,
    });
  });
  const written = docker.workspaces.unpack(request, bound, until).catch(error => {
    stop.abort(error);
    throw error;
  });
  // The reader knows better what is wrong with the object, the writer what is wrong with the engine.
  const [reading, writing] = await Promise.allSettled([read, written]);
  signal.throwIfAborted();
  if (reading.status === 'rejected' && reading.reason instanceof WorkspaceFailure) throw reading.reason;
  if (writing.status === 'rejected') throw writing.reason;
  if (reading.status === 'rejected') throw reading.reason;
  if (hash.digest('hex') !== sha256) {
    throw new WorkspaceFailure('The object is not the one that was stored: its checksum is another');
  }
  return writing.value;
}
