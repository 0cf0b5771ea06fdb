/** Asking for an image of a build to go. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { build } from '../../domain/apps/build.ts';
import { repository } from '../../domain/apps/repository.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { requireApp } from '../../platform/auth.ts';
import type { Clock } from '../clock.ts';
import { execute, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';

export function imageCommands(deps: { store: EventStore; clock: Clock }): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;
  return async app => {
    app.post(
      '/builds/:buildId/remove-image',
      {
        config: { scope: 'apps:write' },
        schema: {
          tags: ['builds'],
          summary: 'Remove the image of a build; one that a launch needs is kept',
          params: Type.Object({ buildId: Type.String({ format: 'uuid' }) }),
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { buildId } = request.params;
        const appId = (await stateOf(store, build, buildId))?.state.spec?.appId;
        if (appId === undefined) throw new Refusal('not-found', { buildId });
        requireApp(request.identity, appId);
        const owner = (await stateOf(store, repository, appId))?.state;
        const released = owner?.status === 'registered' ? owner.release?.buildId : undefined;
        if (released === buildId) throw new Refusal('build/released', { buildId });
        const { metadata, once } = causeOf(request, clock);
        const data = { buildId, reason: 'asked', at: metadata.time } as const;
        const command = { type: 'RemoveBuildImage', data } as const;
        const { position } = await execute(store, build, buildId, command, metadata, { once });
        return accepted(reply, buildId, position, `/builds/${buildId}`);
      },
    );
  };
}
