/** Making, rotating and revoking API keys. The key itself is in one answer and nowhere else. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { apiKey } from '../../domain/access/api-key.ts';
import { covers, grantable, grants, holds } from '../../domain/access/scope.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { checkOneLine } from '../../domain/kernel/one-line.ts';
import type { EventStore } from '../../eventstore/store.ts';
import type { Identity } from '../../platform/auth.ts';
import { invalid, Problem } from '../../platform/problem.ts';
import { makeApiKey } from '../../platform/token-format.ts';
import type { Clock } from '../clock.ts';
import { execute, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody, refuseRepeatable } from '../request.ts';

/** The answer holds what is kept nowhere, so it cannot be given a second time. */
const shownOnce = 'the key is shown once. Revoke a key whose answer was lost';

export type ApiKeyDeps = { store: EventStore; clock: Clock };

const KeyId = Type.Object({ keyId: Type.String({ format: 'uuid' }) });
const Wanted = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: limits.nameCharsMax }),
    scopes: Type.Array(Type.String({ enum: [...grantable] }), {
      minItems: 1,
      maxItems: limits.scopesPerKeyMax,
      uniqueItems: true,
    }),
    apps: Type.Optional(
      Type.Union([
        Type.Array(Type.String({ pattern: limits.appPattern }), {
          minItems: 1,
          maxItems: limits.appsPerKeyMax,
        }),
        Type.Null(),
      ]),
    ),
    expiresInSeconds: Type.Optional(
      Type.Union([
        Type.Integer({ minimum: limits.keySecondsMin, maximum: limits.keySecondsMax }),
        Type.Null({ description: 'It does not end by itself' }),
      ]),
    ),
  },
  { additionalProperties: false },
);
const Rotation = Type.Object(
  {
    overlapSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: limits.keyOverlapSecondsMax,
        default: 0,
        description: 'How long the key before stays good, so that nothing has to stand still meanwhile',
      }),
    ),
  },
  { additionalProperties: false },
);
const Made = Type.Object({
  data: Type.Object({
    id: Type.String(),
    position: Type.Union([Type.String(), Type.Null()]),
    key: Type.String({ description: 'The key. It is never shown again.' }),
  }),
});

const urlOf = (keyId: string) => `/auth/api-keys/${keyId}`;

export function apiKeyCommands({ store, clock }: ApiKeyDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.post(
      '/auth/api-keys',
      {
        config: { scope: 'keys:write', isRepeatable: false },
        schema: {
          tags: ['access'],
          summary: 'Make an API key with no more than one’s own scopes; it is shown once',
          body: Wanted,
          response: { 201: Made },
        },
      },
      async (request, reply) => {
        const { name, scopes, apps = null, expiresInSeconds } = request.body;
        refuseUnusable({ name, scopes, apps }, request.identity);
        refuseRepeatable(request, shownOnce);
        const { metadata, newId } = causeOf(request, clock);
        const keyId = newId();
        const { token, sha256, hint } = makeApiKey(keyId);
        const expiresAt = endOf(metadata.time, expiresInSeconds, request.identity);
        const owner = request.identity.subject;
        const data = { keyId, at: metadata.time, owner, name, scopes, apps, expiresAt, sha256, hint };
        const { position } = await execute(store, apiKey, keyId, { type: 'CreateApiKey', data }, metadata);
        reply.code(201).header('location', urlOf(keyId));
        return reply.send({ data: { id: keyId, position: position?.toString() ?? null, key: token } });
      },
    );

    app.post(
      '/auth/api-keys/:keyId/rotate',
      {
        config: { scope: 'keys:write', isRepeatable: false },
        schema: {
          tags: ['access'],
          summary: 'Replace a key; the one before stays good for a while, if wanted',
          params: KeyId,
          body: Type.Optional(Rotation),
          response: { 201: Made },
        },
      },
      async (request, reply) => {
        const { keyId } = request.params;
        refuseRepeatable(request, shownOnce);
        const { metadata } = causeOf(request, clock);
        const { token, sha256, hint } = makeApiKey(keyId);
        await refuseStronger(store, keyId, request.identity);
        const previousUntil = later(metadata.time, request.body?.overlapSeconds ?? 0);
        // A rotated key opens as much as the one before, so an administrator does not get it: he revokes.
        const data = { keyId, at: metadata.time, by: request.identity.subject, sha256, hint, previousUntil };
        const { position } = await execute(store, apiKey, keyId, { type: 'RotateApiKey', data }, metadata);
        reply.code(201).header('location', urlOf(keyId));
        return reply.send({ data: { id: keyId, position: position?.toString() ?? null, key: token } });
      },
    );

    app.delete(
      '/auth/api-keys/:keyId',
      {
        config: { scope: 'keys:write' },
        schema: {
          tags: ['access'],
          summary: 'Revoke a key at once: one’s own, or anybody’s with the scope admin',
          params: KeyId,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { keyId } = request.params;
        const { metadata, once } = causeOf(request, clock);
        const by = grants(request.identity.scopes, 'admin') ? null : request.identity.subject;
        const command = { type: 'RevokeApiKey', data: { keyId, at: metadata.time, by } } as const;
        const { position } = await execute(store, apiKey, keyId, command, metadata, { once });
        return accepted(reply, keyId, position, urlOf(keyId));
      },
    );
  };
}

/** What a schema cannot say: that nobody gives on what he has not. */
function refuseUnusable(
  wanted: { name: string; scopes: readonly string[]; apps: readonly string[] | null },
  { scopes, apps }: Identity,
): void {
  const message = checkOneLine(wanted.name);
  if (message !== undefined) throw invalid([{ field: 'name', message }]);
  refuseMore(wanted, { scopes, apps });
}

/** Nobody gives on, or takes, what he has not. */
function refuseMore(
  wanted: { scopes: readonly string[]; apps: readonly string[] | null },
  { scopes, apps }: Pick<Identity, 'scopes' | 'apps'>,
): void {
  const missing = wanted.scopes.filter(scope => !covers(scopes, [scope]));
  if (missing.length > 0) {
    throw new Problem(403, 'forbidden', 'A key cannot do more than its maker', {
      extra: { scope: missing[0] },
    });
  }
  if (!holds(apps, wanted.apps)) {
    throw new Problem(403, 'foreign-resource', 'A key cannot reach more than its maker', {
      extra: { field: 'apps' },
    });
  }
}

/** Whoever rotates a key holds it afterwards, so it must not do, reach or last more than what he came with. */
async function refuseStronger(store: EventStore, keyId: string, asker: Identity): Promise<void> {
  const found = await stateOf(store, apiKey, keyId);
  // Of one that is not there, or not his, the decider says so.
  if (found === null || found.state.owner !== asker.subject) return;
  refuseMore(found.state, asker);
  if (asker.kind !== 'api-key' || asker.expiresAt === null) return;
  const { expiresAt } = found.state;
  if (expiresAt === null || expiresAt > asker.expiresAt)
    throw new Problem(403, 'forbidden', 'A key cannot outlast its maker', { extra: { scope: 'keys:write' } });
}

/** A key made with a credential that ends, ends with it. */
function endOf(now: string, seconds: number | null | undefined, maker: Identity): string | null {
  const wanted = seconds === null ? null : later(now, seconds ?? limits.keySecondsDefault);
  if (maker.kind !== 'api-key' || maker.expiresAt === null) return wanted;
  return wanted === null || wanted > maker.expiresAt ? maker.expiresAt : wanted;
}

const later = (from: string, seconds: number) => new Date(Date.parse(from) + seconds * 1_000).toISOString();
