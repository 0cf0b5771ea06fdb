import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkOneLine } from '../../../domain/kernel/one-line.ts';

suite('text in one line', () => {
  for (const text of ['Todo', 'Größe ✓', '日本語', 'a  b', '👩‍🚀', 'עברית', '<b>\'"&']) {
    test(`takes ${text}`, () => assert.equal(checkOneLine(text), undefined));
  }
  const refused = [
    '',
    ' ',
    '\u00a0',
    'a\nb',
    'a\rb',
    '\tb',
    '\u001b[2J',
    'a\0',
    'a\u0085b',
    'a\u2028b',
    'a\u202eb',
    'a\u2066b',
    '\u007f',
  ];
  for (const text of refused) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.match(checkOneLine(text) ?? '', /^Use .+\.$/));
  }
});
