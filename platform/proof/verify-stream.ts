/** Reads an export as it comes, from a file or a server, and verifies it with as many threads as help. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { openVerifier, type Verified, type VerifyOptions } from './verify.ts';
import { type Chunk, readChunk } from './verify-chunk.ts';

const chunkBytes = 4 * 1_024 * 1_024;
const lineBytesMax = 64 * 1_024 * 1_024;
const threadsMax = 8;
/** Chunks under way a thread; more only take memory. */
const aheadPerThread = 2;

export type StreamOptions = VerifyOptions & {
  /** 0: in this thread. By default one a core but for this one. */
  readonly threads?: number;
  readonly onProgress?: (bytes: number) => void;
};

/** Memory is bounded by a few chunks of 4 MiB, whatever the length. */
export async function verifyStream(
  parts: AsyncIterable<Uint8Array>,
  { threads = Math.min(threadsMax, availableParallelism() - 1), onProgress, ...options }: StreamOptions,
): Promise<Verified & { readonly bytes: number }> {
  const verifier = openVerifier(options);
  const pool = threads > 0 ? openPool(threads) : undefined;
  const coming: Promise<Chunk>[] = [];
  let bytes = 0;
  try {
    for await (const lines of wholeLines(parts)) {
      bytes += lines.length - 1;
      onProgress?.(bytes);
      if (pool === undefined) verifier.add(readChunk(lines));
      else {
        coming.push(pool.read(lines));
        if (coming.length > threads * aheadPerThread) verifier.add(await (coming.shift() as Promise<Chunk>));
      }
    }
    for (const chunk of coming.splice(0)) verifier.add(await chunk);
    return { ...verifier.end(), bytes };
  } finally {
    for (const chunk of coming) chunk.catch(() => undefined);
    await pool?.close();
  }
}

/** Parts cut at ends of lines, each with one byte of room before it. */
async function* wholeLines(parts: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const part of parts) {
    held.push(part);
    heldBytes += part.length;
    if (heldBytes < chunkBytes) continue;
    const end = part.lastIndexOf(0x0a);
    if (end < 0) {
      if (heldBytes > lineBytesMax) throw new RangeError('a line of the export is too long');
      continue;
    }
    const rest = part.subarray(end + 1);
    yield joined(held, heldBytes - rest.length);
    held = rest.length === 0 ? [] : [rest];
    heldBytes = rest.length;
  }
  if (heldBytes > 0) yield joined(held, heldBytes);
}

function joined(parts: readonly Uint8Array[], bytes: number): Buffer {
  // A buffer of its own, as it is handed to another thread.
  const whole = Buffer.from(new ArrayBuffer(bytes + 1));
  let at = 1;
  for (const part of parts) {
    const room = part.subarray(0, whole.length - at);
    whole.set(room, at);
    at += room.length;
  }
  return whole;
}

type Asked = PromiseWithResolvers<Chunk>;

function openPool(threads: number) {
  const asked = new Map<number, Asked>();
  let id = 0;
  const fail = (error: unknown) => {
    for (const { reject } of asked.values()) reject(error);
    asked.clear();
  };
  const workers = Array.from({ length: threads }, () => {
    const worker = new Worker(new URL('./verify-worker.ts', import.meta.url));
    worker.on('message', (answer: { id: number; chunk: Chunk }) => {
      asked.get(answer.id)?.resolve(answer.chunk);
      asked.delete(answer.id);
    });
    worker.on('error', fail);
    return worker;
  });
  return {
    read(bytes: Buffer): Promise<Chunk> {
      const one: Asked = Promise.withResolvers();
      id += 1;
      asked.set(id, one);
      workers[id % threads]?.postMessage({ id, bytes }, [bytes.buffer as ArrayBuffer]);
      return one.promise;
    },
    close: () => Promise.all(workers.map(worker => worker.terminate())),
  };
}
