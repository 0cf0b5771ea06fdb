/**
 * Rewrites one closed segment without the records that are no longer wanted. The new form gets the next generation
 * number and is complete, index first, before its segment file appears; from then on a start takes the new form and
 * removes the old one. Positions and revisions stay, for they are in the records.
 */
import * as fs from 'node:fs';
import type { Segment } from './segment.ts';
import type { OpenSegments, SegmentDisk } from './segment-files.ts';
import { readBytesNow, segmentPath, syncDirectory, writeFully, writeWhole } from './segment-files.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  recordAt,
  sealEntry,
  segmentHeaderBytes,
} from './segment-format.ts';
import { MemoryIndex } from './segment-index.ts';
import { encodeIndexFile } from './segment-index-file.ts';
import { scanSegment } from './segment-scan.ts';
import { StorageFailed, type StoredRecord } from './storage.ts';

export type Rewritten = {
  readonly generation: number;
  readonly records: number;
  readonly bytesFreed: number;
};

const flushBytes = 1 << 20;

/** Writes kept entries to a file, in large steps. */
class KeptWriter {
  readonly #disk: SegmentDisk;
  readonly #fd: number;
  #parts: Buffer[] = [];
  #pending = 0;
  bytes = 0;

  constructor(disk: SegmentDisk, fd: number) {
    this.#disk = disk;
    this.#fd = fd;
  }

  add(part: Buffer): void {
    this.#parts.push(part);
    this.#pending += part.length;
    this.bytes += part.length;
  }

  async flush(bytesMin: number): Promise<void> {
    if (this.#pending < bytesMin || this.#pending === 0) return;
    const all = Buffer.concat(this.#parts);
    const position = this.bytes - this.#pending;
    this.#parts = [];
    this.#pending = 0;
    await writeFully(this.#disk, this.#fd, all, position);
  }
}

type Rewriting = {
  readonly disk: SegmentDisk;
  readonly directory: string;
  readonly files: OpenSegments;
  readonly segment: Segment;
  readonly keep: (record: StoredRecord) => boolean;
  readonly signal: AbortSignal | undefined;
};

/** Undefined when every record is still wanted. The old files are the caller's to replace and remove. */
export async function rewriteSegment(work: Rewriting): Promise<Rewritten | undefined> {
  const { segment, files } = work;
  const file = files.use(segment.path, segment.base);
  // It may have been opened when it was shorter, so its length is asked for anew.
  const source = { ...headerOf(file.fd, segment.base), fd: file.fd, bytes: fs.fstatSync(file.fd).size };
  try {
    const gone = await countUnwanted(work, source);
    if (gone === 0) return undefined;
    const generation = segment.generation + 1;
    const written = await writeKept(work, source, generation);
    return { generation, records: written.gone, bytesFreed: source.bytes - written.bytes };
  } finally {
    file.users -= 1;
  }
}

type Source = {
  readonly fd: number;
  readonly salt: number;
  readonly end: number | undefined;
  readonly bytes: number;
};

const headerOf = (fd: number, base: number) =>
  decodeSegmentHeader(readBytesNow(fd, 0, segmentHeaderBytes), base);

async function visitRecords(
  { segment, signal }: Rewriting,
  source: Source,
  visit: (record: StoredRecord) => void,
  afterChunk: () => Promise<void> = async () => {},
): Promise<void> {
  const { fd, salt, bytes } = source;
  const onEntry = ({ entry }: { entry: Buffer }) => visit(recordAt(entry, 0, entry.length));
  const end = await scanSegment(fd, salt, segmentHeaderBytes, bytes, onEntry, () => {
    signal?.throwIfAborted();
    return afterChunk();
  });
  if (end.stoppedAt === bytes) return;
  const position = segment.base + end.stoppedAt;
  throw new StorageFailed(`the log is damaged (${segment.path}, byte ${end.stoppedAt})`, position);
}

async function countUnwanted(work: Rewriting, source: Source): Promise<number> {
  let gone = 0;
  await visitRecords(work, source, record => {
    if (!work.keep(record)) gone += 1;
  });
  return gone;
}

async function writeKept(
  work: Rewriting,
  source: Source,
  generation: number,
): Promise<{ gone: number; bytes: number }> {
  const { disk, directory, segment } = work;
  const name = { base: segment.base, generation };
  const file = segmentPath(directory, name, 'segment');
  const beside = `${file}.tmp`;
  const header = encodeSegmentHeader(segment.base, source.end ?? segment.base + source.bytes);
  const salt = header.readUInt32LE(16);
  const index = new MemoryIndex();
  let gone = 0;
  const fd = fs.openSync(beside, 'w');
  try {
    const out = new KeptWriter(disk, fd);
    out.add(header);
    const visit = (record: StoredRecord) => {
      if (!work.keep(record)) {
        gone += 1;
        return;
      }
      index.add(record.stream, record.revision, record.position - segment.base, out.bytes);
      const entry = Buffer.allocUnsafe(8 + record.wire.length);
      entry.set(record.wire, 8);
      sealEntry(entry, 0, entry.length, salt, { commit: true });
      out.add(entry);
    };
    await visitRecords(work, source, visit, () => out.flush(flushBytes));
    await out.flush(0);
    await disk.sync(fd);
    await writeWhole(
      disk,
      segmentPath(directory, name, 'index'),
      await encodeIndexFile(index, segment.base, out.bytes),
    );
    fs.renameSync(beside, file);
    syncDirectory(directory);
    return { gone, bytes: out.bytes };
  } catch (error) {
    fs.rmSync(beside, { force: true });
    fs.rmSync(segmentPath(directory, name, 'index'), { force: true });
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}
