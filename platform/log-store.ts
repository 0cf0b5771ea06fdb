/**
 * The output of builds, in files outside the event log: `<id>.log` holds the lines, and `<id>.end` beside it
 * says that there will be no more. Any process may read and follow what another one writes.
 *
 * A writer that is opened again after a crash goes on where the last one stopped, so that an offset a reader
 * has kept stays good.
 */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, mkdir, open, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

const idPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const logBytesMaxDefault = 16 * 1024 * 1024;
const lineBytesMaxDefault = 16 * 1024;
const unsentBytesMax = 1024 * 1024;
const readBytesMax = 1024 * 1024;
const readBytesDefault = 256 * 1024;
const pollMs = 500;

type LogSize = { readonly lines: number; readonly bytes: number; readonly truncated: boolean };

export type LogWriter = {
  /** Takes one line, without its line end. Resolves at once unless the disk is behind: then wait for it. */
  write(line: string): Promise<void>;
  /** Everything is in the file and the end is known to readers. Never throws: what the disk refused is cut off. */
  close(): Promise<LogSize>;
};

type LogPart = { readonly bytes: Buffer; readonly nextOffset: number; readonly ended: boolean };

export type LogStore = {
  /** One writer at a time for an id. Opening takes back an end that was declared before. */
  writer(id: string): Promise<LogWriter>;
  /** Undefined where nothing was ever written. Offsets count bytes; a part may end inside a character. */
  read(id: string, offset: number, limitBytes?: number): Promise<LogPart | undefined>;
  /** All from `offset` on, as it comes, until the log has ended or the signal aborts. Waits for a log to begin. */
  follow(id: string, offset: number, signal: AbortSignal): AsyncIterable<Buffer>;
  remove(id: string): Promise<void>;
};

export type LogLimits = { readonly logBytesMax?: number; readonly lineBytesMax?: number };

export function openLogStore(directory: string, limits: LogLimits = {}): LogStore {
  const fileOf = (id: string) => {
    if (!idPattern.test(id)) throw new Error(`not the id of a log: ${JSON.stringify(id.slice(0, 200))}`);
    const file = path.join(directory, id);
    return { log: `${file}.log`, end: `${file}.end` };
  };
  const read: LogStore['read'] = (id, offset, limitBytes = readBytesDefault) =>
    readPart(fileOf(id), offset, Math.min(limitBytes, readBytesMax));
  return {
    async writer(id) {
      await mkdir(directory, { recursive: true });
      return openWriter(fileOf(id), {
        logBytesMax: limits.logBytesMax ?? logBytesMaxDefault,
        lineBytesMax: limits.lineBytesMax ?? lineBytesMaxDefault,
      });
    },
    read,
    follow: (id, offset, signal) => followLog(fileOf(id).log, from => read(id, from), offset, signal),
    async remove(id) {
      const { log, end } = fileOf(id);
      await rm(log, { force: true });
      await rm(end, { force: true });
    },
  };
}

type Files = { readonly log: string; readonly end: string };

async function openWriter(files: Files, limits: Required<LogLimits>): Promise<LogWriter> {
  await rm(files.end, { force: true });
  const file = await open(files.log, 'a+');
  let { lines, bytes, isWhole } = await measure(file);
  let truncated = false;
  let truncatedByDisk = false;
  let unsent: Buffer[] = [];
  let unsentBytes = 0;
  let flushing: Promise<void> | undefined;

  const flush = async () => {
    while (unsent.length > 0) {
      const batch = Buffer.concat(unsent);
      unsent = [];
      unsentBytes = 0;
      try {
        if (!truncatedByDisk) await file.appendFile(batch);
      } catch {
        // A full disk costs the rest of this log, not the build.
        truncatedByDisk = true;
      }
    }
    flushing = undefined;
  };
  const take = (line: Buffer) => {
    unsent.push(line);
    unsentBytes += line.length;
    bytes += line.length;
    lines += 1;
    flushing ??= Promise.resolve().then(flush);
  };
  if (!isWhole) take(Buffer.from('\n'));

  return {
    async write(line) {
      if (truncated) return;
      const encoded = encodeLine(line, limits.lineBytesMax);
      if (bytes + encoded.length > limits.logBytesMax) {
        truncated = true;
        take(Buffer.from(`… the log is cut here: it may have ${limits.logBytesMax} bytes\n`));
      } else {
        take(encoded);
      }
      if (unsentBytes > unsentBytesMax) await flushing;
    },
    async close() {
      await flushing;
      const size = { lines, bytes, truncated: truncated || truncatedByDisk };
      await writeFile(files.end, `${JSON.stringify(size)}\n`).catch(() => undefined);
      // Touched last, because followers watch this file and not its neighbour.
      const now = new Date();
      await file.utimes(now, now).catch(() => undefined);
      await file.close().catch(() => undefined);
      return size;
    },
  };
}

