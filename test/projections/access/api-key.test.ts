import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType } from '../../../domain/events.ts';
import { apiKeys } from '../../../projections/access/api-key.ts';
import { samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const created = {
  key_id: 'k1',
  owner: 'ann',
  name: 'nightly',
  scopes: ['apps:read'],
  apps: ['team-*'],
  hint: 'Xy12',
  created_at: '2026-01-01T00:00:25.000Z',
  expires_at: null,
  rotated_at: null,
  previous_until: null,
  revoked_at: null,
};
const rotated = {
  ...created,
  hint: 'Zz34',
  rotated_at: '2026-01-01T00:00:26.000Z',
  previous_until: '2026-01-01T01:00:00.000Z',
};

suite('API keys in the table', async () => {
  const tables = await openTables(apiKeys);
  after(() => tables.close());
  const rowsOf = (...types: readonly EventType[]) => tables.rowsAfter(samples(...types));

  test('created, rotated, revoked, and no digest anywhere', async () => {
    assert.deepEqual(await rowsOf('ApiKeyCreated'), [created]);
    assert.deepEqual(await rowsOf('ApiKeyCreated', 'ApiKeyRotated'), [rotated]);
    const revoked = { ...rotated, revoked_at: '2026-01-01T00:00:27.000Z' };
    assert.deepEqual(await rowsOf('ApiKeyCreated', 'ApiKeyRotated', 'ApiKeyRevoked'), [revoked]);
  });
});
