import { test } from 'node:test';
import { attempt } from '../../../domain/access/attempt.ts';
import { given } from '../../support/given.ts';
import { sampleEvents } from '../../support/recorded.ts';

test('refused attempts are recorded as they were counted', () => {
  const refused = sampleEvents.AttemptsRefused;
  const at = refused.at;
  const event = { type: 'AttemptsRefused', data: refused } as const;
  given(attempt, [])
    .when({ type: 'RecordRefusals', data: { refusals: [refused, refused], at } })
    .gives([event, event]);
  given(attempt, [event])
    .when({ type: 'RecordRefusals', data: { refusals: [], at } })
    .gives([]);
});
