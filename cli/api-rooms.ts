/** Commands and reads, as far as they are in this process: the API, and the stream of what happens. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { systemClock } from '../commands/clock.ts';
import { registerCommands } from '../commands/index.ts';
import { clientAddress } from '../platform/client-address.ts';
import { httpServer } from '../platform/http.ts';
import { listenTo } from '../platform/listen.ts';
import { registerMetrics } from '../platform/metrics.ts';
import { openPostgres } from '../platform/postgres.ts';
import { openLags } from '../platform/projection-lag.ts';
import { answerReceipts } from '../platform/receipt-answers.ts';
import { pingRedis } from '../platform/redis.ts';
import { projections } from '../projections/index.ts';
import { checkpointChannel } from '../projections/projector.ts';
import { eventStream } from '../read-api/events/stream.ts';
import { openFreshness, streamAt } from '../read-api/fresh.ts';
import { registerReads } from '../read-api/index.ts';
import type { Access } from './access.ts';
import { openProofs } from './audit-room.ts';
import { describeApi } from './openapi.ts';
import { openInvitations, ownHostsOf } from './previews.ts';
import type { Closing, RoomsOptions, Shared } from './rooms.ts';
import { tablesAreThere } from './tables-there.ts';

/** Reads of an earlier time that run at once in a process; further ones wait for their turn. */
const pastReadsMax = 8;

/** Connections of its own, few: what looks back may be slow, and holds up nobody. */
function openPastReads({ databaseUrl = '', timeTravel }: RoomsOptions, closings: Closing[]) {
  if (!timeTravel) return undefined;
  const past = openPostgres(databaseUrl, { name: 'apphub past', connectionsMax: pastReadsMax });
  closings.push(() => past.destroy());
  return past;
}

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

/** The HTTP API of the rooms that are in this process. `serverFactory` gets what answers, and gives the server it answers at. */
export async function openApi(
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

/** The stream of what happens, for pages and programs. Whoever names no place in it begins where the tables are. */
export async function openStream(
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
