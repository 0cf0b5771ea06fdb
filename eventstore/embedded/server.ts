/**
 * The embedded event log's server: EventStoreDB's gRPC protocol over HTTP/2, and a few answers over HTTP/1, on one port.
 * Which of the two a connection speaks is seen from its first bytes. Calls are taken from node:http2's 'stream' alone: a
 * listener for 'request' would send trailers of its own.
 */
import { randomUUID } from 'node:crypto';
import { createServer as createHttp1, type Server as Http1Server } from 'node:http';
import {
  createServer as createHttp2,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { maxAppendBytesDefault, openEventLog } from './log.ts';
import { operationsMethods, Scavenges } from './operations-methods.ts';
import { persistentMethods } from './persistent-methods.ts';
import { PersistentSubscriptions } from './persistent-subscriptions.ts';
import { type Access, openAccess, securedAccess } from './server-access.ts';
import { type Method, messageBytesMaxDefault, openCall } from './server-call.ts';
import { featuresMethod } from './server-features.ts';
import { gossipMethod } from './server-gossip.ts';
import { answerHttp1 } from './server-http1.ts';
import { CallFailed, status } from './server-status.ts';
import type { Storage } from './storage.ts';
import { appendMethod, deleteMethod } from './streams-append.ts';
import { batchAppendMethod } from './streams-batch.ts';
import { readMethod } from './streams-read.ts';
import { Users } from './users.ts';
import { usersMethods } from './users-methods.ts';

type ServerLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type LogServerOptions = {
  readonly storage: Storage;
  /** 0: any free port. */
  readonly port: number;
  readonly host?: string;
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /**
   * Whoever calls has to be a user. `admin` and `ops` are made with these passwords when they are not there yet. Without
   * it everybody is an administrator.
   */
  readonly users?: { readonly admin: string; readonly ops: string };
  /** Called when a client asks the server to end; without it that is refused. */
  readonly onShutdown?: () => void;
  readonly maxAppendBytes?: number;
  readonly log?: ServerLog;
};

export type LogServer = {
  readonly port: number;
  /** Ends every call with UNAVAILABLE and every connection. The storage stays open: it is the caller's. */
  close(): Promise<void>;
};

const hostDefault = '127.0.0.1';
const windowBytes = 4 * 1024 * 1024;
const streamWindowBytes = 1024 * 1024;
const concurrentStreamsMax = 4_096;
const sessionMemoryMb = 64;
const closeWaitMsMax = 1_000;
const preface = Buffer.from('PRI * HTTP/2.0');
/** Who connects and says nothing is sent away after this time. */
const firstBytesWaitMsMax = 10_000;

const http2Settings = {
  settings: { initialWindowSize: streamWindowBytes, maxConcurrentStreams: concurrentStreamsMax },
  maxSessionMemory: sessionMemoryMb,
} as const;

/** Serves a storage. Resolves when the port is open; rejects when it cannot be. */
export async function startLogServer(options: LogServerOptions): Promise<LogServer> {
  const onInternal = (error: unknown) => options.log?.error({ err: error }, 'a call to the log failed');
  const methods = await methodsOf(options, onInternal);
  const calls = new Set<ReturnType<typeof openCall>>();
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();

  const onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const opened = openCall(stream, {
      headers,
      identify: methods.access.identify,
      messageBytesMax: messageBytesMaxDefault,
      onInternal,
    });
    calls.add(opened);
    stream.once('close', () => calls.delete(opened));
    void opened.run(methodFor(methods, headers));
  };
  const onSession = (session: ServerHttp2Session) => {
    sessions.add(session);
    session.setLocalWindowSize(windowBytes);
    session.on('error', () => undefined);
    session.once('close', () => sessions.delete(session));
  };

  const listener = openListener(options);
  listener.http2.on('stream', onStream);
  listener.http2.on('session', onSession);
  listener.http2.on('sessionError', () => undefined);
  listener.tcp.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await listen(listener.tcp, options.port, options.host ?? hostDefault);
  const { port } = listener.tcp.address() as AddressInfo;
  methods.port = port;

  return {
    port,
    async close() {
      const closed = new Promise<void>(resolve => listener.tcp.close(() => resolve()));
      await methods.close();
      for (const opened of calls) {
        opened.finish(new CallFailed(status.unavailable, 'The event log is closing.'));
      }
      for (const session of sessions) session.close();
      listener.stop();
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, closeWaitMsMax);
      await closed;
      clearTimeout(timer);
    },
  };
}

