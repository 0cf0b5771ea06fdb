import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { endsInARow, isFailure, restartAt } from '../../../domain/apps/deployment.ts';

const at = '2026-01-02T03:00:00.000Z';

suite('the end of a container', () => {
  test('is a failure by its exit code, by none, or by the memory it took', () => {
    const ends = [
      [0, false],
      [1, false],
      [null, false],
      [0, true],
    ] as const;
    assert.deepEqual(
      ends.map(([exitCode, oomKilled]) => isFailure({ exitCode, oomKilled })),
      [false, true, true, true],
    );
  });

  test('counts with those before it, unless it ran for ten minutes', () => {
    assert.equal(endsInARow(2, null, at), 3);
    assert.equal(endsInARow(2, '2026-01-02T02:50:00.001Z', at), 3);
    assert.equal(endsInARow(2, '2026-01-02T02:50:00.000Z', at), 1);
  });

  test('is followed by another start, twice as late each time, five times', () => {
    const waits = [1, 2, 3, 4, 5, 6].map(ends => {
      const again = restartAt(ends, at);
      return again && Date.parse(again) - Date.parse(at);
    });
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, undefined]);
  });
});
