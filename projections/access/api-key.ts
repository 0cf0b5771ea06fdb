/** Every API key as people know it: whose it is, what it may do, when it ends. Nothing that a key could be checked against. */
import type { ApiKeyEvent } from '../../domain/access/api-key.ts';
import type { Recorded } from '../../domain/events.ts';
import { type Op, type Projection, patch, put } from '../projection.ts';

const table = 'access_api_keys';

type EventOfKey<T> = Recorded<Extract<ApiKeyEvent, { type: T }>>;

/** A new type of event of a key is added here, or the compiler says so. */
const on: { readonly [T in ApiKeyEvent['type']]: (event: EventOfKey<T>) => readonly Op[] } = {
  ApiKeyCreated: ({ data }) => [
    put(table, {
      key_id: data.keyId,
      owner: data.owner,
      name: data.name,
      scopes: data.scopes,
      apps: data.apps,
      hint: data.hint,
      created_at: data.at,
      expires_at: data.expiresAt,
    }),
  ],
  ApiKeyRotated: ({ data }) => [
    patch(
      table,
      { key_id: data.keyId },
      { hint: data.hint, rotated_at: data.at, previous_until: data.previousUntil },
    ),
  ],
  ApiKeyRevoked: ({ data }) => [patch(table, { key_id: data.keyId }, { revoked_at: data.at })],
};

export const apiKeys: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['key_id'] },
  createTables: schema =>
    schema.createTable(table, t => {
      t.text('key_id').primary();
      t.text('owner').notNullable();
      t.text('name').notNullable();
      t.jsonb('scopes').notNullable();
      t.jsonb('apps');
      t.text('hint').notNullable();
      t.timestamp('created_at').notNullable();
      t.timestamp('expires_at');
      t.timestamp('rotated_at');
      t.timestamp('previous_until');
      t.timestamp('revoked_at');
      t.index(['owner', 'created_at', 'key_id']);
      t.index(['created_at', 'key_id']);
    }),
  on,
};