type Methods = {
  readonly byPath: ReadonlyMap<string, Method>;
  readonly access: Access;
  /** Ends what works in the background. */
  close(): Promise<void>;
  port: number;
};

async function methodsOf(
  { storage, users: passwords, onShutdown, maxAppendBytes = maxAppendBytesDefault }: LogServerOptions,
  onInternal: (error: unknown) => void,
): Promise<Methods> {
  const log = await openEventLog(storage, { maxAppendBytes });
  const users = new Users(log);
  if (passwords !== undefined) await users.ensureDefaults(passwords);
  const access = passwords === undefined ? openAccess : securedAccess(log, users);
  const scavenges = new Scavenges(log, onInternal);
  const subscriptions = new PersistentSubscriptions(log, onInternal);
  await subscriptions.load();
  const streams = '/event_store.client.streams.Streams';
  const appendMessagesBytesMax = Math.max(messageBytesMaxDefault, maxAppendBytes * 2);
  const announced = new Map<string, Method>([
    [`${streams}/Read`, readMethod(log, access)],
    [`${streams}/Append`, appendMethod(log, access, appendMessagesBytesMax)],
    [`${streams}/BatchAppend`, batchAppendMethod(log, access, appendMessagesBytesMax)],
    [`${streams}/Delete`, deleteMethod(log.softDelete, access)],
    [`${streams}/Tombstone`, deleteMethod(log.tombstone, access)],
    ...persistentMethods(subscriptions, access),
    ...usersMethods(users, access),
    ...operationsMethods({ scavenges, subscriptions, access, onShutdown }),
  ]);
  const close = async () => {
    await Promise.all([subscriptions.close(), scavenges.close()]);
  };
  const methods = { byPath: announced, access, close, port: 0 };
  const gossip = gossipMethod(randomUUID(), () => methods.port);
  announced.set('/event_store.client.gossip.Gossip/Read', gossip);
  const featuresPath = '/event_store.client.server_features.ServerFeatures/GetSupportedMethods';
  announced.set(featuresPath, featuresMethod([...announced.keys(), featuresPath]));
  return methods;
}

/** What is unknown, or no gRPC, is answered by a method that only says so. */
function methodFor({ byPath }: Methods, headers: IncomingHttpHeaders): Method {
  const path = String(headers[':path']);
  const method = byPath.get(path);
  if (method !== undefined && headers[':method'] === 'POST') return method;
  return () => Promise.reject(new CallFailed(status.unimplemented, unknownText(path)));
}

function unknownText(path: string): string {
  if (path.startsWith('/event_store.client.projections.'))
    return 'Projections in the server are not offered: subscribe, and project in the application.';
  if (path.startsWith('/event_store.client.operations.')) return 'This log is one node, and no cluster.';
  return `There is no method ${path}.`;
}

type Listener = {
  readonly tcp: Server;
  readonly http2: Http2Server;
  /** Ends what is not HTTP/2. */
  stop(): void;
};

/** With TLS a client says by ALPN what it speaks; its first bytes say it anyway. */
function openListener({ tls, users }: LogServerOptions): Listener {
  const http2 = createHttp2(http2Settings);
  const http1: Http1Server = createHttp1((request, response) =>
    answerHttp1(request, response, users !== undefined),
  );
  const onSocket = (socket: Socket) => handOver(socket, http2, http1);
  const alpn = { ALPNProtocols: ['h2', 'http/1.1'], handshakeTimeout: firstBytesWaitMsMax };
  const tcp = tls === undefined ? createTcp(onSocket) : createTls({ ...tls, ...alpn }, onSocket);
  return { tcp, http2, stop: () => http1.closeAllConnections() };
}

function handOver(socket: Socket, http2: Http2Server, http1: Http1Server): void {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(firstBytesWaitMsMax, () => socket.destroy());
  let first: Buffer = Buffer.alloc(0);
  const look = (chunk: Buffer) => {
    first = first.length === 0 ? chunk : Buffer.concat([first, chunk]);
    const compared = Math.min(first.length, preface.length);
    const isHttp2 = preface.compare(first, 0, compared, 0, compared) === 0;
    if (isHttp2 && first.length < preface.length) return;
    socket.off('data', look);
    socket.pause();
    socket.setTimeout(0);
    socket.unshift(first);
    (isHttp2 ? http2 : http1).emit('connection', socket);
    if (!isHttp2) socket.resume();
  };
  socket.on('data', look);
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
