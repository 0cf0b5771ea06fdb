/** How much may be under way at once, and that what has ended makes room. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openCounts } from '../../platform/preview-count.ts';

suite('what is under way at once', () => {
  test('has a most for each launch, each visitor, and all', () => {
    const counts = openCounts({ perLaunchMax: 2, perVisitorMax: 3, allMax: 5 });
    const ends = [counts.enter('a', '192.0.2.1'), counts.enter('a', '192.0.2.1')];
    assert.equal(counts.enter('a', '192.0.2.2'), 'perLaunchMax');
    ends.push(counts.enter('b', '192.0.2.1'));
    assert.equal(counts.enter('c', '192.0.2.1'), 'perVisitorMax');
    ends.push(counts.enter('c', '192.0.2.2'), counts.enter('d', '192.0.2.2'));
    assert.equal(counts.enter('e', '192.0.2.3'), 'allMax');
    assert.equal(counts.size, 5);
    for (const end of ends) {
      assert.ok(typeof end === 'function');
      end();
      end();
    }
    assert.equal(counts.size, 0);
    assert.ok(typeof counts.enter('a', '192.0.2.1') === 'function');
  });

  test('a network of IPv6 is one visitor, and this machine is nobody in particular', () => {
    const counts = openCounts({ perLaunchMax: 100, perVisitorMax: 1, allMax: 100 });
    assert.ok(typeof counts.enter('a', '2001:db8::1') === 'function');
    assert.equal(counts.enter('a', '2001:db8::ffff'), 'perVisitorMax');
    assert.ok(typeof counts.enter('a', '2001:db8:0:1::1') === 'function');
    for (const address of ['127.0.0.1', '127.0.0.1', '::1', '::1', '::ffff:127.0.0.1']) {
      assert.ok(typeof counts.enter('a', address) === 'function', address);
    }
  });
});
