/**
 * The live stream of events over a WebSocket: goes on behind the last event when the connection breaks or is
 * let go.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Frame } from './api.ts';
import type { Client } from './client.ts';
import { Answered, Unreachable } from './exit.ts';

const failuresMax = 8;
const firstWaitMs = 250;
const waitMsMax = 5_000;
const silenceMsMax = 45_000;
const connectMsMax = 10_000;
const frameBytesMax = 16 << 20;
const queuedFramesMax = 1_000;

export type Ask = {
  /** Patterns such as `Build*`; none means every type. */
  readonly types?: readonly string[];
  /** Prefixes of stream names, such as `apps.build-`. */
  readonly streams?: readonly string[];
  /** Exclusive. Undefined: from now. */
  readonly from?: string | undefined;
};

/** A connection that ended; `code` and `reason` as the WebSocket closed. */
class Ended extends Error {
  override readonly name = 'Ended';
  readonly code: number;
  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}

/**
 * Every frame after `from`, without a gap or a repeat across reconnections, until the signal aborts. Rejects
 * with Unreachable when the first connection fails or none succeeds several times in a row, with Answered
 * when it is refused.
 */
export async function* openStream(client: Client, ask: Ask, signal: AbortSignal): AsyncGenerator<Frame> {
  let from = ask.from;
  let ever = false;
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const frame of connect(client, { ...ask, from }, signal)) {
        ever = true;
        failures = 0;
        const position = frame.kind === 'event' ? frame.event.position : frame.position;
        if (frame.kind === 'event' && isAtOrBefore(position, from)) continue;
        if (frame.kind !== 'heartbeat') from = position ?? from;
        yield frame;
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Ended) refuseFinal(error);
      else if (!(error instanceof Unreachable) || !ever) throw error;
      if (++failures > failuresMax) throw new Unreachable('The stream broke and could not be opened again');
      await pause(Math.min(firstWaitMs * 2 ** (failures - 1), waitMsMax), undefined, { signal }).catch(
        () => {},
      );
    }
  }
}

function isAtOrBefore(position: string | null, from: string | undefined): boolean {
  return position !== null && from !== undefined && from !== 'start' && BigInt(position) <= BigInt(from);
}

/** 44xx is the server's final word; every other close may be followed by a new connection. */
function refuseFinal({ code, message }: Ended): void {
  if (code === 4401)
    throw new Answered({ title: 'Nobody has this token', code: 'unauthorized', status: 401 });
  if (code === 4403) throw new Answered({ title: message || 'Not allowed', code: 'forbidden', status: 403 });
  if (code >= 4400 && code < 4500) {
    throw new Answered({ title: message || 'The stream was refused', code: 'invalid', status: 400 });
  }
}

/** The frames of one connection. The socket is paused while the reader is slow, so memory stays bounded. */
async function* connect(client: Client, ask: Ask, signal: AbortSignal): AsyncGenerator<Frame> {
  const { url, token } = await client.place();
  const target = new URL('stream', url);
  target.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  if (ask.types?.length) target.searchParams.set('types', ask.types.join(','));
  if (ask.streams?.length) target.searchParams.set('streams', ask.streams.join(','));
  if (ask.from !== undefined) target.searchParams.set('from', ask.from);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(target, {
    headers,
    handshakeTimeout: connectMsMax,
    maxPayload: frameBytesMax,
    followRedirects: false,
  });

  const queue: Frame[] = [];
  let failure: Error | undefined;
  let wake = Promise.withResolvers<void>();
  const fail = (error: Error) => {
    failure ??= error;
    wake.resolve();
  };
  const silence = setTimeout(() => socket.terminate(), silenceMsMax);
  const leave = () => socket.terminate();
  signal.addEventListener('abort', leave, { once: true });

  socket.on('message', bytes => {
    silence.refresh();
    try {
      queue.push(JSON.parse(String(bytes)) as Frame);
    } catch {
      fail(new Error('The stream sent something that is not JSON'));
    }
    if (queue.length >= queuedFramesMax) socket.pause();
    wake.resolve();
  });
  socket.on('close', (code, reason) => fail(new Ended(code, reason.toString())));
  socket.on('error', error => fail(new Unreachable(`No stream from ${url.origin}: ${error.message}`)));
  socket.on('unexpected-response', (_request, answer) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.on('end', () => {
      fail(refusalOf(answer.statusCode ?? 0, Buffer.concat(chunks).toString()));
      socket.terminate();
    });
  });

  try {
    for (;;) {
      for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) yield frame;
      if (failure !== undefined) throw failure;
      wake = Promise.withResolvers<void>();
      if (socket.isPaused) socket.resume();
      await wake.promise;
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', leave);
    socket.terminate();
  }
}

function refusalOf(status: number, body: string): Error {
  if (status === 503) return new Unreachable('The server is not ready to stream');
  try {
    return new Answered({
      title: 'The stream was refused',
      code: `http ${status}`,
      ...JSON.parse(body),
      status,
    });
  } catch {
    return new Answered({ title: 'The stream was refused', code: `http ${status}`, status });
  }
}
