/** The volumes of a workspace before a container has them: made where they are new, filled with what the image brings along. */
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type Dockerode from 'dockerode';
import { runAs } from './docker-confine.ts';
import { openHand, removeHandsOf } from './docker-hand.ts';
import { type ImageVolume, imageFacts } from './docker-image-facts.ts';
import { type Engine, LaunchFailure } from './docker-types.ts';
import { makeVolume, refuseTooMany, requireVolume } from './docker-volume.ts';
import { type PrepareRequest, WorkspaceFailure, type Workspaces } from './docker-workspace-types.ts';
import { setOwner, type TarHeader, tarHeaders } from './tar-headers.ts';

type Owner = { readonly uid: number; readonly gid: number };
type New = ImageVolume & { readonly name: string };

export async function prepareVolumes(
  engine: Engine,
  { set, container, perAppMax }: PrepareRequest,
): ReturnType<Workspaces['prepare']> {
  const image = await imageFacts(engine, container.image);
  if (image.volumes.length === 0) {
    throw new LaunchFailure('The image declares no VOLUME, so a workspace would keep nothing of it');
  }
  const known = new Map(set.volumes.map(({ path: at, name }) => [at, name]));
  const added = image.volumes.filter(volume => !known.has(volume.path));
  try {
    for (const volume of image.volumes) {
      const name = known.get(volume.path);
      if (name !== undefined) await requireVolume(engine, name);
    }
  } catch (error) {
    throw error instanceof WorkspaceFailure ? new LaunchFailure(error.message, { cause: error }) : error;
  }
  if (added.length > 0) {
    const { appId, eventId } = container;
    const { workspaceId, generation } = set;
    const tooMany = await refuseTooMany(engine, { appId, workspaceId }, perAppMax);
    if (tooMany !== undefined) throw new LaunchFailure(tooMany);
    await removeHandsOf(engine, set);
    const made: New[] = [];
    for (const volume of added) {
      const name = await makeVolume(engine, { workspaceId, generation, appId, eventId }, volume.path);
      made.push({ ...volume, name });
      known.set(volume.path, name);
    }
    await fill(engine, set, container.image, made, runAs({ request: container, image }));
  }
  const volumes = image.volumes.map(({ path: at }) => ({ path: at, name: known.get(at) ?? '' }));
  return { engine: engine.name, volumes };
}

/**
 * The engine would copy by itself what the image has there, and would do so again whenever the volume is empty; and what it
 * copies may belong to nobody whom the container may be.
 */
async function fill(
  engine: Engine,
  set: PrepareRequest['set'],
  image: string,
  volumes: readonly New[],
  { user, isDemoted }: { user: Owner; isDemoted: boolean },
): Promise<void> {
  const mounts = volumes.map(
    ({ name, path: at }): Dockerode.MountSettings => ({
      Type: 'volume',
      Source: name,
      Target: at,
      VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: 'local', Options: {} } },
    }),
  );
  const from = await openHand(engine, { set, what: 'look', image, mounts: [] });
  try {
    const into = await openHand(engine, { set, what: 'prepare', mounts });
    try {
      for (const volume of volumes) {
        const own = ownerOf(volume, user, isDemoted);
        await copy(from.container, into.container, volume.path, own);
      }
    } finally {
      await into.close();
    }
  } finally {
    await from.close();
  }
}

/** An empty folder is of whoever runs the image; what is in one is of whom the image says, unless its root runs as nobody. */
function ownerOf({ isEmpty }: ImageVolume, user: Owner, isDemoted: boolean): (header: TarHeader) => void {
  return header => {
    if (header.isExtra) return;
    if (isEmpty || (isDemoted && header.uid === 0)) setOwner(header, user);
  };
}

async function copy(
  from: Dockerode.Container,
  into: Dockerode.Container,
  at: string,
  change: (header: TarHeader) => void,
): Promise<void> {
  let isFirst = true;
  const headers = tarHeaders(header => {
    if (isFirst && !header.isFolder) throw new LaunchFailure(`The volume ${at} of the image is no folder`);
    isFirst = false;
    change(header);
  });
  const source = await from.getArchive({ path: at });
  const put = into.putArchive(headers, { path: path.posix.dirname(at) }).catch(error => {
    headers.destroy();
    throw error;
  });
  await Promise.all([pipeline(source, headers), put]);
}
