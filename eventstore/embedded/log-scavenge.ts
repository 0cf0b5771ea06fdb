/** Which records nobody can read any more: those of deleted streams, and what metadata has cut off. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventLog } from './log.ts';
import {
  deletedBefore,
  describedStream,
  isMetadataStream,
  metadataType,
  parseMetadata,
} from './log-metadata.ts';
import type { StoredRecord } from './storage.ts';
import { decodeRecordedEvent, tombstoneRevision } from './wire-record.ts';

/** What is still wanted of a stream. */
type Limit = {
  first: number;
  sinceMs: number;
  maxCount: number | undefined;
  /** The newest record of the metadata stream, which is all that is wanted of it. */
  metadata: number;
};

/** Of more streams than these nothing is removed this time: memory is bounded. */
const streamsMax = 500_000;
const pageRecordsMax = 1_000;
const pageBytesMax = 1024 * 1024;
const revisionMax = Number.MAX_SAFE_INTEGER;

/**
 * Reads the whole log once and returns the judgement over its records. Only what is durable now is judged by, and what
 * comes later is kept, so that an append which fails in the meantime has cost nothing.
 */
export async function scavengeRule(
  log: EventLog,
  nowMs: number,
  signal?: AbortSignal,
): Promise<(record: StoredRecord) => boolean> {
  const last = log.storage.lastPosition();
  const limits = await limitsOf(log, last, nowMs, signal);
  return ({ position, stream, revision, createdMs }) => {
    if (position > last) return true;
    if (isMetadataStream(stream)) {
      const limit = limits.get(describedStream(stream));
      return limit === undefined || revision >= limit.metadata;
    }
    const limit = limits.get(stream);
    return limit === undefined || (revision >= limit.first && createdMs >= limit.sinceMs);
  };
}

async function limitsOf(
  log: EventLog,
  last: number,
  nowMs: number,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Limit>> {
  const limits = new Map<string, Limit>();
  let next = 1;
  while (next <= last) {
    signal?.throwIfAborted();
    const page = await log.storage.readAll(next, 'forwards', pageRecordsMax, pageBytesMax);
    const end = page.at(-1)?.position;
    if (end === undefined) break;
    for (const record of page) if (record.position <= last) learn(limits, record, nowMs);
    next = end + 1;
    await nextTurn();
  }
  for (const [stream, limit] of limits) {
    signal?.throwIfAborted();
    if (limit.maxCount === undefined || limit.first >= tombstoneRevision) continue;
    const [head] = await log.storage.readStream(stream, revisionMax, 'backwards', 1);
    if (head !== undefined) limit.first = Math.max(limit.first, head.revision - limit.maxCount + 1);
  }
  return limits;
}

function learn(limits: Map<string, Limit>, record: StoredRecord, nowMs: number): void {
  const { stream, revision, type } = record;
  const isMetadata = isMetadataStream(stream) && type === metadataType;
  const isTombstone = revision >= tombstoneRevision;
  if (!isMetadata && !isTombstone) return;
  const name = isMetadata ? describedStream(stream) : stream;
  const known = limits.get(name);
  if (known === undefined && limits.size >= streamsMax) return;
  if (isTombstone) {
    limits.set(name, {
      first: tombstoneRevision,
      sinceMs: 0,
      maxCount: undefined,
      metadata: known?.metadata ?? 0,
    });
    return;
  }
  const { maxCount, maxAgeMs, truncateBefore } = parseMetadata(decodeRecordedEvent(record.wire).data);
  const isGone = (known?.first ?? 0) >= tombstoneRevision || truncateBefore >= deletedBefore;
  limits.set(name, {
    first: isGone ? tombstoneRevision : truncateBefore,
    sinceMs: maxAgeMs === undefined ? 0 : nowMs - maxAgeMs,
    maxCount,
    metadata: revision,
  });
}
