/**
 * The output of builds and apps, outside the event log and by offsets in bytes: in files of this machine, here, or as objects
 * (`log-objects.ts`). Any process may read and follow what another one writes.
 *
 * A writer that is opened again after a crash goes on where the last one stopped, so that an offset a reader has kept stays good.
 */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type LogLimits,
  type LogWriter,
  openWriter,
  requireLogId,
  requireOffset,
  type Tape,
} from './log-writer.ts';

export type { LogWriter } from './log-writer.ts';

const readBytesMax = 1024 * 1024;
const readBytesDefault = 256 * 1024;
const pollMs = 500;
const newline = 0x0a;

export type LogPart = { readonly bytes: Buffer; readonly nextOffset: number; readonly ended: boolean };
export type StoredLog = { readonly id: string; readonly bytes: number; readonly changedAt: Date };

export type LogStore = {
  /** One writer at a time for an id. Opening takes back an end that was declared before. Each line goes through `mask`. */
  writer(id: string, mask?: (line: string) => string): Promise<LogWriter>;
  /** Undefined where nothing was ever written. Offsets count bytes; a part may end inside a character. */
  read(id: string, offset: number, limitBytes?: number): Promise<LogPart | undefined>;
  /** How much there is of it now. */
  size(id: string): Promise<{ readonly bytes: number; readonly ended: boolean } | undefined>;
  /** All from `offset` on, as it comes, until the log has ended or the signal aborts. Waits for a log to begin. */
  follow(id: string, offset: number, signal: AbortSignal): AsyncIterable<Buffer>;
  remove(id: string): Promise<void>;
  /** Every log there is. */
  list(): AsyncIterable<StoredLog>;
};

/** Logs in files: `<id>.log` holds the lines, and `<id>.end` beside it says that there will be no more. */
export function openLogStore(directory: string, limits: LogLimits = {}): LogStore {
  const fileOf = (id: string) => {
    const file = path.join(directory, requireLogId(id));
    return { log: `${file}.log`, end: `${file}.end` };
  };
  const read: LogStore['read'] = (id, offset, limitBytes = readBytesDefault) =>
    readPart(fileOf(id), offset, Math.min(limitBytes, readBytesMax));
  return {
    async writer(id, mask) {
      const files = fileOf(id);
      await mkdir(directory, { recursive: true });
      return openWriter(await openTape(files), limits, mask);
    },
    read,
    async size(id) {
      const { log, end } = fileOf(id);
      const isOver = (await stat(end).catch(absent)) !== undefined;
      const seen = await stat(log).catch(absent);
      return seen === undefined && !isOver ? undefined : { bytes: seen?.size ?? 0, ended: isOver };
    },
    follow: (id, offset, signal) => followLog(fileOf(id).log, from => read(id, from), offset, signal),
    async remove(id) {
      const { log, end } = fileOf(id);
      await rm(log, { force: true });
      await rm(end, { force: true });
    },
    list: () => listLogs(directory),
  };
}

type Files = { readonly log: string; readonly end: string };

async function openTape(files: Files): Promise<Tape> {
  await rm(files.end, { force: true });
  const file = await open(files.log, 'a+');
  return {
    found: await measure(file),
    stepMs: 0,
    append: bytes => file.appendFile(bytes),
    async end(size) {
      await writeFile(files.end, `${JSON.stringify(size)}\n`).catch(() => undefined);
      // Touched last, because followers watch this file and not its neighbour.
      const now = new Date();
      await file.utimes(now, now).catch(() => undefined);
      await file.close();
    },
  };
}

async function measure(file: FileHandle): Promise<Tape['found']> {
  const buffer = Buffer.alloc(readBytesDefault);
  let bytes = 0;
  let lines = 0;
  let last = newline;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, bytes);
    if (bytesRead === 0) return { lines, bytes, isWhole: last === newline };
    for (let i = 0; i < bytesRead; i += 1) if (buffer[i] === newline) lines += 1;
    bytes += bytesRead;
    last = buffer[bytesRead - 1] ?? last;
  }
}

async function readPart(files: Files, offset: number, limitBytes: number): Promise<LogPart | undefined> {
  requireOffset(offset);
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

async function* listLogs(directory: string): AsyncIterable<StoredLog> {
  const names = (await readdir(directory).catch(absent)) ?? [];
  const ids = new Set(names.map(name => /^(.+)\.(log|end)$/.exec(name)?.[1] ?? ''));
  for (const id of ids) {
    if (id === '') continue;
    const file = path.join(directory, id);
    const seen = (await stat(`${file}.log`).catch(absent)) ?? (await stat(`${file}.end`).catch(absent));
    if (seen !== undefined) yield { id, bytes: seen.size, changedAt: seen.mtime };
  }
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
