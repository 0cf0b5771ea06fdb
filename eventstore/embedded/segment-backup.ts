/**
 * A log in one file, and back.
 *
 *   magic (8), then for each segment: base u64, generation u32, length u64, bytes, checksum u32
 *   then: base all ones, last position u64, checksum u32 of all checksums
 *
 * Indexes are not in it: they are made again from the segments when a backup is restored. Positions are in the records, so
 * a restored log has the same ones. Every record's checksum is checked on the way: damage is reported, not copied.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import {
  type FileName,
  listFiles,
  nodeDisk,
  readBytes,
  readBytesNow,
  type SegmentDisk,
  segmentPath,
  syncDirectory,
  writeFully,
} from './segment-files.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';
import {
  committedBytes,
  ensureIndexFile,
  findGap,
  type StorageLog,
  segmentsInForce,
  silentLog,
} from './segment-recovery.ts';
import { type ScannedEntry, scanSegment } from './segment-scan.ts';
import { StorageFailed } from './storage.ts';
import { decodeRecordedPlace } from './wire-record.ts';

export type Backup = { readonly bytes: number; readonly segments: number; readonly lastPosition: number };

/** What to copy of a segment: the whole file, or, of one that is being written to, its first `bytes`. */
type Part = FileName & { readonly path: string; readonly bytes: number | undefined };

const magic = Buffer.from('APPHBAK1');
const partHeadBytes = 20;
const endMark = 0xffffffffffffffffn;
const endBytes = 20;
const copyBytes = 1 << 20;

function encodePartHead(part: Part, length: number): Buffer {
  const head = Buffer.alloc(partHeadBytes);
  head.writeBigUInt64LE(BigInt(part.base), 0);
  head.writeUInt32LE(part.generation, 8);
  head.writeBigUInt64LE(BigInt(length), 12);
  return head;
}

function encodeEnd(lastPosition: number, checksums: number): Buffer {
  const end = Buffer.alloc(endBytes);
  end.writeBigUInt64LE(endMark, 0);
  end.writeBigUInt64LE(BigInt(lastPosition), 8);
  end.writeUInt32LE(crc32(end.subarray(0, 16), checksums), 16);
  return end;
}

function encodeChecksum(checksum: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(checksum, 0);
  return bytes;
}

/** Copies `length` bytes between files and returns their checksum. */
async function copyBetween(
  disk: SegmentDisk,
  from: { fd: number; at: number },
  to: { fd: number; at: number },
  length: number,
  seed: number,
  signal?: AbortSignal,
): Promise<number> {
  let checksum = seed;
  for (let done = 0; done < length; ) {
    signal?.throwIfAborted();
    const bytes = await readBytes(from.fd, from.at + done, Math.min(copyBytes, length - done));
    if (bytes.length === 0)
      throw new StorageFailed('a file of the log or of its backup is shorter than it should be');
    checksum = crc32(bytes, checksum);
    await writeFully(disk, to.fd, bytes, to.at + done);
    done += bytes.length;
  }
  return checksum;
}

/** Follows a part from its file into the backup. */
class BackupWriter {
  readonly #disk: SegmentDisk;
  readonly #to: number;
  readonly #signal: AbortSignal | undefined;
  #checksums = 0;
  at = 0;
  lastPosition = 0;

  constructor(disk: SegmentDisk, to: number, signal: AbortSignal | undefined) {
    this.#disk = disk;
    this.#to = to;
    this.#signal = signal;
  }

  async put(bytes: Buffer): Promise<void> {
    await writeFully(this.#disk, this.#to, bytes, this.at);
    this.at += bytes.length;
  }

  async part(part: Part): Promise<void> {
    const from = fs.openSync(part.path, 'r');
    try {
      const length = part.bytes ?? fs.fstatSync(from).size;
      await this.#check(from, part, length);
      const head = encodePartHead(part, length);
      await this.put(head);
      const to = { fd: this.#to, at: this.at };
      const source = { fd: from, at: 0 };
      const checksum = await copyBetween(this.#disk, source, to, length, crc32(head), this.#signal);
      this.at += length;
      await this.put(encodeChecksum(checksum));
      this.#checksums = crc32(encodeChecksum(checksum), this.#checksums);
    } finally {
      fs.closeSync(from);
    }
  }

  async #check(fd: number, part: Part, length: number): Promise<void> {
    const { salt } = decodeSegmentHeader(readBytesNow(fd, 0, segmentHeaderBytes), part.base);
    const visit = ({ wire }: ScannedEntry) => {
      this.lastPosition = decodeRecordedPlace(wire).position;
    };
    const aborted = async () => this.#signal?.throwIfAborted();
    const end = await scanSegment(fd, salt, segmentHeaderBytes, length, visit, aborted);
    if (end.stoppedAt === length) return;
    throw new StorageFailed(
      `the log is damaged at position ${part.base + end.stoppedAt} (${part.path}, byte ${end.stoppedAt})`,
      part.base + end.stoppedAt,
    );
  }

  end(): Promise<void> {
    return this.put(encodeEnd(this.lastPosition, this.#checksums));
  }
}

/**
 * Writes the parts into one file that appears when it is complete; one that was there is replaced.
 * Throws StorageFailed, with the position, when a part is damaged.
 */
export async function writeBackup(
  disk: SegmentDisk,
  file: string,
  parts: readonly Part[],
  signal?: AbortSignal,
): Promise<Backup> {
  const beside = `${file}.tmp`;
  const to = fs.openSync(beside, 'w', 0o600);
  try {
    const out = new BackupWriter(disk, to, signal);
    await out.put(magic);
    for (const part of parts) await out.part(part);
    await out.end();
    await disk.sync(to);
    fs.renameSync(beside, file);
    syncDirectory(path.dirname(path.resolve(file)));
    return { bytes: out.at, segments: parts.length, lastPosition: out.lastPosition };
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  } finally {
    fs.closeSync(to);
  }
}

const attemptsMax = 5;

/**
 * A backup of a log's directory from outside, whether a process has it open or not: closed segments never change, and of
 * the last one everything up to its last whole append is taken. Rejects as `writeBackup`.
 */
export async function backupDirectory(
  directory: string,
  file: string,
  signal?: AbortSignal,
): Promise<Backup> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await writeBackup(nodeDisk, file, await partsOf(directory), signal);
    } catch (error) {
      // A scavenge put another file in the place of one.
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!isGone || attempt === attemptsMax || !fs.existsSync(directory)) throw error;
    }
  }
}

