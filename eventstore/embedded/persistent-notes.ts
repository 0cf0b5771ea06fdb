/** What a persistent subscription keeps in the log itself: how far it has come, and what it has put aside. */
import { randomUUID } from 'node:crypto';
import { type EventLog, linkType } from './log.ts';
import { StreamNotFound } from './log-errors.ts';
import { deletedBefore, metadataStream, metadataType } from './log-metadata.ts';
import { type GroupName, groupKey } from './persistent-errors.ts';
import { placeOf, placeText } from './persistent-settings.ts';
import type { NewRecord, StoredRecord } from './storage.ts';
import { decodeRecordedEvent, tombstoneRevision } from './wire-record.ts';

const checkpointType = '$SubscriptionCheckpoint';
/** Older notes of the same kind are of no use to anybody. */
const notesKept = 2;
const noBytes = new Uint8Array();

export function jsonRecord(type: string, value: unknown): NewRecord {
  const data = Buffer.from(JSON.stringify(value));
  return { id: randomUUID(), type, contentType: 'application/json', data, metadata: noBytes };
}

/** Appends a note to a stream of which only the newest count. */
export async function appendNote(log: EventLog, stream: string, note: NewRecord): Promise<void> {
  if (log.storage.head(stream) === undefined) {
    await log.append(metadataStream(stream), 'any', [jsonRecord(metadataType, { $maxCount: notesKept })]);
  }
  await log.append(stream, 'any', [note]);
}

/** The newest note's JSON; undefined when there is none. */
export async function readNote(log: EventLog, stream: string): Promise<unknown> {
  const [newest] = await readParked(log, stream, tombstoneRevision, 1, 'backwards');
  if (newest === undefined) return undefined;
  return JSON.parse(Buffer.from(decodeRecordedEvent(newest.wire).data).toString('utf8'));
}

async function readParked(
  log: EventLog,
  stream: string,
  from: number,
  limit: number,
  direction: 'forwards' | 'backwards' = 'forwards',
): Promise<readonly StoredRecord[]> {
  try {
    return (await log.readStream(stream, from, direction, limit, pageBytesMax)).records;
  } catch (error) {
    if (error instanceof StreamNotFound) return [];
    throw error;
  }
}
const pageBytesMax = 256 * 1024;

export class Notes {
  readonly #log: EventLog;
  readonly #isAll: boolean;
  readonly #checkpoints: string;
  readonly #parked: string;

  constructor(log: EventLog, name: GroupName) {
    this.#log = log;
    this.#isAll = name.stream === '$all';
    this.#checkpoints = `$persistentsubscription-${groupKey(name)}-checkpoint`;
    this.#parked = `$persistentsubscription-${groupKey(name)}-parked`;
  }

  /** Undefined: nothing has been settled yet. */
  async readCheckpoint(): Promise<number | undefined> {
    return placeOf(await readNote(this.#log, this.#checkpoints));
  }

  writeCheckpoint(place: number): Promise<void> {
    const note = jsonRecord(checkpointType, placeText(this.#isAll, place));
    return appendNote(this.#log, this.#checkpoints, note);
  }

  /** Resolves when it is durable: only then may the message count as settled. */
  async park(record: StoredRecord, replayed: boolean, reason: string): Promise<void> {
    // A message that is parked again is a link already, and what it points to is what is parked.
    const data = replayed
      ? decodeRecordedEvent(record.wire).data
      : Buffer.from(`${record.revision}@${record.stream}`);
    const metadata = Buffer.from(JSON.stringify({ added: new Date().toISOString(), reason }));
    const link = {
      id: randomUUID(),
      type: linkType,
      contentType: 'application/json',
      data,
      metadata,
    } as const;
    await this.#log.append(this.#parked, 'any', [link]);
  }

  /** The first parked revision that counts, and the one behind the last. */
  async parkedRange(): Promise<{ first: number; next: number }> {
    const next = (this.#log.storage.head(this.#parked)?.revision ?? -1) + 1;
    const { truncateBefore } = await this.#log.metadata(this.#parked);
    return { first: truncateBefore >= deletedBefore ? next : Math.min(truncateBefore, next), next };
  }

  readParked(from: number, limit: number): Promise<readonly StoredRecord[]> {
    return readParked(this.#log, this.#parked, from, limit);
  }

  /** What was parked before this revision has been replayed and settled. */
  async forgetParked(before: number): Promise<void> {
    await this.#log.append(metadataStream(this.#parked), 'any', [jsonRecord(metadataType, { $tb: before })]);
  }

  /** With the group goes what it has noted. */
  async remove(): Promise<void> {
    for (const stream of [this.#checkpoints, this.#parked]) {
      if (this.#log.storage.head(stream) !== undefined) await this.#log.softDelete(stream, 'any');
    }
  }
}
