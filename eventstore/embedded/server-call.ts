/**
 * One gRPC call over an HTTP/2 stream: messages in, messages out, an ending with trailers. The framing is done here, on
 * node:http2 itself, because it is the innermost loop of every read. Source: github.com/grpc/grpc doc/PROTOCOL-HTTP2.md.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type Codec, prefixBytes } from './codec.ts';
import { CallFailed, callFailure, headerText, status } from './server-status.ts';

/** A request message may hold a whole append of the largest size, and its wrapping. */
export const messageBytesMaxDefault = 17 * 1024 * 1024;
const timeoutMsMax = 2 ** 31 - 1;

/** Who calls: undefined where nobody is asked. */
export type Caller = { readonly name: string; readonly groups: readonly string[] } | undefined;

export type Call = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  caller: Caller;
  /** Address and port of the other side. */
  readonly peer: string;
  /** Aborted when the client is gone, its deadline has passed, the call is over or the server closes. */
  readonly signal: AbortSignal;
  /** The messages as they come, those of one packet together. Ends when the client has sent all. */
  messages(): AsyncGenerator<Buffer[], void>;
  /** Sends frames (message behind its prefix). False: wait for `drained` before the next. */
  send(frames: Buffer): boolean;
  /** Sends soon, together with whatever else comes before the event loop goes on. */
  sendSoon(frame: Buffer): void;
  /** Resolves when there is room to send again, or the call is over. */
  drained(): Promise<void>;
  /** Ends the call at once, from outside of its method. */
  fail(failure: CallFailed): void;
};

export type Method = (call: Call) => Promise<void>;

/** A method with one message in and one out. */
export function unary<I, O>(
  request: Codec<I>,
  response: Codec<O>,
  handle: (request: I, call: Call) => Promise<Parameters<Codec<O>['frame']>[0]>,
): Method {
  return async call => {
    const answer = await handle(request.decode(await onlyMessage(call)), call);
    call.send(response.frame(answer));
  };
}

/** The single message of a request; ends the call when there is none. */
export async function onlyMessage(call: Call): Promise<Buffer> {
  let only: Buffer | undefined;
  for await (const messages of call.messages()) only ??= messages[0];
  if (only === undefined) throw new CallFailed(status.invalidArgument, 'The request has no message.');
  return only;
}

/** Cuts a stream of chunks into messages. Views into the chunks where a message lies in one. */
async function* readMessages(stream: ServerHttp2Stream, bytesMax: number): AsyncGenerator<Buffer[], void> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let needed = prefixBytes;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    rest.push(chunk as Buffer);
    restBytes += (chunk as Buffer).length;
    if (restBytes < needed) continue;
    const bytes = rest.length === 1 ? (rest[0] as Buffer) : Buffer.concat(rest, restBytes);
    const messages: Buffer[] = [];
    let at = 0;
    needed = prefixBytes;
    while (bytes.length - at >= prefixBytes) {
      if (bytes[at] !== 0) throw new CallFailed(status.unimplemented, 'Compressed messages are not read.');
      const length = bytes.readUInt32BE(at + 1);
      if (length > bytesMax) {
        throw new CallFailed(
          status.resourceExhausted,
          `A message of ${length} bytes is more than ${bytesMax}.`,
        );
      }
      needed = prefixBytes + length;
      if (bytes.length - at < needed) break;
      messages.push(bytes.subarray(at + prefixBytes, at + needed));
      at += needed;
      needed = prefixBytes;
    }
    rest = at === bytes.length ? [] : [bytes.subarray(at)];
    restBytes = bytes.length - at;
    if (messages.length > 0) yield messages;
  }
  if (restBytes > 0) throw new CallFailed(status.invalidArgument, 'The last message ends early.');
}

const responseHeaders = { ':status': 200, 'content-type': 'application/grpc' };

export type CallOptions = {
  readonly headers: IncomingHttpHeaders;
  /** Who calls; throws or rejects when that is not proven. */
  readonly identify: (headers: IncomingHttpHeaders) => Caller | Promise<Caller>;
  readonly messageBytesMax: number;
  /** What the protocol has no name for: worth a log line. */
  onInternal(error: unknown): void;
};

/** An HTTP/2 stream as a call, and how to end it: `finish` may be called any number of times. */
export function openCall(stream: ServerHttp2Stream, options: CallOptions) {
  const { headers } = options;
  const aborter = new AbortController();
  let pending: Buffer[] = [];
  let ended = false;
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };

  function send(frames: Buffer): boolean {
    if (ended || stream.destroyed || stream.closed) return true;
    if (!stream.headersSent) stream.respond(responseHeaders, { waitForTrailers: true });
    return stream.write(frames);
  }

  function flush(): void {
    const frames = pending;
    if (frames.length === 0) return;
    pending = [];
    send(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
  }

  function finish(failure?: CallFailed): void {
    if (ended) return;
    flush();
    ended = true;
    aborter.abort();
    wake();
    clearTimeout(timer);
    if (stream.destroyed || stream.closed) return;
    const trailers = trailersOf(failure);
    // What the client still sends is of no interest, but must not fill its window.
    stream.resume();
    if (!stream.headersSent) {
      stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
      return;
    }
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end();
  }

  const timeoutMs = parseTimeout(headers['grpc-timeout']);
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => finish(new CallFailed(status.deadlineExceeded, 'Deadline Exceeded')), timeoutMs);

  stream.on('drain', wake);
  stream.once('close', () => {
    ended = true;
    clearTimeout(timer);
    aborter.abort();
    wake();
  });
  // A reset by the client is the usual end of a subscription; 'close' follows.
  stream.on('error', () => undefined);

  const call: Call = {
    path: String(headers[':path']),
    headers,
    caller: undefined,
    peer: peerOf(stream),
    fail: finish,
    signal: aborter.signal,
    messages: () => readMessages(stream, options.messageBytesMax),
    send,
    sendSoon(frame) {
      if (pending.push(frame) === 1) process.nextTick(flush);
    },
    drained: () =>
      ended || !stream.writableNeedDrain ? Promise.resolve() : new Promise(resolve => waiting.push(resolve)),
  };

  return {
    call,
    finish,
    /** Runs the method and ends the call as it ends. Never rejects. */
    async run(method: Method): Promise<void> {
      try {
        const caller = options.identify(headers);
        call.caller = caller instanceof Promise ? await caller : caller;
        await method(call);
        finish();
      } catch (error) {
        // A reader whose client has gone fails in whatever it was doing.
        if (ended || stream.destroyed) return;
        const failure = callFailure(error);
        const isOurs = failure.code === status.internal || failure.code === status.dataLoss;
        if (isOurs) options.onInternal(error);
        finish(failure);
      }
    },
  };
}

function trailersOf(failure: CallFailed | undefined): Record<string, string> {
  if (failure === undefined) return { 'grpc-status': `${status.ok}` };
  const trailers: Record<string, string> = {
    'grpc-status': `${failure.code}`,
    'grpc-message': headerText(failure.message),
  };
  for (const [name, value] of Object.entries(failure.trailers)) trailers[name] = headerText(value);
  return trailers;
}

function peerOf({ session }: ServerHttp2Stream): string {
  const { remoteAddress, remotePort } = session?.socket ?? {};
  return remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`;
}

const timeoutUnitsMs = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 } as const;

/** grpc-timeout: up to eight digits and a unit. */
function parseTimeout(text: string | string[] | undefined): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(text ?? '')) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  return Math.min(Number(digits) * timeoutUnitsMs[unit as keyof typeof timeoutUnitsMs], timeoutMsMax);
}
