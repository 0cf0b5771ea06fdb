/** A thread that turns chunks of an export into hashes. */
import { parentPort } from 'node:worker_threads';
import { readChunk } from './verify-chunk.ts';

parentPort?.on('message', ({ id, bytes }: { id: number; bytes: Uint8Array }) => {
  const chunk = readChunk(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  parentPort?.postMessage({ id, chunk }, [
    chunk.hashes.buffer as ArrayBuffer,
    chunk.positions.buffer as ArrayBuffer,
  ]);
});
