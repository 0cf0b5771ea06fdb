/**
 * The embedded event log's server: EventStoreDB's gRPC protocol over HTTP/2, and a few answers over HTTP/1, on one port.
 * Which of the two a connection speaks is seen from its first bytes (with TLS: negotiated by ALPN).
 */
import { randomUUID } from 'node:crypto';
import { createServer as createHttp1, type Server as Http1Server } from 'node:http';
import {
  createServer as createHttp2,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { maxAppendBytesDefault, openEventLog } from './log.ts';
import { persistentMethods } from './persistent-methods.ts';
import { PersistentSubscriptions } from './persistent-subscriptions.ts';
import { openAccess } from './server-access.ts';
import { type Caller, type Method, messageBytesMaxDefault, openCall } from './server-call.ts';
import { featuresMethod } from './server-features.ts';
import { gossipMethod } from './server-gossip.ts';
import { answerHttp1 } from './server-http1.ts';
import { CallFailed, status } from './server-status.ts';
import type { Storage } from './storage.ts';
import { appendMethod, deleteMethod } from './streams-append.ts';
import { batchAppendMethod } from './streams-batch.ts';
import { readMethod } from './streams-read.ts';

export type ServerLog = {
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
    const caller: Caller = undefined;
    const opened = openCall(stream, {
      headers,
      caller,
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

  const { listener, stop } = options.tls === undefined ? plainServer() : tlsServer(options.tls);
  for (const http2 of [listener.http2]) {
    http2.on('stream', onStream);
    http2.on('session', onSession);
    http2.on('sessionError', () => undefined);
  }
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
      await methods.subscriptions.close();
      for (const opened of calls) {
        opened.finish(new CallFailed(status.unavailable, 'The event log is closing.'));
      }
      for (const session of sessions) session.close();
      stop();
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
  readonly subscriptions: PersistentSubscriptions;
  port: number;
};

async function methodsOf(
  { storage, maxAppendBytes = maxAppendBytesDefault }: LogServerOptions,
  onInternal: (error: unknown) => void,
): Promise<Methods> {
  const log = await openEventLog(storage, { maxAppendBytes });
  const access = openAccess;
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
  ]);
  const methods = { byPath: announced, subscriptions, port: 0 };
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
  return () => Promise.reject(new CallFailed(status.unimplemented, `There is no method ${path}.`));
}

type Listener = {
  readonly tcp: Server;
  readonly http2: Http2Server | Http2SecureServer;
};

function plainServer(): { listener: Listener; stop(): void } {
  const http2 = createHttp2(http2Settings);
  const http1: Http1Server = createHttp1(answerHttp1);
  const tcp = createTcp(socket => {
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
  });
  return { listener: { tcp, http2 }, stop: () => http1.closeAllConnections() };
}

function tlsServer(tls: NonNullable<LogServerOptions['tls']>): { listener: Listener; stop(): void } {
  const http2 = createSecureServer({ ...http2Settings, ...tls, allowHTTP1: true });
  http2.on('request', (request, response) => {
    // HTTP/2 requests are calls, and have been taken by 'stream'.
    if (request.httpVersionMajor < 2) answerHttp1(request, response);
  });
  return { listener: { tcp: http2 as unknown as Server, http2 }, stop: () => undefined };
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
