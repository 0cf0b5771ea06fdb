/** GET /auth/api-keys: which keys there are, what they may do, and when they were used. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { Freshness } from '../fresh.ts';
import { listOf, nullable, Text, Time } from '../shapes.ts';
import { OwnedQuery, ownedPage, type Row } from './owned.ts';

const ApiKey = Type.Object({
  id: Text,
  owner: Text,
  name: Text,
  scopes: Type.Array(Text),
  apps: nullable(Type.Array(Text)),
  hint: Type.String({ description: 'The last characters of the key before its checksum' }),
  createdAt: Time,
  expiresAt: nullable(Time),
  rotatedAt: nullable(Time),
  previousUntil: nullable(Time),
  revokedAt: nullable(Time),
  lastSeenAt: nullable(Time),
  lastSeenIp: nullable(Text),
  status: Type.Union(['active', 'expired', 'revoked'].map(one => Type.Literal(one))),
});

export type ApiKeyReadDeps = { sql: Knex; fresh: Freshness; now: () => string };

export function apiKeyReads({ sql, fresh, now }: ApiKeyReadDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/auth/api-keys',
      {
        config: {
          scope: 'keys:write',
          nowOnly:
            'Who is let in is a matter of now: what was ended or revoked is not shown as if it were good.',
        },
        schema: {
          tags: ['access'],
          summary: 'API keys of one’s own, newest first; with the scope admin those of everybody',
          querystring: OwnedQuery,
          response: { 200: listOf(ApiKey) },
        },
      },
      async ({ identity, query }) => {
        const of = { table: 'access_api_keys', id: 'key_id', owner: 'owner', at: 'created_at' };
        const { rows, nextCursor } = await ownedPage(sql, of, identity, query);
        return { data: rows.map(row => apiKeyOf(row, now())), meta: { nextCursor } };
      },
    );
  };
}

function apiKeyOf(row: Row, now: string) {
  const isOver = typeof row.expires_at === 'string' && row.expires_at <= now;
  return {
    id: row.key_id,
    owner: row.owner,
    name: row.name,
    scopes: row.scopes,
    apps: row.apps,
    hint: row.hint,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    rotatedAt: row.rotated_at,
    previousUntil: row.previous_until,
    revokedAt: row.revoked_at,
    lastSeenAt: row.last_seen_at,
    lastSeenIp: row.last_seen_ip,
    status: row.revoked_at !== null ? 'revoked' : isOver ? 'expired' : 'active',
  } as never;
}
