import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { duration, plainLine, relative, size } from '../../cli/format.ts';
import { openOutput } from '../../cli/output.ts';
import { nearest } from '../../cli/suggest.ts';
import { tableLines, widthOf } from '../../cli/table.ts';

suite('output', () => {
  const printed = (env: Record<string, string>, terminal: boolean) => {
    let text = '';
    const write = (more: string) => {
      text += more;
      return true;
    };
    const stream = { isTTY: terminal, columns: 40, write };
    const out = openOutput(false, env, stream as never, stream as never);
    out.table([{ title: 'A' }, { title: 'B', shrinks: true }], [['x', 'y'.repeat(60)]]);
    out.document({ a: 1 });
    return text;
  };
  const colour = '\u001b[';

  test('a terminal gets colours, lines that fit it and JSON to read', () => {
    const text = printed({}, true);
    assert.ok(text.includes(`${colour}1mA`));
    assert.ok(text.includes(`x  ${'y'.repeat(36)}…\n`));
    assert.ok(text.includes('{\n  "a": 1\n}\n'));
  });

  test('NO_COLOR and a dumb terminal take the colours away', () => {
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) assert.ok(!printed(env, true).includes(colour));
    assert.ok(printed({ NO_COLOR: '' }, true).includes(colour));
  });

  test('a pipe gets whole cells, no colours and JSON on one line', () => {
    assert.equal(printed({}, false), `A  B\nx  ${'y'.repeat(60)}\n{"a":1}\n`);
  });

  test('wide characters line up and are never cut in half', () => {
    const lines = tableLines(
      [{ title: 'NAME', shrinks: true }, { title: 'N' }],
      [
        ['日本語アプリ名前', '1'],
        ['a👩‍💻', '2'],
      ],
      14,
    );
    assert.deepEqual(lines, ['NAME         N', '日本語アプ…  1', 'a👩‍💻          2']);
    assert.equal(widthOf('a👩‍💻'), 3);
  });

  test('times, durations and sizes read as people say them', () => {
    const now = Date.parse('2026-01-02T03:04:05.000Z');
    const ago = (ms: number) => relative(new Date(now - ms).toISOString(), now);
    assert.deepEqual(
      [
        ago(500),
        ago(59_000),
        ago(61_000),
        ago(2 * 3_600_000),
        ago(50 * 3_600_000),
        ago(-90_000),
        relative(null),
      ],
      ['now', '59 s ago', '1 min ago', '2 h ago', '2 d ago', 'in 1 min', '-'],
    );
    assert.deepEqual([840, 3_210, 125_000, 3_840_000, null].map(duration), [
      ...['840 ms', '3.2 s', '2 min 5 s', '1 h 4 min', '-'],
    ]);
    assert.deepEqual([912, 4_100_000, 1_500_000_000].map(size), ['912 B', '4.1 MB', '1.5 GB']);
  });

  test('a progress bar of a log keeps its last state only', () => {
    assert.equal(plainLine('10%\r50%\r100%\tdone\u001b[K\r'), '100%\tdone');
  });

  test('suggests by slips and by beginnings, and nothing that is far', () => {
    const known = ['list', 'start', 'show', 'logs', 'cancel', 'retry'];
    assert.deepEqual(
      ['lsit', 'canc', 'strat', 'log', 'xyzzy', 'a'.repeat(1_000)].map(word => nearest(word, known)),
      ['list', 'cancel', 'start', 'logs', undefined, undefined],
    );
  });
});
