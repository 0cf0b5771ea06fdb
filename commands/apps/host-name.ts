/** Host names of somebody's own: given to an app, and taken away. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { type HostNameRules, hostName, readHostName } from '../../domain/apps/host-name.ts';
import { launch } from '../../domain/apps/launch.ts';
import { appIdPattern, hostCharsMax } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';
import { presentApp } from './present-app.ts';

const config = { scope: 'apps:write' } as const;
const tags = ['apps'];
const params = Type.Object({
  appId: Type.String({ pattern: appIdPattern }),
  host: Type.String({ maxLength: hostCharsMax, description: 'Such as shop.example.org' }),
});

const Aim = Type.Optional(
  Type.Object(
    {
      launchId: Type.Optional(
        Type.Union([Type.String({ format: 'uuid' }), Type.Null()], {
          description: 'The only launch it shows; null, as by default: the newest that runs',
        }),
      ),
    },
    { additionalProperties: false },
  ),
);

export type HostNameDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly hostNameRules: HostNameRules;
};

export function hostNameCommands({ store, clock, hostNameRules }: HostNameDeps): FastifyPluginAsyncTypebox {
  const read = (text: string): string => {
    const found = readHostName(text, hostNameRules);
    if ('wrong' in found) throw invalid([{ field: 'host', message: found.wrong }]);
    return found.host;
  };
  return async app => {
    app.put(
      '/apps/:appId/hosts/:host',
      {
        config,
        schema: {
          tags,
          summary: 'Let a host name lead to the app, or to another launch of it',
          params,
          body: Aim,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const host = read(request.params.host);
        const launchId = request.body?.launchId ?? null;
        await presentApp(store, appId);
        if (launchId !== null) await requireLaunchOf(store, appId, launchId);
        const { metadata, once } = causeOf(request, clock);
        const command = {
          type: 'ClaimHostName',
          data: { host, appId, launchId, at: metadata.time },
        } as const;
        const { position } = await execute(store, hostName, host, command, metadata, { once });
        return accepted(reply, host, position, `/apps/${appId}/hosts`);
      },
    );

    app.delete(
      '/apps/:appId/hosts/:host',
      {
        config,
        schema: {
          tags,
          summary: 'Let a host name lead to the app no more; any app can have it then',
          params,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const host = read(request.params.host);
        const { metadata, once } = causeOf(request, clock);
        const command = { type: 'ReleaseHostName', data: { host, appId, at: metadata.time } } as const;
        const { position } = await execute(store, hostName, host, command, metadata, { once });
        return accepted(reply, host, position, `/apps/${appId}/hosts`);
      },
    );
  };
}

async function requireLaunchOf(store: EventStore, appId: string, launchId: string): Promise<void> {
  const found = await stateOf(store, launch, launchId);
  if (found?.state.appId !== appId) throw new Refusal('not-found', { launchId });
  const { status } = found.state;
  if (status === 'ended' || status === 'stopping') throw new Refusal('launch/already-ended', { launchId });
}
