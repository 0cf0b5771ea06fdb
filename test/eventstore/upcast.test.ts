/** Events as they were stored once, and what is read of them today. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { upcast } from '../../eventstore/upcast.ts';

const at = '2026-01-02T03:04:05.000Z';

suite('events that were stored before', () => {
  test('failures of an ingestion did not say how far it had come', () => {
    const howFar = { commit: null, durations: { cloneMs: 0, inspectMs: 0, storeMs: 0 } };
    const attempt = { appId: 'a', run: 1, attempt: 1, reason: 'away', retryAt: at, at };
    assert.deepEqual(upcast('IngestionAttemptFailed', attempt), { ...attempt, ...howFar });
    const last = { appId: 'a', run: 1, attempt: 3, reason: 'away', durationMs: 5, at };
    assert.deepEqual(upcast('IngestionFailed', last), { ...last, ...howFar });
  });

  test('what has the present shape stays as it is, and so does what has no other', () => {
    const durations = { cloneMs: 1, inspectMs: 2, storeMs: 3 };
    const failed = {
      appId: 'a',
      run: 1,
      attempt: 3,
      reason: 'away',
      durationMs: 5,
      commit: 'c',
      durations,
      at,
    };
    assert.deepEqual(upcast('IngestionFailed', failed), failed);
    assert.deepEqual(upcast('IngestionQueued', { appId: 'a' }), { appId: 'a' });
    assert.deepEqual(upcast('toString', { appId: 'a' }), { appId: 'a' });
  });
});
