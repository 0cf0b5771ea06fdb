/** Letting somebody in to a private launch: whoever is signed in, for a quarter of an hour, or by a link that is passed on. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { hostName } from '../../domain/apps/host-name.ts';
import { type LaunchEvent, type LaunchState, launch } from '../../domain/apps/launch.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { requireApp } from '../../platform/auth.ts';
import type { Invited, Invites } from '../../platform/preview-invite.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute, outcomeBefore, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';

const tags = ['launches'];
const params = Type.Object({ launchId: Type.String({ format: 'uuid' }) });
const When = Type.String({ format: 'date-time' });

const Granted = Type.Object({
  data: Type.Object({
    url: Type.String({ description: 'Lets its visitor in: for the one who asked, and nobody else' }),
    expiresAt: Type.Union([When, Type.Null()], { description: 'Null: the launch is public' }),
  }),
});

const Shared = Type.Object({
  data: Type.Object({
    id: Type.String({ description: 'Of the link; the log names it, never the link itself' }),
    position: Type.Union([Type.String(), Type.Null()]),
    url: Type.String({ description: 'Lets whoever has it in until then' }),
    expiresAt: When,
  }),
});

export type LaunchAccessDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly invites: Invites;
};

const Where = Type.Optional(
  Type.Object(
    {
      path: Type.Optional(
        Type.String({
          pattern: limits.previewPathPattern,
          maxLength: limits.urlCharsMax,
          description: 'Where in the app to, with its query; default: /',
        }),
      ),
      host: Type.Optional(
        Type.String({
          maxLength: limits.hostCharsMax,
          description: 'A host name that leads to its app; default: its own',
        }),
      ),
    },
    { additionalProperties: false },
  ),
);

const HowLong = Type.Optional(
  Type.Object(
    {
      ttlSeconds: Type.Optional(
        Type.Integer({ minimum: limits.linkSecondsMin, maximum: limits.linkSecondsMax }),
      ),
    },
    { additionalProperties: false },
  ),
);

export function launchAccessCommands(deps: LaunchAccessDeps): FastifyPluginAsyncTypebox {
  const { store, clock, invites } = deps;

  return async app => {
    app.post(
      '/launches/:launchId/grants',
      {
        config: { scope: 'apps:read', isRepeatable: false },
        schema: {
          tags,
          summary: 'An address of the launch that lets whoever asks in, for at most 15 minutes',
          params,
          body: Where,
          response: { 200: Granted },
        },
      },
      async (request, reply) => {
        const { launchId } = request.params;
        const { state } = await presentLaunch(store, request);
        const { path, host } = request.body ?? {};
        if (host !== undefined) await requireHostOf(store, state.appId, host);
        reply.header('location', `/launches/${launchId}`);
        return { data: invites.session(invitedOf(launchId, state), { path, host }) };
      },
    );

    app.post(
      '/launches/:launchId/links',
      {
        config: { scope: 'apps:launch' },
        schema: {
          tags,
          summary: 'A link that lets everybody who has it in until it expires or the links are revoked',
          params,
          body: HowLong,
          response: { 201: Shared },
        },
      },
      async (request, reply) => {
        const { ttlSeconds = limits.linkSecondsDefault } = request.body ?? {};
        const data = await share(deps, request, ttlSeconds);
        return reply.code(201).header('location', `/launches/${request.params.launchId}`).send({ data });
      },
    );

    app.delete(
      '/launches/:launchId/links',
      {
        config: { scope: 'apps:launch' },
        schema: {
          tags,
          summary: 'Revoke every link to the launch, and whatever anybody was let in with, at once',
          params,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { launchId } = request.params;
        await presentLaunch(store, request);
        const { metadata, once } = causeOf(request, clock);
        const command = { type: 'RevokeLaunchLinks', data: { launchId, at: metadata.time } } as const;
        const { position } = await execute(store, launch, launchId, command, metadata, { once });
        return accepted(reply, launchId, position, `/launches/${launchId}`);
      },
    );
  };
}

/** Asked for again with the same key, it is the same link. */
async function share(
  { store, clock, invites }: LaunchAccessDeps,
  request: FastifyRequest,
  ttlSeconds: number,
) {
  const { launchId } = request.params as { launchId: string };
  const cause = causeOf(request, clock);
  const before = await outcomeBefore(store, launch, launchId, cause);
  const { state, events } = await presentLaunch(store, request);
  const { metadata, once } = cause;
  const linkId = cause.newId();
  const expiresAt =
    endOf(events, linkId) ?? new Date(Date.parse(metadata.time) + ttlSeconds * 1_000).toISOString();
  const link = { linkId, expiresAt };
  const command = { type: 'ShareLaunch', data: { launchId, at: metadata.time, ...link } } as const;
  const position = before ?? (await execute(store, launch, launchId, command, metadata, { once })).position;
  const url = invites.link(invitedOf(launchId, state), link);
  return { id: linkId, position: position?.toString() ?? null, url, expiresAt };
}

type Present = { readonly state: LaunchState; readonly events: readonly LaunchEvent[] };

/** Rejects with 404 where there is none, and with 403 where the asker may not reach its app. */
async function presentLaunch(store: EventStore, request: FastifyRequest): Promise<Present> {
  const { launchId } = request.params as { launchId: string };
  const found = await stateOf(store, launch, launchId);
  if (found?.state.appId == null) throw new Refusal('not-found', { launchId });
  requireApp(request.identity, found.state.appId);
  return { ...found, events: found.events as readonly unknown[] as readonly LaunchEvent[] };
}

/** Nobody is led to where nobody here has said that he is to be led. */
async function requireHostOf(store: EventStore, appId: string | null, host: string): Promise<void> {
  const found = await stateOf(store, hostName, host);
  if (found?.state.appId == null || found.state.appId !== appId)
    throw invalid([{ field: 'host', message: 'must be a host name that leads to the app' }]);
}

const invitedOf = (launchId: string, { spec, linkEpoch }: LaunchState): Invited => ({
  launchId,
  access: spec?.access ?? 'private',
  linkEpoch,
});

/** Of the link that the same request made when it was sent before. */
function endOf(events: readonly LaunchEvent[], linkId: string): string | undefined {
  for (const { type, data } of events)
    if (type === 'LaunchShared' && data.linkId === linkId) return data.expiresAt;
  return undefined;
}
