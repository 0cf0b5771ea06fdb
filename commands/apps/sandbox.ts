/** How an app is confined is not for its owner to say: who widens it answers for what the app then does. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { repository } from '../../domain/apps/repository.ts';
import { checkEgressHost } from '../../domain/apps/sandbox.ts';
import { appIdPattern, egressHostsMax } from '../../domain/kernel/limits.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute } from '../execute.ts';
import { Accepted, accepted, causeOf } from '../request.ts';

const SandboxBody = Type.Object(
  {
    egress: Type.Array(Type.String(), {
      maxItems: egressHostsMax,
      description: 'Hosts it may speak to, such as api.example.org or *.example.org:8443',
    }),
    allowRoot: Type.Boolean({ description: 'Whether it may be root inside of its container' }),
    runtime: Type.Union([Type.Literal('default'), Type.Literal('runsc')]),
  },
  { additionalProperties: false },
);

export function sandboxCommands(deps: { store: EventStore; clock: Clock }): FastifyPluginAsyncTypebox {
  return async app => {
    app.put(
      '/apps/:appId/sandbox',
      {
        config: { scope: 'admin' },
        schema: {
          tags: ['apps'],
          summary: 'Say how an app is confined, for what is launched from now on',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          body: SandboxBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const egress = request.body.egress.map(host => host.toLowerCase());
        const errors = egress.flatMap((host, at) => {
          const message = checkEgressHost(host);
          return message === undefined ? [] : [{ field: `egress.${at}`, message }];
        });
        if (errors.length > 0) throw invalid(errors);
        const { metadata, once } = causeOf(request, deps.clock);
        const sandbox = { ...request.body, egress };
        const command = { type: 'ConfineRepository', data: { appId, at: metadata.time, sandbox } } as const;
        const { position } = await execute(deps.store, repository, appId, command, metadata, { once });
        return accepted(reply, appId, position, `/apps/${appId}`);
      },
    );
  };
}
