/** The engines that build and run, as the workers have seen them last. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { AfterOnly, type Freshness } from '../fresh.ts';
import { enginesOf } from '../machine.ts';
import { Count, listOf, nullable, Text, Time } from '../shapes.ts';

const Engine = Type.Object({
  name: Text,
  kind: Type.Union([Type.Literal('engine'), Type.Literal('swarm')]),
  labels: Type.Record(Type.String(), Text),
  builds: Type.Boolean(),
  awayReason: nullable(Text),
  awaySince: nullable(Time),
  cpus: nullable(Type.Number()),
  memoryBytes: nullable(Count),
  launchesMax: nullable(Count),
  promised: Type.Object({ cpus: Type.Number(), memoryBytes: Count, launches: Count }),
});

export function engineReads({ sql, fresh }: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/engines',
      {
        config: {
          scope: 'metrics:read',
          nowOnly: 'What engines are and do is reported by the workers, and not kept by time.',
        },
        schema: {
          tags: ['platform'],
          summary: 'Every engine: what it is, what is promised on it, and since when and why it is away',
          querystring: Type.Object(AfterOnly),
          response: { 200: listOf(Engine) },
        },
      },
      async () => ({ data: await enginesOf(sql), meta: { nextCursor: null } }) as never,
    );
  };
}
