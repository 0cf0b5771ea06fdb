import { suite, test } from 'node:test';
import { engine } from '../../../domain/apps/engine.ts';
import { given } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const data = {
  engine: 'default',
  at,
  kind: 'network',
  name: 'n1',
  launchId: 'l1',
  reason: 'Its launch is over.',
} as const;

suite('an engine', () => {
  test('remembers each orphan that was removed', () => {
    const removed = { type: 'OrphanRemoved', data } as const;
    given(engine, []).when({ type: 'RecordOrphan', data }).gives([removed]);
    given(engine, [removed]).when({ type: 'RecordOrphan', data }).gives([removed]);
  });
});
