/**
 * Logs as objects, where several machines share an object store: `logs/<id>/<number>` holds `chunkBytes` of it each, the last one
 * less, and `logs/<id>/end` says how long it is in all.
 *
 * An object cannot be appended to, so the last chunk is written again with what was added, a step at a time: each state of it
 * begins with the one before, and a reader sees one or the other. Nobody tells a reader of changes, so it looks: soon after there
 * was something, and later and later while there is nothing.
 */

import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogPart, LogStore, StoredLog } from './log-store.ts';
import {
  type LogLimits,
  type LogSize,
  openWriter,
  requireLogId,
  requireOffset,
  type Tape,
} from './log-writer.ts';
import type { Objects } from './objects.ts';

const chunkBytes = 256 * 1024;
const stepMs = 1_000;
const pollMsMin = 500;
const pollMsMax = 3_000;
const triesMax = 5;
const readTriesMax = 3;
const readAgainMs = 200;
const retryMsDefault = 1_000;
const newline = 0x0a;
const prefix = 'logs/';
const contentType = 'text/plain; charset=utf-8';

const chunkKey = (id: string, index: number) =>
  `${prefix}${requireLogId(id)}/${String(index).padStart(8, '0')}`;
const endKey = (id: string) => `${prefix}${requireLogId(id)}/end`;

export function openObjectLogStore(
  objects: Objects,
  limits: LogLimits = {},
  retryMs = retryMsDefault,
): LogStore {
  const read: LogStore['read'] = (id, offset, limitBytes = chunkBytes) =>
    readPart(objects, id, offset, limitBytes);
  return {
    async writer(id, mask) {
      return openWriter(await openTape(objects, id, retryMs), limits, mask);
    },
    read,
    async size(id) {
      const end = await endOf(objects, id);
      if (end !== undefined) return { bytes: end.bytes, ended: true };
      const { bytes, isThere } = await lengthOf(objects, id);
      return isThere ? { bytes, ended: false } : undefined;
    },
    follow: (id, offset, signal) => followLog(from => read(id, from), offset, signal),
    async remove(id) {
      // The end goes last: a log is found again until all of it is gone.
      for (const { key } of await keysOf(objects, id)) if (key !== endKey(id)) await objects.remove(key);
      await objects.remove(endKey(id));
    },
    list: () => listLogs(objects),
  };
}

async function openTape(objects: Objects, id: string, retryMs: number): Promise<Tape> {
  requireLogId(id);
  await objects.remove(endKey(id));
  const { found, last, index: from } = await measure(objects, id);
  let index = from;
  let open = last;
  let stored = found.bytes;
  const put = (key: string, bytes: Buffer) => putPatiently(objects, key, bytes, retryMs);
  return {
    found,
    stepMs,
    async append(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const added = bytes.subarray(at, at + chunkBytes - open.length);
        open = Buffer.concat([open, added]);
        at += added.length;
        await put(chunkKey(id, index), open);
        stored += added.length;
        if (open.length === chunkBytes) {
          index += 1;
          open = Buffer.alloc(0);
        }
      }
    },
    // By what is there, and not by what was to be: a reader waits for all that the end names.
    end: size => put(endKey(id), Buffer.from(JSON.stringify({ ...size, bytes: stored }))),
  };
}

/** An object store that is away for a moment costs a moment. */
async function putPatiently(objects: Objects, key: string, bytes: Buffer, retryMs: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await objects.put(key, bytes, { contentType });
    } catch (error) {
      if (attempt === triesMax) throw error;
      await sleep(retryMs * attempt);
    }
  }
}

/** What an earlier writer has left: how much, and its last chunk, where that is not full. */
async function measure(objects: Objects, id: string) {
  let bytes = 0;
  let lines = 0;
  let last = Buffer.alloc(0);
  let index = 0;
  for (; ; index += 1) {
    const chunk = await chunkOf(objects, chunkKey(id, index), 0);
    if (chunk === undefined) break;
    for (const byte of chunk) if (byte === newline) lines += 1;
    bytes += chunk.length;
    last = chunk;
    if (chunk.length < chunkBytes) break;
  }
  const isWhole = bytes === 0 || last.at(-1) === newline;
  return {
    found: { lines, bytes, isWhole },
    last: last.length === chunkBytes ? Buffer.alloc(0) : last,
    index,
  };
}

/** An answer that breaks off is asked for again. */
async function chunkOf(
  objects: Objects,
  key: string,
  from: number,
): Promise<Buffer<ArrayBuffer> | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const found = await objects.get(key, from);
      return found && (await buffer(found.stream));
    } catch (error) {
      if (attempt === readTriesMax) throw error;
      await sleep(readAgainMs);
    }
  }
}

async function endOf(objects: Objects, id: string): Promise<LogSize | undefined> {
  const bytes = await chunkOf(objects, endKey(id), 0);
  return bytes && (JSON.parse(bytes.toString()) as LogSize);
}

/** One chunk at most, from the offset on. */
async function readPart(
  objects: Objects,
  id: string,
  offset: number,
  limitBytes: number,
): Promise<LogPart | undefined> {
  requireLogId(id);
  requireOffset(offset);
  const index = Math.floor(offset / chunkBytes);
  const chunk = await chunkOf(objects, chunkKey(id, index), offset % chunkBytes);
  const bytes = (chunk ?? Buffer.alloc(0)).subarray(0, limitBytes);
  const nextOffset = offset + bytes.length;
  if (chunk !== undefined && bytes.length < chunk.length) return { bytes, nextOffset, ended: false };
  const end = await endOf(objects, id);
  if (chunk === undefined && end === undefined && !(await objects.has(chunkKey(id, 0)))) return undefined;
  return { bytes, nextOffset, ended: end !== undefined && nextOffset >= end.bytes };
}

async function* followLog(
  read: (offset: number) => Promise<LogPart | undefined>,
  from: number,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  let offset = from;
  let pollMs = pollMsMin;
  while (!signal.aborted) {
    const part = await read(offset);
    if (part !== undefined && part.bytes.length > 0) {
      offset = part.nextOffset;
      pollMs = pollMsMin;
      yield part.bytes;
      if (part.ended) return;
      // The next chunk is there already, most likely.
      if (offset % chunkBytes === 0) continue;
    }
    if (part?.ended) return;
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    pollMs = Math.min(pollMs * 1.5, pollMsMax);
  }
}

async function keysOf(objects: Objects, id: string) {
  const keys: { key: string; bytes: number }[] = [];
  for await (const one of objects.list(`${prefix}${requireLogId(id)}/`)) keys.push(one);
  return keys;
}

async function lengthOf(objects: Objects, id: string) {
  const keys = await keysOf(objects, id);
  return { bytes: keys.reduce((sum, { bytes }) => sum + bytes, 0), isThere: keys.length > 0 };
}

/** The chunks of a log come one after the other. */
async function* listLogs(objects: Objects): AsyncIterable<StoredLog> {
  let one: { id: string; bytes: number; changedAt: Date } | undefined;
  for await (const { key, bytes, changedAt } of objects.list(prefix)) {
    const [, id = '', name] = key.split('/');
    if (one?.id !== id) {
      if (one !== undefined) yield one;
      one = { id, bytes: 0, changedAt };
    }
    if (name !== 'end') one.bytes += bytes;
    if (changedAt > one.changedAt) one.changedAt = changedAt;
  }
  if (one !== undefined) yield one;
}
