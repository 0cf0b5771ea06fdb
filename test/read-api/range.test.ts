import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { rangeOf } from '../../read-api/range.ts';

suite('the field Range', () => {
  test('names one part, whose end may be left out', () => {
    assert.deepEqual(rangeOf('bytes=0-3', 10), { start: 0, end: 4 });
    assert.deepEqual(rangeOf('bytes=4-', 10), { start: 4, end: 10 });
    assert.deepEqual(rangeOf('bytes=9-99', 10), { start: 9, end: 10 });
    assert.deepEqual(rangeOf(' Bytes = 1 - 1 ', 10), { start: 1, end: 2 });
  });

  test('names the last bytes', () => {
    assert.deepEqual(rangeOf('bytes=-3', 10), { start: 7, end: 10 });
    assert.deepEqual(rangeOf('bytes=-99', 10), { start: 0, end: 10 });
    assert.equal(rangeOf('bytes=-0', 10), null);
  });

  test('names nothing that is there', () => {
    assert.equal(rangeOf('bytes=10-', 10), null);
    assert.equal(rangeOf('bytes=0-', 0), null);
    assert.equal(rangeOf('bytes=-1', 0), null);
  });

  test('is left alone where it is none, is of several parts or ends before it begins', () => {
    for (const field of [
      undefined,
      '',
      'bytes=',
      'bytes=-',
      'lines=1-2',
      'bytes=1-2,4-5',
      'bytes=5-4',
      'bytes=a-b',
    ])
      assert.equal(rangeOf(field, 10), undefined, field);
  });

  test('whatever it says, a part lies inside', () => {
    const number = fc.oneof(fc.constant(''), fc.nat({ max: 30 }).map(String), fc.maxSafeNat().map(String));
    fc.assert(
      fc.property(number, number, fc.nat({ max: 20 }), (first, last, bytes) => {
        const span = rangeOf(`bytes=${first}-${last}`, bytes);
        if (span) assert.ok(0 <= span.start && span.start < span.end && span.end <= bytes);
      }),
    );
  });
});
