/** What a build printed: now, as it comes, from any byte on, or as a file. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { Knex } from 'knex';
import type { LogStore } from '../../platform/log-store.ts';
import { Problem } from '../../platform/problem.ts';
import { AfterOnly, type Freshness } from '../fresh.ts';
import { followed, span, streamed } from '../log-text.ts';
import { rangeOf } from '../range.ts';
import { PlainText } from '../shapes.ts';
import { type BuildRow, presentBuild } from './build.ts';

const config = {
  scope: 'apps:read',
  nowOnly: 'What a build prints is kept beside the log, and not by time: it only grows.',
} as const;
const tags = ['builds'];
const partBytesMax = 1 << 20;
const offsetMax = 2 ** 40;

type Deps = { readonly sql: Knex; readonly fresh: Freshness; readonly logs: LogStore };

export function buildLogReads({ sql, fresh, logs }: Deps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/builds/:buildId/logs',
      {
        config,
        schema: {
          tags,
          summary: 'What a build printed, as plain text; with follow it goes on until the build ends',
          description:
            'Without `follow` and `download` at most 1 MiB, and `X-AppHub-Next-Offset` says where to go on. ' +
            'A connection that broke is taken up again with `offset` as many bytes as came, or with a field `Range`.',
          params: Type.Object({ buildId: Type.String({ format: 'uuid' }) }),
          querystring: Type.Object({
            ...AfterOnly,
            offset: Type.Optional(Type.Integer({ minimum: 0, maximum: offsetMax, description: 'In bytes' })),
            follow: Type.Optional(Type.Boolean()),
            download: Type.Optional(Type.Boolean({ description: 'All that is there, as a file' })),
          }),
          produces: ['text/plain'],
          response: { 200: PlainText, 206: PlainText },
        },
      },
      async (request, reply) => {
        const { buildId } = request.params;
        const { offset = 0, follow = false, download = false } = request.query;
        const row = await presentBuild(sql, buildId, request.identity);
        reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store');
        if (download) reply.header('content-disposition', `attachment; filename="build-${buildId}.log"`);
        if (follow) {
          const gone = new AbortController();
          reply.raw.once('close', () => gone.abort());
          const mayCome = () => isDue(sql, buildId);
          if (!(await mayCome()) && (await logs.size(buildId)) === undefined) refuseRemoved(row);
          return reply.send(streamed(reply, followed(logs, buildId, offset, mayCome, gone.signal)));
        }
        const size = await logs.size(buildId);
        if (size === undefined) refuseRemoved(row);
        const { range, 'if-range': ifRange } = request.headers;
        const of = { id: buildId, bytes: size?.bytes ?? 0, ended: size?.ended ?? false };
        if (range !== undefined || download) return sendPart(reply, logs, of, { range, ifRange, offset });
        const part = await logs.read(buildId, offset, partBytesMax);
        reply.header('x-apphub-next-offset', String(part?.nextOffset ?? offset));
        return reply.send(part?.bytes ?? Buffer.alloc(0));
      },
    );
  };
}

type Whole = { readonly id: string; readonly bytes: number; readonly ended: boolean };
type Asked = {
  readonly range: string | undefined;
  readonly ifRange: string | string[] | undefined;
  readonly offset: number;
};

/** What is there now from a byte on. What has been read of a log never changes, so that a part of it can be asked for later. */
function sendPart(reply: FastifyReply, logs: LogStore, { id, bytes, ended }: Whole, asked: Asked) {
  reply.header('accept-ranges', 'bytes');
  const etag = `"${id}-${bytes}"`;
  if (ended) reply.header('etag', etag);
  const isWanted = asked.ifRange === undefined || (ended && asked.ifRange === etag);
  const range = isWanted ? rangeOf(asked.range, bytes) : undefined;
  if (range === null) {
    reply.header('content-range', `bytes */${bytes}`);
    throw new Problem(416, 'range-not-satisfiable', 'The log has not so many bytes', { extra: { bytes } });
  }
  const { start, end } = range ?? { start: Math.min(asked.offset, bytes), end: bytes };
  if (range !== undefined) {
    const total = ended ? String(bytes) : '*';
    reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${total}`);
  }
  reply.header('content-length', end - start);
  return reply.send(streamed(reply, span(logs, id, start, end)));
}

/** It said something once, and that is not kept any more. */
function refuseRemoved({ log }: BuildRow): void {
  const size = log as { bytes: number } | null;
  if (size !== null && size.bytes > 0)
    throw new Problem(410, 'log-removed', 'The log of this build is not kept any more');
}

/** A build that was cancelled before it began never gets a log. */
async function isDue(sql: Knex, buildId: string): Promise<boolean> {
  const row = await sql('apps_builds').where({ build_id: buildId }).first('status');
  return ['queued', 'running'].includes(row?.status);
}
