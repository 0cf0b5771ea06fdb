import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkDockerfilePath } from '../../../domain/apps/dockerfile-path.ts';
import { pathCharsMax } from '../../../domain/kernel/limits.ts';

suite('path of a Dockerfile', () => {
  for (const path of [
    'Dockerfile',
    'services/web/Dockerfile',
    'Dockerfile.dev',
    '.docker/web',
    'a..b/Dockerfile',
  ]) {
    test(`fine: ${path}`, () => assert.equal(checkDockerfilePath(path), undefined));
  }

  const refused: [string, RegExp][] = [
    ['', /inside the repository/],
    ['/etc/passwd', /relative to the root/],
    ['C:/Dockerfile', /relative to the root/],
    ['../Dockerfile', /no "\.\."/],
    ['a/../../Dockerfile', /no "\.\."/],
    ['a/..', /no "\.\."/],
    ['a\\Dockerfile', /"\/" between folders/],
    ['./Dockerfile', /without empty parts/],
    ['a//Dockerfile', /without empty parts/],
    ['services/', /without empty parts/],
    ['-f', /does not begin with "-"/],
    ['.git/config', /nothing below \.git/],
    ['a/.GIT/config', /nothing below \.git/],
    ['Docker\nfile', /control characters/],
    ['Docker\u0000file', /control characters/],
    ['a'.repeat(pathCharsMax + 1), /at most 512/],
  ];
  for (const [path, says] of refused) {
    test(`refused: ${JSON.stringify(path.slice(0, 40))}`, () =>
      assert.match(checkDockerfilePath(path) ?? 'taken', says));
  }
});
