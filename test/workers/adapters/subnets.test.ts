import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { freeSubnets, rangeOf } from '../../../workers/adapters/subnets.ts';

const ranges = (...cidrs: string[]) => cidrs.flatMap(cidr => rangeOf(cidr) ?? []);

suite('subnets', () => {
  test('of a range are all of it, each once, wherever they begin', () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      const all = [...freeSubnets('10.9.8.0/26', [], name)];
      assert.deepEqual(
        all.toSorted(),
        ['0', '16', '24', '32', '40', '48', '56', '8'].map(last => `10.9.8.${last}/29`),
      );
    }
  });

  test('begin elsewhere for each name, and at the same place for the same', () => {
    const first = (name: string) => freeSubnets('10.0.0.0/8', [], name)[Symbol.iterator]().next().value;
    assert.equal(first('launch'), first('launch'));
    const firsts = Array.from({ length: 100 }, (_, number) => first(`launch-${number}`));
    assert.ok(new Set(firsts).size > 95);
  });

  test('leave out what is taken, wholly or in part', () => {
    const taken = ranges('10.9.8.9/32', '10.9.8.16/28', '10.9.8.60/30', '10.9.7.0/24', '10.9.9.0/24');
    assert.deepEqual([...freeSubnets('10.9.8.0/26', taken, 'x')].toSorted(), [
      '10.9.8.0/29',
      '10.9.8.32/29',
      '10.9.8.40/29',
      '10.9.8.48/29',
    ]);
    assert.deepEqual([...freeSubnets('10.9.8.0/26', ranges('10.0.0.0/8'), 'x')], []);
  });

  test('a range is read with the rest of its bits taken away, and nothing else is a range', () => {
    assert.deepEqual(rangeOf('10.0.0.5/8'), { first: 10 * 2 ** 24, last: 11 * 2 ** 24 - 1 });
    assert.deepEqual(rangeOf('255.255.255.255/32'), { first: 2 ** 32 - 1, last: 2 ** 32 - 1 });
    for (const wrong of ['', '10.0.0.0', '10.0.0.0/33', 'fd00::/64', '10.0.0/8']) {
      assert.equal(rangeOf(wrong), undefined, wrong);
    }
  });
});
