/** Launches, where they are reached, and what they print. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { whyNoDocker } from '../machine.ts';
import { newestFirst, type PageQuery } from '../page.ts';
import { Count, listOf, nullable, oneOf, Paging, Text, Time } from '../shapes.ts';
import { Sandbox } from './sandbox.ts';

const config = { scope: 'apps:read' } as const;
const tags = ['launches'];
const table = 'apps_launches';
const statuses = [
  'requested',
  'starting',
  'running',
  'asleep',
  'waking',
  'restarting',
  'stopping',
  'stopped',
  'expired',
  'failed',
];

const Status = Type.Union(statuses.map(one => Type.Literal(one)));

export const Failure = Type.Object({
  reason: Text,
  exitCode: nullable(Count),
  oomKilled: Type.Boolean(),
  lastLines: Type.Array(Text),
  at: Time,
  /** It failed again and again, and is not started any more. */
  isLoop: Type.Boolean(),
});

const Launch = Type.Object({
  id: Text,
  appId: Text,
  buildId: Text,
  image: Text,
  status: Status,
  url: Text,
  env: Type.Array(Type.Object({ key: Text, value: Text })),
  resourceProfile: Text,
  port: nullable(Count),
  startedInMs: nullable(Count),
  owner: Text,
  access: Text,
  restart: Text,
  idleSeconds: nullable(Count),
  healthPath: nullable(Text),
  sandbox: Sandbox,
  workspace: nullable(Type.Object({ workspaceId: Text, overlap: Type.Boolean() })),
  deployment: Count,
  serving: nullable(Count),
  failure: nullable(Failure),
  because: nullable(Text),
  sleepReason: nullable(Text),
  requestedAt: Time,
  runningAt: nullable(Time),
  sleptAt: nullable(Time),
  endedAt: nullable(Time),
  expiresAt: Time,
  waitingFor: nullable(Text),
});

type LaunchRow = { launch_id: string; status: string; requested_at: string } & Record<string, unknown>;

export type LaunchDeps = {
  sql: Knex;
  fresh: Freshness;
  /** Where the preview of a launch is reached. */
  previewUrl: (launchId: string) => string;
};

const Query = Type.Object({ ...After, ...Paging, status: Type.Optional(Status) });
export const LaunchParams = Type.Object({ launchId: Type.String({ format: 'uuid' }) });

export function launchReads(deps: LaunchDeps): FastifyPluginAsyncTypebox {
  const { sql, fresh, previewUrl } = deps;

  const page = async (query: PageQuery, { apps }: Identity, appId?: string) => {
    const { rows, nextCursor } = await newestFirst<LaunchRow>(
      sql,
      { table, id: 'launch_id', appId, apps },
      query,
    );
    if (rows.length === 0 && appId !== undefined) await refuseUnknownApp(sql, appId);
    const noDocker = await whyNoDocker(sql);
    return { data: rows.map(row => launchOf(row, previewUrl, noDocker)), meta: { nextCursor } };
  };

  return async app => {
    app.addHook('preHandler', fresh.check);
    const response = { 200: listOf(Launch) };
    app.get(
      '/launches',
      { config, schema: { tags, summary: 'All launches, newest first', querystring: Query, response } },
      request => page(request.query, request.identity),
    );
    app.get(
      '/apps/:appId/launches',
      {
        config,
        schema: {
          tags,
          summary: 'Launches of an app, newest first',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          querystring: Query,
          response,
        },
      },
      request => page(request.query, request.identity, request.params.appId),
    );
    app.get(
      '/launches/:launchId',
      {
        config,
        schema: {
          tags,
          summary: 'One launch',
          params: LaunchParams,
          querystring: Type.Object(After),
          response: { 200: oneOf(Launch) },
        },
      },
      async request => ({
        data: launchOf(
          await presentLaunch(sql, request.params.launchId, request.identity),
          previewUrl,
          await whyNoDocker(sql),
        ),
      }),
    );
  };
}

/** Rejects with 404 where there is none, and with 403 where the asker may not reach its app. */
export async function presentLaunch(sql: Knex, launchId: string, identity: Identity): Promise<LaunchRow> {
  const row = await sql(table).where({ launch_id: launchId }).first();
  if (row === undefined) throw new Refusal('not-found', { launchId });
  requireApp(identity, row.app_id);
  return row;
}

function launchOf(row: LaunchRow, previewUrl: LaunchDeps['previewUrl'], noDocker: string | null) {
  return {
    id: row.launch_id,
    appId: row.app_id,
    buildId: row.build_id,
    image: row.image,
    status: row.status,
    url: previewUrl(row.launch_id),
    env: row.env,
    resourceProfile: row.resource_profile,
    port: row.port,
    startedInMs: row.started_in_ms,
    owner: row.owner,
    access: row.access,
    restart: row.restart,
    idleSeconds: row.idle_seconds,
    healthPath: row.health_path,
    sandbox: row.sandbox,
    workspace: row.workspace,
    deployment: row.deployment,
    serving: row.serving,
    failure: row.failure,
    because: row.because,
    sleepReason: row.sleep_reason,
    requestedAt: row.requested_at,
    runningAt: row.running_at,
    sleptAt: row.slept_at,
    endedAt: row.ended_at,
    expiresAt: row.expires_at,
    waitingFor: ['requested', 'stopping'].includes(row.status) ? noDocker : null,
  } as never;
}
