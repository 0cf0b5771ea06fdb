/**
 * GET /stream as a WebSocket (RFC 6455): a filtered subscription to the log and nothing else. A client that was cut off asks
 * `from=` the last position it saw and gets every event once. Memory a client costs is bounded: the log is read at its pace.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Recorded } from '../../domain/events.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { authenticate, type Credentials, givenBy, type Identity } from '../../platform/auth.ts';
import { invalid, Problem } from '../../platform/problem.ts';
import { countedAs, networkOf, type RateLimiter } from '../../platform/rate-limit.ts';
import { isRefusal, type OnRefused, refusedUpgrade } from '../../platform/refused.ts';
import { refuse } from '../../platform/server.ts';
import { type EventFilter, matches, maySee, parseFilter, prefixesOf } from './filter.ts';

const clientsMax = 2_000;
const unsentBytesMax = 1 << 20;
const drainMsMax = 10_000;
const drainLookMs = 20;
const heartbeatMs = 15_000;
const incomingBytesMax = 1_024;
/** How long a client may take to say goodbye when the server goes down. */
const farewellMsMax = 1_000;

/** RFC 6455 7.4.1, and one of the range for private use. */
const closeCode = { goingAway: 1001, policy: 1008, internal: 1011, tryAgainLater: 1013 } as const;

export type StreamDeps = {
  readonly store: EventStore;
  readonly credentials: Credentials;
  readonly onRefused?: OnRefused;
  readonly limiter?: RateLimiter;
  /** The address a request came from, by the same rules as those of the routes. */
  readonly ipOf?: (request: IncomingMessage) => string;
  /** Where a client begins that says nothing: what the tables hold, so that a page which has just read them misses nothing. */
  readonly reached: () => Promise<bigint | null>;
  readonly log: { warn(detail: object, line: string): void };
  /** For tests: how many clients may follow at once, how often each is asked whether it is there, how long it may be slow. */
  readonly clientsMax?: number;
  readonly heartbeatMs?: number;
  readonly drainMsMax?: number;
};

export type EventStream = {
  handles(request: IncomingMessage): boolean;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Says goodbye to every client, and lets go of those that do not answer. */
  close(): Promise<void>;
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
    if (server.clients.size >= (deps.clientsMax ?? clientsMax))
      throw new Problem(503, 'unavailable', 'Too many clients follow');
    server.handleUpgrade(request, socket, head, client => {
      void serve(client, wanted, deps);
    });
  };
  return {
    handles: request => request.url?.split('?')[0] === '/stream',
    handleUpgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      accept(request, socket, head).catch(error => {
        const problem = problemOf(error, deps);
        if (isRefusal(problem)) {
          const correlationId = randomUUID();
          deps.onRefused?.(refusedUpgrade(request, problem, { ip: ipOf(request, deps), correlationId }));
        }
        refuse(socket, problem);
      });
    },
    async close() {
      server.close();
      const left = Promise.all([...server.clients].map(goodbye));
      const timer = setTimeout(() => {
        for (const client of server.clients) client.terminate();
      }, farewellMsMax);
      await left;
      clearTimeout(timer);
    },
  };
}

const ipOf = (request: IncomingMessage, deps: StreamDeps) =>
  deps.ipOf?.(request) ?? request.socket.remoteAddress ?? '';

async function readRequest(request: IncomingMessage, deps: StreamDeps): Promise<Wanted> {
  refuseForeignPage(request);
  const ip = ipOf(request, deps);
  const identity = await authenticate(deps.credentials, givenBy(request.headers, ip), 'stream:read').catch(
    async error => {
      await deps.limiter?.count('refused', networkOf(ip));
      throw error;
    },
  );
  const { kind, key } = countedAs(identity, ip);
  await deps.limiter?.count(kind, key);
  const query = new URL(request.url ?? '/', 'http://stream').searchParams;
  const filter = parseFilter(query);
  const asked = query.get('from');
  if (asked !== null && asked !== 'start' && !/^\d{1,19}$/.test(asked)) {
    throw invalid([{ field: 'from', message: 'must be a position, or start' }]);
  }
  const from = asked === null ? ((await deps.reached()) ?? 'start') : asked;
  return { identity, filter, from: from === 'start' || from === '0' || from === 0n ? 'start' : BigInt(from) };
}

/** A browser says whose page it acts for, and it has to be one of ours: WebSockets know no same-origin policy. */
function refuseForeignPage({ headers }: IncomingMessage): void {
  const { origin, host } = headers;
  if (origin === undefined || URL.parse(origin)?.host === host?.toLowerCase()) return;
  throw new Problem(403, 'foreign-origin', 'This page may not follow the stream', {
    detail: 'The Origin of a WebSocket has to be where the platform itself is reached.',
  });
}

function problemOf(error: unknown, { log }: StreamDeps): Problem {
  if (error instanceof Problem) return error;
  log.warn({ err: error }, 'a stream could not be opened');
  return new Problem(503, 'unavailable', 'The stream cannot be opened just now');
}

function goodbye(client: WebSocket): Promise<void> {
  return new Promise(resolve => {
    client.once('close', () => resolve());
    client.close(closeCode.goingAway, 'the server is going down');
  });
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
    const at = new Date().toISOString();
    if (hasExpired(identity, at)) return client.close(closeCode.policy, credentialEnded);
    send(client, { kind: 'heartbeat', position: position.toString(), at });
  }, deps.heartbeatMs ?? heartbeatMs);
  try {
    const prefixes = prefixesOf(filter);
    const streamPrefixes = [...prefixes, ...ownStream(identity)];
    const subscription = { from, streamPrefixes, signal: left.signal };
    for await (const batch of prefixes.length === 0 ? [] : deps.store.subscribe(subscription)) {
      for (const event of batch.events) {
        if (hasEnded(identity, event) || hasExpired(identity, new Date().toISOString()))
          return client.close(closeCode.policy, credentialEnded);
        if (!matches(filter, event) || !maySee(identity, event)) continue;
        if (!(await canTake(client, deps.drainMsMax ?? drainMsMax))) {
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

const credentialEnded = 'the credential has ended';

/** Where the end of the client's own key or session is told, whatever else it follows. */
function ownStream({ kind, credentialId }: Identity): readonly string[] {
  return credentialId === null ? [] : [`access.${kind}-${credentialId}`];
}

/** What a key or a session may see ends with it, at the very event. */
function hasEnded(identity: Identity, { type, stream }: Recorded): boolean {
  const isEnd = type === 'ApiKeyRevoked' || type === 'SessionEnded';
  return isEnd && ownStream(identity).includes(stream);
}

const hasExpired = ({ expiresAt }: Identity, at: string) => expiresAt !== null && expiresAt <= at;

/** Waits for a slow client for a while; false when it has not caught up by then. */
async function canTake(client: WebSocket, waitMsMax: number): Promise<boolean> {
  for (let waitedMs = 0; client.bufferedAmount > unsentBytesMax; waitedMs += drainLookMs) {
    if (waitedMs > waitMsMax || client.readyState !== client.OPEN) return false;
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
