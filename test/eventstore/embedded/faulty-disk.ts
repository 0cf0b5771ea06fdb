/** A disk that does as a test says: short writes, no room, refused syncs, and a sync that takes as long as it is held. */
import { nodeDisk, type SegmentDisk } from '../../../eventstore/embedded/segment-files.ts';

export type FaultyDisk = SegmentDisk & {
  syncs: number;
  writes: number;
  /** At most so many bytes a write. */
  writeBytesMax: number;
  /** So many bytes may still be written before there is no room. */
  roomBytes: number;
  /** What every write, sync or truncation fails with, as long as it is set. */
  fails: { write?: Error | undefined; sync?: Error | undefined; truncate?: Error | undefined };
  /** While set, a sync waits for it. */
  held: Promise<void> | undefined;
};

export const diskError = (code: string) => Object.assign(new Error(`${code}: injected`), { code });

export function faultyDisk(): FaultyDisk {
  const disk: FaultyDisk = {
    syncs: 0,
    writes: 0,
    writeBytesMax: Number.POSITIVE_INFINITY,
    roomBytes: Number.POSITIVE_INFINITY,
    fails: {},
    held: undefined,
    async write(fd, bytes, position) {
      disk.writes += 1;
      if (disk.fails.write !== undefined) throw disk.fails.write;
      const length = Math.min(bytes.length, disk.writeBytesMax, disk.roomBytes);
      if (length === 0) throw diskError('ENOSPC');
      disk.roomBytes -= length;
      return nodeDisk.write(fd, bytes.subarray(0, length), position);
    },
    async sync(fd) {
      disk.syncs += 1;
      await disk.held;
      if (disk.fails.sync !== undefined) throw disk.fails.sync;
      await nodeDisk.sync(fd);
    },
    async truncate(fd, bytes) {
      if (disk.fails.truncate !== undefined) throw disk.fails.truncate;
      await nodeDisk.truncate(fd, bytes);
    },
  };
  return disk;
}
