import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { openCheckout } from '../../../../workers/apps/inspect/checkout.ts';
import { parseReadme, readReadme } from '../../../../workers/apps/inspect/readme.ts';
import { withFolder } from '../../../support/checkout-folder.ts';

const head = (text: string) => {
  const { title, description } = parseReadme(text);
  return [title, description];
};

suite('title and first paragraph of a README', () => {
  const cases: [string, string, [string | null, string | null]][] = [
    ['plain', '# Title\n\nFirst line\nsecond line.\n\nNext.', ['Title', 'First line second line.']],
    ['underlined', 'Title\n=====\n\nWords here.', ['Title', 'Words here.']],
    ['closed heading', '## Title ##\nWords here.', ['Title', 'Words here.']],
    [
      'HTML heading',
      '<h1 align="center">The <b>Title</b></h1>\n\n<p>Some words.</p>',
      ['The Title', 'Some words.'],
    ],
    ['no heading', 'Only words.', [null, 'Only words.']],
    ['nothing', '\n\n', [null, null]],
    ['front matter', '---\ntitle: x\n---\n# Title\n\nWords.', ['Title', 'Words.']],
    ['comment', '<!-- # No\n\n -->\n# Title\n\nWords.', ['Title', 'Words.']],
    [
      'badges first',
      '# Title\n\n[![b](https://img.shields.io/x.svg)](https://x)\n![c](a.png)\n\nWords.',
      ['Title', 'Words.'],
    ],
    ['picture as heading', '# ![logo](logo.png)\n\n# Title\n\nWords.', ['Title', 'Words.']],
    ['code first', '# Title\n\n```\ncode words\n```\n\n    indented\n\nWords.', ['Title', 'Words.']],
    [
      'list and table first',
      '# T\n\n- one two\n\n| a b | c |\n\n> quoted words\n\n1. one\n\nWords.',
      ['T', 'Words.'],
    ],
    ['rule first', '# Title\n\n---\n\n***\n\nWords.', ['Title', 'Words.']],
    [
      'marks',
      '# The `x` **bold** _app_\n\nA *small* __app__ by [us](https://x "t"), see [this][1] &amp; <https://y.org> \\*ok\\*.',
      ['The x bold app', 'A small app by us, see this & https://y.org *ok*.'],
    ],
    [
      'snake_case',
      '# my_app_name\n\nUse my_app_name or 2*3*4.',
      ['my_app_name', 'Use my_app_name or 2*3*4.'],
    ],
    ['CRLF and mark', '\ufeff# Title\r\n\r\nWords.\r\n', ['Title', 'Words.']],
    ['control characters', '# Ti\u0000tle\n\nWo\u001b[31mrds.', ['Ti tle', 'Wo [31mrds.']],
  ];
  for (const [name, text, expected] of cases) {
    test(name, () => assert.deepEqual(head(text), expected));
  }

  test('are cut with an ellipsis', () => {
    const [title, description] = head(`# ${'t'.repeat(500)}\n\n${'words '.repeat(1_000)}`);
    assert.equal(title, `${'t'.repeat(119)}…`);
    assert.ok(description && description.length <= 1_000 && description.endsWith('…'));
  });
});

suite('pictures of a README', () => {
  test('are those of Markdown and HTML, without badges, each once', () => {
    const text =
      '# T ![in title](t.png)\n\n![a b](docs/a.png "Title") ![a](docs/a.png) <img width=3 src="b.png" alt=\'B\'>\n' +
      '![x](https://img.shields.io/x.svg) ![y](https://github.com/o/r/actions/workflows/ci.yml/badge.svg)\n' +
      '```\n![no](code.png)\n```\n';
    assert.deepEqual(parseReadme(text).pictures, [
      { address: 't.png', title: 'in title' },
      { address: 'docs/a.png', title: 'a b' },
      { address: 'b.png', title: 'B' },
    ]);
  });
});

suite('which README', () => {
  test('the one beside the Dockerfile, else above; Markdown first; upper or lower case', async () => {
    const title = (files: Record<string, string>, dockerfile: string) =>
      withFolder(files, async folder => (await readReadme(await openCheckout(folder), dockerfile))?.title);
    const files = { 'README.md': '# Root', 'a/readme.MD': '# A', 'a/README.txt': '# Text', 'b/x': '' };
    assert.equal(await title(files, 'a/Dockerfile'), 'A');
    assert.equal(await title(files, 'b/Dockerfile'), 'Root');
    assert.equal(await title({ README: '# None' }, 'Dockerfile'), 'None');
    assert.equal(await title({ 'README.pdf': '# No', 'readmes.md': '# No' }, 'Dockerfile'), undefined);
  });
});

suite('hostile READMEs', () => {
  test('never throw and give bounded, well-formed texts', () => {
    const words = [
      '# ',
      '![',
      '](',
      ')',
      '<img src=',
      '<!--',
      '-->',
      '```',
      '\n',
      '\n\n',
      '*',
      '_',
      '\ud800',
      '\0',
      '[',
      ']',
    ];
    const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary' })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(text, parts => {
        const { title, description } = parseReadme(parts.join(''));
        for (const each of [title, description]) {
          assert.ok(each === null || (each.isWellFormed() && each.length > 0 && !/[\0\n]/.test(each)));
        }
      }),
    );
  });

  test('cost little', { timeout: 20_000 }, () => {
    const parts = [
      '![',
      '[',
      '<img ',
      '<',
      '<!--',
      '*a',
      '_',
      '**',
      '`',
      '![a](',
      '&',
      ' ',
      '- ',
      '\\',
      '[a](',
      '> ',
      '(*',
    ];
    for (const part of parts) parseReadme(`# x\n\n${part.repeat((256 * 1024) / part.length)}`);
    parseReadme(`x\n${'=\n'.repeat(100_000)}`);
  });
});
