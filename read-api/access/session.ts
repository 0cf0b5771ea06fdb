/** GET /auth/sessions: who is signed in, from where, and since when nothing was heard of it. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { requireSessionRights } from '../../platform/auth.ts';
import type { Freshness } from '../fresh.ts';
import { listOf, nullable, Text, Time } from '../shapes.ts';
import { OwnedQuery, ownedPage, type Row } from './owned.ts';

const Session = Type.Object({
  id: Text,
  subject: Text,
  name: Text,
  how: Type.String({ description: 'token or oidc' }),
  openedAt: Time,
  expiresAt: Time,
  endedAt: nullable(Time),
  endReason: nullable(Text),
  lastSeenAt: nullable(Time),
  lastSeenIp: nullable(Text),
  ip: nullable(Text),
  userAgent: nullable(Text),
  current: Type.Boolean({ description: 'Whether this very request came by it' }),
  status: Type.Union(['open', 'idle', 'expired', 'ended'].map(one => Type.Literal(one))),
});

export type SessionReadDeps = { sql: Knex; fresh: Freshness; now: () => string };

export function sessionReads({ sql, fresh, now }: SessionReadDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/auth/sessions',
      {
        config: {
          scope: 'identified',
          nowOnly:
            'Who is let in is a matter of now: what was ended or revoked is not shown as if it were good.',
        },
        schema: {
          tags: ['access'],
          summary: 'Sessions of one’s own, newest first; with the scope admin those of everybody',
          querystring: OwnedQuery,
          response: { 200: listOf(Session) },
        },
      },
      async ({ identity, query }) => {
        requireSessionRights(identity);
        const of = { table: 'access_sessions', id: 'session_id', owner: 'subject', at: 'opened_at' };
        const { rows, nextCursor } = await ownedPage(sql, of, identity, query);
        const sessionOfRow = (row: Row) => sessionOf(row, now(), row.session_id === identity.credentialId);
        return { data: rows.map(sessionOfRow), meta: { nextCursor } };
      },
    );
  };
}

function sessionOf(row: Row, now: string, current: boolean) {
  return {
    id: row.session_id,
    subject: row.subject,
    name: row.name,
    how: row.how,
    openedAt: row.opened_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    lastSeenAt: row.last_seen_at,
    lastSeenIp: row.last_seen_ip,
    ip: row.ip,
    userAgent: row.user_agent,
    current,
    status: current ? 'open' : statusOf(row, now),
  } as never;
}

/** As the log decides it. The table of uses follows within a minute, so a session may be called idle a minute early. */
function statusOf(row: Row, now: string): 'open' | 'idle' | 'expired' | 'ended' {
  if (row.ended_at !== null) return 'ended';
  if (String(row.expires_at) <= now) return 'expired';
  const last = Math.max(Date.parse(String(row.opened_at)), Date.parse(row.last_seen_at ?? '') || 0);
  return Date.parse(now) - last < Number(row.idle_seconds) * 1_000 ? 'open' : 'idle';
}
