/** Puts the rooms together: what each needs is opened once and handed to it. The only place that knows them all. */
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { systemClock } from '../commands/clock.ts';
import { registerCommands } from '../commands/index.ts';
import { openLog } from '../eventstore/esdb.ts';
import { openBuildSecrets } from '../platform/build-secrets.ts';
import { clientAddress, isLoopback, trusts } from '../platform/client-address.ts';
import type { Config, Room } from '../platform/config.ts';
import { freePort } from '../platform/free-port.ts';
import { type Gateway, openGateway } from '../platform/gateway.ts';
import { httpServer } from '../platform/http.ts';
import { listenTo } from '../platform/listen.ts';
import type { Log } from '../platform/log.ts';
import { openObjectLogStore } from '../platform/log-objects.ts';
import { openLogStore } from '../platform/log-store.ts';
import { registerMetrics } from '../platform/metrics.ts';
import { openPostgres } from '../platform/postgres.ts';
import { Problem } from '../platform/problem.ts';
import { openLags } from '../platform/projection-lag.ts';
import { openNearHeads } from '../platform/proof/near-head.ts';
import { answerReceipts } from '../platform/receipt-answers.ts';
import { pingRedis } from '../platform/redis.ts';
import { hurry, openServer, refuse } from '../platform/server.ts';
import { blame } from '../projections/blame.ts';
import { passGate } from '../projections/gate.ts';
import { projections } from '../projections/index.ts';
import { checkpointChannel } from '../projections/projector.ts';
import { type EventStream, eventStream } from '../read-api/events/stream.ts';
import { openFreshness, streamAt } from '../read-api/fresh.ts';
import { registerReads } from '../read-api/index.ts';
import { openObjects } from '../workers/adapters/objects.ts';
import { openEgressProxy } from '../workers/egress/egress-proxy.ts';
import { startWorkers } from '../workers/index.ts';
import { type Access, openAccess } from './access.ts';
import { openAuditTree, openProofs } from './audit-room.ts';
import type { Secrets } from './installation.ts';
import { knownTypes } from './known-types.ts';
import { openConfigured } from './open-engines.ts';
import { describeApi } from './openapi.ts';
import { atDoor, openInvitations, openPreviews, ownHostsOf, type Previews } from './previews.ts';
import { openProjections } from './projections-room.ts';
import { tablesAreThere } from './tables-there.ts';

const answersMsMax = 4_000;
/** Reads of an earlier time that run at once in a process; further ones wait for their turn. */
const pastReadsMax = 8;

export type RoomsOptions = Config & {
  readonly rooms: readonly Room[];
  readonly secrets: Secrets;
  readonly version: string;
  readonly log: Log;
};

export type Running = { readonly url: string; close(): Promise<void> };

type Closing = () => Promise<unknown> | unknown;

