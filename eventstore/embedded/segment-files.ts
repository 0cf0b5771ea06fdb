/**
 * Files of the segment storage: their names, and the few operations whose failures the storage must survive. Those go
 * through `SegmentDisk`, so that a test can make the disk short, full or broken exactly when it matters.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';
import { StorageFailed } from './storage.ts';

export type SegmentDisk = {
  /** Writes at most all of `bytes` at `position`; returns how many. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>;
  /** Resolves when everything written to the file would survive a loss of power. */
  sync(fd: number): Promise<void>;
  truncate(fd: number, bytes: number): Promise<void>;
};

export const nodeDisk: SegmentDisk = {
  write: (fd, bytes, position) =>
    new Promise((resolve, reject) => {
      fs.write(fd, bytes, 0, bytes.length, position, (error, written) =>
        error ? reject(error) : resolve(written),
      );
    }),
  sync: fd =>
    new Promise((resolve, reject) => fs.fdatasync(fd, error => (error ? reject(error) : resolve()))),
  truncate: (fd, bytes) =>
    new Promise((resolve, reject) => fs.ftruncate(fd, bytes, error => (error ? reject(error) : resolve()))),
};

const writesMax = 1_000_000;

/** Writes all of it, however short each write is. */
export async function writeFully(
  disk: SegmentDisk,
  fd: number,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0;
  for (let writes = 0; done < bytes.length; writes += 1) {
    const written = await disk.write(fd, done === 0 ? bytes : bytes.subarray(done), position + done);
    if (written === 0 || writes === writesMax)
      throw new StorageFailed(`the disk takes no more bytes at ${position + done}`);
    done += written;
  }
}

/** ENOSPC and EDQUOT: there may be room again later. */
export function isOutOfRoom(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

export type FileName = { readonly base: number; readonly generation: number };

/** `generation` counts how often the segment was rewritten; the highest one is in force. */
export function segmentPath(directory: string, name: FileName, kind: 'segment' | 'index'): string {
  return path.join(directory, `${String(name.base).padStart(16, '0')}.${name.generation}.${kind}`);
}

export type FoundFile = FileName & { readonly kind: string; readonly file: string };

/** Every file of the log in the directory, by address; half-written ones have kind `tmp`. */
export function listFiles(directory: string): FoundFile[] {
  const found: FoundFile[] = [];
  for (const file of fs.readdirSync(directory)) {
    const [, base, generation, kind, tmp] = /^(\d{16})\.(\d+)\.(segment|index)(\.tmp)?$/.exec(file) ?? [];
    if (base === undefined || kind === undefined) continue;
    found.push({ base: Number(base), generation: Number(generation), kind: tmp ? 'tmp' : kind, file });
  }
  return found.sort((a, b) => a.base - b.base || a.generation - b.generation);
}

/** Makes names that were added, changed or removed in the directory durable. */
export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** A file appears whole or not at all: written beside, synced, renamed. */
export async function writeWhole(
  disk: SegmentDisk,
  file: string,
  parts: Iterable<Uint8Array>,
): Promise<void> {
  const beside = `${file}.tmp`;
  const fd = fs.openSync(beside, 'w');
  try {
    let at = 0;
    for (const part of parts) {
      await writeFully(disk, fd, part, at);
      at += part.length;
    }
    await disk.sync(fd);
  } catch (error) {
    fs.closeSync(fd);
    fs.rmSync(beside, { force: true });
    throw error;
  }
  fs.closeSync(fd);
  fs.renameSync(beside, file);
  syncDirectory(path.dirname(file));
}

/** Reads exactly these bytes through the thread pool; fewer only at the end of the file. */
export function readBytes(fd: number, position: number, length: number): Promise<Buffer> {
  const into = Buffer.allocUnsafeSlow(length);
  return new Promise((resolve, reject) => {
    const readOn = (done: number) =>
      fs.read(fd, into, done, length - done, position + done, (error, bytes) => {
        if (error) reject(error);
        else if (bytes === 0 || done + bytes === length) resolve(into.subarray(0, done + bytes));
        else readOn(done + bytes);
      });
    readOn(0);
  });
}

/** The same on this thread: for bytes that are most likely in memory, or few. */
export function readBytesNow(fd: number, position: number, length: number): Buffer {
  const into = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const bytes = fs.readSync(fd, into, done, length - done, position + done);
    if (bytes === 0) break;
    done += bytes;
  }
  return into.subarray(0, done);
}

export type OpenFile = { readonly fd: number; readonly salt: number; readonly bytes: number; users: number };

const openFilesMax = 128;

/** Open segment files for reading, the most recently used ones; a file in use is never closed under its reader. */
export class OpenSegments {
  readonly #open = new Map<string, OpenFile>();

  /** The caller ends each use by `users -= 1` on what it was given. */
  use(file: string, base: number): OpenFile {
    let open = this.#open.get(file);
    if (open === undefined) open = this.#openNow(file, base);
    else this.#open.delete(file);
    this.#open.set(file, open);
    open.users += 1;
    return open;
  }

  #openNow(file: string, base: number): OpenFile {
    for (const [name, old] of this.#open) {
      if (this.#open.size < openFilesMax) break;
      if (old.users === 0) this.forget(name);
    }
    const fd = fs.openSync(file, 'r');
    try {
      const { salt } = decodeSegmentHeader(readBytesNow(fd, 0, segmentHeaderBytes), base);
      return { fd, salt, bytes: fs.fstatSync(fd).size, users: 0 };
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  forget(file: string): void {
    const open = this.#open.get(file);
    if (open === undefined) return;
    this.#open.delete(file);
    fs.closeSync(open.fd);
  }

  close(): void {
    for (const file of [...this.#open.keys()]) this.forget(file);
  }
}
