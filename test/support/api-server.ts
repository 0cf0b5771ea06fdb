/**
 * A small server that speaks AppHub's HTTP API out of a few maps, for tests of its clients: answers, problems, logs that
 * break off, and a stream that can be cut. A test moves things along by `append` and by changing the maps.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

type Row = Record<string, unknown>;
export type StoredEvent = {
  position: string;
  id: string;
  type: string;
  stream: string;
  revision: string;
  at: string;
  actor: string;
  correlationId: string;
  causationId: string;
  data: Row;
};
export type SeenRequest = { method: string; path: string; query: URLSearchParams; key?: string; body?: Row };

const token = 'a-token-of-the-tests';
const at = '2026-01-02T03:04:05.000Z';

export async function startApiServer() {
  const state = {
    apps: new Map<string, Row>(),
    builds: new Map<string, Row>(),
    launches: new Map<string, Row>(),
    /** Text of each log by the id of its build or launch; a string is one chunk. */
    logs: new Map<string, string[]>(),
    events: [] as StoredEvent[],
    requests: [] as SeenRequest[],
    streamQueries: [] as URLSearchParams[],
    sockets: new Set<WebSocket>(),
    /** Answers to give before the real one, first to last. `reset` breaks the connection. */
    faults: [] as (Row | 'reset')[],
    /** Whether a stream begins with the event it was to begin behind. */
    repeats: false,
    /** How many log chunks to send before the connection breaks; once. */
    breakLogAfter: undefined as number | undefined,
  };

  const append = (type: string, stream: string, data: Row = {}): string => {
    const position = String((state.events.length + 1) * 100);
    const revision = String(state.events.filter(event => event.stream === stream).length);
    const ids = { correlationId: 'c', causationId: 'c' };
    const event = {
      position,
      id: `event-${position}`,
      type,
      stream,
      revision,
      at,
      actor: 'operator',
      ...ids,
      data,
    };
    state.events.push(event);
    for (const socket of state.sockets) send(socket, event);
    return position;
  };

  const server = createServer((request, response) => {
    answer(state, append, request, response).catch(error => response.destroy(error));
  });
  const streams = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.authorization !== `Bearer ${token}`) {
      const body = JSON.stringify({ title: 'Nobody has this token', status: 401, code: 'unauthorized' });
      socket.end(
        `HTTP/1.1 401 Unauthorized\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      return;
    }
    streams.handleUpgrade(request, socket, head, ws => {
      const query = new URL(request.url ?? '/', 'http://x').searchParams;
      state.streamQueries.push(query);
      filters.set(ws, query);
      const from = query.get('from');
      if (from !== null) {
        const behind = from === 'start' ? 0n : BigInt(from);
        const first = state.repeats ? behind - 1n : behind;
        for (const event of state.events) if (BigInt(event.position) > first) send(ws, event);
      }
      ws.send(JSON.stringify({ kind: 'caughtUp', position: state.events.at(-1)?.position ?? null }));
      ws.send(JSON.stringify({ kind: 'heartbeat', position: null, at }));
      state.sockets.add(ws);
      ws.on('close', () => state.sockets.delete(ws));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  return Object.assign(state, {
    url,
    token,
    append,
    env: { APPHUB_URL: url, APPHUB_TOKEN: token },
    /** Ends every stream, as a server that restarts does, or one that lets a slow reader go. */
    cutStreams: (code = 1012, reason = '') => {
      for (const socket of state.sockets) socket.close(code, reason);
    },
    close: async () => {
      for (const socket of streams.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  });
}

export type ApiServer = Awaited<ReturnType<typeof startApiServer>>;
type State = Pick<
  ApiServer,
  'apps' | 'builds' | 'launches' | 'logs' | 'events' | 'requests' | 'faults' | 'breakLogAfter'
>;
type Append = ApiServer['append'];

const filters = new WeakMap<WebSocket, URLSearchParams>();

function send(socket: WebSocket, event: StoredEvent): void {
  const query = filters.get(socket);
  const list = (name: string) => query?.get(name)?.split(',') ?? [];
  const types = list('types');
  const streams = list('streams');
  const fits = (pattern: string) =>
    pattern.endsWith('*') ? event.type.startsWith(pattern.slice(0, -1)) : pattern === event.type;
  if (types.length > 0 && !types.some(fits)) return;
  if (streams.length > 0 && !streams.some(prefix => event.stream.startsWith(prefix))) return;
  socket.send(JSON.stringify({ kind: 'event', event }));
}

async function answer(state: State, append: Append, request: IncomingMessage, response: ServerResponse) {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const method = request.method ?? 'GET';
  const key = request.headers['idempotency-key'] as string | undefined;
  const body = text === '' ? undefined : (JSON.parse(text) as Row);
  state.requests.push({
    method,
    path: pathname,
    query: searchParams,
    ...(key === undefined ? {} : { key }),
    ...(body === undefined ? {} : { body }),
  });
  const fault = state.faults.shift();
  if (fault === 'reset') return request.socket.destroy();
  if (fault !== undefined) return problem(response, fault);
  if (request.headers.authorization !== `Bearer ${token}`) {
    return problem(response, { status: 401, code: 'unauthorized', title: 'Nobody has this token' });
  }
  const parts = pathname.split('/').slice(1).map(decodeURIComponent);
  if (method !== 'GET') return write(state, append, response, { method, parts, body: body ?? {} });
  return read(state, response, parts, searchParams);
}

async function read(state: State, response: ServerResponse, parts: string[], query: URLSearchParams) {
  const [noun = '', id, child] = parts;
  const rows = { apps: state.apps, builds: state.builds, launches: state.launches }[noun];
  if (rows === undefined) return problem(response, notFound);
  if (id === undefined) {
    const status = query.get('status');
    return page(
      response,
      [...rows.values()].filter(row => status === null || row.status === status),
      query,
    );
  }
  const row = rows.get(id);
  if (row === undefined) return problem(response, notFound);
  if (child === undefined) return json(response, 200, { data: row });
  if (child === 'logs') return writeLog(state, response, id, query);
  if (child === 'deployments') return json(response, 200, { data: row.deployments ?? [] });
  if (child === 'ingestions') return json(response, 200, { data: row.ingestions ?? [] });
  if (child === 'history') {
    const events = state.events.filter(event => event.stream.endsWith(`-${id}`)).reverse();
    return page(
      response,
      events.map(({ id, revision: _, ...event }) => ({ ...event, eventId: id })),
      query,
    );
  }
  const children = child === 'builds' ? state.builds : state.launches;
  return page(
    response,
    [...children.values()].filter(({ appId }) => appId === id),
    query,
  );
}

function page(response: ServerResponse, rows: readonly Row[], query: URLSearchParams) {
  const from = Number(query.get('cursor') ?? '0');
  const limit = Math.min(Number(query.get('limit') ?? '20'), 100);
  const nextCursor = from + limit < rows.length ? String(from + limit) : null;
  const meta = { total: { count: rows.length, exact: true }, nextCursor };
  json(response, 200, { data: rows.slice(from, from + limit), meta });
}

async function writeLog(state: State, response: ServerResponse, id: string, query: URLSearchParams) {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  let skip = Number(query.get('offset') ?? '0');
  let sent = 0;
  for (const chunk of state.logs.get(id) ?? []) {
    const bytes = Buffer.from(chunk).subarray(skip);
    skip = Math.max(0, skip - Buffer.byteLength(chunk));
    if (sent++ === state.breakLogAfter) {
      state.breakLogAfter = undefined;
      response.destroy();
      return;
    }
    await new Promise(resolve => response.write(bytes, resolve));
  }
  response.end();
}

const appIdPattern = /^[a-z][a-z0-9-]{2,63}$/;

type Write = { method: string; parts: string[]; body: Row };

function write(state: State, append: Append, response: ServerResponse, { method, parts, body }: Write) {
  const [noun = '', id = '', child, ...rest] = parts;
  const route = `${method} ${noun}${child === undefined ? (id === '' ? '' : '/:id') : `/:id/${child}`}`;
  const accepted = (id: string, position: string, status = 202) =>
    json(response, status, { data: { id, position } });
  const rows = { apps: state.apps, builds: state.builds, launches: state.launches }[noun];
  if (id !== '' && rows?.get(id) === undefined) return problem(response, notFound);
  const stream = `apps.repository-${id}`;
  switch (route) {
    case 'POST apps': {
      const appId = String(body.id);
      const present = state.apps.get(appId);
      if (present !== undefined) {
        const title = 'This id is taken';
        return problem(response, { status: 409, code: 'already-exists', title, data: present });
      }
      if (!appIdPattern.test(appId)) {
        const errors = [{ field: 'id', message: `must match ${appIdPattern.source}` }];
        return problem(response, { status: 400, code: 'invalid', title: 'The request is not valid', errors });
      }
      state.apps.set(appId, appRow(appId, body));
      return accepted(appId, append('RepositoryRegistered', `apps.repository-${appId}`, body), 201);
    }
    case 'PATCH apps/:id':
      return accepted(id, append('RepositoryChanged', stream, { changes: body }));
    case 'DELETE apps/:id':
      return accepted(id, append('RepositoryArchived', stream));
    case 'POST apps/:id/tags':
      return accepted(id, append('RepositoryTagged', stream, { tag: body }));
    case 'DELETE apps/:id/tags':
      return accepted(id, append('RepositoryUntagged', stream, { tag: { key: rest[0], value: rest[1] } }));
    case 'POST apps/:id/retry':
      Object.assign(state.apps.get(id) ?? {}, { status: 'pending' });
      return accepted(id, append('IngestionQueued', `apps.ingestion-${id}`, { run: 2, cause: 'retry' }));
    case 'POST apps/:id/cancel':
      return accepted(id, append('IngestionCancelled', `apps.ingestion-${id}`));
    case 'POST apps/:id/builds':
    case 'POST builds/:id/retry': {
      const buildId = `build-${state.builds.size + 1}`;
      const appId = noun === 'apps' ? id : String(state.builds.get(id)?.appId);
      state.builds.set(buildId, buildRow(buildId, appId));
      return accepted(
        buildId,
        append('BuildRequested', `apps.build-${buildId}`, { commit: commit, cause: 'manual' }),
      );
    }
    case 'POST builds/:id/cancel':
      return accepted(id, append('BuildCancelled', `apps.build-${id}`));
    case 'POST apps/:id/launches': {
      const launchId = `launch-${state.launches.size + 1}`;
      state.launches.set(launchId, launchRow(launchId, id));
      return accepted(
        launchId,
        append('LaunchRequested', `apps.launch-${launchId}`, { image: 'apphub/x:1' }),
      );
    }
    case 'POST launches/:id/grants': {
      const query = `${body.path ?? '/'}?__apphub_grant=apg1`;
      const data = { url: `http://${id}.localhost:4000${query}`, expiresAt: '2126-01-02T03:04:05.000Z' };
      return json(response, 200, { data });
    }
    case 'POST launches/:id/links': {
      const expiresAt = '2126-01-02T03:04:05.000Z';
      const position = append('LaunchShared', `apps.launch-${id}`, { linkId: 'link-1', expiresAt });
      const url = `http://${id}.localhost:4000/?__apphub_grant=apg1.l`;
      return json(response, 201, { data: { id: 'link-1', position, url, expiresAt } });
    }
    case 'DELETE launches/:id/links':
      return accepted(id, append('LaunchLinksRevoked', `apps.launch-${id}`, { linkEpoch: 1 }));
    case 'POST launches/:id/stop':
      return accepted(id, append('LaunchStopping', `apps.launch-${id}`, { reason: 'stopped' }));
    case 'POST launches/:id/redeploy':
    case 'POST launches/:id/rollback':
    case 'POST launches/:id/wake': {
      const row = state.launches.get(id) ?? {};
      const deployment = Number(row.deployment) + 1;
      const started = { cause: child, deployment, image: 'apphub/x:2', superseded: null, notBefore: null };
      Object.assign(row, { deployment, ...(child === 'wake' ? { status: 'waking' } : {}) });
      return accepted(id, append('LaunchDeploymentRequested', `apps.launch-${id}`, started));
    }
    case 'POST launches/:id/sleep':
      return accepted(id, append('LaunchSlept', `apps.launch-${id}`, { reason: 'asked', deployment: 1 }));
    case 'POST launches/:id/extend':
      return accepted(id, append('LaunchExtended', `apps.launch-${id}`, { expiresAt: at }));
    case 'PUT apps/:id/sandbox':
      Object.assign(state.apps.get(id) ?? {}, { sandbox: body });
      return accepted(id, append('RepositorySandboxChanged', stream, { sandbox: body }));
    default:
      return problem(response, notFound);
  }
}