async function partsOf(directory: string): Promise<Part[]> {
  const inForce = segmentsInForce(listFiles(directory));
  const last = inForce.at(-1);
  if (last === undefined) throw new StorageFailed(`there is no log in ${directory}`);
  // Listed before the last one is measured: what is begun meanwhile lies behind what is copied.
  const bytes = await committedBytes(directory, last);
  const gap = findGap(directory, inForce);
  if (gap !== undefined) throw new StorageFailed(`a part of the log is missing at position ${gap}`, gap);
  return inForce.map(({ base, generation }) => ({
    path: segmentPath(directory, { base, generation }, 'segment'),
    base,
    generation,
    bytes: base === last.base ? bytes : undefined,
  }));
}

const damaged = (file: string) => new StorageFailed(`${file} is not a whole backup of a log`);

/** Writes one segment of the backup into the directory; undefined at the end of the backup. */
async function restorePart(from: number, file: string, at: number, into: string) {
  const head = await readBytes(from, at, partHeadBytes);
  if (head.length < partHeadBytes) throw damaged(file);
  if (head.readBigUInt64LE(0) === endMark) return undefined;
  const name = { base: Number(head.readBigUInt64LE(0)), generation: head.readUInt32LE(8) };
  const length = Number(head.readBigUInt64LE(12));
  if (at + partHeadBytes + length > fs.fstatSync(from).size) throw damaged(file);
  const fd = fs.openSync(segmentPath(into, name, 'segment'), 'wx');
  try {
    const source = { fd: from, at: at + partHeadBytes };
    const checksum = await copyBetween(nodeDisk, source, { fd, at: 0 }, length, crc32(head));
    const wanted = await readBytes(from, at + partHeadBytes + length, 4);
    if (wanted.length < 4 || wanted.readUInt32LE(0) !== checksum) throw damaged(file);
    await nodeDisk.sync(fd);
    return { name, checksum, next: at + partHeadBytes + length + 4 };
  } finally {
    fs.closeSync(fd);
  }
}

async function restoreParts(file: string, into: string, log: StorageLog): Promise<Backup> {
  const from = fs.openSync(file, 'r');
  try {
    if (!magic.equals(await readBytes(from, 0, magic.length))) throw damaged(file);
    const names: { base: number; generation: number }[] = [];
    let at = magic.length;
    let checksums = 0;
    for (;;) {
      const part = await restorePart(from, file, at, into);
      if (part === undefined) break;
      names.push(part.name);
      checksums = crc32(encodeChecksum(part.checksum), checksums);
      at = part.next;
    }
    const end = await readBytes(from, at, endBytes);
    const lastPosition = Number(end.readBigUInt64LE(8));
    if (!end.equals(encodeEnd(lastPosition, checksums))) throw damaged(file);
    for (const name of names.slice(0, -1)) await ensureIndexFile(nodeDisk, into, name, log);
    return { bytes: at + endBytes, segments: names.length, lastPosition };
  } finally {
    fs.closeSync(from);
  }
}

/**
 * Makes the directory from a backup; it must not exist, or be empty. It appears when everything is checked and synced.
 * Throws StorageFailed when the backup is damaged or cut short.
 */
export async function restoreBackup(
  file: string,
  directory: string,
  log: StorageLog = silentLog,
): Promise<Backup> {
  if (fs.existsSync(directory) && fs.readdirSync(directory).length > 0) {
    throw new StorageFailed(`${directory} is not empty; a backup is restored into a new directory`);
  }
  const beside = `${path.resolve(directory)}.restoring`;
  fs.rmSync(beside, { recursive: true, force: true });
  fs.mkdirSync(beside, { recursive: true });
  try {
    const restored = await restoreParts(file, beside, log);
    syncDirectory(beside);
    if (fs.existsSync(directory)) fs.rmdirSync(directory);
    fs.renameSync(beside, directory);
    syncDirectory(path.dirname(path.resolve(directory)));
    return restored;
  } catch (error) {
    fs.rmSync(beside, { recursive: true, force: true });
    throw error;
  }
}
