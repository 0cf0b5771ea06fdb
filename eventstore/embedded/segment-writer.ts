/**
 * Group commit: one group is written and synced at a time, and whatever arrives meanwhile is the next group. So 32
 * writers share a sync, and a lone one waits for nobody.
 */

import type { Segment } from './segment.ts';
import { isOutOfRoom, type SegmentDisk, writeFully } from './segment-files.ts';
import { entryHeaderBytes, markerBytes, sealEntry, writeMarker } from './segment-format.ts';
import type { MemoryIndex } from './segment-index.ts';
import {
  type Appended,
  type Durability,
  type NewRecord,
  StorageFailed,
  StorageFull,
  type StoredRecord,
} from './storage.ts';
import { writeRecordedEvent } from './wire-record.ts';

/** The segment that is written to. `written` bytes are in the file, `synced` of them durable. */
export type OpenSegment = {
  readonly segment: Segment;
  readonly index: MemoryIndex;
  readonly fd: number;
  readonly salt: number;
  written: number;
  synced: number;
  /** A marker behind everything says that all of it is synced; or there is nothing. */
  isMarked: boolean;
};

type Waiting = {
  readonly stream: string;
  readonly firstRevision: number;
  readonly records: readonly NewRecord[];
  readonly createdMs: number;
  readonly bytesMax: number;
  resolve(appended: Appended): void;
  reject(error: Error): void;
};

export type WriterOptions = {
  readonly disk: SegmentDisk;
  readonly durability: Durability;
  readonly segmentBytesMax: number;
  /** The segment to write to now. */
  current(): OpenSegment;
  /** Begins the next segment. */
  roll(): Promise<void>;
  /** Called in order with what is durable from now on, one append at a time. */
  onDurable(records: readonly StoredRecord[]): void;
  onFailure(error: Error): void;
  /** The first append failed for want of room; and the first one that succeeded again. */
  onFull(error: Error): void;
  onRoom(): void;
};

const groupBytesMax = 8 << 20;
const groupAppendsMax = 4096;
const waitingMax = 65_536;
const appendBytesMax = 64 << 20;
/** Of a record besides names and bytes: field tags, lengths, numbers, keys of the metadata map. */
const recordFixedBytes = 200 + entryHeaderBytes;

function bytesAtMost(stream: string, records: readonly NewRecord[]): number {
  let bytes = 0;
  for (const record of records) {
    const text = record.id.length + stream.length + record.type.length + record.contentType.length;
    bytes += recordFixedBytes + 3 * text + record.data.length + record.metadata.length;
  }
  return bytes;
}

