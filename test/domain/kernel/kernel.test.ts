import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fold, unreachable } from '../../../domain/kernel/decider.ts';
import { Refusal, refusals } from '../../../domain/kernel/refusal.ts';

test('folding goes through the events in order, from the initial state', () => {
  const counter = {
    initialState: '',
    evolve: (state: string, event: { type: string; data: object }) => state + event.type,
  };
  assert.equal(fold(counter, [] as never[]), '');
  assert.equal(fold(counter, ['a', 'b', 'c'].map(type => ({ type, data: {} })) as never[]), 'abc');
});

test('a refusal says what its code means and keeps the detail', () => {
  const refusal = new Refusal('archived', { appId: 'todo' });
  assert.equal(refusal.message, refusals.archived);
  assert.deepEqual([refusal.name, refusal.code, refusal.detail], ['Refusal', 'archived', { appId: 'todo' }]);
  assert.deepEqual(new Refusal('not-found').detail, {});
});

test('a case that cannot be is a loud one', () => {
  assert.throws(() => unreachable({ type: 'Odd' } as never), /unhandled case .*Odd/);
});
