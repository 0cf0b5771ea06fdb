/**
 * The body of a visitor's request on its way to the app: no more of it than is allowed, and neither side keeps the other for
 * ever.
 */
import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';

export class BodyTooLarge extends Error {}
export class BodyTooSlow extends Error {}
/** The app does not take what is sent to it. */
export class BodyNotTaken extends Error {}

export type BodyLimits = {
  readonly bytesMax: number;
  /** How long the visitor may pause. */
  readonly pauseMsMax: () => number;
  /** How long the app may. */
  readonly takenMsMax: number;
};

/**
 * Resolves once all of it was written, and ends `to`. Rejects with what was too much. Does nothing more once `to` is
 * destroyed.
 */
export async function sendBody(request: IncomingMessage, to: Writable, limits: BodyLimits): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const wait = (msMax: number, error: Error) => {
    clearTimeout(timer);
    timer = setTimeout(() => reject(error), msMax);
  };
  const onPart = (part: Buffer) => {
    bytes += part.length;
    if (bytes > limits.bytesMax) return reject(new BodyTooLarge());
    if (to.write(part)) return wait(limits.pauseMsMax(), new BodyTooSlow());
    request.pause();
    wait(limits.takenMsMax, new BodyNotTaken());
  };
  const onDrain = () => {
    wait(limits.pauseMsMax(), new BodyTooSlow());
    request.resume();
  };
  wait(limits.pauseMsMax(), new BodyTooSlow());
  to.on('drain', onDrain).once('close', resolve);
  request.on('data', onPart).once('end', resolve);
  try {
    await promise;
    to.end();
  } finally {
    clearTimeout(timer);
    to.removeListener('drain', onDrain).removeListener('close', resolve);
    request.removeListener('data', onPart).removeListener('end', resolve);
    request.pause();
  }
}