export class GroupWriter {
  readonly #options: WriterOptions;
  readonly #accepted = new Map<string, { revision: number; waiting: number }>();
  #queue: Waiting[] = [];
  readonly #tasks: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  #failed: StorageFailed | undefined;
  #isFull = false;
  #syncing: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
    if (typeof options.durability === 'object') {
      this.#timer = setInterval(() => this.#syncSoon(), options.durability.intervalMs);
      this.#timer.unref();
    }
  }

  /** The last accepted revision of a stream that has appends under way. */
  acceptedHead(stream: string): number | undefined {
    return this.#accepted.get(stream)?.revision;
  }

  append(stream: string, firstRevision: number, records: readonly NewRecord[]): Promise<Appended> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    const bytesMax = bytesAtMost(stream, records);
    if (bytesMax > appendBytesMax)
      return Promise.reject(new StorageFailed('an append this large cannot be stored'));
    if (records.length === 0)
      return Promise.reject(new StorageFailed('an append without records cannot be stored'));
    if (this.#queue.length >= waitingMax)
      return Promise.reject(new StorageFailed('too many appends are waiting for the disk'));
    const head = this.#accepted.get(stream) ?? { revision: 0, waiting: 0 };
    head.revision = firstRevision + records.length - 1;
    head.waiting += 1;
    this.#accepted.set(stream, head);
    return new Promise((resolve, reject) => {
      this.#queue.push({ stream, firstRevision, records, createdMs: Date.now(), bytesMax, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Runs the task while no group is being written; appends that come meanwhile wait. */
  betweenGroups(task: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => task().then(resolve, reject));
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is waiting and everything written is durable; then the storage may close. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#running !== undefined) await this.#running;
    await this.#syncing;
    await this.#syncNow();
    await this.#mark();
  }

  /** Resolves when the sync that is under way beside the groups, if any, has ended. */
  lastSync(): Promise<void> {
    return this.#syncing;
  }

  /** Whatever is found damaged before this marker, no crash has torn it. Without room for it nothing is lost. */
  async #mark(): Promise<void> {
    const open = this.#options.current();
    if (open.isMarked || this.#failed !== undefined) return;
    const bytes = Buffer.alloc(markerBytes);
    const address = open.segment.base + open.written;
    writeMarker(bytes, 0, open.salt, address, address);
    try {
      await writeFully(this.#options.disk, open.fd, bytes, open.written);
      await this.#options.disk.sync(open.fd);
    } catch {
      await this.#takeBack();
    }
  }

  async #run(): Promise<void> {
    // What other sockets bring in this turn of the event loop joins the first group.
    await new Promise(resolve => setImmediate(resolve));
    while (this.#queue.length > 0 || this.#tasks.length > 0) {
      await this.#tasks.shift()?.();
      if (this.#queue.length === 0) continue;
      const group = this.#takeGroup();
      try {
        await this.#writeGroup(group);
      } catch (error) {
        await this.#failGroup(group, error);
      }
    }
    this.#running = undefined;
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytesMax;
      if (count > 0 && (bytes > groupBytesMax || count === groupAppendsMax)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    const { disk, durability, segmentBytesMax } = this.#options;
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#options.current().written >= segmentBytesMax) await this.#options.roll();
    const open = this.#options.current();
    const { bytes, appends } = encodeGroup(group, open);
    await writeFully(disk, open.fd, bytes, open.written);
    if (durability === 'always') {
      await disk.sync(open.fd);
      open.synced = open.written + bytes.length;
    }
    open.written += bytes.length;
    open.isMarked = false;
    if (this.#isFull) this.#options.onRoom();
    this.#isFull = false;
    for (const [at, records] of appends.entries()) this.#publish(open, group[at], records);
  }

  #publish(open: OpenSegment, waiting: Waiting | undefined, records: readonly StoredRecord[]): void {
    const last = records.at(-1);
    if (waiting === undefined || last === undefined) return;
    for (const { stream, revision, position } of records) {
      const place = position - open.segment.base;
      open.index.add(stream, revision, place, place);
    }
    open.segment.readableTo = last.position - open.segment.base + entryHeaderBytes + last.wire.length;
    this.#release(waiting.stream);
    waiting.resolve({ position: last.position, revision: last.revision });
    this.#options.onDurable(records);
  }

  #release(stream: string): void {
    const head = this.#accepted.get(stream);
    if (head === undefined) return;
    head.waiting -= 1;
    if (head.waiting === 0) this.#accepted.delete(stream);
  }

  /** Takes back the group, and what was accepted after it for the same streams. */
  async #failGroup(group: readonly Waiting[], cause: unknown): Promise<void> {
    const full = isOutOfRoom(cause);
    const error = full
      ? new StorageFull('no room left on the disk of the log', { cause })
      : new StorageFailed('the disk of the log refused a write', undefined, { cause });
    if (!full) this.#failForGood(error);
    else if (!this.#isFull) this.#options.onFull(error);
    this.#isFull ||= full;
    await this.#takeBack();
    const streams = new Set(group.map(waiting => waiting.stream));
    const gone = [...group];
    this.#queue = this.#queue.filter(waiting => {
      const stays = this.#failed === undefined && !streams.has(waiting.stream);
      if (!stays) gone.push(waiting);
      return stays;
    });
    for (const { stream } of gone) this.#accepted.delete(stream);
    for (const waiting of gone) waiting.reject(error);
  }

  /** Cuts what was half written. If even that fails, only a restart can say what the file holds. */
  async #takeBack(): Promise<void> {
    const open = this.#options.current();
    try {
      await this.#options.disk.truncate(open.fd, open.written);
    } catch (cause) {
      this.#failForGood(new StorageFailed('a failed write cannot be undone', undefined, { cause }));
    }
  }

  #failForGood(error: Error): void {
    if (this.#failed !== undefined) return;
    this.#failed =
      error instanceof StorageFailed ? error : new StorageFailed(error.message, undefined, { cause: error });
    this.#options.onFailure(this.#failed);
  }

  #syncSoon(): void {
    this.#syncing = this.#syncing.then(() => this.#syncNow());
  }

  async #syncNow(): Promise<void> {
    const open = this.#options.current();
    const { written } = open;
    if (open.synced >= written || this.#failed !== undefined) return;
    try {
      await this.#options.disk.sync(open.fd);
      open.synced = Math.max(open.synced, written);
    } catch (cause) {
      this.#failForGood(new StorageFailed('the disk of the log refused to sync', undefined, { cause }));
    }
  }
}

/** The bytes of a group as they go behind what is written, and its records as views into them. */
function encodeGroup(
  group: readonly Waiting[],
  open: OpenSegment,
): { bytes: Buffer; appends: StoredRecord[][] } {
  const size = group.reduce((sum, waiting) => sum + waiting.bytesMax, markerBytes);
  const bytes = Buffer.allocUnsafeSlow(size);
  const start = open.segment.base + open.written;
  writeMarker(bytes, 0, open.salt, start, open.segment.base + open.synced);
  let at = markerBytes;
  const appends = group.map(({ stream, firstRevision, records, createdMs }) =>
    records.map((record, index): StoredRecord => {
      const position = start + at;
      const revision = firstRevision + index;
      const end = writeRecordedEvent(bytes, at + entryHeaderBytes, {
        ...record,
        stream,
        revision,
        position,
        createdMs,
      });
      sealEntry(bytes, at, end, open.salt, { commit: index === records.length - 1 });
      const wire = bytes.subarray(at + entryHeaderBytes, end);
      at = end;
      return { position, stream, revision, id: record.id, type: record.type, createdMs, wire };
    }),
  );
  return { bytes: bytes.subarray(0, at), appends };
}