/** What an earlier writer left. Its last line may be a part of one. */
async function measure(file: FileHandle): Promise<{ lines: number; bytes: number; isWhole: boolean }> {
  const buffer = Buffer.alloc(readBytesDefault);
  let bytes = 0;
  let lines = 0;
  let last = 0x0a;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, bytes);
    if (bytesRead === 0) return { lines, bytes, isWhole: last === 0x0a };
    for (let i = 0; i < bytesRead; i += 1) if (buffer[i] === 0x0a) lines += 1;
    bytes += bytesRead;
    last = buffer[bytesRead - 1] ?? last;
  }
}

function encodeLine(line: string, lineBytesMax: number): Buffer {
  const one = line.replaceAll('\n', ' ');
  const encoded = Buffer.from(`${one}\n`);
  if (encoded.length <= lineBytesMax) return encoded;
  return Buffer.from(`${one.slice(0, Math.floor(lineBytesMax / 4))} …\n`);
}

async function readPart(files: Files, offset: number, limitBytes: number): Promise<LogPart | undefined> {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`not an offset: ${offset}`);
  // The end is looked for first: all that belongs to the log was in its file by then.
  const isOver = (await stat(files.end).catch(absent)) !== undefined;
  const file = await open(files.log).catch(absent);
  if (file === undefined)
    return isOver ? { bytes: Buffer.alloc(0), nextOffset: offset, ended: true } : undefined;
  try {
    const { size } = await file.stat();
    const length = Math.max(0, Math.min(limitBytes, size - offset));
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    const nextOffset = offset + bytesRead;
    return { bytes: buffer.subarray(0, bytesRead), nextOffset, ended: isOver && nextOffset >= size };
  } finally {
    await file.close();
  }
}

async function* followLog(
  file: string,
  read: (offset: number) => Promise<LogPart | undefined>,
  from: number,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  let offset = from;
  const changes = watchFile(file);
  try {
    while (!signal.aborted) {
      changes.forget();
      const part = await read(offset);
      if (part !== undefined && part.bytes.length > 0) {
        offset = part.nextOffset;
        yield part.bytes;
      }
      if (part?.ended) return;
      if (part === undefined || part.bytes.length === 0) await changes.next(signal);
    }
  } finally {
    changes.close();
  }
}

type Changes = { forget(): void; next(signal: AbortSignal): Promise<void>; close(): void };

/**
 * Waits for a change of a file, counted from the last `forget`; the file may not be there yet. The system tells
 * of changes where it can; every `pollMs` somebody looks anyway, for file systems and limits with which it cannot.
 */
function watchFile(file: string): Changes {
  let watcher: FSWatcher | undefined;
  let hasChanged = false;
  let wake = () => {};
  const changed = () => {
    hasChanged = true;
    wake();
  };
  return {
    forget() {
      hasChanged = false;
      try {
        watcher ??= watch(file, { persistent: false }, changed).on('error', () => undefined);
      } catch {
        // Not there yet, or too many are watched: polling does.
      }
    },
    async next(signal) {
      if (hasChanged || signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = () => resolve();
      const timer = setTimeout(wake, pollMs);
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
    },
    close() {
      watcher?.close();
    },
  };
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
