/** Tags given by hand: added and removed one at a time. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { repository } from '../../domain/apps/repository.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { checkOneLine } from '../../domain/kernel/one-line.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';

const scope = 'apps:write';
const AppId = Type.String({ pattern: limits.appIdPattern });
const Params = Type.Object({ appId: AppId });

export const TagBody = Type.Object(
  {
    key: Type.String({
      pattern: limits.tagKeyPattern,
      description: 'Lower case, as in language or stack.db',
    }),
    value: Type.String({ minLength: 1, maxLength: limits.tagValueCharsMax }),
  },
  { additionalProperties: false },
);

export function tagCommands(deps: { store: EventStore; clock: Clock }): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;
  const appUrl = (appId: string) => `/apps/${appId}`;

  return async app => {
    app.post(
      '/apps/:appId/tags',
      {
        config: { scope },
        schema: {
          tags: ['apps'],
          summary: 'Add a tag by hand',
          params: Params,
          body: TagBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const unusable = checkOneLine(request.body.value);
        if (unusable !== undefined) throw invalid([{ field: 'value', message: unusable }]);
        const { metadata, once } = causeOf(request, clock);
        const data = { appId, at: metadata.time, tag: request.body };
        const command = { type: 'TagRepository', data } as const;
        const { position } = await execute(store, repository, appId, command, metadata, { once });
        return accepted(reply, appId, position, appUrl(appId));
      },
    );

    app.delete(
      '/apps/:appId/tags/:key/:value',
      {
        config: { scope },
        schema: {
          tags: ['apps'],
          summary: 'Remove a tag the owner gave or somebody added; what the source itself says stays',
          params: Type.Object({ appId: AppId, key: TagBody.properties.key, value: TagBody.properties.value }),
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId, key, value } = request.params;
        const { metadata, once } = causeOf(request, clock);
        const data = { appId, at: metadata.time, tag: { key, value } };
        const command = { type: 'UntagRepository', data } as const;
        const { position } = await execute(store, repository, appId, command, metadata, { once });
        return accepted(reply, appId, position, appUrl(appId));
      },
    );
  };
}
