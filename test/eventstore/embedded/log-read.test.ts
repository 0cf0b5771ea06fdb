/** What $all leaves out is seen from the bytes of a record, whatever the length of its stream's name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isHiddenInAll } from '../../../eventstore/embedded/log-read.ts';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { newRecord } from '../../contract/storage.ts';

test('only what groups of $all note of themselves is hidden', async () => {
  const notes = '$persistentsubscription-$all::';
  const names = [
    'a',
    '$',
    '$$',
    '$$a',
    'x'.repeat(123),
    'x'.repeat(126),
    '$'.repeat(130),
    '$'.repeat(20_000),
  ];
  const shown = [
    ...names,
    notes.slice(1),
    notes.slice(0, -1),
    '$persistentsubscription-x::g-parked',
    `a${notes}`,
  ];
  const hidden = [
    notes,
    `$$${notes}`,
    `${notes}g-parked`,
    `${notes}${'x'.repeat(130)}`,
    `$$${notes}${'é'.repeat(9_000)}`,
  ];
  const storage = memoryStorage();
  for (const name of [...shown, ...hidden]) await storage.append(name, 0, [newRecord()]);
  for (const record of await storage.readAll(0, 'forwards', 100))
    assert.equal(isHiddenInAll(record), hidden.includes(record.stream), record.stream.slice(0, 50));
});
