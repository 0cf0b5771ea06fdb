import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { clean, fold, foldShort, foldTag, nameLexeme, wordsOf } from '../../../domain/apps/words.ts';

suite('words', () => {
  test('accents, case, width and compatibility forms do not keep texts apart', () => {
    for (const text of ['Café', 'CAFE\u0301', 'ｃａｆé']) assert.equal(fold(text), 'cafe');
    assert.deepEqual(wordsOf('ﬁle № 5'), ['file', 'no', '5']);
  });

  test('are runs of letters and digits, each once, in order', () => {
    assert.deepEqual(wordsOf('To-do: a list, a LIST of 3 things'), [
      'to',
      'do',
      'a',
      'list',
      'of',
      '3',
      'things',
    ]);
    assert.deepEqual(wordsOf('% _ : " \''), []);
    assert.deepEqual(wordsOf('one two three', 2), ['one', 'two']);
  });

  test('a word is cut at 48 characters, and never within one', () => {
    assert.deepEqual(wordsOf('a'.repeat(60)), ['a'.repeat(48)]);
    assert.deepEqual(wordsOf('𝟘'.repeat(10)), ['0'.repeat(10)]);
    assert.deepEqual(wordsOf('𐐀'.repeat(60)), ['𐐨'.repeat(48)]);
  });

  test('what no table can hold is left out', () => {
    assert.equal(clean('a\0b'), 'ab');
    assert.equal(clean('\ud800x'), '\ufffdx');
  });

  test('a tag is the same whatever its case', () => {
    assert.equal(foldTag({ key: 'Language', value: ' Node ' }), 'language:node');
  });

  test('a name is one lexeme, and none when it is too long', () => {
    assert.equal(nameLexeme(['to', 'do']), 'to-do');
    assert.equal(nameLexeme(['a'.repeat(401)]), '');
  });

  test('any text gives words that are words already, and a short form that is bounded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), text => {
        const words = wordsOf(text);
        assert.deepEqual(wordsOf(words.join(' ')), words);
        for (const word of words) assert.ok(word.length <= 96 && !word.includes(' ') && word.isWellFormed());
        assert.ok(foldShort(text).length <= 200 && foldShort(text).isWellFormed());
      }),
    );
  });
});
