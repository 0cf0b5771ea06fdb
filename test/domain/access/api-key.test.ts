import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type ApiKeyCommand, type ApiKeyEvent, apiKey, openedBy } from '../../../domain/access/api-key.ts';
import { fold } from '../../../domain/kernel/decider.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:00:00.000Z';
const keyId = 'k1';
const expiresAt = '2026-02-01T00:00:00.000Z';
const previousUntil = '2026-01-02T04:00:00.000Z';
const made = {
  keyId,
  at,
  owner: 'ann',
  name: 'n',
  scopes: ['apps:read'],
  apps: null,
  expiresAt,
  sha256: 'a',
  hint: 'x',
};
const create: ApiKeyCommand = { type: 'CreateApiKey', data: made };
const rotate = (by: string | null = 'ann', when = at): ApiKeyCommand => ({
  type: 'RotateApiKey',
  data: { keyId, at: when, by, previousUntil, sha256: 'b', hint: 'y' },
});
const revoke = (by: string | null = 'ann'): ApiKeyCommand => ({
  type: 'RevokeApiKey',
  data: { keyId, at, by },
});
const created: ApiKeyEvent = { type: 'ApiKeyCreated', data: made };
const rotated: ApiKeyEvent = {
  type: 'ApiKeyRotated',
  data: { keyId, at, owner: 'ann', previousUntil, sha256: 'b', hint: 'y' },
};
const revoked: ApiKeyEvent = { type: 'ApiKeyRevoked', data: { keyId, at, owner: 'ann' } };

suite('an API key', () => {
  test('is made once', () => {
    given(apiKey, []).when(create).gives([created]);
    given(apiKey, [created]).when(create).gives('already-exists');
  });

  test('is there for its owner and an administrator only', () => {
    for (const command of [rotate(), revoke()]) given(apiKey, []).when(command).gives('not-found');
    for (const command of [rotate('eve'), revoke('eve')])
      given(apiKey, [created]).when(command).gives('not-found');
    given(apiKey, [created]).when(revoke(null)).gives([revoked]);
    given(apiKey, [created]).when(rotate(null)).gives([rotated]);
  });

  test('is not rotated once it has ended', () => {
    given(apiKey, [created]).when(rotate()).gives([rotated]);
    given(apiKey, [created, revoked]).when(rotate()).gives('api-key/ended');
    given(apiKey, [created]).when(rotate('ann', expiresAt)).gives('api-key/ended');
    given(apiKey, [created, revoked]).when(revoke()).gives([]);
  });

  test('opens until it ends; the one before it until the overlap is over', () => {
    const open = (events: ApiKeyEvent[], when: string) => openedBy(fold(apiKey, events), when);
    assert.deepEqual(open([], at), []);
    assert.deepEqual(open([created], at), ['a']);
    assert.deepEqual(open([created], expiresAt), []);
    assert.deepEqual(open([created, rotated], '2026-01-02T03:59:59.999Z'), ['b', 'a']);
    assert.deepEqual(open([created, rotated], previousUntil), ['b']);
    assert.deepEqual(open([created, rotated, revoked], at), []);
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const reached = holdsForAnyCommands(
      apiKey,
      fc.constantFrom(create, rotate(), rotate('eve'), revoke(), revoke(null)),
    );
    assert.ok(reached.size >= 3, [...reached].join());
  });
});
