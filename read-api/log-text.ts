/** What was printed, out of the log store, in pieces: no answer holds a whole log in memory. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { LogStore } from '../platform/log-store.ts';

const partBytesMax = 1 << 20;
const lookEveryMs = 500;
const newline = 0x0a;

/**
 * For reply.send. The header goes out before the first line is there: who follows what is silent for long would else not know
 * whether anybody answers, and give up.
 */
export function streamed(reply: FastifyReply, lines: AsyncIterable<Uint8Array>): Readable {
  const begun = async function* () {
    // It runs once Fastify has piped it and thus set the fields; for a HEAD, which is not piped, earlier.
    if (reply.request.method !== 'HEAD') reply.raw.flushHeaders();
    yield* lines;
  };
  return Readable.from(begun(), { objectMode: false });
}

/** Everything from `from` on that is there now. */
export async function* whole(logs: LogStore, id: string, from: number): AsyncIterable<Buffer> {
  for (let offset = from; ; ) {
    const part = await logs.read(id, offset, partBytesMax);
    if (part === undefined || part.bytes.length === 0) return;
    yield part.bytes;
    offset = part.nextOffset;
  }
}

/** The bytes from `start` to before `end`, which are there. */
export async function* span(logs: LogStore, id: string, start: number, end: number): AsyncIterable<Buffer> {
  for (let offset = start; offset < end; ) {
    const part = await logs.read(id, offset, Math.min(partBytesMax, end - offset));
    if (part === undefined || part.bytes.length === 0) return;
    yield part.bytes;
    offset = part.nextOffset;
  }
}

/**
 * Everything from `from` on, as it comes, for as long as more may come. A log may end more than once: whoever writes it goes
 * down, and the next one goes on.
 */
export async function* followed(
  logs: LogStore,
  id: string,
  from: number,
  mayCome: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  let offset = from;
  while (!signal.aborted) {
    const part = await logs.read(id, offset, 1);
    if (part !== undefined && !part.ended) {
      for await (const bytes of logs.follow(id, offset, signal)) {
        offset += bytes.length;
        yield bytes;
      }
    } else if (await mayCome()) await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
    else break;
  }
  // What came between the two looks.
  if (!signal.aborted) yield* whole(logs, id, offset);
}

/** The last `count` lines. Costs a walk over the log, twice, and memory for a part of it. */
export async function* lastLines(logs: LogStore, id: string, count: number): AsyncIterable<Buffer> {
  if (count === 0) return;
  const starts: number[] = [0];
  let offset = 0;
  for await (const part of whole(logs, id, 0)) {
    for (let at = part.indexOf(newline); at >= 0; at = part.indexOf(newline, at + 1)) {
      starts.push(offset + at + 1);
      // The last one may be the end of the text, where no line begins.
      if (starts.length > count + 1) starts.shift();
    }
    offset += part.length;
  }
  if (starts.at(-1) === offset) starts.pop();
  const first = starts.at(-count) ?? starts[0];
  if (first !== undefined) yield* whole(logs, id, first);
}
