/** How the tables stand: which generation of each projection is read, what is filled beside it, and how far. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { After, type Freshness } from '../fresh.ts';
import { Count, listOf, nullable, Position, Text, Time } from '../shapes.ts';

const Beside = Type.Object({
  generation: Count,
  version: Count,
  role: Text,
  position: nullable(Position),
  problem: nullable(Text),
  startedAt: Time,
});

const Projection = Type.Object({
  name: Text,
  version: Count,
  generation: Count,
  position: nullable(Position),
  movedAt: nullable(Time),
  beside: Type.Array(Beside),
});

export function projectionReads({ sql, fresh }: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/projections',
      {
        config: { scope: 'metrics:read' },
        schema: {
          tags: ['projections'],
          summary: 'Every projection: what is read, and what is filled or kept beside it',
          querystring: Type.Object(After),
          response: { 200: listOf(Projection) },
        },
      },
      async () => {
        const rows = await sql('projection_checkpoints')
          .orderBy('name')
          .select('name', 'version', 'generation', 'moved_at', sql.raw('position::text as position'));
        const beside = await sql('projection_generations')
          .orderBy('generation')
          .select('*', sql.raw('position::text as at'));
        const data = rows.map(row => ({
          name: row.name,
          version: row.version,
          generation: row.generation,
          position: row.position,
          movedAt: row.moved_at,
          beside: beside.filter(({ name }) => name === row.name).map(besideOf),
        }));
        return { data, meta: { nextCursor: null } } as never;
      },
    );
  };
}

function besideOf(row: Record<string, unknown>) {
  return {
    generation: row.generation,
    version: row.version,
    role: row.role,
    position: row.at,
    problem: row.problem,
    startedAt: row.started_at,
  };
}
