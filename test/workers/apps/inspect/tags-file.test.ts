import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { tagsPerRequestMax } from '../../../../domain/kernel/limits.ts';
import { openCheckout } from '../../../../workers/apps/inspect/checkout.ts';
import { readTagsFile } from '../../../../workers/apps/inspect/tags-file.ts';
import { withFolder } from '../../../support/checkout-folder.ts';
import type { Files } from '../../../support/sample-repos.ts';

const read = (files: Files, dockerfile = 'Dockerfile') =>
  withFolder(files, async folder => {
    const { tags, warnings } = await readTagsFile(await openCheckout(folder), dockerfile);
    for (const { source } of tags) assert.equal(source, 'auto:tags-file');
    return { tags: tags.map(({ key, value }) => `${key}:${value}`), warnings };
  });

suite('forms of a tags file', () => {
  const forms: [string, string, string[]][] = [
    ['key and value', 'team: alpha\nyear: 2026\nbeta: true\n', ['team:alpha', 'year:2026', 'beta:true']],
    ['lists of values', 'kind: [demo, web]\n', ['kind:demo', 'kind:web']],
    ['children', 'team:\n  lead: ada\n  size: 3\n', ['team/lead:ada', 'team/size:3']],
    ['list of pairs', '- {key: team, value: "a:b"}\n- {key: kind, value: 1}\n', ['team:a:b', 'kind:1']],
    [
      'list of words',
      '- team:alpha\n- plain\n- "url:http://x"\n',
      ['team:alpha', 'tag:plain', 'url:http://x'],
    ],
    ['below tags', 'tags:\n  - team: alpha\n  - kind: demo\n', ['team:alpha', 'kind:demo']],
    ['below tags, as a map', 'tags: {team: alpha}', ['team:alpha']],
    ['a tag that is called tags', 'tags: many\n', ['tags:many']],
    ['aliases', 'a: &x [1, 2]\nb: *x\n', ['a:1', 'a:2', 'b:1', 'b:2']],
    ['upper case and spaces', 'Team Name: "  Alpha  Two "\n', ['team-name:Alpha Two']],
    ['repeats', 'a: [1, 1, "1"]\n', ['a:1']],
    ['nothing', '', []],
    ['a word', 'word', []],
    ['null', 'a:\nb: 1', ['b:1']],
  ];
  for (const [name, text, expected] of forms) {
    test(name, async () =>
      assert.deepEqual(await read({ 'tags.yaml': text }), { tags: expected, warnings: [] }),
    );
  }

  test('JSON', async () => {
    const text = JSON.stringify({ team: 'alpha', kind: ['demo'] });
    assert.deepEqual((await read({ '.apphub/tags.json': text })).tags, ['team:alpha', 'kind:demo']);
  });
});

suite('which tags file', () => {
  test('.apphub goes first, beside the Dockerfile goes before above', async () => {
    const files = { 'tags.yaml': 'at: root', '.apphub/tags.yaml': 'at: folder', 'web/tags.yaml': 'at: web' };
    assert.deepEqual((await read(files)).tags, ['at:folder']);
    assert.deepEqual((await read(files, 'web/Dockerfile')).tags, ['at:web']);
    assert.deepEqual((await read(files, 'api/Dockerfile')).tags, ['at:folder']);
  });
});

suite('bad tags files', () => {
  test('what cannot be a tag is left out, and said', async () => {
    const { tags, warnings } = await read({
      'tags.yaml': `"bad:key": 1\nok: 1\nlong: ${'x'.repeat(129)}\n"-x": 1\n"": 1\nempty: ""\n"a\\0b": 1\n"v": "a\\0b"\n`,
    });
    assert.deepEqual(tags, ['ok:1', 'v:a b']);
    assert.match(warnings.join(), /^6 of the tags in tags.yaml were left out/);
  });

  test('no more than the limit', async () => {
    const { tags, warnings } = await read({ 'tags.yaml': `n: [${Array.from({ length: 60 }, (_, n) => n)}]` });
    assert.equal(tags.length, tagsPerRequestMax);
    assert.match(warnings.join(), /^10 of the tags/);
  });

  const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${'bcdefghij'
    .split('')
    .map((key, n) => `${key}: &${key} [${Array(9).fill(`*${'abcdefghi'[n]}`)}]`)
    .join('\n')}`;
  const bad: [string, Files, RegExp][] = [
    ['broken YAML', { 'tags.yaml': 'a: [1' }, /tags in tags.yaml were not read/],
    ['broken JSON', { 'apphub.tags.json': '{' }, /tags in apphub.tags.json were not read/],
    ['too long', { 'tags.yaml': `a: ${'x'.repeat(70_000)}` }, /longer than 64 KiB/],
    ['a bomb of aliases', { 'tags.yaml': bomb }, /alias/i],
    [
      'nested a thousand times',
      { 'tags.yaml': `${'['.repeat(1_000)}${']'.repeat(1_000)}` },
      /nested|not read/,
    ],
    ['nested as deep as it goes', { 'tags.yaml': '['.repeat(60_000) }, /not read/],
    ['nested JSON', { '.apphub/tags.json': `${'['.repeat(30_000)}${']'.repeat(30_000)}` }, /nested|not read/],
    ['many levels of maps', { 'tags.yaml': `${'{a: '.repeat(12_000)}` }, /not read/],
  ];
  for (const [name, files, says] of bad) {
    test(name, { timeout: 20_000 }, async () => {
      const { tags, warnings } = await read(files);
      assert.deepEqual(tags, []);
      assert.match(warnings.join(), says);
    });
  }

  test('custom tags, merges and prototypes are plain data', async () => {
    const { tags } = await read({
      'tags.yaml': '__proto__: {polluted: yes}\na: !!js/function "x"\n<<: {b: 1}\n',
    });
    assert.ok(!tags.includes('polluted:yes'));
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  test('a link that leaves the checkout is not there', async () => {
    assert.deepEqual(await read({ 'tags.yaml': { link: '/etc/hostname' } }), { tags: [], warnings: [] });
  });
});
