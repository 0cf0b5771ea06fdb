/**
 * A session of a BuildKit build: the engine connects back over it, as to a server that speaks gRPC (HTTP/2, RFC 9113), and asks
 * for the secrets that steps mount and for the credentials of registries. What it is given is kept in the engine's memory for
 * the step; it is in no layer and no message.
 */
import { randomUUID } from 'node:crypto';
import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import { fieldOf, fieldsIn } from './docker-trace.ts';
import type { Engine, RegistryAuth } from './docker-types.ts';

const messageBytesMax = 64 * 1024;
const status = { ok: 0, notFound: 5, unimplemented: 12, internal: 13 } as const;

export type SessionGifts = {
  readonly secrets: ReadonlyMap<string, string>;
  readonly auth?: RegistryAuth | undefined;
};

export type BuildSession = {
  readonly id: string;
  /** What was asked for and is not there, once it was. */
  readonly missing: ReadonlySet<string>;
  close(): void;
};

type Method = (request: Uint8Array) => { message: Uint8Array } | { status: number; reason: string };

/** Rejects where the engine has no sessions. */
export async function openSession(engine: Engine, gifts: SessionGifts): Promise<BuildSession> {
  const id = randomUUID();
  const missing = new Set<string>();
  const methods = methodsOf(gifts, missing);
  const socket = await dial(engine, id, Object.keys(methods));
  const session = http2.performServerHandshake(socket);
  session.on('error', () => undefined);
  session.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    serve(stream, methods[String(headers[':path'])]).catch(() =>
      stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
    );
  });
  return {
    id,
    missing,
    close() {
      session.destroy();
      socket.destroy();
    },
  };
}

function dial(engine: Engine, id: string, methods: readonly string[]): Promise<Duplex> {
  const options = {
    method: 'POST',
    path: '/session',
    hijack: true,
    headers: {
      Upgrade: 'h2c',
      'X-Docker-Expose-Session-Uuid': id,
      'X-Docker-Expose-Session-Name': 'apphub',
      'X-Docker-Expose-Session-Grpc-Method': methods,
    },
    statusCodes: { 101: true, 200: true, 500: 'server error' },
  };
  return new Promise((resolve, reject) => {
    engine.api.modem.dial(options as never, (error: unknown, socket: unknown) =>
      error ? reject(error) : resolve(socket as Duplex),
    );
  });
}

function methodsOf({ secrets, auth }: SessionGifts, missing: Set<string>): Readonly<Record<string, Method>> {
  return {
    // Asked every few seconds: a session that does not answer is given up.
    '/grpc.health.v1.Health/Check': () => ({ message: Uint8Array.of(0x08, 0x01) }),
    '/moby.buildkit.secrets.v1.Secrets/GetSecret': request => {
      const name = textIn(request);
      const value = secrets.get(name);
      if (value !== undefined) return { message: fieldOf(1, Buffer.from(value)) };
      missing.add(name);
      return { status: status.notFound, reason: `secret ${name} not found` };
    },
    '/moby.filesync.v1.Auth/Credentials': request => {
      if (auth === undefined || textIn(request) !== auth.host) return { message: new Uint8Array() };
      const [username, password] = [auth.username, auth.password].map(text => Buffer.from(text));
      return {
        message: Buffer.concat([fieldOf(1, username ?? Buffer.of()), fieldOf(2, password ?? Buffer.of())]),
      };
    },
  };
}

/** The first field of each of these requests names what is wanted. */
function textIn(request: Uint8Array): string {
  for (const [field, value] of fieldsIn(request)) {
    if (field === 1 && typeof value === 'object') return Buffer.from(value).toString('utf8');
  }
  return '';
}

async function serve(stream: http2.ServerHttp2Stream, method: Method | undefined): Promise<void> {
  const type = { ':status': 200, 'content-type': 'application/grpc' };
  const fail = (code: number, reason: string) =>
    stream.respond(
      { ...type, 'grpc-status': String(code), 'grpc-message': encodeURIComponent(reason) },
      { endStream: true },
    );
  if (method === undefined) return fail(status.unimplemented, 'not offered');
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    parts.push(part);
    bytes += part.length;
    if (bytes > messageBytesMax) return fail(status.internal, 'too long');
  }
  // One message: a byte for compression, four for its length, and itself.
  const answer = method(Buffer.concat(parts).subarray(5));
  if ('status' in answer) return fail(answer.status, answer.reason);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(answer.message.length, 1);
  stream.respond(type, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status.ok) }));
  stream.end(Buffer.concat([head, answer.message]));
}
