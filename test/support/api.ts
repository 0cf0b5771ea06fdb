/**
 * The HTTP side as it runs: every route and the stream on a listening server, a log, the projector, and tables in a real
 * PostgreSQL. There are no workers; what they would report is played by test/support/play.ts.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Knex } from 'knex';
import { openAttempts } from '../../commands/access/attempt.ts';
import type { SessionTimes } from '../../commands/access/session.ts';
import { type Clock, systemClock } from '../../commands/clock.ts';
import { registerCommands } from '../../commands/index.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore, StoredLog } from '../../eventstore/store.ts';
import { readAudit } from '../../platform/audit-config.ts';
import { openBuildSecrets } from '../../platform/build-secrets.ts';
import { clientAddress } from '../../platform/client-address.ts';
import type { OidcConfig } from '../../platform/config.ts';
import { openCredentials } from '../../platform/credentials.ts';
import { httpServer } from '../../platform/http.ts';
import { openLastSeen } from '../../platform/last-seen.ts';
import { listenTo } from '../../platform/listen.ts';
import { type LogStore, openLogStore } from '../../platform/log-store.ts';
import { registerMetrics } from '../../platform/metrics.ts';
import { type Objects, openFolderObjects } from '../../platform/objects.ts';
import { openOidc } from '../../platform/oidc.ts';
import { knownOperators, type Operator, type Operators } from '../../platform/operators.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { previewAddresses } from '../../platform/preview-address.ts';
import { openInvites } from '../../platform/preview-invite.ts';
import { openLags } from '../../platform/projection-lag.ts';
import type { NearHeads } from '../../platform/proof/near-head.ts';
import { openReceipts } from '../../platform/proof/receipts.ts';
import { openRateLimiter, type RateLimits } from '../../platform/rate-limit.ts';
import { answerReceipts } from '../../platform/receipt-answers.ts';
import type { OnRefused } from '../../platform/refused.ts';
import { readSandbox } from '../../platform/sandbox-config.ts';
import { openSeal } from '../../platform/sealed.ts';
import { openServer } from '../../platform/server.ts';
import { readUsage } from '../../platform/usage-config.ts';
import { readWorkspaces } from '../../platform/workspace-config.ts';
import { blame } from '../../projections/blame.ts';
import { projections } from '../../projections/index.ts';
import { keepPast } from '../../projections/past.ts';
import { checkpointChannel, project } from '../../projections/projector.ts';
import { eventStream, type StreamDeps } from '../../read-api/events/stream.ts';
import { openFreshness, streamAt } from '../../read-api/fresh.ts';
import { type ReadDeps, registerReads } from '../../read-api/index.ts';
import { createWorkerTables } from '../../workers/tables.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';
import { grants } from './preview.ts';

/** Everything is allowed. */
export const operatorToken = 'operator-of-the-tests';
export const webhookSecret = 'a-secret-of-the-platform';

export type ApiOptions = {
  readonly store?: EventStore;
  /** The same log as it is stored; needed for exports where `store` is given. */
  readonly stored?: StoredLog;
  /** By default a new one, which goes with the server. */
  readonly database?: TestDatabase;
  readonly clock?: Clock;
  readonly allowLocalRepositories?: boolean;
  /** Tokens beside the operator's, by the scopes they have. */
  readonly tokens?: Readonly<Record<string, readonly string[]>>;
  /** Further operators, with what restricts them. */
  readonly operators?: readonly Operator[];
  /** Whether refused attempts are recorded in the log. */
  readonly records?: boolean;
  readonly trustedProxies?: readonly string[];
  readonly corsOrigins?: readonly string[];
  readonly rateLimits?: RateLimits;
  readonly redisUrl?: string;
  /** Of the tree that is kept in this process, if one is. */
  readonly nearHeads?: NearHeads;
  readonly sessionTimes?: Partial<SessionTimes>;
  /** The provider people sign in at, once it is known where they reach the server. */
  readonly oidc?: OidcConfig;
  readonly tokenSignIn?: boolean;
  /** Whether the tables follow the log from the start. */
  readonly projects?: boolean;
  /** Whether earlier times can be asked for. */
  readonly keepsPast?: boolean;
  readonly stream?: Partial<StreamDeps>;
  readonly reads?: Partial<ReadDeps>;
};

