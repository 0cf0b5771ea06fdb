/**
 * The log in a process of its own, to be killed: `node crash-server.ts <directory> <options as JSON>`. Opens the log at the
 * first message and tells its port; a second one makes room on the disk.
 */
import { once } from 'node:events';
import { nodeDisk, type SegmentDisk } from '../../../eventstore/embedded/segment-files.ts';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';

export type CrashOptions = {
  readonly segmentBytesMax: number;
  /** Every write takes at most so many bytes, and a turn of the event loop: a kill finds half of a group written. */
  readonly writeBytesMax?: number;
  /** So many bytes of appends fit until there is no room, for as long as no message says otherwise. */
  readonly roomBytes?: number;
  /** Rewrites closed segments all the time, without the streams that begin so. */
  readonly scavenged?: string;
};

const [, , directory = '', json = '{}'] = process.argv;
const options: CrashOptions = JSON.parse(json);
let roomBytes = options.roomBytes ?? Number.POSITIVE_INFINITY;

const disk: SegmentDisk = {
  ...nodeDisk,
  async write(fd, bytes, position) {
    const length = Math.min(bytes.length, options.writeBytesMax ?? bytes.length, roomBytes);
    if (length === 0) throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' });
    roomBytes -= length;
    if (length < bytes.length) await new Promise(resolve => setImmediate(resolve));
    return nodeDisk.write(fd, bytes.subarray(0, length), position);
  },
};

process.on('disconnect', () => process.exit());
await once(process, 'message');
process.on('message', () => {
  roomBytes = Number.POSITIVE_INFINITY;
});

try {
  const storage = await openSegmentStorage({ directory, disk, segmentBytesMax: options.segmentBytesMax });
  const { port } = await startLogServer({ storage, port: 0 });
  process.send?.({ port });
  const prefix = options.scavenged;
  while (prefix !== undefined) {
    await storage.scavenge(({ stream }) => !stream.startsWith(prefix)).catch(() => undefined);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
} catch (error) {
  const { name, message, position } = error as Error & { position?: number };
  process.send?.({ failure: { name, message, position } }, () => process.exit(1));
}
