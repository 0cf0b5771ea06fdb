/** Asking for an ingestion by hand, and cancelling one. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { type IngestionCommand, ingestion } from '../../domain/apps/ingestion.ts';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import type { EventStore } from '../../eventstore/store.ts';
import type { Clock } from '../clock.ts';
import { execute, outcomeBefore } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';
import { presentApp } from './present-app.ts';

export function ingestionCommands(deps: { store: EventStore; clock: Clock }): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;
  const params = Type.Object({ appId: Type.String({ pattern: appIdPattern }) });

  const route = (verb: string, summary: string, command: (appId: string, at: string) => IngestionCommand) => {
    const plugin: FastifyPluginAsyncTypebox = async app => {
      app.post(
        `/apps/:appId/${verb}`,
        {
          config: { scope: 'apps:write' },
          schema: { tags: ['ingestions'], summary, params, body: NoBody, response: { 202: Accepted } },
        },
        async (request, reply) => {
          const { appId } = request.params;
          const cause = causeOf(request, clock);
          const { metadata, once } = cause;
          const before = await outcomeBefore(store, ingestion, appId, cause);
          if (before !== undefined) return accepted(reply, appId, before, `/apps/${appId}/ingestions`);
          await presentApp(store, appId);
          const { position } = await execute(
            store,
            ingestion,
            appId,
            command(appId, metadata.time),
            metadata,
            {
              once,
            },
          );
          return accepted(reply, appId, position, `/apps/${appId}/ingestions`);
        },
      );
    };
    return plugin;
  };

  return async app => {
    await app.register(
      route('retry', 'Ingest the app anew', (appId, at) => ({
        type: 'QueueIngestion',
        data: { appId, cause: 'retry', at },
      })),
    );
    await app.register(
      route('cancel', 'Cancel the ingestion that is queued or running', (appId, at) => ({
        type: 'CancelIngestion',
        data: { appId, at },
      })),
    );
  };
}
