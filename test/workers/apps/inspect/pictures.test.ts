import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import { previewsMax } from '../../../../domain/kernel/limits.ts';
import { openCheckout } from '../../../../workers/apps/inspect/checkout.ts';
import { findPictures, mediaTypeOf, pictureBytesMax } from '../../../../workers/apps/inspect/pictures.ts';
import { readReadme } from '../../../../workers/apps/inspect/readme.ts';
import { withFolder } from '../../../support/checkout-folder.ts';
import { type Files, pixelPng } from '../../../support/sample-repos.ts';

const find = (files: Files, dockerfile = 'Dockerfile') =>
  withFolder(files, async folder => {
    const checkout = await openCheckout(folder);
    return findPictures(checkout, dockerfile, await readReadme(checkout, dockerfile));
  });
const png = (n: number) => Buffer.concat([pixelPng, Buffer.from([n])]);
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const stored = (bytes: Buffer, title: string | null) => ({
  kind: 'image',
  title,
  url: null,
  sha256: sha(bytes),
  mediaType: 'image/png',
  bytes: bytes.length,
});
const elsewhere = (kind: string, url: string, title: string | null = null) => ({
  kind,
  title,
  url,
  sha256: null,
  mediaType: null,
  bytes: null,
});

suite('pictures of the README', () => {
  test('files are read to be stored, https addresses stay addresses', async () => {
    const { previews, pictures, warnings } = await find(
      {
        'web/README.md':
          '# T\n\n![one](a%20b.png?raw=true)\n![two](../docs/2.png)\n![root](/docs/2.png)\n![s](https://example.org/s.gif)',
        'web/a b.png': png(1),
        'docs/2.png': png(2),
      },
      'web/Dockerfile',
    );
    assert.deepEqual(previews, [
      stored(png(1), 'one'),
      stored(png(2), 'two'),
      elsewhere('gif', 'https://example.org/s.gif', 's'),
    ]);
    assert.deepEqual(
      pictures.map(({ sha256, mediaType, content }) => [sha256, mediaType, sha(content)]),
      [png(1), png(2)].map(bytes => [sha(bytes), 'image/png', sha(bytes)]),
    );
    assert.deepEqual(warnings, []);
  });

  test('what is no picture, elsewhere without https, outside or too large is left out in silence', async () => {
    const addresses = [
      'http://example.org/a.png',
      'https://user:secret@example.org/a.png',
      'data:image/png;base64,AAAA',
      'javascript:alert(1)',
      '//example.org/a.png',
      '../../outside.png',
      '/../outside.png',
      'link.png',
      'fake.png',
      'page.svg',
      'large.png',
      'missing.png',
      '%ZZ.png',
      '.git/a.png',
    ];
    const files = {
      'README.md': addresses.map(address => `![x](${address})`).join('\n'),
      'link.png': { link: '/etc/passwd' },
      'fake.png': '<html><script>alert(1)</script>',
      'page.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'large.png': Buffer.concat([pixelPng, Buffer.alloc(pictureBytesMax)]),
      '.git/a.png': pixelPng,
    };
    assert.deepEqual(await find(files), { previews: [], pictures: [], warnings: [] });
  });

  test('no more than the limit, each once', async () => {
    const files: Files = {
      'README.md': Array.from({ length: 20 }, (_, n) => `![${n}](p${n}.png)`).join('\n'),
    };
    for (let n = 0; n < 20; n += 1) files[`p${n}.png`] = png(n >> 1);
    const { previews, pictures } = await find(files);
    assert.equal(previews.length, previewsMax);
    assert.equal(new Set(previews.map(({ sha256 }) => sha256)).size, previewsMax);
    assert.equal(pictures.length, previewsMax);
  });
});

suite('previews manifest', () => {
  test('goes first and may name files, videos and links', async () => {
    const manifest = {
      tiles: [
        { kind: 'image', src: 'shots/1.png', title: 'Start' },
        { type: 'video', url: 'https://example.org/watch?v=1' },
        { kind: 'link', href: 'https://demo.example.org/', caption: 'Demo' },
        'https://example.org/x.png',
      ],
    };
    const { previews, warnings } = await find({
      '.apphub/previews.json': JSON.stringify(manifest),
      'shots/1.png': png(1),
      'README.md': '![again](shots/1.png) ![more](2.png)',
      '2.png': png(2),
    });
    assert.deepEqual(previews, [
      stored(png(1), 'Start'),
      elsewhere('video', 'https://example.org/watch?v=1'),
      elsewhere('embed', 'https://demo.example.org/', 'Demo'),
      elsewhere('image', 'https://example.org/x.png'),
      stored(png(2), 'more'),
    ]);
    assert.deepEqual(warnings, []);
  });

  test('may be YAML and a bare list', async () => {
    const { previews } = await find({
      'previews.yaml': '- a.png\n- {path: a.png}\n- 7\n- {kind: x}\n',
      'a.png': png(3),
    });
    assert.deepEqual(previews, [stored(png(3), null)]);
  });

  test('what it names wrongly is said; a broken one is said and the README still counts', async () => {
    const { previews, warnings } = await find({
      'previews.json': '["gone.png", {"url": "http://example.org/a.png"}]',
    });
    assert.deepEqual(previews, []);
    assert.match(warnings[0] ?? '', /"gone.png" was left out: name an https address/);
    assert.equal(warnings.length, 2);
    const broken = await find({ 'previews.json': '[', 'README.md': '![a](a.png)', 'a.png': pixelPng });
    assert.match(broken.warnings.join(), /previews in previews.json were not read/);
    assert.equal(broken.previews.length, 1);
  });
});

test('media types are told by the first bytes', () => {
  const cases: [string, string | null][] = [
    ['\xff\xd8\xff\xe0', 'image/jpeg'],
    ['GIF89a', 'image/gif'],
    ['RIFF\0\0\0\0WEBPVP8 ', 'image/webp'],
    ['\0\0\0\x20ftypavif', 'image/avif'],
    ['\0\0\0\x20ftypisom', 'video/mp4'],
    ['\x1a\x45\xdf\xa3', 'video/webm'],
    ['RIFF\0\0\0\0WAVE', null],
    ['', null],
    ['<svg', null],
  ];
  for (const [text, type] of cases)
    assert.equal(mediaTypeOf(Buffer.from(text, 'latin1')), type, JSON.stringify(text));
});
