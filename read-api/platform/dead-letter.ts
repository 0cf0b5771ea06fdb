/** Events that projections cannot apply: which, why, what waits behind each, and when it is tried again. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { Problem } from '../../platform/problem.ts';
import { AfterOnly, type Freshness } from '../fresh.ts';
import { Count, listOf, nullable, oneOf, Position, Text, Time } from '../shapes.ts';

const rowsMax = 1_000;
const name = Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' });

const DeadLetter = Type.Object({
  projection: Text,
  generation: Count,
  isLive: Type.Boolean({ description: 'Of the tables that are read, and not of some beside them' }),
  position: Position,
  stream: Text,
  revision: Position,
  type: Text,
  error: Text,
  attempts: Count,
  waiting: Type.Integer({ minimum: 0, description: 'Later events of the stream that wait behind it' }),
  lastPosition: Position,
  skipReason: nullable(Text),
  needsRebuild: Type.Boolean({
    description: 'It can be applied, but only in its place: the projection is made anew for it',
  }),
  nextTryAt: nullable(Time),
  firstAt: Time,
  lastAt: Time,
});

export function deadLetterReads({ sql, fresh }: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  const config = {
    scope: 'metrics:read',
    nowOnly: 'It tells what the tables lack now.',
  } as const;
  const tags = ['projections'];
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/dead-letters',
      {
        config,
        schema: {
          tags,
          summary: 'Events that projections cannot apply, the oldest first',
          querystring: Type.Object({ ...AfterOnly, projection: Type.Optional(name) }),
          response: { 200: listOf(DeadLetter) },
        },
      },
      async request => {
        const { projection } = request.query;
        const data = await lettersOf(sql, projection === undefined ? {} : { 'l.projection': projection });
        return { data, meta: { nextCursor: null } } as never;
      },
    );
    app.get(
      '/projections/:projection/dead-letters/:position',
      {
        config,
        schema: {
          tags,
          summary: 'One event that a projection cannot apply',
          params: Type.Object({ projection: name, position: Type.String({ pattern: '^[0-9]{1,18}$' }) }),
          querystring: Type.Object(AfterOnly),
          response: { 200: oneOf(DeadLetter) },
        },
      },
      async request => {
        const { projection, position } = request.params;
        const found = await lettersOf(sql, { 'l.projection': projection, 'l.position': position });
        const [letter] = found.sort((a, b) => Number(b.isLive) - Number(a.isLive));
        if (letter === undefined) throw new Problem(404, 'not-found', 'There is no dead letter like that');
        return { data: letter } as never;
      },
    );
  };
}

async function lettersOf(sql: Knex, where: Record<string, string>) {
  const rows = await sql('projection_letters as l')
    .leftJoin('projection_checkpoints as c', join =>
      join.on('c.name', 'l.projection').andOn('c.generation', 'l.generation'),
    )
    .where(where)
    .orderBy(['l.position', 'l.projection', 'l.generation'])
    .limit(rowsMax)
    .select(
      'l.*',
      sql.raw('c.name is not null as is_live'),
      sql.raw('l.position::text as at, l.revision::text as rev, l.last_position::text as last'),
    );
  return rows.map(row => ({
    projection: row.projection,
    generation: row.generation,
    isLive: row.is_live as boolean,
    position: row.at,
    stream: row.stream,
    revision: row.rev,
    type: row.type,
    error: row.error,
    attempts: row.attempts,
    waiting: row.waiting,
    lastPosition: row.last,
    skipReason: row.skip_reason,
    needsRebuild: row.needs_rebuild,
    nextTryAt: row.next_try_at,
    firstAt: row.first_at,
    lastAt: row.last_at,
  }));
}
