import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readKeyChange, signKeyChange, trustedKeys } from '../../../platform/proof/key-change.ts';
import { NoteError, newSigner, parseNote, signNote } from '../../../platform/proof/note.ts';

const origin = 'apphub.example/audit';
const time = '2026-01-02T03:04:05.678Z';
const [a, b, c, stranger] = Array.from({ length: 4 }, () => newSigner(origin)) as [
  ReturnType<typeof newSigner>,
  ReturnType<typeof newSigner>,
  ReturnType<typeof newSigner>,
  ReturnType<typeof newSigner>,
];

suite('a change of keys', () => {
  test('is signed by both', () => {
    const note = signKeyChange(origin, a, b, time);
    const read = readKeyChange(note);
    assert.deepEqual([read.origin, read.from.vkey, read.to.vkey, read.time], [origin, a.vkey, b.vkey, time]);
    const { text } = parseNote(note);
    for (const some of [[a], [b], [a, stranger], [stranger]])
      assert.throws(() => readKeyChange(signNote(text, ...some)), NoteError);
    assert.throws(() => readKeyChange(note.replace(time, '2026-01-02T03:04:05.679Z')), NoteError);
    assert.throws(() => readKeyChange(signKeyChange(origin, a, a, time)), NoteError);
    assert.throws(() => readKeyChange(signNote('apphub audit\n', a)), NoteError);
  });

  test('leads from any key to all others, whatever the order; not to those of another origin', () => {
    const changes = [signKeyChange(origin, b, c, time), signKeyChange(origin, a, b, time)];
    for (const anchor of [a, b, c]) {
      const trusted = trustedKeys(anchor, changes).map(({ vkey }) => vkey);
      assert.deepEqual(new Set(trusted), new Set([a.vkey, b.vkey, c.vkey]));
    }
    assert.deepEqual(trustedKeys(stranger, changes), [stranger]);
    const other = newSigner('other.example/audit');
    assert.deepEqual(trustedKeys(a, [signKeyChange('other.example/audit', a, other, time)]), [a]);
  });
});
