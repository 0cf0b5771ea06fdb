/** Builds, and what they printed. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import type { LogStore } from '../../platform/log-store.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { followed, streamed, whole } from '../log-text.ts';
import { whyNoDocker } from '../machine.ts';
import { newestFirst, type PageQuery } from '../page.ts';
import { Count, listOf, nullable, oneOf, Paging, PlainText, Text, Time } from '../shapes.ts';

const config = { scope: 'apps:read' } as const;
const tags = ['builds'];
const table = 'apps_builds';
const partBytesMax = 1 << 20;
const offsetMax = 2 ** 40;

export const Build = Type.Object({
  id: Text,
  appId: Text,
  commit: Text,
  ref: nullable(Text),
  dockerfilePath: Text,
  cause: Text,
  status: Type.Union(['queued', 'running', 'succeeded', 'failed', 'cancelled'].map(one => Type.Literal(one))),
  attempt: Count,
  image: nullable(Text),
  imageId: nullable(Text),
  bytes: nullable(Count),
  ports: nullable(Type.Array(Count)),
  failure: nullable(Type.Object({ reason: Text, step: nullable(Count), instruction: nullable(Text) })),
  log: nullable(Type.Object({ lines: Count, bytes: Count, truncated: Type.Boolean() })),
  requestedAt: Time,
  startedAt: nullable(Time),
  finishedAt: nullable(Time),
  durationMs: nullable(Count),
  waitingFor: nullable(Text),
});

export type BuildRow = { build_id: string; status: string; requested_at: string } & Record<string, unknown>;

export function buildOf(row: BuildRow, noDocker: string | null) {
  return {
    id: row.build_id,
    appId: row.app_id,
    commit: row.commit,
    ref: row.ref,
    dockerfilePath: row.dockerfile_path,
    cause: row.cause,
    status: row.status,
    attempt: row.attempt,
    image: row.image,
    imageId: row.image_id,
    bytes: row.bytes,
    ports: row.ports,
    failure: row.failure,
    log: row.log,
    requestedAt: row.requested_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    durationMs: row.duration_ms,
    waitingFor: row.status === 'queued' ? noDocker : null,
  } as never;
}

const Status = Type.Optional(
  Type.Union(['queued', 'running', 'succeeded', 'failed', 'cancelled'].map(one => Type.Literal(one))),
);
const Query = Type.Object({ ...After, ...Paging, status: Status });
const BuildParams = Type.Object({ buildId: Type.String({ format: 'uuid' }) });

export type BuildDeps = { sql: Knex; fresh: Freshness; logs: LogStore };

export function buildReads(deps: BuildDeps): FastifyPluginAsyncTypebox {
  const { sql, fresh } = deps;

  const page = async (query: PageQuery, { apps }: Identity, appId?: string) => {
    const { rows, nextCursor } = await newestFirst<BuildRow>(
      sql,
      { table, id: 'build_id', appId, apps },
      query,
    );
    if (rows.length === 0 && appId !== undefined) await refuseUnknownApp(sql, appId);
    const noDocker = await whyNoDocker(sql);
    return { data: rows.map(row => buildOf(row, noDocker)), meta: { nextCursor } };
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
      async request => ({
        data: buildOf(
          await presentBuild(sql, request.params.buildId, request.identity),
          await whyNoDocker(sql),
        ),
      }),
    );
  };
}

/** What a build printed. */
export function buildLogReads({ sql, fresh, logs }: BuildDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/builds/:buildId/logs',
      {
        config,
        schema: {
          tags,
          summary: 'What a build printed, as plain text; with follow it goes on until the build ends',
          params: BuildParams,
          querystring: Type.Object({
            ...After,
            offset: Type.Optional(Type.Integer({ minimum: 0, maximum: offsetMax, description: 'In bytes' })),
            follow: Type.Optional(Type.Boolean()),
            download: Type.Optional(Type.Boolean()),
          }),
          produces: ['text/plain'],
          response: { 200: PlainText },
        },
      },
      async (request, reply) => {
        const { buildId } = request.params;
        const { offset = 0, follow = false, download = false } = request.query;
        await presentBuild(sql, buildId, request.identity);
        reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store');
        if (download) reply.header('content-disposition', `attachment; filename="build-${buildId}.log"`);
        if (follow || download) {
          const gone = new AbortController();
          reply.raw.once('close', () => gone.abort());
          const lines = follow
            ? followed(logs, buildId, offset, () => isDue(sql, buildId), gone.signal)
            : whole(logs, buildId, offset);
          return reply.send(streamed(reply, lines));
        }
        const part = await logs.read(buildId, offset, partBytesMax);
        reply.header('x-apphub-next-offset', String(part?.nextOffset ?? offset));
        return reply.send(part?.bytes ?? Buffer.alloc(0));
      },
    );
  };
}

/** Rejects with 404 where there is none, and with 403 where the asker may not reach its app. */
async function presentBuild(sql: Knex, buildId: string, identity: Identity): Promise<BuildRow> {
  const row = await sql(table).where({ build_id: buildId }).first();
  if (row === undefined) throw new Refusal('not-found', { buildId });
  requireApp(identity, row.app_id);
  return row;
}

/** A build that was cancelled before it began never gets a log. */
async function isDue(sql: Knex, buildId: string): Promise<boolean> {
  const row = await sql(table).where({ build_id: buildId }).first('status');
  return ['queued', 'running'].includes(row?.status);
}
