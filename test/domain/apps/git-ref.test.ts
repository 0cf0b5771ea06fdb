import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkGitRef } from '../../../domain/apps/git-ref.ts';

suite('name of a branch or tag', () => {
  for (const ref of ['main', 'v1.2', 'feature/a-b', 'refs/heads/main', 'ümlaut', 'a@b']) {
    test(`fine: ${ref}`, () => assert.equal(checkGitRef(ref), undefined));
  }
  for (const ref of [
    '',
    '@',
    '-b',
    '--upload-pack=x',
    '/a',
    'a/',
    'a.',
    '.a',
    'a/.b',
    'a..b',
    'a b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[b',
    'a\\b',
    'a@{1}',
    'a//b',
    'a.lock',
    'a\nb',
    'a'.repeat(256),
  ]) {
    test(`refused: ${JSON.stringify(ref.slice(0, 30))}`, () =>
      assert.match(checkGitRef(ref) ?? 'taken', /branch or tag/));
  }
});
