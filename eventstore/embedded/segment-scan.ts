/** Reads a segment from one address to another in order, a chunk at a time: for recovery, scavenging and verification. */

import { readBytes } from './segment-files.ts';
import {
  entryEnd,
  entryHeaderBytes,
  findMarkerAfter,
  isAllSynced,
  isCommit,
  isIntact,
  isMarker,
  markerBytes,
} from './segment-format.ts';

/** Small enough that what is done between two reads stalls nobody. */
const chunkBytes = 256 << 10;
/** No append is larger; a longer entry means that its length is damaged. */
const entryBytesMax = 64 << 20;

export type ScannedEntry = {
  readonly offset: number;
  /** The whole entry with its header; only valid until the visitor returns. */
  readonly entry: Buffer;
  readonly wire: Buffer;
  readonly commit: boolean;
};

export type ScanEnd = {
  /** Where the first entry begins that is not whole and sound, or `end`. */
  readonly stoppedAt: number;
  /** End of the last complete commit, or of the marker behind it. */
  readonly committedTo: number;
  /** Whether a marker stands there: everything before it had been synced. */
  readonly isMarked: boolean;
};

/**
 * Visits every sound record from `start` on, until `end` or the first entry that is not as it was written, or of which the
 * visitor says `false`: it does not belong here.
 */
export async function scanSegment(
  fd: number,
  salt: number,
  start: number,
  end: number,
  visit: (entry: ScannedEntry) => unknown,
  afterChunk?: () => Promise<void>,
): Promise<ScanEnd> {
  let at = start;
  let committedTo = start;
  let isMarked = false;
  let inAppend = false;
  let size = chunkBytes;
  while (at < end) {
    const chunk = await readBytes(fd, at, Math.min(size, end - at));
    let next = 0;
    while (next < chunk.length) {
      const stop = entryEnd(chunk, next);
      if (stop === undefined || (stop > chunk.length && stop - next <= entryBytesMax)) break;
      if (stop > chunk.length || !isIntact(chunk, next, stop, salt))
        return { stoppedAt: at + next, committedTo, isMarked };
      const marker = isMarker(chunk, next);
      const commit = isCommit(chunk, next);
      if (!marker) {
        const wire = chunk.subarray(next + entryHeaderBytes, stop);
        const entry = { offset: at + next, entry: chunk.subarray(next, stop), wire, commit };
        if (visit(entry) === false) return { stoppedAt: at + next, committedTo, isMarked };
        inAppend = !commit;
      }
      if (!inAppend) {
        committedTo = at + stop;
        isMarked = marker && isAllSynced(chunk, next);
      }
      next = stop;
    }
    at += next;
    await afterChunk?.();
    const whole = chunk.length < size || at >= end;
    size = next === 0 ? size * 4 : chunkBytes;
    if (next === 0 && (whole || size > entryBytesMax * 4)) break;
  }
  return { stoppedAt: at, committedTo, isMarked };
}

/** Whether damage at `offset` lies in what was already synced: some group was begun after it. Answers its address. */
export async function findLaterGroup(
  fd: number,
  salt: number,
  base: number,
  offset: number,
  end: number,
): Promise<number | undefined> {
  for (let at = offset; at < end; at += chunkBytes) {
    const bytes = await readBytes(fd, at, Math.min(chunkBytes + markerBytes, end - at));
    const found = findMarkerAfter(bytes, base + at, base + offset, salt);
    if (found !== undefined) return found;
  }
  return undefined;
}
