/** Builds, and what they printed. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { BuildProvenance } from '../../domain/apps/build.ts';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { newestFirst, type PageQuery } from '../page.ts';
import { Count, listOf, nullable, oneOf, Paging, Text, Time } from '../shapes.ts';
import { type Place, placesOf } from './build-queue.ts';
import { Statement, statementOf } from './provenance.ts';

const config = { scope: 'apps:read' } as const;
const tags = ['builds'];
const table = 'apps_builds';

const statuses = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'superseded'];
const Status = Type.Union(statuses.map(one => Type.Literal(one)));

export const Build = Type.Object({
  id: Text,
  appId: Text,
  commit: Text,
  ref: nullable(Text),
  dockerfilePath: Text,
  args: Type.Record(Text, Text),
  cause: Text,
  status: Status,
  attempt: Count,
  image: nullable(Text),
  imageId: nullable(Text),
  bytes: nullable(Count),
  ports: nullable(Type.Array(Count)),
  failure: nullable(Type.Object({ reason: Text, step: nullable(Count), instruction: nullable(Text) })),
  /** The build of a newer commit that is made instead. */
  supersededBy: nullable(Type.Object({ buildId: Text, commit: Text })),
  /** Where the image is pulled from, `<repository>@<digest>`; null where it is on its engine only. */
  pushed: nullable(Type.Object({ repository: Text, digest: Text })),
  builder: nullable(Text),
  log: nullable(Type.Object({ lines: Count, bytes: Count, truncated: Type.Boolean() })),
  requestedAt: Time,
  startedAt: nullable(Time),
  finishedAt: nullable(Time),
  durationMs: nullable(Count),
  /** 1 is begun next; null once it is not queued. */
  queuePosition: nullable(Count),
  waitingFor: nullable(Text),
});

export type BuildRow = {
  build_id: string;
  status: string;
  requested_at: string;
  provenance: BuildProvenance | null;
} & Record<string, unknown>;

export function buildOf(row: BuildRow, place: Place | undefined) {
  return {
    id: row.build_id,
    appId: row.app_id,
    commit: row.commit,
    ref: row.ref,
    dockerfilePath: row.dockerfile_path,
    args: row.args,
    cause: row.cause,
    status: row.status,
    attempt: row.attempt,
    image: row.image,
    imageId: row.image_id,
    bytes: row.bytes,
    ports: row.ports,
    failure: row.failure,
    supersededBy: row.superseded_by,
    pushed: row.pushed,
    builder: row.provenance?.builder.kind ?? null,
    log: row.log,
    requestedAt: row.requested_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    durationMs: row.duration_ms,
    queuePosition: place?.position ?? null,
    waitingFor: place?.waitingFor ?? null,
  } as never;
}

const Query = Type.Object({ ...After, ...Paging, status: Type.Optional(Status) });
const BuildParams = Type.Object({ buildId: Type.String({ format: 'uuid' }) });

export type BuildDeps = { sql: Knex; fresh: Freshness };

export function buildReads(deps: BuildDeps): FastifyPluginAsyncTypebox {
  const { sql, fresh } = deps;

  const page = async (query: PageQuery, { apps }: Identity, appId?: string) => {
    const { rows, nextCursor } = await newestFirst<BuildRow>(
      sql,
      { table, id: 'build_id', appId, apps },
      query,
    );
    if (rows.length === 0 && appId !== undefined) await refuseUnknownApp(sql, appId);
    const places = await placesOf(sql, rows);
    return { data: rows.map(row => buildOf(row, places.get(row.build_id))), meta: { nextCursor } };
  };

  return async app => {
    app.addHook('preHandler', fresh.check);
    const response = { 200: listOf(Build) };
    app.get(
      '/builds',
      { config, schema: { tags, summary: 'All builds, newest first', querystring: Query, response } },
      request => page(request.query, request.identity),
    );
    app.get(
      '/apps/:appId/builds',
      {
        config,
        schema: {
          tags,
          summary: 'Builds of an app, newest first',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          querystring: Query,
          response,
        },
      },
      request => page(request.query, request.identity, request.params.appId),
    );
    app.get(
      '/builds/:buildId',
      {
        config,
        schema: {
          tags,
          summary: 'One build',
          params: BuildParams,
          querystring: Type.Object(After),
          response: { 200: oneOf(Build) },
        },
      },
      async request => {
        const row = await presentBuild(sql, request.params.buildId, request.identity);
        return { data: buildOf(row, (await placesOf(sql, [row])).get(row.build_id)) };
      },
    );
    app.get(
      '/builds/:buildId/provenance',
      {
        config,
        schema: {
          tags,
          summary: 'What the image was made of and how: an in-toto Statement v1 with SLSA provenance v1',
          params: BuildParams,
          querystring: Type.Object(After),
          produces: ['application/vnd.in-toto+json'],
          response: { 200: Statement },
        },
      },
      async (request, reply) => {
        const row = await presentBuild(sql, request.params.buildId, request.identity);
        reply.type('application/vnd.in-toto+json; charset=utf-8');
        return statementOf(row);
      },
    );
  };
}

/** Rejects with 404 where there is none, and with 403 where the asker may not reach its app. */
export async function presentBuild(sql: Knex, buildId: string, identity: Identity): Promise<BuildRow> {
  const row = await sql(table).where({ build_id: buildId }).first();
  if (row === undefined) throw new Refusal('not-found', { buildId });
  requireApp(identity, row.app_id);
  return row;
}
