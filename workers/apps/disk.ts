/**
 * The disk is never filled: what AppHub uses stays below its ceiling, and so much stays free for everybody else. Where room
 * becomes scarce, BuildKit's cache goes first, then what failed builds have left, then the images that nobody has used for
 * longest. Where there is none, new builds wait and say so; and where builds under way are about to take the last of it, they
 * are ended.
 */
import type { StorageConfig } from '../../platform/storage-config.ts';
import type { EngineRoom } from '../adapters/docker-store-types.ts';
import { folderBytes, freeBytesOf } from '../disk-use.ts';
import { reportStatus } from '../tables.ts';
import type { DiskGuard } from './disk-guard.ts';
import {
  chooseByCount,
  chooseForRoom,
  finishRemovals,
  type ImageDeps,
  type Missed,
  removeLeftovers,
  removeStrangers,
  reportMissing,
} from './images.ts';

/** Of the ceiling: where room begins to be made, and how much is used when it has been. */
const highPart = 0.9;
const lowPart = 0.8;
/** Of what is to stay free: with less than this left, builds are ended. */
const lastPart = 0.5;
/** How often what is dear is looked at: the folder of the data, and the cache of the engine. */
const dataEveryMs = 60_000;
const cacheEveryMs = 300_000;
const strangerMsMin = 10 * 60_000;
const leftoverMsMax = 24 * 3_600_000;
const gb = 1_000_000_000;

export type StorageDeps = StorageConfig & {
  readonly dataDir: string;
  readonly strangerMsMin?: number;
  readonly leftoverMsMax?: number;
};

export type DiskDeps = Omit<ImageDeps, 'perAppMax' | 'strangerMsMin' | 'leftoverMsMax'> & {
  readonly storage: StorageDeps;
  readonly guard: DiskGuard;
};

/** What there is, in bytes. */
type Room = {
  readonly usedBytes: number;
  /** The least of the file systems that can be seen from here; null where none can. */
  readonly freeBytes: number | null;
};

type Seen = { readonly room: Room; readonly engines: readonly EngineRoom[] };

export function openDisk(deps: DiskDeps) {
  const { storage } = deps;
  const images: ImageDeps = {
    ...deps,
    perAppMax: storage.images.perAppMax,
    strangerMsMin: storage.strangerMsMin ?? strangerMsMin,
    leftoverMsMax: storage.leftoverMsMax ?? leftoverMsMax,
  };
  const missed: Missed = new Set();
  const measure = measurer(deps);
  let folders: readonly string[] = [storage.dataDir];
  return {
    /** One look at everything. What is dear to ask is remembered for the next one. */
    async round(): Promise<void> {
      if (!(await deps.docker.ping()).ok) return;
      const { images: found, isWhole } = await deps.docker.surveyImages();
      await finishRemovals(images, found);
      await removeStrangers(images, found);
      if (isWhole) await reportMissing(images, found, missed);
      else missed.clear();
      await chooseByCount(images);
      let seen = await measure();
      const lack = lackOf(seen.room, storage.disk);
      if (lack > 0) {
        await makeRoom(images, lack, seen.engines);
        seen = await measure();
      }
      folders = [storage.dataDir, ...seen.engines.flatMap(({ disk }) => disk?.folder ?? [])];
      const why = whyFull(seen.room, storage.disk);
      await reportStatus(deps.sql, 'disk', why === undefined, why ?? null);
    },
    /** Looks at nothing but what is left, and only while something is built here: a step writes as fast as the disk does. */
    async watch(): Promise<void> {
      if (!deps.guard.isOnGuard()) return;
      const left = await Promise.all(folders.map(freeBytesOf));
      const least = Math.min(...left.filter(bytes => bytes !== null));
      if (least < storage.disk.freeBytesMin * lastPart) {
        deps.guard.end(`The disk is nearly full: the build was ended while ${gbOf(least)} were left`);
      }
    },
  };
}

/** How much has to go. */
export function lackOf({ usedBytes, freeBytes }: Room, limits: StorageConfig['disk']): number {
  const { ceilingBytes, freeBytesMin } = limits;
  const isHigh = ceilingBytes !== null && usedBytes > ceilingBytes * highPart;
  const overCeiling = isHigh ? usedBytes - ceilingBytes * lowPart : 0;
  const underFree = freeBytes === null ? 0 : freeBytesMin - freeBytes;
  return Math.max(0, overCeiling, underFree);
}

/** Undefined: there is room for another image. */
export function whyFull(room: Room, limits: StorageConfig['disk']): string | undefined {
  const { ceilingBytes, freeBytesMin } = limits;
  if (ceilingBytes !== null && room.usedBytes >= ceilingBytes) {
    return `AppHub uses ${gbOf(room.usedBytes)} of the ${gbOf(ceilingBytes)} that it may.`;
  }
  if (room.freeBytes !== null && room.freeBytes < freeBytesMin) {
    return `Only ${gbOf(room.freeBytes)} are free on the disk, where ${gbOf(freeBytesMin)} are to stay free.`;
  }
  return undefined;
}

const gbOf = (bytes: number) => `${(bytes / gb).toFixed(bytes < 10 * gb ? 2 : 1)} GB`;

async function makeRoom(images: ImageDeps, lack: number, engines: readonly EngineRoom[]): Promise<void> {
  let left = lack;
  for (const { engine, cacheBytes } of engines) {
    if (left <= 0 || !cacheBytes) continue;
    left -= await images.docker.pruneCache(engine, Math.max(0, cacheBytes - left));
  }
  const own = new Map(engines.flatMap(({ ownBytes }) => [...ownBytes]));
  if (left > 0) left -= await removeLeftovers(images, own);
  if (left > 0) await chooseForRoom(images, left, own);
}

/** Asks what is cheap each time, and what is dear now and then. */
function measurer({ docker, storage }: DiskDeps): () => Promise<Seen> {
  const never = Number.NEGATIVE_INFINITY;
  let data = { bytes: 0, at: never };
  let cache = { bytes: new Map<string, number>(), at: never };
  let isScarce = false;
  return async () => {
    const now = performance.now();
    if (now - data.at > dataEveryMs) data = { bytes: await folderBytes(storage.dataDir), at: now };
    // What is scarce is asked for anew; where there is plenty nobody needs an exact number.
    const withCache = isScarce || now - cache.at > cacheEveryMs;
    const engines = await docker.rooms({ withCache });
    if (withCache) cache = { bytes: new Map(engines.map(one => [one.engine, one.cacheBytes ?? 0])), at: now };
    const known = engines.map(one => ({ ...one, cacheBytes: cache.bytes.get(one.engine) ?? 0 }));
    const usedBytes = known.reduce((sum, one) => sum + one.imageBytes + one.cacheBytes, data.bytes);
    const free = [await freeBytesOf(storage.dataDir), ...known.map(({ disk }) => disk?.freeBytes ?? null)];
    const seen = free.filter(bytes => bytes !== null);
    const room = { usedBytes, freeBytes: seen.length === 0 ? null : Math.min(...seen) };
    isScarce = lackOf(room, storage.disk) > 0;
    return { room, engines: known };
  };
}
