/** Every route that answers from the tables, the page, and the description of them all. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { Knex } from 'knex';
import type { EventStore, StoredLog } from '../eventstore/store.ts';
import type { LogStore } from '../platform/log-store.ts';
import type { Objects } from '../platform/objects.ts';
import { Problem } from '../platform/problem.ts';
import type { LagLimits, Lags } from '../platform/projection-lag.ts';
import { apiKeyReads } from './access/api-key.ts';
import { auditReads } from './access/audit.ts';
import { type ProofDeps, proofReads } from './access/audit-proof.ts';
import { identityReads } from './access/identity.ts';
import { sessionReads } from './access/session.ts';
import { type SignInOptions, signInOptionReads } from './access/sign-in-options.ts';
import { buildReads } from './apps/build.ts';
import { imageReads } from './apps/build-image.ts';
import { buildInputReads } from './apps/build-input.ts';
import { buildLogReads } from './apps/build-log.ts';
import { deploymentReads } from './apps/deployment.ts';
import { historyReads } from './apps/history.ts';
import { type HostNameReadDeps, hostNameReads } from './apps/host-name.ts';
import { type LaunchDeps, launchReads } from './apps/launch.ts';
import { launchEgressReads } from './apps/launch-egress.ts';
import { type LaunchLogDeps, launchLogReads } from './apps/launch-log.ts';
import { type LaunchOpenDeps, launchOpenReads } from './apps/launch-open.ts';
import { type LaunchOptions, launchOptionReads } from './apps/launch-options.ts';
import { launchUsageReads } from './apps/launch-usage.ts';
import { pictureReads } from './apps/picture.ts';
import { App, loadApps, repositoryReads } from './apps/repository.ts';
import { searchReads } from './apps/search.ts';
import { type UsageReadDeps, usageReads } from './apps/usage.ts';
import { workspaceReads } from './apps/workspace.ts';
import { openAsOf } from './as-of.ts';
import { exportReads } from './events/audit-export.ts';
import { receiptReads } from './events/audit-receipt.ts';
import { causeReads } from './events/causes.ts';
import { healthReads } from './events/health.ts';
import { type WhyDeps, whyReads } from './events/why.ts';
import type { Freshness } from './fresh.ts';
import { deadLetterReads } from './platform/dead-letter.ts';
import { engineReads } from './platform/engine.ts';
import { pastReads } from './platform/past.ts';
import { projectionReads } from './platform/projection.ts';
import { docsReads } from './site/docs.ts';
import { siteReads } from './site/page.ts';

export type ReadDeps = {
  readonly sql: Knex;
  /** Where earlier times are asked for; undefined where none are kept. */
  readonly past: Knex | undefined;
  readonly store: EventStore;
  readonly stored: StoredLog;
  readonly blame: WhyDeps['blame'];
  readonly fresh: Freshness;
  readonly receipts: ProofDeps['receipts'];
  readonly logs: LogStore;
  readonly objects: Objects;
  readonly previewUrl: LaunchDeps['previewUrl'];
  readonly invites: LaunchOpenDeps['invites'];
  readonly hostUrl: HostNameReadDeps['hostUrl'];
  readonly previewDomain: string;
  readonly containerLogs: LaunchLogDeps['containerLogs'];
  readonly lags: Lags;
  readonly alerts: LagLimits;
  readonly pingRedis: (() => Promise<void>) | undefined;
  /** For the page's policy: which origins may be framed, such as `http://*.preview.localhost:4000`. */
  readonly previewOrigins: string;
  readonly signIn: SignInOptions;
  readonly launch: LaunchOptions;
  readonly usage: UsageReadDeps['usage'];
  /** What time it is, RFC 3339; a test gives its own. */
  readonly now?: () => string;
  /** The OpenAPI document of everything that is served; by default of the routes of this server. */
  readonly describe?: () => object;
};

export async function registerReads(app: FastifyInstance, given: ReadDeps): Promise<void> {
  const { fresh } = given;
  const asOf = openAsOf({ ...given, now: given.now ?? (() => new Date().toISOString()) });
  asOf.register(app);
  const { sql, now } = asOf;
  const deps = { ...given, sql };
  await app.register(
    searchReads({
      sql,
      loadApps: ids => loadApps(sql, ids),
      shape: App,
      fresh: request => fresh.check(request),
    }),
  );
  await app.register(repositoryReads(deps));
  await app.register(historyReads(deps));
  await app.register(whyReads(deps));
  await app.register(causeReads(deps));
  await app.register(buildReads(deps));
  await app.register(imageReads(deps));
  await app.register(buildLogReads(deps));
  await app.register(buildInputReads(deps));
  await app.register(launchReads(deps));
  await app.register(launchOptionReads(deps));
  await app.register(deploymentReads(deps));
  await app.register(workspaceReads(deps));
  await app.register(launchLogReads(deps));
  await app.register(launchEgressReads(deps));
  await app.register(launchOpenReads(deps));
  await app.register(hostNameReads(deps));
  await app.register(pictureReads(deps));
  await app.register(healthReads(deps));
  await app.register(identityReads);
  await app.register(signInOptionReads(deps));
  await app.register(usageReads({ ...deps, now }));
  await app.register(launchUsageReads({ ...deps, now }));
  await app.register(apiKeyReads({ ...deps, now }));
  await app.register(sessionReads({ ...deps, now }));
  await app.register(auditReads(deps));
  await app.register(proofReads(deps));
  await app.register(exportReads(deps));
  await app.register(receiptReads(deps));
  await app.register(projectionReads(deps));
  await app.register(pastReads({ ...deps, asOf }));
  await app.register(deadLetterReads(deps));
  await app.register(engineReads(deps));
  await app.register(streamDescription);
  await app.register(docsReads({ describe: deps.describe ?? (() => app.swagger()) }));
  await app.register(siteReads(deps));
}

/** A WebSocket never comes this way; who asks by plain HTTP is told how. */
const streamDescription: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/stream',
    {
      config: { scope: 'stream:read' },
      schema: {
        tags: ['events'],
        summary: 'WebSocket: events as they happen, or from a position',
        querystring: Type.Object({
          types: Type.Optional(Type.String({ description: 'Event types, which may end with *' })),
          streams: Type.Optional(Type.String({ description: 'Beginnings of stream names' })),
          from: Type.Optional(Type.String({ description: 'A position, or start; without it, from now' })),
        }),
        response: {
          101: Type.Null({
            description: 'Frames of JSON: event, caughtUp and heartbeat, each with a position',
          }),
        },
      },
    },
    async (_request, reply) => {
      reply.header('upgrade', 'websocket').header('connection', 'upgrade');
      throw new Problem(426, 'upgrade-required', 'This is a WebSocket');
    },
  );
};
