import { suite, test } from 'node:test';
import { deadLetters } from '../../../domain/platform/dead-letter.ts';
import { given } from '../../support/given.ts';

const of = { projection: 'apps_builds', at: '2026-01-02T03:04:05.000Z' };
const letter = { position: '7', stream: 'apps.build-b1', eventType: 'BuildStarted', error: 'null value' };
const other = { ...letter, position: '9', stream: 'apps.build-b2' };
const found = { type: 'DeadLetterFound', data: { ...of, ...letter } } as const;
const resolved = {
  type: 'DeadLetterResolved',
  data: { ...of, position: '7', stream: letter.stream, skipped: false },
} as const;
const skip = { ...of, position: '7', reason: 'it was a mistake' };
const skipped = { type: 'DeadLetterSkipped', data: skip } as const;
const report = (...letters: (typeof letter)[]) =>
  ({ type: 'ReportDeadLetters', data: { ...of, letters } }) as const;

suite('dead letters', () => {
  test('are told once, and once more when they are gone', () => {
    given(deadLetters, []).when(report()).gives([]);
    given(deadLetters, []).when(report(letter)).gives([found]);
    given(deadLetters, [found]).when(report(letter)).gives([]);
    given(deadLetters, [found])
      .when(report(other))
      .gives([resolved, { type: 'DeadLetterFound', data: { ...of, ...other } }]);
    given(deadLetters, [found, resolved]).when(report()).gives([]);
    given(deadLetters, [found, resolved]).when(report(letter)).gives([found]);
  });

  test('are tried again each time it is asked', () => {
    const data = { ...of, position: '7' };
    const asked = { type: 'DeadLetterReplayRequested', data } as const;
    given(deadLetters, []).when({ type: 'ReplayDeadLetters', data }).gives([asked]);
    given(deadLetters, [found, asked]).when({ type: 'ReplayDeadLetters', data }).gives([asked]);
  });

  test('are skipped once, for a reason', () => {
    given(deadLetters, [found]).when({ type: 'SkipDeadLetter', data: skip }).gives([skipped]);
    given(deadLetters, [found, skipped]).when({ type: 'SkipDeadLetter', data: skip }).gives([]);
    given(deadLetters, [found, skipped])
      .when(report())
      .gives([{ ...resolved, data: { ...resolved.data, skipped: true } }]);
  });

  test('are lived with where somebody says why', () => {
    const data = { ...of, reason: 'the events are of no use' };
    given(deadLetters, [])
      .when({ type: 'ShowProjection', data })
      .gives([{ type: 'ProjectionShowRequested', data }]);
  });
});
