/**
 * The durable storage of the log: append-only segment files, records in wire encoding, group commit, an index file for
 * each closed segment. Memory is bounded by the segment that is written to plus caches of fixed size.
 * Bytes on disk: segment-format.ts, segment-index-file.ts. What was weighed: docs/decisions/0003-embedded-log.md.
 */
import * as fs from 'node:fs';
import { type Lock, lockDirectory } from './lock.ts';
import { Segment } from './segment.ts';
import { type Backup, writeBackup } from './segment-backup.ts';
import {
  type FoundFile,
  nodeDisk,
  OpenSegments,
  type SegmentDisk,
  segmentPath,
  syncDirectory,
  writeWhole,
} from './segment-files.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';
import { MemoryIndex } from './segment-index.ts';
import { encodeIndexFile } from './segment-index-file.ts';
import { IndexCache, IndexFile } from './segment-index-reader.ts';
import { SegmentList } from './segment-list.ts';
import {
  createSegment,
  ensureIndexFile,
  findGap,
  recoverLast,
  type StorageLog,
  silentLog,
  tidyDirectory,
} from './segment-recovery.ts';
import { rewriteSegment } from './segment-scavenge.ts';
import { GroupWriter, type OpenSegment } from './segment-writer.ts';
import {
  type Appended,
  type Durability,
  type Head,
  type NewRecord,
  type Storage,
  StorageFailed,
  type StoredRecord,
} from './storage.ts';

export type SegmentStorageOptions = {
  readonly directory: string;
  /** When an append is answered: after the sync (`always`, the default), or before one that comes later or never. */
  readonly durability?: Durability;
  /** A segment is closed when it has grown past this. */
  readonly segmentBytesMax?: number;
  readonly log?: StorageLog;
  /** For tests that need a disk that fails. */
  readonly disk?: SegmentDisk;
};

const segmentBytesMaxDefault = 64 << 20;
/** More streams than an index can number would fit into a larger one. */
const segmentBytesMaxMax = 256 << 20;
const readBytesMaxDefault = 4 << 20;
const scavengePageMax = 512;

type Settings = Required<SegmentStorageOptions>;

export class SegmentStorage implements Storage {
  readonly #settings: Settings;
  readonly #lock: Lock;
  readonly #files: OpenSegments;
  readonly #indexes: IndexCache;
  readonly #list: SegmentList;
  readonly #writer: GroupWriter;
  readonly #listeners = new Set<(records: readonly StoredRecord[]) => void>();
  #open: OpenSegment;
  #last: number;
  /** The segment that was closed last, until its index is in its file; and the work on that. */
  #unsealed: OpenSegment | undefined;
  #sealing: Promise<void> = Promise.resolve();
  #maintenance: Promise<unknown> = Promise.resolve();

