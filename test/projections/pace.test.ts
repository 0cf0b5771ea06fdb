import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openPace } from '../../projections/pace.ts';

suite('the pace of what is filled', () => {
  test('is full while nothing happens, and small pieces when something was written just now', async () => {
    let now = 0;
    const pace = openPace(() => now);
    assert.equal(pace.eventsMax(), undefined);
    pace.begun();
    pace.ended();
    assert.equal(pace.eventsMax(), 1_000);
    now += 3_000;
    assert.equal(pace.eventsMax(), undefined);
  });

  test('stands still while what is read is behind, and not for ever', async () => {
    let now = 0;
    const pace = openPace(() => now);
    const { signal } = new AbortController();
    pace.begun();
    now += 50;
    await pace.turn(signal);
    pace.begun();
    now += 60;
    let isTurn = false;
    const turn = pace.turn(signal).then(() => {
      isTurn = true;
    });
    await new Promise(resolve => setImmediate(resolve));
    assert.equal(isTurn, false);
    // The second is not late yet.
    pace.ended();
    await turn;
    now += 1_000;
    const other = pace.turn(signal);
    now += 3_000;
    await other;
  });
});