const notFound = { status: 404, code: 'not-found', title: 'There is nothing with this id' };
const commit = '0123456789abcdef0123456789abcdef01234567';

function json(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function problem(response: ServerResponse, document: Row) {
  const body = JSON.stringify({ type: `urn:apphub:problem:${document.code}`, ...document });
  response.writeHead(Number(document.status), { 'content-type': 'application/problem+json' }).end(body);
}

/** An app as the API answers it, newly registered unless said otherwise. */
export function appRow(id: string, more: Row = {}): Row {
  return {
    name: id,
    description: null,
    repoUrl: `https://git.example.org/${id}.git`,
    ref: null,
    dockerfilePath: null,
    homepage: null,
    owner: null,
    status: 'pending',
    statusMessage: null,
    title: null,
    commit: null,
    branch: null,
    previews: [],
    ports: [],
    build: null,
    release: null,
    launch: { running: 0 },
    sandbox: { egress: [], allowRoot: false, runtime: 'default' },
    createdAt: at,
    updatedAt: at,
    ingestedAt: null,
    ingestion: null,
    ...more,
    id,
    tags: ((more.tags ?? []) as Row[]).map(tag => ({ source: 'author', ...tag })),
  };
}

export function buildRow(id: string, appId: string, more: Row = {}): Row {
  return {
    id,
    appId,
    commit,
    ref: null,
    dockerfilePath: 'Dockerfile',
    args: {},
    cause: 'manual',
    status: 'queued',
    attempt: 0,
    image: null,
    imageId: null,
    bytes: null,
    ports: [],
    failure: null,
    supersededBy: null,
    pushed: null,
    builder: null,
    log: null,
    requestedAt: at,
    startedAt: null,
    finishedAt: null,
    durationMs: null,
    queuePosition: more.status === undefined || more.status === 'queued' ? 1 : null,
    waitingFor: null,
    ...more,
  };
}

export function launchRow(id: string, appId: string, more: Row = {}): Row {
  return {
    id,
    appId,
    buildId: 'build-1',
    image: `apphub/${appId}:0123456789ab`,
    status: 'requested',
    url: `http://${id}.localhost:4000/`,
    env: [],
    resourceProfile: 'medium',
    port: null,
    startedInMs: null,
    owner: 'operator',
    access: 'private',
    restart: 'on-failure',
    idleSeconds: 1_800,
    healthPath: null,
    sandbox: { egress: [], allowRoot: false, runtime: 'default' },
    deployment: 1,
    serving: null,
    failure: null,
    because: null,
    sleepReason: null,
    requestedAt: at,
    runningAt: null,
    sleptAt: null,
    endedAt: null,
    expiresAt: '2126-01-02T03:04:05.000Z',
    waitingFor: null,
    ...more,
  };
}
