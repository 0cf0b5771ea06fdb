/**
 * GET /stream as a WebSocket (RFC 6455): a filtered subscription to the log and nothing else. A client that was cut off asks
 * `from=` the last position it saw and gets every event once. Memory a client costs is bounded: the log is read at its pace.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Recorded } from '../../domain/events.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { allows, anonymous, type Identity, identify, type KnownToken, tokenOf } from '../../platform/auth.ts';
import { invalid, Problem } from '../../platform/problem.ts';
import { type EventFilter, matches, maySee, parseFilter, prefixesOf } from './filter.ts';

const clientsMax = 2_000;
const unsentBytesMax = 1 << 20;
const drainMsMax = 10_000;
const drainLookMs = 20;
const heartbeatMs = 15_000;
const incomingBytesMax = 1_024;

/** RFC 6455 7.4.1, and one of the range for private use. */
const closeCode = { goingAway: 1001, internal: 1011, tryAgainLater: 1013 } as const;

export type StreamDeps = {
  readonly store: EventStore;
  readonly tokens: readonly KnownToken[];
  /** Where a client begins that says nothing: what the tables hold, so that a page which has just read them misses nothing. */
  readonly reached: () => Promise<bigint | null>;
  readonly log: { warn(detail: object, line: string): void };
};

export type EventStream = {
  handles(request: IncomingMessage): boolean;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  close(): void;
};

type Wanted = { identity: Identity; filter: EventFilter; from: bigint | 'start' };

export function eventStream(deps: StreamDeps): EventStream {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: incomingBytesMax,
    handleProtocols: offered => (offered.has('apphub') ? 'apphub' : false),
  });
  const accept = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const wanted = await readRequest(request, deps);
    if (server.clients.size >= clientsMax) throw new Problem(503, 'unavailable', 'Too many clients follow');
    server.handleUpgrade(request, socket, head, client => {
      void serve(client, wanted, deps);
    });
  };
  return {
    handles: request => request.url?.split('?')[0] === '/stream',
    handleUpgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      accept(request, socket, head).catch(error => refuse(socket, error));
    },
    close() {
      for (const client of server.clients) client.close(closeCode.goingAway, 'the server is going down');
      server.close();
    },
  };
}

async function readRequest(request: IncomingMessage, deps: StreamDeps): Promise<Wanted> {
  const token = tokenOf(request.headers);
  const identity = token === undefined ? anonymous : identify(deps.tokens, token);
  if (identity === undefined || identity === anonymous) {
    throw new Problem(
      401,
      'unauthorized',
      token === undefined ? 'This needs a token' : 'Nobody has this token',
    );
  }
  if (!allows(identity, 'stream:read')) {
    throw new Problem(403, 'forbidden', 'This needs the scope stream:read', {
      extra: { scope: 'stream:read' },
    });
  }
  const query = new URL(request.url ?? '/', 'http://stream').searchParams;
  const filter = parseFilter(query);
  const asked = query.get('from');
  if (asked !== null && asked !== 'start' && !/^\d{1,19}$/.test(asked)) {
    throw invalid([{ field: 'from', message: 'must be a position, or start' }]);
  }
  const from = asked === null ? ((await deps.reached()) ?? 'start') : asked;
  return { identity, filter, from: from === 'start' || from === '0' || from === 0n ? 'start' : BigInt(from) };
}

/** No WebSocket yet, so the answer is plain HTTP. */
function refuse(socket: Duplex, error: unknown): void {
  const problem =
    error instanceof Problem ? error : new Problem(500, 'internal', 'Something broke on our side');
  const body = JSON.stringify(problem.toDocument());
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.code}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Sends until the client leaves, cannot keep up, or the server closes. */
async function serve(client: WebSocket, { identity, filter, from }: Wanted, deps: StreamDeps): Promise<void> {
  const left = new AbortController();
  client.once('close', () => left.abort());
  client.on('error', () => client.terminate());
  let position = from === 'start' ? 0n : from;
  let isAlive = true;
  client.on('pong', () => {
    isAlive = true;
  });
  const beat = setInterval(() => {
    if (!isAlive) return client.terminate();
    isAlive = false;
    client.ping();
    send(client, { kind: 'heartbeat', position: position.toString(), at: new Date().toISOString() });
  }, heartbeatMs);
  try {
    const prefixes = prefixesOf(filter);
    const subscription = { from, streamPrefixes: prefixes, signal: left.signal };
    for await (const batch of prefixes.length === 0 ? [] : deps.store.subscribe(subscription)) {
      for (const event of batch.events) {
        if (!matches(filter, event) || !maySee(identity, event)) continue;
        if (!(await canTake(client))) {
          return client.close(closeCode.tryAgainLater, `resume after ${position}`);
        }
        send(client, { kind: 'event', event: wire(event) });
        position = event.position;
      }
      position = batch.position ?? position;
      if (batch.caughtUp) send(client, { kind: 'caughtUp', position: position.toString() });
    }
  } catch (error) {
    deps.log.warn({ err: error }, 'a stream to a client broke');
    client.close(closeCode.internal, `resume after ${position}`);
  } finally {
    clearInterval(beat);
  }
}

/** Waits for a slow client for a while; false when it has not caught up by then. */
async function canTake(client: WebSocket): Promise<boolean> {
  for (let waitedMs = 0; client.bufferedAmount > unsentBytesMax; waitedMs += drainLookMs) {
    if (waitedMs > drainMsMax || client.readyState !== client.OPEN) return false;
    await new Promise(resolve => setTimeout(resolve, drainLookMs));
  }
  return true;
}

function send(client: WebSocket, frame: object): void {
  if (client.readyState === client.OPEN) client.send(JSON.stringify(frame));
}

function wire(event: Recorded) {
  const { type, data, id, stream, created, metadata } = event;
  const { actor, correlationId, causationId } = metadata;
  const place = { position: event.position.toString(), revision: event.revision.toString() };
  return { ...place, id, type, stream, at: created, actor, correlationId, causationId, data };
}
