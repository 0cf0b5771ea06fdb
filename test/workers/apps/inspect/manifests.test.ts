import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openCheckout } from '../../../../workers/apps/inspect/checkout.ts';
import { readManifests } from '../../../../workers/apps/inspect/manifests.ts';
import { withFolder } from '../../../support/checkout-folder.ts';
import type { Files } from '../../../support/sample-repos.ts';

const read = (files: Files, dockerfile = 'Dockerfile') =>
  withFolder(files, async folder => {
    const found = await readManifests(await openCheckout(folder), dockerfile);
    return { ...found, tags: found.tags.map(({ key, value, source }) => `${key}:${value} ${source}`) };
  });
const json = JSON.stringify;

suite('package.json', () => {
  test('gives language, frameworks, libraries, engine and words', async () => {
    const manifest = {
      name: 'shop',
      description: ' A  shop ',
      homepage: 'https://shop.example.org',
      engines: { node: '>=22' },
      dependencies: { next: '15', react: '19', constructor: '1' },
      devDependencies: { typescript: '7' },
    };
    assert.deepEqual(await read({ 'package.json': json(manifest) }), {
      tags: [
        'language:typescript auto:package',
        'framework:nextjs auto:package',
        'library:react auto:package',
        'runtime:node@>=22 auto:package',
      ],
      package: { name: 'shop', description: 'A shop', homepage: 'https://shop.example.org/' },
    });
  });

  test('is plain JavaScript, or TypeScript by its tsconfig', async () => {
    assert.deepEqual((await read({ 'package.json': '{}' })).tags, ['language:javascript auto:package']);
    const files = { 'package.json': '{"dependencies":{"fastify":"5"}}', 'tsconfig.json': '{}' };
    assert.deepEqual((await read(files)).tags, [
      'language:typescript auto:package',
      'framework:fastify auto:package',
    ]);
  });

  test('that is broken or odd says nothing and breaks nothing', async () => {
    for (const text of ['{', '[]', 'null', '"x"', '']) {
      assert.deepEqual(await read({ 'package.json': text }), { tags: [], package: null }, text);
    }
    const odd = {
      name: 7,
      description: {},
      homepage: 'javascript:alert(1)',
      engines: 'x',
      dependencies: ['next'],
    };
    const { package: facts } = await read({ 'package.json': json(odd) });
    assert.deepEqual(facts, { name: null, description: null, homepage: null });
    const secret = await read({ 'package.json': json({ homepage: 'https://user:secret@example.org' }) });
    assert.equal(secret.package?.homepage, null);
  });
});

suite('other manifests', () => {
  const cases: [string, string, string, string[]][] = [
    ['Python', 'requirements.txt', 'Django==5.2\ngunicorn\n', ['language:python', 'framework:django']],
    [
      'pyproject',
      'pyproject.toml',
      'dependencies = ["fastapi>=0.1"]',
      ['language:python', 'framework:fastapi'],
    ],
    ['a part of a name', 'requirements.txt', 'dashboardkit\nmyflask\nflask_x\n', ['language:python']],
    ['Go', 'go.mod', 'require github.com/gin-gonic/gin v1.10', ['language:go', 'framework:gin']],
    ['Rust', 'Cargo.toml', '[dependencies]\naxum = "0.8"', ['language:rust', 'framework:axum']],
    ['Ruby', 'Gemfile', 'gem "rails", "~> 8"', ['language:ruby', 'framework:rails']],
    [
      'PHP',
      'composer.json',
      '{"require":{"laravel/framework":"^12"}}',
      ['language:php', 'framework:laravel'],
    ],
    [
      'Java',
      'pom.xml',
      '<artifactId>spring-boot-starter-web</artifactId>',
      ['language:java', 'framework:spring-boot'],
    ],
    ['.NET', 'shop.csproj', '<Project Sdk="Microsoft.NET.Sdk.Web">', ['language:csharp', 'framework:aspnet']],
  ];
  for (const [name, file, text, expected] of cases) {
    test(name, async () => {
      const { tags } = await read({ [file]: text });
      assert.deepEqual(
        tags,
        expected.map(tag => `${tag} auto:language`),
      );
    });
  }

  test('the nearest folder with any counts, upwards from the Dockerfile', async () => {
    const files = {
      'go.mod': '',
      'web/package.json': '{}',
      'web/docker/Dockerfile': '',
      'api/x': '',
      'z/Gemfile': '',
    };
    assert.deepEqual((await read(files, 'web/docker/Dockerfile')).tags, ['language:javascript auto:package']);
    assert.deepEqual((await read(files, 'api/Dockerfile')).tags, ['language:go auto:language']);
  });

  test('several of one language make one look, a huge one none', async () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`requirements${n}.txt`, '']));
    assert.deepEqual((await read(many)).tags, ['language:python auto:language']);
    const { tags } = await read({ 'requirements.txt': `flask\n${'#'.repeat(300_000)}` });
    assert.deepEqual(tags, ['language:python auto:language']);
  });
});
