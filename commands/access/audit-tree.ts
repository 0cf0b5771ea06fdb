/** Asking for another key, a rebuild or a new beginning of the tree over all events; the worker that keeps it does it. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type AuditTreeCommand, auditTree, auditTreeId } from '../../domain/access/audit-tree.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { checkOneLine } from '../../domain/kernel/one-line.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';

export type AuditTreeDeps = { readonly store: EventStore; readonly clock: Clock };

const tags = ['audit'];
const config = { scope: 'admin' } as const;
const response = { 202: Accepted };
const Because = Type.Object(
  {
    because: Type.String({
      minLength: 1,
      maxLength: limits.nameCharsMax,
      description: 'For those who verify',
    }),
  },
  { additionalProperties: false },
);

export function auditTreeCommands({ store, clock }: AuditTreeDeps): FastifyPluginAsyncTypebox {
  const ask = async (
    request: FastifyRequest,
    reply: FastifyReply,
    commandOf: (data: { treeId: string; at: string }) => AuditTreeCommand,
  ) => {
    const { metadata, once } = causeOf(request, clock);
    const command = commandOf({ treeId: auditTreeId, at: metadata.time });
    const { position } = await execute(store, auditTree, auditTreeId, command, metadata, { once });
    return accepted(reply, auditTreeId, position, '/audit/keys');
  };
  return async app => {
    app.post(
      '/audit/keys/rotate',
      {
        config,
        schema: {
          tags,
          summary: 'Sign the tree with another key, which the present one vouches for',
          body: NoBody,
          response,
        },
      },
      (request, reply) => ask(request, reply, data => ({ type: 'RequestAuditKeyRotation', data })),
    );
    app.post(
      '/audit/tree/rebuild',
      {
        config,
        schema: {
          tags,
          summary: 'Make the tree again from the log, beside the one that is read',
          body: NoBody,
          response,
        },
      },
      (request, reply) => ask(request, reply, data => ({ type: 'RequestAuditTreeRebuild', data })),
    );
    app.post(
      '/audit/tree/restart',
      {
        config,
        schema: {
          tags,
          summary: 'Begin again under another name, with a key that nobody vouches for',
          body: Because,
          response,
        },
      },
      (request, reply) => {
        const { because } = request.body;
        const wrong = checkOneLine(because);
        if (wrong !== undefined) throw invalid([{ field: 'because', message: wrong }]);
        return ask(request, reply, data => ({ type: 'RequestAuditTreeRestart', data: { ...data, because } }));
      },
    );
  };
}
