/** Colours of terminals in the log of the page. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

type Piece = { text: string; classes: string };
// The page's files are JavaScript, checked by a configuration of their own.
const file = new URL('../../../web/lib/ansi.js', import.meta.url).href;
const { piecesOf } = (await import(file)) as { piecesOf(line: string): Piece[] };

const e = '\u001b';

suite('a line of a terminal', () => {
  test('without colours is one piece', () => {
    assert.deepEqual(piecesOf('Step 1/2 : FROM a'), [{ text: 'Step 1/2 : FROM a', classes: '' }]);
  });

  test('has colours as classes, which end where they are reset', () => {
    assert.deepEqual(piecesOf(`${e}[1;31mno${e}[0m yes ${e}[92mgo`), [
      { text: 'no', classes: 'ansi-red bold' },
      { text: ' yes ', classes: '' },
      { text: 'go', classes: 'ansi-green' },
    ]);
  });

  test('loses every other sequence, links and titles too', () => {
    const line = `${e}[2K${e}[1Ga${e}]8;;http://evil.example\u0007b${e}]0;title${e}\\c${e}[?25ld\u0000`;
    assert.equal(
      piecesOf(line)
        .map(({ text }) => text)
        .join(''),
      'abcd',
    );
  });

  test('does not take the parameters of 256 colours for codes', () => {
    assert.deepEqual(piecesOf(`${e}[38;5;1mx${e}[38;2;31;32;33my`), [
      { text: 'x', classes: '' },
      { text: 'y', classes: '' },
    ]);
  });

  test('shows what was written last over the same place', () => {
    assert.deepEqual(piecesOf(' 10%\r 50%\r100%\r'), [{ text: '100%', classes: '' }]);
  });
});
