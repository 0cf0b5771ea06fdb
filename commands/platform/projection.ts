/** Having tables made anew while they are read, going back to those of before, and having rows mended. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { projectionRequests } from '../../domain/platform/projection.ts';
import type { EventStore } from '../../eventstore/store.ts';
import type { Clock } from '../clock.ts';
import { execute } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';

const config = { scope: 'admin' } as const;
const tags = ['projections'];
const params = Type.Object({ projection: Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' }) });
const response = { 202: Accepted };

export type ProjectionDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly projectionNames: readonly string[];
};

export function projectionCommands(deps: ProjectionDeps): FastifyPluginAsyncTypebox {
  const { store, clock, projectionNames } = deps;

  const ask = async (
    request: FastifyRequest,
    reply: FastifyReply,
    type: 'RebuildProjection' | 'RollBackProjection' | 'RepairProjection',
    projection: string,
  ) => {
    if (!projectionNames.includes(projection)) throw new Refusal('not-found', { projection });
    const { metadata, once } = causeOf(request, clock);
    const command = { type, data: { projection, at: metadata.time } } as const;
    const { position } = await execute(store, projectionRequests, projection, command, metadata, { once });
    return accepted(reply, projection, position, '/projections');
  };

  return async app => {
    app.post(
      '/projections/:projection/rebuild',
      {
        config,
        schema: {
          tags,
          summary: 'Fill a projection anew beside the live one, compare the two, and show the new one',
          params,
          body: NoBody,
          response,
        },
      },
      (request, reply) => ask(request, reply, 'RebuildProjection', request.params.projection),
    );
    app.post(
      '/projections/:projection/repair',
      {
        config,
        schema: {
          tags,
          summary: 'Make the rows again from the log that the self-audit found wrong',
          params,
          body: NoBody,
          response,
        },
      },
      (request, reply) => ask(request, reply, 'RepairProjection', request.params.projection),
    );
    app.post(
      '/projections/:projection/rollback',
      {
        config,
        schema: {
          tags,
          summary: 'Show the tables again that were live before',
          params,
          body: NoBody,
          response,
        },
      },
      (request, reply) => ask(request, reply, 'RollBackProjection', request.params.projection),
    );
  };
}
