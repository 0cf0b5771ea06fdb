/** What an engine holds, in memory: for tests of what goes, which would else take an engine of their own for minutes. */
import type { EngineImage, EngineRoom } from '../../workers/adapters/docker-store-types.ts';
import type { Docker } from '../../workers/adapters/docker-types.ts';

export type FakeEngine = ReturnType<typeof fakeEngine>;

export function fakeEngine() {
  const images = new Map<string, EngineImage>();
  const used = new Set<string>();
  const room = { cacheBytes: 0, freeBytes: Number.POSITIVE_INFINITY };
  /** Whether every engine has answered. */
  const state = { isWhole: true };
  /** What it was asked to do, in order. */
  const asked: string[] = [];
  const key = ({ kind, buildId }: Pick<EngineImage, 'kind' | 'buildId'>) => `${kind} ${buildId}`;
  const docker: Partial<Docker> = {
    ping: async () => ({ ok: true }),
    listImages: async () => [...images.values()],
    surveyImages: async () => ({ images: [...images.values()], isWhole: state.isWhole }),
    async removeImage({ imageId }) {
      if (used.has(imageId)) return 'used';
      asked.push(`remove ${imageId}`);
      for (const image of images.values()) if (image.imageId === imageId) images.delete(key(image));
      return 'removed';
    },
    async rooms(): Promise<EngineRoom[]> {
      const all = [...images.values()];
      return [
        {
          engine: 'default',
          imageBytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
          ownBytes: new Map(all.map(({ imageId, bytes }) => [imageId, bytes])),
          cacheBytes: room.cacheBytes,
          disk: { folder: '/nowhere', freeBytes: room.freeBytes },
        },
      ];
    },
    async pruneCache(_engine, keepBytes) {
      const freed = Math.max(0, room.cacheBytes - keepBytes);
      asked.push(`prune ${freed}`);
      room.cacheBytes -= freed;
      return freed;
    },
  };
  return {
    docker: docker as Docker,
    room,
    state,
    asked,
    /** Images that a container is made of. */
    used,
    put(buildId: string, changes: Partial<EngineImage> = {}) {
      const image: EngineImage = {
        engine: 'default',
        imageId: `sha256:${buildId}`,
        kind: 'image',
        buildId,
        bytes: 100,
        createdAt: new Date(),
        ...changes,
      };
      images.set(key(image), image);
    },
    has: (buildId: string) => images.has(`image ${buildId}`),
    list: () => [...images.keys()].sort(),
  };
}
