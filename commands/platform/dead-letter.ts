/** What is asked of dead letters: to be tried again, to be skipped for a reason, and to be lived with. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type DeadLetterCommand, deadLetters } from '../../domain/platform/dead-letter.ts';
import { execute } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';
import type { ProjectionDeps } from './projection.ts';

const config = { scope: 'admin' } as const;
const tags = ['projections'];
const projection = Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' });
const position = Type.String({
  pattern: '^[0-9]{1,18}$',
  description: 'Of the event that cannot be applied',
});
const ofOne = Type.Object({ projection, position });
const ofAll = Type.Object({ projection });
const Because = Type.Object(
  { reason: Type.String({ minLength: 3, maxLength: 500, description: 'Kept in the log' }) },
  { additionalProperties: false },
);
const response = { 202: Accepted };

type Asked = DeadLetterCommand extends infer C
  ? C extends { type: string; data: object }
    ? { type: C['type']; data: Omit<C['data'], 'projection' | 'at'> }
    : never
  : never;

export function deadLetterCommands(deps: ProjectionDeps): FastifyPluginAsyncTypebox {
  const { store, clock, projectionNames } = deps;

  const ask = async (request: FastifyRequest, reply: FastifyReply, name: string, asked: Asked) => {
    if (!projectionNames.includes(name)) throw new Refusal('not-found', { projection: name });
    const { metadata, once } = causeOf(request, clock);
    const data = { projection: name, at: metadata.time, ...asked.data };
    const command = { ...asked, data } as DeadLetterCommand;
    const { position: at } = await execute(store, deadLetters, name, command, metadata, { once });
    return accepted(reply, name, at, '/dead-letters');
  };

  return async app => {
    app.post(
      '/projections/:projection/dead-letters/replay',
      {
        config,
        schema: {
          tags,
          summary: 'Try every dead letter of a projection again now',
          params: ofAll,
          body: NoBody,
          response,
        },
      },
      (request, reply) =>
        ask(request, reply, request.params.projection, {
          type: 'ReplayDeadLetters',
          data: { position: null },
        }),
    );
    app.post(
      '/projections/:projection/dead-letters/:position/replay',
      {
        config,
        schema: {
          tags,
          summary: 'Try a dead letter again now, and what waits behind it',
          params: ofOne,
          body: NoBody,
          response,
        },
      },
      (request, reply) => {
        const { projection: name, position: of } = request.params;
        return ask(request, reply, name, { type: 'ReplayDeadLetters', data: { position: of } });
      },
    );
    app.post(
      '/projections/:projection/dead-letters/:position/skip',
      {
        config,
        schema: {
          tags,
          summary: 'Leave an event out that a projection cannot apply, and go on with what waits behind it',
          params: ofOne,
          body: Because,
          response,
        },
      },
      (request, reply) => {
        const { projection: name, position: of } = request.params;
        const { reason } = request.body;
        return ask(request, reply, name, { type: 'SkipDeadLetter', data: { position: of, reason } });
      },
    );
    app.post(
      '/projections/:projection/show',
      {
        config,
        schema: {
          tags,
          summary: 'Show what is filled beside the live tables although it has more dead letters',
          params: ofAll,
          body: Because,
          response,
        },
      },
      (request, reply) => {
        const { reason } = request.body;
        return ask(request, reply, request.params.projection, { type: 'ShowProjection', data: { reason } });
      },
    );
  };
}
