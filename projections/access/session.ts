/** Every session: who signed in, from where, and how it ended. Nothing that a cookie could be checked against. */
import type { SessionEvent } from '../../domain/access/session.ts';
import type { Recorded } from '../../domain/events.ts';
import { type Op, type Projection, patch, put } from '../projection.ts';

const table = 'access_sessions';

type EventOfSession<T> = Recorded<Extract<SessionEvent, { type: T }>>;

/** A new type of event of a session is added here, or the compiler says so. */
const on: { readonly [T in SessionEvent['type']]: (event: EventOfSession<T>) => readonly Op[] } = {
  SessionOpened: ({ data, metadata }) => [
    put(table, {
      session_id: data.sessionId,
      subject: data.subject,
      name: data.name,
      how: data.how,
      opened_at: data.at,
      expires_at: data.expiresAt,
      idle_seconds: data.idleSeconds,
      ip: metadata.request?.ip ?? null,
      user_agent: metadata.request?.userAgent ?? null,
    }),
  ],
  SessionEnded: ({ data }) => [
    patch(table, { session_id: data.sessionId }, { ended_at: data.at, end_reason: data.reason }),
  ],
};

export const sessions: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['session_id'] },
  createTables: schema =>
    schema.createTable(table, t => {
      t.text('session_id').primary();
      t.text('subject').notNullable();
      t.text('name').notNullable();
      t.text('how').notNullable();
      t.timestamp('opened_at').notNullable();
      t.timestamp('expires_at').notNullable();
      t.integer('idle_seconds').notNullable();
      t.timestamp('ended_at');
      t.text('end_reason');
      t.text('ip');
      t.text('user_agent');
      t.index(['subject', 'opened_at', 'session_id']);
      t.index(['opened_at', 'session_id']);
    }),
  on,
};