export type Answer<T = Body> = { status: number; headers: Headers; body: T; text: string };
// biome-ignore lint/suspicious/noExplicitAny: a test looks into answers freely, and fails where they are not what it says.
export type Body = any;
export type Asked = { body?: unknown; headers?: Record<string, string>; token?: string | null };

export type Api = Awaited<ReturnType<typeof startApi>>;

export async function startApi(options: ApiOptions = {}) {
  const database = options.database ?? (await testDatabase());
  const { sql, connectionString } = database;
  const memory = memoryStore();
  const store = options.store ?? memory;
  const stored = options.stored ?? memory;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-api-'));
  const logs: LogStore = openLogStore(path.join(folder, 'logs'));
  const objects: Objects = openFolderObjects(path.join(folder, 'objects'));
  const logged: { level: string; detail: object; line: string }[] = [];
  const note = (level: string) => (detail: object, line: string) => void logged.push({ level, detail, line });
  const log = { info: () => undefined, warn: note('warn'), error: note('error') };

  const stop = new AbortController();
  await createWorkerTables(sql);
  let projecting: Promise<void> | undefined;
  const startProjecting = () => {
    projecting ??= project(sql, store, projections, { signal: stop.signal, log });
  };
  const past = options.keepsPast === true ? openPostgres(connectionString, { name: 'past' }) : undefined;
  const keeping = past && keepPast(sql, store, projections, { signal: stop.signal, log });
  if (options.projects ?? true) {
    startProjecting();
    await tablesAreThere(sql);
  }
  const receipts = await openReceipts(
    sql,
    (channel, onHeard) => listenTo(connectionString, channel, onHeard),
    options.nearHeads,
  );
  const fresh = await openFreshness(
    sql,
    onMoved => listenTo(connectionString, checkpointChannel, onMoved),
    streamAt(stored),
  );

  const clock = options.clock ?? systemClock;
  const { tokenSignIn = true } = options;
  const operators = operatorsOf(options);
  const lastSeen = await openLastSeen(sql, clock, log);
  const credentials = openCredentials({
    operators,
    subjects: operators,
    signInOperators: operators,
    store,
    lastSeen,
    clock,
  });
  const attempts = openAttempts({ store, clock, log, actorsPerMinuteMax: 5_000 });
  const buildSecrets = openBuildSecrets(sql, 'a secret of the tests');
  const onRefused: OnRefused = options.records === true ? attempts.note : () => undefined;
  const trustedProxies = options.trustedProxies ?? [];
  const { rateLimits, redisUrl } = options;
  const limiter = rateLimits && openRateLimiter(rateLimits, { redisUrl, log });
  let handler: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const server = openServer((request, response) => handler(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const app = await httpServer({
    logger: undefined,
    credentials,
    onRefused,
    trustedProxies,
    ...(limiter === undefined ? {} : { limiter }),
    corsOrigins: options.corsOrigins ?? [],
    version: '0.0.0',
    serverFactory: serve => {
      handler = serve;
      return server;
    },
  });
  // What is answered with 500 would be in the log of the process.
  app.addHook('onError', async (request, _reply, error) => {
    const { statusCode = 500 } = error as { statusCode?: number };
    const isExpected = ['Refusal', 'Problem', 'LogUnavailable', 'WrongRevision'].includes(error.name);
    if (statusCode >= 500 && !isExpected && !('validation' in error)) {
      note('error')({ err: error, url: request.url }, error.message);
    }
  });
  const lags = openLags(sql, store);
  await registerMetrics(app, sql, lags);
  answerReceipts(app, receipts);
  const addresses = previewAddresses({ domain: 'localhost', port: 80, publicUrl: 'http://localhost' });
  const invites = openInvites({ grants, addresses, now: clock.now });
  await registerCommands(app, {
    store,
    clock,
    allowLocalRepositories: options.allowLocalRepositories ?? false,
    projectionNames: projections.map(({ name }) => name),
    launchIdleSeconds: 1_800,
    workspaces: readWorkspaces({}),
    webhookSecret,
    invites,
    hostNameRules: { platformHosts: ['apphub.example.org'], previewDomain: 'localhost' },
    buildSecrets,
    signInOperators: operators,
    tokenSignIn,
    oidc: options.oidc && {
      provider: openOidc(options.oidc, { publicUrl: url, log }),
      policy: options.oidc.policy,
      seal: openSeal('a secret of the tests', 'login'),
    },
    credentials,
    onRefused,
    sessionTimes: { idleSeconds: 3_600, absoluteSeconds: 86_400, ...options.sessionTimes },
  });
  await registerReads(app, {
    sql,
    store,
    stored,
    past,
    blame: blame.bind(null, projections),
    fresh,
    lags,
    alerts: readAudit({}).alerts,
    receipts,
    logs,
    objects,
    previewUrl: launchId => `${addresses.originOf(launchId)}/`,
    invites,
    hostUrl: host => `${addresses.originOfHost(host)}/`,
    previewDomain: 'localhost',
    containerLogs: async function* () {},
    pingRedis: undefined,
    previewOrigins: addresses.pattern,
    signIn: { oidc: options.oidc ? { name: new URL(options.oidc.issuer).host } : null, token: tokenSignIn },
    launch: { profiles: readSandbox({}).profiles, idleSeconds: 1_800 },
    usage: readUsage({}),
    now: clock.now,
    ...options.reads,
  });
  const ipOf = clientAddress(trustedProxies);
  const stream = eventStream({
    store,
    credentials,
    onRefused,
    ...(limiter === undefined ? {} : { limiter }),
    ipOf,
    reached: fresh.reached,
    log,
    ...options.stream,
  });
  server.on('upgrade', (request, socket, head) => stream.handleUpgrade(request, socket, head));
  await app.ready();
  let last = 0n;

  const ask = async <T = Body>(method: string, place: string, asked: Asked = {}): Promise<Answer<T>> => {
    const { body, headers = {}, token = operatorToken } = asked;
    const isText = typeof body === 'string' || body instanceof Uint8Array;
    const answer = await fetch(url + place, {
      method,
      redirect: 'manual',
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined || isText ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? (body as string) : JSON.stringify(body) }),
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true && text !== '';
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      body: (isJson ? JSON.parse(text) : text) as T,
    };
  };

  return {
    app,
    url,
    port,
    sql,
    store,
    logs,
    objects,
    buildSecrets,
    fresh,
    server,
    stream,
    /** Everything that went wrong, as the log of the process would have it. */
    logged,
    startProjecting,
    ask,
    /** A write that must succeed. What follows with `read` sees it. */
    async write(method: string, place: string, body?: unknown, headers: Record<string, string> = {}) {
      const answer = await ask(method, place, { body, headers });
      if (answer.status > 299) throw new Error(`${method} ${place}: ${answer.status} ${answer.text}`);
      const { id, position } = answer.body.data as { id: string; position: string | null };
      if (position !== null && BigInt(position) > last) last = BigInt(position);
      return { id, position: position ?? '' };
    },
    /** Something beside the API was written up to here. */
    wrote(position: bigint) {
      if (position > last) last = position;
    },
    /** What a read answers once the tables have all that was written. It must succeed. */
    async read<T = Body>(place: string): Promise<T> {
      const answer = await ask<T>('GET', `${place}${place.includes('?') ? '&' : '?'}after=${last}`);
      if (answer.status !== 200) throw new Error(`GET ${place}: ${answer.status} ${answer.text}`);
      return answer.body;
    },
    /** Bytes as they are, and everything that comes back until the server ends the connection. */
    raw: (bytes: string | Uint8Array) => rawRequest(port, bytes),
    /** Refused attempts that were noted are in the log, or a warning is. */
    attempts,
    async close() {
      limiter?.close();
      await attempts.close();
      await stream.close();
      server.close();
      server.closeAllConnections();
      await app.close();
      await fresh.close();
      await receipts.close();
      stop.abort();
      await projecting;
      await keeping;
      await past?.destroy();
      if (options.database === undefined) await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** As the process waits for them, too, before it answers. */
async function tablesAreThere(sql: Knex): Promise<void> {
  for (;;) {
    const made = await sql('projection_checkpoints')
      .count('* as count')
      .first()
      .then(
        row => Number(row?.count),
        () => 0,
      );
    if (made === projections.length) return;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

function operatorsOf({ tokens = {}, operators = [] }: ApiOptions): Operators {
  const some = Object.entries(tokens).map(([token, scopes]) => ({
    subject: `somebody with ${token}`,
    token,
    scopes,
  }));
  return knownOperators([
    { subject: 'operator', token: operatorToken, scopes: ['*'] },
    ...some,
    ...operators,
  ]);
}

function rawRequest(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('close', () => resolve(text));
    socket.on('error', error => ('code' in error && error.code === 'ECONNRESET' ? undefined : reject(error)));
  });
}
