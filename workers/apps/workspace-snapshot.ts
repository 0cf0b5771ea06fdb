/**
 * Taking a snapshot: what the volumes hold goes, compressed, into a file of this machine while no container writes, and from
 * there into the object store while the app is running again. So an app stands still for as long as its disk is read.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { stateOf } from '../../commands/execute.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type { SnapshotContent, WorkspaceState } from '../../domain/apps/workspace-state.ts';
import type { Recorded } from '../../domain/events.ts';
import { messageCharsMax } from '../../domain/kernel/limits.ts';
import { faultPoint } from '../../platform/fault.ts';
import { WorkspaceFailure } from '../adapters/docker-workspace-types.ts';
import { tarHeaders } from '../adapters/tar-headers.ts';
import { attempt, causedBy, type Effect, textOf } from '../effect.ts';
import { withWorkFolder } from '../work-folder.ts';
import type { WorkspaceDeps } from './workspace-use.ts';

const atOnce = 2;
const readsMax = 3;
/** For so long an app may stand still. */
const pausedMsMax = 120_000;
/** What is asked of the disk matters here, not how small it gets. */
const level = 1;
/** A tar has a header for each file, however small; and what has holes on the disk has none in it. */
const slackBytes = 64 * 1024 * 1024;

type Asked = { readonly workspaceId: string; readonly snapshotId: string };

export function takeSnapshot(deps: WorkspaceDeps): Effect {
  return {
    name: 'snapshot',
    atOnce,
    async run(data, signal) {
      const asked = { workspaceId: textOf(data, 'workspaceId'), snapshotId: textOf(data, 'snapshotId') };
      const found = await takingOf(deps, asked);
      if (found === undefined || !(await deps.docker.ping()).ok) return;
      try {
        await withWorkFolder(deps.workDir, `snapshot-${asked.snapshotId}`, 1, async folder => {
          await mkdir(folder, { recursive: true });
          const file = path.join(folder, 'content');
          const { pausedMs, ...content } = await readPatiently(deps, asked, file, signal);
          faultPoint('snapshot.read');
          await deps.objects.putFile(content.key, file, { contentType: 'application/zstd' });
          faultPoint('snapshot.stored');
          const complete = { ...asked, ...content, pausedMs, at: deps.clock.now() };
          await tell(deps, asked, { type: 'CompleteSnapshot', data: complete }, found.cause);
          faultPoint('snapshot.told');
        });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof WorkspaceFailure)) throw error;
        const reason = error.message.slice(0, messageCharsMax);
        const failed = { ...asked, reason, at: deps.clock.now() };
        await tell(deps, asked, { type: 'FailSnapshot', data: failed }, found.cause);
      }
    },
  };
}

type Outcome = Parameters<typeof attempt<WorkspaceState, Parameters<typeof workspace.decide>[0], never>>[3];

async function tell(
  deps: WorkspaceDeps,
  { workspaceId }: Asked,
  outcome: Outcome,
  cause: Recorded,
): Promise<void> {
  await attempt(deps, workspace, workspaceId, outcome, causedBy(cause, deps.clock), []);
}

/** Undefined: it is taken, or nobody wants it any more. */
async function takingOf(deps: WorkspaceDeps, { workspaceId, snapshotId }: Asked) {
  const found = await stateOf(deps.store, workspace, workspaceId);
  const { operation } = found?.state ?? {};
  if (found === null || operation?.kind !== 'snapshot' || operation.snapshotId !== snapshotId)
    return undefined;
  const cause = found.events.findLast(
    ({ type, data }) => type === 'WorkspaceSnapshotRequested' && data.snapshotId === snapshotId,
  );
  return cause && { state: found.state, live: operation.live, cause };
}

type Read = SnapshotContent & { readonly pausedMs: number };

/** Should a container come or go while it is read, it is read again. */
async function readPatiently(
  deps: WorkspaceDeps,
  asked: Asked,
  file: string,
  signal: AbortSignal,
): Promise<Read> {
  for (let number = 1; number <= readsMax; number += 1) {
    const found = await takingOf(deps, asked);
    if (found === undefined) throw new WorkspaceFailure('Nobody waits for it any more');
    const { state, live } = found;
    if (live) return { ...(await read(deps, asked, state, file, signal)), pausedMs: 0 };
    const done = await readStill(deps, asked, state, file, signal);
    if (done !== undefined) return done;
  }
  throw new WorkspaceFailure('A container came or went each time it was read; ask again');
}

/** Undefined: a container was not still all the time, and what was read may be of two moments. */
async function readStill(
  deps: WorkspaceDeps,
  asked: Asked,
  state: WorkspaceState,
  file: string,
  signal: AbortSignal,
): Promise<Read | undefined> {
  const { workspaces } = deps.docker;
  const launchId = state.attached ?? '';
  const begun = performance.now();
  const late = AbortSignal.timeout(pausedMsMax);
  try {
    const before: string[] = [];
    for (const deployment of state.open) before.push(await workspaces.freeze(launchId, deployment));
    faultPoint('snapshot.frozen');
    const isPaused = before.some(one => one.includes(' paused '));
    const until = isPaused ? AbortSignal.any([signal, late]) : signal;
    const content = await read(deps, asked, state, file, until).catch(error => {
      signal.throwIfAborted();
      if (!isPaused || !late.aborted) throw error;
      const reason = `The app may stand still for ${pausedMsMax / 1_000} s, and reading takes longer: put it to sleep first`;
      throw new WorkspaceFailure(reason, { cause: error });
    });
    const after: string[] = [];
    for (const deployment of state.open) after.push(await workspaces.stateOf(launchId, deployment));
    if (before.some((one, at) => one !== after[at] || one.includes(' running '))) return undefined;
    return { ...content, pausedMs: isPaused ? Math.round(performance.now() - begun) : 0 };
  } finally {
    for (const deployment of state.open) await workspaces.thaw(launchId, deployment);
  }
}

async function read(
  { docker }: WorkspaceDeps,
  { workspaceId, snapshotId }: Asked,
  state: WorkspaceState,
  file: string,
  signal: AbortSignal,
): Promise<SnapshotContent> {
  const { generation, engine, volumes, bytesMax } = state;
  const hash = createHash('sha256');
  let [bytes, tarBytes, contentBytes, entries] = [0, 0, 0, 0];
  const tarBytesMax = 2 * bytesMax + slackBytes;
  const scan = tarHeaders(header => {
    if (header.isExtra) return;
    entries += 1;
    contentBytes += header.size;
  });
  const bound = counted(length => {
    tarBytes += length;
    if (tarBytes > tarBytesMax)
      throw new WorkspaceFailure('It holds far more than it may, at least with its holes filled');
  });
  const sum = counted((length, chunk) => {
    bytes += length;
    hash.update(chunk);
  });
  const zstd = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  const source = Readable.from(docker.workspaces.pack({ workspaceId, generation, engine, volumes }, signal));
  await pipeline(source, bound, scan, zstd, sum, createWriteStream(file), { signal });
  return {
    key: `workspaces/${workspaceId}/${snapshotId}.tar.zst`,
    bytes,
    sha256: hash.digest('hex'),
    contentBytes,
    entries,
    paths: volumes.map(({ path: at }) => at),
  };
}

/** Passes everything on, and looks at it. */
export function counted(look: (length: number, chunk: Buffer) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        look(chunk.length, chunk);
        done(null, chunk);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
}