  constructor(
    settings: Settings,
    lock: Lock,
    files: OpenSegments,
    indexes: IndexCache,
    segments: Segment[],
    open: OpenSegment,
  ) {
    this.#settings = settings;
    this.#lock = lock;
    this.#files = files;
    this.#indexes = indexes;
    this.#list = new SegmentList(segments);
    this.#open = open;
    this.#last = 0;
    this.#writer = new GroupWriter({
      disk: settings.disk,
      durability: settings.durability,
      segmentBytesMax: settings.segmentBytesMax,
      current: () => this.#open,
      roll: () => this.#roll(),
      onDurable: records => this.#publish(records),
      onFailure: error =>
        settings.log.error({ err: error }, 'the log takes no more appends until it is restarted'),
      onFull: error => settings.log.error({ err: error }, 'the disk of the log is full: appends fail'),
      onRoom: () => settings.log.info({}, 'the disk of the log has room again'),
    });
  }

  /** Looks for the newest record; the last segment may have none. */
  async findLast(): Promise<void> {
    const [last] = await this.readAll(Number.MAX_SAFE_INTEGER, 'backwards', 1);
    this.#last = last?.position ?? 0;
  }

  append(stream: string, firstRevision: number, records: readonly NewRecord[]): Promise<Appended> {
    return this.#writer.append(stream, firstRevision, records);
  }

  head(stream: string): Head | undefined {
    const revision = this.#writer.acceptedHead(stream) ?? this.#list.head(stream);
    return revision === undefined ? undefined : { revision };
  }

  lastPosition(): number {
    return this.#last;
  }

  readAll(from: number, direction: 'forwards' | 'backwards', limit: number, bytesMax = readBytesMaxDefault) {
    return this.#list.readAll(from, direction, { limit, bytesMax });
  }

  readStream(
    stream: string,
    from: number,
    direction: 'forwards' | 'backwards',
    limit: number,
    bytesMax = readBytesMaxDefault,
  ) {
    return this.#list.readStream(stream, from, direction, { limit, bytesMax });
  }

  onCommit(listener: (records: readonly StoredRecord[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #publish(records: readonly StoredRecord[]): void {
    this.#last = records.at(-1)?.position ?? this.#last;
    for (const listener of this.#listeners) {
      try {
        listener(records);
      } catch (error) {
        this.#settings.log.error({ err: error }, 'a listener to commits of the log threw');
      }
    }
  }

  /** Begins the next segment; the index of the old one is written beside the appends that go on. */
  async #roll(): Promise<void> {
    const { disk, directory, log } = this.#settings;
    await this.#sealed();
    const old = this.#open;
    await disk.sync(old.fd);
    old.synced = old.written;
    const base = old.segment.base + old.written;
    const file = await createSegment(disk, directory, base);
    this.#open = openForWriting(this.#files, file, base);
    this.#list.add(this.#open.segment);
    this.#unsealed = old;
    // Without room it is tried again before the next segment; until then the index stays in memory.
    this.#sealing = this.#seal(old).catch(err =>
      log.error({ err, file }, 'an index of the log is not written yet'),
    );
  }

  /** Resolves when no closed segment has its index in memory only; rejects when there is no room for the file. */
  #sealed(): Promise<void> {
    const sealed = this.#sealing.then(async () => {
      if (this.#unsealed !== undefined) await this.#seal(this.#unsealed);
    });
    this.#sealing = sealed.catch(() => {});
    return sealed;
  }

  async #seal(open: OpenSegment): Promise<void> {
    const { segment, index } = open;
    const file = segmentPath(this.#settings.directory, segment, 'index');
    const note = (stream: string, revision: number) => this.#list.noteHead(stream, revision);
    await writeWhole(
      this.#settings.disk,
      file,
      await encodeIndexFile(index, segment.base, open.written, note),
    );
    segment.index = new IndexFile(this.#indexes, file, segment.base);
    this.#unsealed = undefined;
    await this.#writer.lastSync();
    fs.closeSync(open.fd);
  }

  /** Besides what `keep` wants, the newest record of each stream stays, so that its revisions never begin again. */
  scavenge(
    keep: (record: StoredRecord) => boolean,
    signal?: AbortSignal,
  ): Promise<{ bytesFreed: number; records: number }> {
    return this.#maintain(async () => {
      const wanted = (record: StoredRecord) =>
        keep(record) || this.#list.head(record.stream) === record.revision;
      await this.#rollIfUnwanted(wanted, signal);
      await this.#sealed();
      let bytesFreed = 0;
      let records = 0;
      const open = this.#open.segment;
      for (const segment of this.#list.all.filter(one => one !== open && one.index instanceof IndexFile)) {
        const freed = await this.#scavengeSegment(segment, wanted, signal);
        bytesFreed += freed?.bytesFreed ?? 0;
        records += freed?.records ?? 0;
      }
      this.#settings.log.info({ bytesFreed, records }, 'scavenged the log');
      return { bytesFreed, records };
    });
  }

  /** Closes the segment that is written to if it holds something to be removed. */
  async #rollIfUnwanted(wanted: (record: StoredRecord) => boolean, signal?: AbortSignal): Promise<void> {
    let from = this.#open.segment.base;
    for (;;) {
      signal?.throwIfAborted();
      const page = await this.readAll(from, 'forwards', scavengePageMax);
      const last = page.at(-1);
      if (last === undefined) return;
      if (!page.every(wanted)) break;
      from = last.position + 1;
    }
    await this.#writer.betweenGroups(() => this.#roll());
  }

  async #scavengeSegment(segment: Segment, keep: (record: StoredRecord) => boolean, signal?: AbortSignal) {
    const { disk, directory } = this.#settings;
    const rewritten = await rewriteSegment({ disk, directory, files: this.#files, segment, keep, signal });
    if (rewritten === undefined) return undefined;
    const name = { base: segment.base, generation: rewritten.generation };
    const index = new IndexFile(this.#indexes, segmentPath(directory, name, 'index'), segment.base);
    const next = new Segment(this.#files, segmentPath(directory, name, 'segment'), name, index);
    this.#list.replace(segment, next);
    await this.#list.earlierReads();
    this.#files.forget(segment.path);
    if (segment.index instanceof IndexFile) segment.index.forget();
    fs.rmSync(segment.path, { force: true });
    fs.rmSync(segmentPath(directory, segment, 'index'), { force: true });
    syncDirectory(directory);
    return rewritten;
  }

  /** Copies the log as it is now into one file, while appends go on. See `restoreBackup`. */
  backup(file: string, signal?: AbortSignal): Promise<Backup> {
    return this.#maintain(async () => {
      const parts = this.#list.all.map(segment => ({
        path: segment.path,
        base: segment.base,
        generation: segment.generation,
        bytes: segment.readableTo,
      }));
      return await writeBackup(this.#settings.disk, file, parts, signal);
    });
  }

  /** Scavenges and backups run one after another: neither may take files from under the other. */
  #maintain<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#maintenance.then(work);
    this.#maintenance = running.catch(() => {});
    return running;
  }

  async close(): Promise<void> {
    await this.#maintenance;
    await this.#writer.finish();
    await this.#sealing;
    if (this.#unsealed !== undefined) fs.closeSync(this.#unsealed.fd);
    await this.#list.earlierReads();
    fs.closeSync(this.#open.fd);
    this.#files.close();
    this.#indexes.close();
    this.#lock.release();
  }
}

function openForWriting(files: OpenSegments, file: string, base: number): OpenSegment {
  const fd = fs.openSync(file, 'r+');
  const header = Buffer.alloc(segmentHeaderBytes);
  fs.readSync(fd, header, 0, segmentHeaderBytes, 0);
  const { salt } = decodeSegmentHeader(header, base);
  const index = new MemoryIndex();
  const segment = new Segment(files, file, { base, generation: 0 }, index);
  segment.readableTo = segmentHeaderBytes;
  const written = segmentHeaderBytes;
  return { segment, index, fd, salt, written, synced: written, isMarked: true };
}

async function openLast(
  settings: Settings,
  files: OpenSegments,
  last: FoundFile | undefined,
): Promise<OpenSegment> {
  const { disk, directory, log } = settings;
  if (last === undefined) return openForWriting(files, await createSegment(disk, directory, 0), 0);
  const file = segmentPath(directory, last, 'segment');
  const { fd, salt, bytes, isMarked, index } = await recoverLast(disk, file, last, log);
  const segment = new Segment(files, file, last, index);
  segment.readableTo = bytes;
  return { segment, index, fd, salt, written: bytes, synced: bytes, isMarked };
}

async function openLocked(settings: Settings, lock: Lock): Promise<SegmentStorage> {
  const { directory, disk, log } = settings;
  const found = tidyDirectory(directory);
  syncDirectory(directory);
  const gap = findGap(directory, found);
  if (gap !== undefined) throw new StorageFailed(`a part of the log is missing at position ${gap}`, gap);
  const files = new OpenSegments();
  const indexes = new IndexCache();
  const closed: Segment[] = [];
  for (const file of found.slice(0, -1)) {
    const inMemory = await ensureIndexFile(disk, directory, file, log);
    const index = inMemory ?? new IndexFile(indexes, segmentPath(directory, file, 'index'), file.base);
    closed.push(new Segment(files, segmentPath(directory, file, 'segment'), file, index));
  }
  const open = await openLast(settings, files, found.at(-1));
  const storage = new SegmentStorage(settings, lock, files, indexes, [...closed, open.segment], open);
  await storage.findLast();
  return storage;
}

/**
 * Opens the log in a directory, made where there is none. Throws DirectoryLocked when another process has it, and
 * StorageFailed, with the position, when the segment written last is damaged in what had been synced.
 */
export async function openSegmentStorage(options: SegmentStorageOptions): Promise<SegmentStorage> {
  const settings: Settings = {
    durability: 'always',
    segmentBytesMax: segmentBytesMaxDefault,
    log: silentLog,
    disk: nodeDisk,
    ...options,
  };
  if (settings.segmentBytesMax > segmentBytesMaxMax)
    throw new RangeError(`segmentBytesMax may be ${segmentBytesMaxMax} at most`);
  fs.mkdirSync(settings.directory, { recursive: true });
  const lock = lockDirectory(settings.directory);
  try {
    return await openLocked(settings, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}
