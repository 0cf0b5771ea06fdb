import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type ProviderSessionCommand,
  type ProviderSessionEvent,
  providerSession,
} from '../../../domain/access/provider-session.ts';
import { fold } from '../../../domain/kernel/decider.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const of = { providerSessionId: 'p1', at: '2026-01-02T03:00:00.000Z' };
const join = (sessionId: string): ProviderSessionCommand => ({
  type: 'JoinProviderSession',
  data: { ...of, sessionId },
});
const end: ProviderSessionCommand = { type: 'EndProviderSession', data: of };
const joined = (sessionId: string): ProviderSessionEvent => ({
  type: 'ProviderSessionJoined',
  data: { ...of, sessionId },
});
const ended: ProviderSessionEvent = { type: 'ProviderSessionEnded', data: of };

suite('a session at the provider', () => {
  test('is joined by sessions, each once, until it ends once', () => {
    given(providerSession, [])
      .when(join('s1'))
      .gives([joined('s1')]);
    given(providerSession, [joined('s1')])
      .when(join('s1'))
      .gives([]);
    given(providerSession, [joined('s1')])
      .when(join('s2'))
      .gives([joined('s2')]);
    given(providerSession, [joined('s1')])
      .when(end)
      .gives([ended]);
    given(providerSession, [joined('s1'), ended])
      .when(end)
      .gives([]);
    given(providerSession, [joined('s1'), ended])
      .when(join('s2'))
      .gives([]);
  });

  test('that ends before anything hangs on it has ended all the same', () => {
    given(providerSession, []).when(end).gives([ended]);
    given(providerSession, [ended]).when(join('s1')).gives([]);
  });

  test('knows what hangs on it, of very many the newest', () => {
    const many = Array.from({ length: 150 }, (_, at) => joined(`s${at}`));
    const { status, sessionIds } = fold(providerSession, [...many, ended]);
    assert.equal(status, 'ended');
    assert.deepEqual([sessionIds.length, sessionIds[0], sessionIds.at(-1)], [100, 's50', 's149']);
  });

  test('holds for any commands in any order', () => {
    const ids = fc.constantFrom('s1', 's2', 's3');
    holdsForAnyCommands(providerSession, fc.oneof(ids.map(join), fc.constant(end)));
  });
});
