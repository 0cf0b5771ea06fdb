import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDenials } from '../../../workers/egress/denials.ts';

test('what is refused is counted, of so many hosts one by one, until it is taken', () => {
  const denials = openDenials();
  const tried = { launchId: 'a', host: 'x.org', port: 443, reason: 'not-allowed' } as const;
  assert.deepEqual(
    [denials.add(tried), denials.add(tried), denials.add({ ...tried, port: 80 })],
    [true, false, true],
  );
  assert.ok(denials.add({ ...tried, launchId: 'b' }));
  assert.deepEqual(denials.take(), [
    { ...tried, count: 2 },
    { ...tried, port: 80, count: 1 },
    { ...tried, launchId: 'b', count: 1 },
  ]);
  assert.deepEqual(denials.take(), []);

  for (let number = 0; number < 1_000; number += 1) denials.add({ ...tried, host: `${number}.org` });
  const taken = denials.take();
  assert.equal(taken.length, 51);
  assert.deepEqual(taken.at(-1), { ...tried, host: '…', port: 0, count: 950 });
});