/** Opens the rooms in this process. `close` ends them in the opposite order, letting what runs come to an end. */
export async function openRooms(options: RoomsOptions): Promise<Running> {
  const { rooms, log, audit } = options;
  const closings: Closing[] = [];
  const close = async () => {
    for (const closing of closings.reverse()) {
      await Promise.resolve()
        .then(closing)
        .catch(error => log.error({ err: error }, 'something did not close'));
    }
  };
  const has = (room: Room) => rooms.includes(room);
  try {
    const shared = openShared(options, closings);
    if (has('projections'))
      await passGate({ ...shared, projections, knownTypes, mode: audit.upgradeGate, log });
    if (has('projections')) closings.push(openProjections(options, shared).close);
    if (has('workers')) await openWorkers(options, shared, closings);
    if (has('workers')) closings.push(openAuditTree(options, shared).close);
    const url =
      has('commands') || has('read-api') || has('web') ? await openDoors(options, shared, closings) : '';
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Shared = ReturnType<typeof openShared>;

function openShared(options: RoomsOptions, closings: Closing[]) {
  const {
    databaseUrl = '',
    eventstoreUrl = '',
    dataDir,
    engines,
    builds,
    sandbox,
    s3,
    secrets,
    log,
  } = options;
  const sql = openPostgres(databaseUrl, { name: `apphub ${options.rooms.join(',')}` });
  closings.push(() => sql.destroy());
  const events = openLog(eventstoreUrl);
  closings.push(() => events.close());
  const credentials = s3 && { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey };
  const objects = openObjects(
    s3 === undefined || credentials === undefined
      ? { folder: path.join(dataDir, 'objects') }
      : {
          s3: {
            bucket: s3.bucket,
            region: s3.region,
            ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
            credentials,
          },
        },
  );
  const egress = options.rooms.includes('workers')
    ? openEgressProxy({ port: sandbox.egressPort, log })
    : undefined;
  closings.push(() => egress?.end());
  const logLimits = { logBytesMax: options.storage.logs.bytesMax };
  return {
    sql,
    store: events.store,
    stored: events.stored,
    blame: blame.bind(null, projections),
    objects,
    logs:
      s3 === undefined
        ? openLogStore(path.join(dataDir, 'logs'), logLimits)
        : openObjectLogStore(objects, logLimits),
    docker: openConfigured({ engines, builds, sandbox, egress, sql, instance: secrets.instance, log }),
    egress,
    buildSecrets: openBuildSecrets(sql, secrets.buildSecret),
    nearHeads: openNearHeads(),
  };
}

/** Connections of its own, few: what looks back may be slow, and holds up nobody. */
function openPastReads({ databaseUrl = '', timeTravel }: RoomsOptions, closings: Closing[]) {
  if (!timeTravel) return undefined;
  const past = openPostgres(databaseUrl, { name: 'apphub past', connectionsMax: pastReadsMax });
  closings.push(() => past.destroy());
  return past;
}

async function openWorkers(options: RoomsOptions, shared: Shared, closings: Closing[]): Promise<void> {
  const { redisUrl, allowLocalRepositories, ingestionsAtOnce, buildsAtOnce, syncSeconds, log } = options;
  const workers = await startWorkers({
    ...shared,
    clock: systemClock,
    redisUrl,
    workDir: path.join(options.dataDir, 'work'),
    allowLocalRepositories,
    ingestionsAtOnce,
    buildsAtOnce,
    builds: options.builds,
    syncSeconds,
    storage: { ...options.storage, dataDir: options.dataDir },
    launches: options.launches,
    workspaces: options.workspaces,
    usage: options.usage,
    profiles: options.sandbox.profiles,
    log,
  });
  closings.push(() => workers.close());
}

type Doors = {
  app?: FastifyInstance;
  stream?: EventStream;
  gateway?: Gateway;
  previews?: Previews;
};

/** One HTTP server for whatever of commands, reads and page is in this process. */
async function openDoors(options: RoomsOptions, shared: Shared, closings: Closing[]): Promise<string> {
  const { rooms, secrets, log, host } = options;
  const isApart = rooms.length === 1;
  const port = options.port === 0 ? await freePort(host) : options.port;
  const { operatorToken: firstToken, sessionSecret } = secrets;
  const publicUrl = options.publicUrl ?? `http://localhost:${port}`;
  const access = await openAccess(options, { ...shared, log, firstToken, sessionSecret, publicUrl });
  closings.push(() => access.close());
  // The door of rooms that are apart is a process on this machine.
  const trustedProxies = isApart ? ['127.0.0.0/8', '::1', ...options.trustedProxies] : options.trustedProxies;
  const doors: Doors = {};
  let handler: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const isProxy = trusts(options.trustedProxies);
  const server = openServer(
    (request, response) =>
      atDoor(doors.previews, request, proxy => {
        if (proxy !== undefined) return proxy.handleRequest(request, response);
        hurry(request, response);
        handler(request, response);
      }),
    {
      seesToBodies: true,
      isTrusted: address => isLoopback(address) || isProxy(address),
      isShutOut: trusts([options.sandbox.subnets]),
    },
  );
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    atDoor(doors.previews, request, proxy => {
      if (proxy !== undefined) proxy.handleUpgrade(request, socket, head);
      else if (doors.stream?.handles(request)) doors.stream.handleUpgrade(request, socket, head);
      else if (doors.gateway !== undefined) doors.gateway.handleUpgrade(request, socket, head);
      else refuse(socket, new Problem(404, 'not-found', 'There is no WebSocket at this address'));
    });
  });
  if (!isApart || rooms[0] === 'web') {
    doors.previews = await openPreviews({ ...options, port }, { ...shared, ...access, secrets, log });
    closings.push(() => doors.previews?.close());
  }
  if (rooms[0] === 'web' && isApart) {
    doors.gateway = openGateway({ ...gatewayOptions(), trustedProxies: options.trustedProxies });
    closings.push(() => doors.gateway?.close());
    handler = doors.gateway.handleRequest;
  } else {
    doors.app = await openApi({ ...options, port, trustedProxies }, shared, access, closings, serve => {
      handler = serve;
      return server;
    });
    if (rooms.includes('read-api'))
      doors.stream = await openStream({ log, trustedProxies }, shared, access, closings);
    await doors.app.ready();
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  closings.push(() => doors.app?.close());
  closings.push(() => {
    return Promise.all([drain(server, sockets), doors.stream?.close()]);
  });
  const url = `http://${host === '0.0.0.0' || host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  if (!isApart || rooms[0] === 'web') noteUrl(options.dataDir, url, closings);
  return url;
}

/** Takes no more connections. What is under way gets a while to end: an answer, a followed log, an app's own WebSocket. */
async function drain(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const late = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, answersMsMax);
  await closed;
  clearTimeout(late);
}

function gatewayOptions() {
  const { APPHUB_COMMANDS_URL: commandsUrl, APPHUB_READ_API_URL: readUrl } = process.env;
  if (commandsUrl === undefined || readUrl === undefined) {
    throw new Error('The room web alone needs APPHUB_COMMANDS_URL and APPHUB_READ_API_URL.');
  }
  return { commandsUrl, readUrl };
}

/** For the command line on the same machine. */
function noteUrl(dataDir: string, url: string, closings: Closing[]): void {
  const file = path.join(dataDir, 'url');
  writeFileSync(file, `${url}\n`);
  closings.push(() => rmSync(file, { force: true }));
}

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

async function openApi(
  options: RoomsOptions,
  shared: Shared,
  access: Access,
  closings: Closing[],
  serverFactory: (serve: Serve) => Server,
): Promise<FastifyInstance> {
  const { rooms, version, log, databaseUrl = '', redisUrl, secrets } = options;
  const { trustedProxies, corsOrigins } = options;
  const app = await httpServer({
    logger: log,
    ...access,
    trustedProxies,
    corsOrigins,
    version,
    serverFactory,
  });
  const lags = openLags(shared.sql, shared.store);
  await registerMetrics(app, shared.sql, rooms.includes('read-api') ? lags : undefined);
  const receipts = await openProofs(options, shared);
  closings.push(() => receipts.close());
  answerReceipts(app, options.audit.enabled ? receipts : undefined);
  const { addresses, invites } = openInvitations(options, secrets);
  if (rooms.includes('commands')) {
    await registerCommands(app, {
      store: shared.store,
      clock: systemClock,
      allowLocalRepositories: options.allowLocalRepositories,
      projectionNames: projections.map(({ name }) => name),
      launchIdleSeconds: options.launches.idleSeconds,
      workspaces: options.workspaces,
      webhookSecret: secrets.webhookSecret,
      invites,
      hostNameRules: { platformHosts: ownHostsOf(options), previewDomain: options.previewDomain },
      buildSecrets: shared.buildSecrets,
      ...access,
      sessionTimes: options.sessionTimes,
    });
  }
  if (rooms.includes('read-api')) {
    await tablesAreThere(shared);
    const listen = (onMoved: () => void) => listenTo(databaseUrl, checkpointChannel, onMoved);
    const fresh = await openFreshness(shared.sql, listen, streamAt(shared.stored));
    closings.push(() => fresh.close());
    const description = await describeApi(version);
    await registerReads(app, {
      ...shared,
      past: openPastReads(options, closings),
      fresh,
      lags,
      alerts: options.audit.alerts,
      receipts,
      previewUrl: launchId => `${addresses.originOf(launchId)}/`,
      invites,
      hostUrl: host => `${addresses.originOfHost(host)}/`,
      previewDomain: options.previewDomain,
      containerLogs: (launchId, request) => shared.docker.containerLogs(launchId, request),
      pingRedis: redisUrl === undefined ? undefined : () => pingRedis(redisUrl),
      signIn: {
        oidc: access.oidc === undefined ? null : { name: access.oidc.provider.name },
        token: access.tokenSignIn,
      },
      launch: { profiles: options.sandbox.profiles, idleSeconds: options.launches.idleSeconds },
      usage: options.usage,
      previewOrigins: addresses.pattern,
      describe: () => description,
    });
  }
  return app;
}

async function openStream(
  { log, trustedProxies }: Pick<RoomsOptions, 'log' | 'trustedProxies'>,
  shared: Shared,
  { credentials, onRefused, limiter }: Access,
  closings: Closing[],
) {
  const { sql, store } = shared;
  const reached = async () => {
    const row = await sql('projection_checkpoints')
      .select(sql.raw('min(coalesce(position, 0))::text as position'))
      .first();
    return row?.position == null ? null : BigInt(row.position);
  };
  const ipOf = clientAddress(trustedProxies);
  const stream = eventStream({ store, credentials, onRefused, limiter, ipOf, reached, log });
  closings.push(() => stream.close());
  return stream;
}
