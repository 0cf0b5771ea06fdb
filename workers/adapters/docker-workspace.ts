/** Volumes of workspaces on an engine: read, written, weighed, found by their labels, and removed. */
import type { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { findContainer, isStatus, unless } from './docker-found.ts';
import { openHand, removeHandsOf } from './docker-hand.ts';
import { labelOf } from './docker-labels.ts';
import type { Engine } from './docker-types.ts';
import { listVolumes, makeVolume, refuseTooMany, requireVolume } from './docker-volume.ts';
import { prepareVolumes } from './docker-workspace-prepare.ts';
import {
  type FoundVolume,
  type UnpackRequest,
  type Weight,
  WorkspaceFailure,
  type Workspaces,
} from './docker-workspace-types.ts';

const root = '/workspace';
const folderCharsMax = 255;
const reasonCharsMax = 400;

export function workspacesOf(engine: Engine): Workspaces {
  return {
    prepare: request => prepareVolumes(engine, request),
    pack: (set, signal) => pack(engine, set, signal),
    unpack: (request, tar, signal) => unpack(engine, request, tar, signal),
    freeze: (launchId, deployment) => freeze(engine, launchId, deployment),
    stateOf: (launchId, deployment) => stateOf(engine, launchId, deployment),
    thaw: (launchId, deployment) => thaw(engine, launchId, deployment),
    frozen: () => frozen(engine),
    weigh: () => weigh(engine),
    list: () => listVolumes(engine),
    remove: volumes => removeVolumes(engine, volumes),
  };
}

/** The path of a volume as the name of one folder, for those who look into an archive themselves. */
function folderOf(path: string): string {
  const folder = encodeURIComponent(path.slice(1));
  if (folder.length <= folderCharsMax && folder !== '' && !/^\.+$/.test(folder)) return folder;
  throw new WorkspaceFailure(`The volume ${path.slice(0, folderCharsMax)} has too long a name`);
}

const mount = (source: string, path: string, isReadOnly: boolean): Dockerode.MountSettings => ({
  Type: 'volume',
  Source: source,
  Target: `${root}/${folderOf(path)}`,
  ReadOnly: isReadOnly,
  VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: 'local', Options: {} } },
});

async function* pack(
  engine: Engine,
  set: Parameters<Workspaces['pack']>[0],
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  const { volumes } = set;
  for (const { name } of volumes) await requireVolume(engine, name);
  const mounts = volumes.map(({ name, path }) => mount(name, path, true));
  const hand = await openHand(engine, { set, what: 'pack', mounts });
  try {
    const asked = { path: root, abortSignal: signal };
    yield* (await hand.container.getArchive(asked)) as AsyncIterable<Buffer>;
  } finally {
    await hand.close();
  }
}

async function unpack(
  engine: Engine,
  { set, appId, eventId, paths, perAppMax }: UnpackRequest,
  tar: Readable,
  signal: AbortSignal,
): ReturnType<Workspaces['unpack']> {
  const { workspaceId, generation } = set;
  const tooMany = await refuseTooMany(engine, { appId, workspaceId }, perAppMax);
  if (tooMany !== undefined) throw new WorkspaceFailure(tooMany);
  // What an attempt before this one has put in is not wanted; and a hand that has it keeps it from going.
  await removeHandsOf(engine, set);
  const of = { workspaceId, generation, appId, eventId };
  const volumes: { path: string; name: string }[] = [];
  for (const path of paths) volumes.push({ path, name: await makeVolume(engine, of, path) });
  const mounts = volumes.map(({ name, path }) => mount(name, path, false));
  const hand = await openHand(engine, { set, what: 'unpack', mounts });
  try {
    await hand.container.putArchive(tar, { path: '/', abortSignal: signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!isStatus(error, 400, 500)) throw error;
    const said = error instanceof Error ? error.message.trim() : String(error);
    const reason = `The engine could not unpack it: ${said.slice(0, reasonCharsMax)}`;
    throw new WorkspaceFailure(reason, { cause: error });
  } finally {
    await hand.close();
  }
  return { engine: engine.name, volumes };
}

async function stateOf(engine: Engine, launchId: string, deployment: number): Promise<string> {
  const found = await findContainer(engine, launchId, deployment);
  if (found === undefined) return 'none';
  try {
    const { State: state } = await engine.api.getContainer(found.containerId).inspect();
    const how = state.Paused ? 'paused' : state.Running ? 'running' : 'still';
    return `${found.containerId} ${how} ${state.StartedAt}`;
  } catch (error) {
    if (isStatus(error, 404)) return 'none';
    throw error;
  }
}

async function freeze(engine: Engine, launchId: string, deployment: number): Promise<string> {
  const found = await findContainer(engine, launchId, deployment);
  // 409: it does not run, or stands still already.
  if (found !== undefined) {
    await engine.api.getContainer(found.containerId).pause().catch(notRunning);
  }
  return await stateOf(engine, launchId, deployment);
}

async function thaw(engine: Engine, launchId: string, deployment: number): Promise<void> {
  const found = await findContainer(engine, launchId, deployment);
  if (found !== undefined) await engine.api.getContainer(found.containerId).unpause().catch(notRunning);
}

/** Engines say it with 409 or 500, and in words. */
function notRunning(error: unknown): void {
  const isSo = error instanceof Error && /not running|already paused|not paused/i.test(error.message);
  if (!isSo) unless(404, 409)(error);
}

async function frozen(engine: Engine) {
  const label = [`${labelOf.instance}=${engine.instance}`, labelOf.launch];
  const containers = await engine.api.listContainers({ filters: { label, status: ['paused'] } });
  return containers.map(({ Labels: labels }) => ({
    launchId: labels[labelOf.launch] ?? '',
    deployment: Number(labels[labelOf.deployment] ?? 1),
  }));
}

type Usage = {
  readonly Volumes?:
    | readonly {
        readonly Name: string;
        readonly Labels?: Readonly<Record<string, string>> | null;
        readonly UsageData?: { readonly Size: number } | null;
      }[]
    | null;
};

/** Newer engines look at volumes alone when told so; older ones weigh everything. */
async function weigh(engine: Engine): Promise<readonly Weight[]> {
  const usage = await new Promise<Usage>((resolve, reject) => {
    const asked = {
      path: '/system/df?',
      method: 'GET',
      options: { type: 'volume' },
      statusCodes: { 200: true, 500: 'server error' },
    };
    engine.api.modem.dial(asked, (error, data) => (error ? reject(error) : resolve(data as Usage)));
  });
  const sums = new Map<string, Weight>();
  for (const { Labels: labels, UsageData: data } of usage.Volumes ?? []) {
    const workspaceId = labels?.[labelOf.workspace];
    if (workspaceId === undefined || labels?.[labelOf.instance] !== engine.instance) continue;
    const generation = Number(labels[labelOf.generation]);
    const key = `${workspaceId}.${generation}`;
    const before = sums.get(key)?.bytes ?? 0;
    sums.set(key, { workspaceId, generation, bytes: before + Math.max(0, data?.Size ?? 0) });
  }
  return [...sums.values()];
}

async function removeVolumes(engine: Engine, volumes: readonly FoundVolume[]): Promise<void> {
  for (const volume of volumes) {
    if (volume.engine !== engine.name) continue;
    await removeHandsOf(engine, volume);
    await engine.api.getVolume(volume.name).remove().catch(unless(404));
  }
}
