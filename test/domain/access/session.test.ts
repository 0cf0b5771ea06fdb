import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { isOpen, type SessionCommand, type SessionEvent, session } from '../../../domain/access/session.ts';
import { fold } from '../../../domain/kernel/decider.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:00:00.000Z';
const sessionId = 's1';
const expiresAt = '2026-01-02T15:00:00.000Z';
const data = {
  sessionId,
  at,
  subject: 'ann',
  name: 'Ann',
  how: 'token' as const,
  scopes: ['*'],
  apps: null,
  sha256: 'a',
  expiresAt,
  idleSeconds: 3_600,
  providerSessionId: null,
};
const open: SessionCommand = { type: 'OpenSession', data };
const end = (by: string | null, reason: 'signed-out' | 'ended-by-admin' = 'signed-out'): SessionCommand => ({
  type: 'EndSession',
  data: { sessionId, at, by, reason },
});
const opened: SessionEvent = { type: 'SessionOpened', data };
const ended: SessionEvent = {
  type: 'SessionEnded',
  data: { sessionId, at, subject: 'ann', reason: 'signed-out' },
};

suite('a session', () => {
  test('is opened once and ended once', () => {
    given(session, []).when(open).gives([opened]);
    given(session, [opened]).when(open).gives('already-exists');
    given(session, [opened]).when(end('ann')).gives([ended]);
    given(session, [opened, ended]).when(end('ann')).gives([]);
    given(session, [opened, ended]).when(open).gives('already-exists');
  });

  test('is there for whoever is signed in by it and an administrator only', () => {
    given(session, []).when(end('ann')).gives('not-found');
    given(session, [opened]).when(end('eve')).gives('not-found');
    const byAdmin = { ...ended.data, reason: 'ended-by-admin' as const };
    given(session, [opened])
      .when(end(null, 'ended-by-admin'))
      .gives([{ type: 'SessionEnded', data: byAdmin }]);
  });

  test('is good until it ends, has been idle too long, or its time is over', () => {
    const state = fold(session, [opened]);
    assert.ok(isOpen(state, null, '2026-01-02T03:59:59.999Z'));
    assert.ok(!isOpen(state, null, '2026-01-02T04:00:00.000Z'));
    assert.ok(isOpen(state, '2026-01-02T03:59:00.000Z', '2026-01-02T04:58:00.000Z'));
    assert.ok(!isOpen(state, '2026-01-02T14:59:00.000Z', expiresAt));
    assert.ok(!isOpen(fold(session, [opened, ended]), null, at));
    assert.ok(!isOpen(session.initialState, null, at));
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const reached = holdsForAnyCommands(session, fc.constantFrom(open, end('ann'), end('eve'), end(null)));
    assert.ok(reached.size >= 2, [...reached].join());
  });
});
