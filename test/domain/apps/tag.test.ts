import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tagText } from '../../../domain/apps/tag.ts';
import { tagKeyPattern } from '../../../domain/kernel/limits.ts';

test('a tag is written key:value', () => {
  assert.equal(tagText({ key: 'language', value: 'node' }), 'language:node');
  assert.equal(tagText({ key: 'port', value: '' }), 'port:');
});

test('two tags with keys of the allowed form are written the same only if they are the same', () => {
  const tag = fc.record({
    key: fc.stringMatching(/^[a-z0-9][a-z0-9._/-]{0,3}$/),
    value: fc.string({ unit: fc.constantFrom('a', ':', 'b') }),
  });
  fc.assert(
    fc.property(tag, tag, (a, b) => {
      assert.match(a.key, new RegExp(tagKeyPattern));
      assert.equal(tagText(a) === tagText(b), a.key === b.key && a.value === b.value);
    }),
  );
});
