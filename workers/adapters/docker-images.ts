/** What lies on an engine: which images there are, what room they take, and how they go. */
import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { isStatus } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { leftoverTag } from './docker-leftovers.ts';
import type { EngineImage, EngineRoom, EngineStore } from './docker-store-types.ts';
import type { Engine } from './docker-types.ts';

const apiWithTypes = [1, 42];

export function engineStore(engine: Engine): EngineStore {
  const histories = new Map<string, readonly Layer[]>();
  return {
    listImages: () => listImages(engine),
    surveyImages: async () => ({ images: await listImages(engine), isWhole: true }),
    removeImage: ({ imageId }) => removeImage(engine, imageId),
    async rooms({ withCache }) {
      const images = await listImages(engine);
      const [{ imageBytes, ownBytes }, cacheBytes, disk] = await Promise.all([
        bytesOf(engine, images, histories),
        withCache ? cacheBytesOf(engine) : null,
        diskOf(engine),
      ]);
      return [{ engine: engine.name, imageBytes, ownBytes, cacheBytes, disk }];
    },
    pruneCache: (_engine, keepBytes) => pruneCache(engine, keepBytes),
  };
}

async function listImages(engine: Engine): Promise<EngineImage[]> {
  const label = [`${labelOf.instance}=${engine.instance}`, labelOf.build];
  const [built, left] = await Promise.all([
    engine.api.listImages({ filters: { label } }),
    engine.api.listImages({ filters: { reference: [leftoverTag(engine, '*')] } }),
  ]);
  const images = built.map(image => found(engine, image, 'image', image.Labels[labelOf.build] ?? ''));
  // One image may be what several builds have left.
  const leftovers = left.flatMap(image =>
    (image.RepoTags ?? [])
      .filter(tag => tag.startsWith(leftoverTag(engine, '')))
      .map(tag => found(engine, image, 'leftover', tag.slice(leftoverTag(engine, '').length))),
  );
  return [...images, ...leftovers];
}

function found(
  engine: Engine,
  { Id: imageId, Size: bytes, Created }: { Id: string; Size: number; Created: number },
  kind: EngineImage['kind'],
  buildId: string,
): EngineImage {
  return { engine: engine.name, imageId, kind, buildId, bytes, createdAt: new Date(Created * 1_000) };
}

/** Never by force: the engine itself refuses to take an image from under a container that was made in this moment. */
async function removeImage(engine: Engine, imageId: string): Promise<'removed' | 'used'> {
  const image = await engine.api.getImage(imageId).inspect().catch(absent);
  if (image === undefined) return 'removed';
  const containers = await engine.api.listContainers({ all: true, filters: { ancestor: [imageId] } });
  if (containers.some(({ ImageID }) => ImageID === image.Id)) return 'used';
  // With its last name it goes; one that has none goes by its id.
  const names = [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])];
  for (const name of [...names, image.Id]) {
    try {
      await engine.api.getImage(name).remove();
    } catch (error) {
      if (isStatus(error, 404)) continue;
      // Another image stands on it, and is all that keeps it: as an image it is gone.
      if (isStatus(error, 409) && /dependent child/.test(String(error))) return 'removed';
      if (isStatus(error, 409)) return 'used';
      throw error;
    }
  }
  return 'removed';
}

type Layer = { readonly id: string; readonly bytes: number };

/** What images take together and each alone. A layer is known by what made it and by all that lies below it. */
async function bytesOf(
  engine: Engine,
  images: readonly EngineImage[],
  histories: Map<string, readonly Layer[]>,
): Promise<Pick<EngineRoom, 'imageBytes' | 'ownBytes'>> {
  const layers = new Map<string, { bytes: number; users: number }>();
  const ids = new Set(images.map(({ imageId }) => imageId));
  for (const id of ids) {
    const known = histories.get(id) ?? (await historyOf(engine, id));
    histories.set(id, known);
    for (const { id: layer, bytes } of known) {
      layers.set(layer, { bytes, users: (layers.get(layer)?.users ?? 0) + 1 });
    }
  }
  for (const id of histories.keys()) if (!ids.has(id)) histories.delete(id);
  const own = (id: string) =>
    (histories.get(id) ?? [])
      .filter(layer => layers.get(layer.id)?.users === 1)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    imageBytes: [...layers.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    ownBytes: new Map([...ids].map(id => [id, own(id)])),
  };
}

async function historyOf(engine: Engine, imageId: string): Promise<readonly Layer[]> {
  type Entry = { Created: number; CreatedBy: string; Size: number };
  const history: readonly Entry[] = (await engine.api.getImage(imageId).history().catch(absent)) ?? [];
  let id = '';
  return history.toReversed().map(({ Created, CreatedBy, Size: bytes }) => {
    id = createHash('sha256').update(`${id} ${Created} ${bytes} ${CreatedBy}`).digest('hex');
    return { id, bytes };
  });
}

type Cached = { readonly Size: number; readonly Shared: boolean };

async function cacheBytesOf(engine: Engine): Promise<number> {
  const { ApiVersion = '' } = await engine.api.version();
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number);
  const [typesMajor = 0, typesMinor = 0] = apiWithTypes;
  const hasTypes = major > typesMajor || (major === typesMajor && minor >= typesMinor);
  const answer = await ask<{ BuildCache?: readonly Cached[] | null }>(engine, {
    method: 'GET',
    path: `/system/df?${hasTypes ? 'type=build-cache' : ''}`,
  });
  // What is shared is a layer of an image, and counted there.
  return (answer.BuildCache ?? []).reduce((sum, { Size, Shared }) => sum + (Shared ? 0 : Size), 0);
}

async function pruneCache(engine: Engine, keepBytes: number): Promise<number> {
  const query = new URLSearchParams({ all: 'true', 'keep-storage': String(Math.floor(keepBytes)) });
  const answer = await ask<{ SpaceReclaimed?: number }>(engine, {
    method: 'POST',
    path: `/build/prune?${query}`,
  });
  return answer.SpaceReclaimed ?? 0;
}

/** For calls whose parameters the client does not pass on. */
function ask<T>(engine: Engine, call: { method: string; path: string }): Promise<T> {
  const options = { ...call, statusCodes: { 200: true, 500: 'server error' } };
  return new Promise((resolve, reject) =>
    engine.api.modem.dial(options as never, (error: unknown, answer: unknown) =>
      error ? reject(error) : resolve(answer as T),
    ),
  );
}

/** Only where the engine is on this machine does its folder mean something here. */
async function diskOf(engine: Engine): Promise<EngineRoom['disk']> {
  if (engine.builds.cgroups === undefined) return null;
  const { DockerRootDir } = await engine.api.info();
  const seen = await statfs(DockerRootDir).catch(() => undefined);
  return seen === undefined ? null : { folder: DockerRootDir, freeBytes: seen.bavail * seen.bsize };
}

function absent(error: unknown): undefined {
  if (!isStatus(error, 404)) throw error;
}
