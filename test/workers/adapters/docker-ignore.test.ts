import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readDockerignore } from '../../../workers/adapters/docker-ignore.ts';

/** What is left of the paths. */
function left(text: string, ...paths: string[]): string[] {
  const rules = readDockerignore(text);
  return paths.filter(path => !rules.ignores(path));
}

suite('.dockerignore', () => {
  test('an empty one leaves everything in', () => {
    assert.deepEqual(left('', 'a', 'b/c', '.env'), ['a', 'b/c', '.env']);
    assert.deepEqual(left('# a\n\n   \n/\n.', 'a', 'b'), ['a', 'b']);
  });

  test('a name is meant from the root, and takes what is below with it', () => {
    assert.deepEqual(
      left('node_modules\n/dist/', 'node_modules/a/b.js', 'dist', 'dist/x', 'src/dist', 'nodes'),
      ['src/dist', 'nodes'],
    );
  });

  test('a star stays within a name, two stars cross folders', () => {
    assert.deepEqual(left('*.log', 'a.log', 'x/a.log', 'log'), ['x/a.log', 'log']);
    assert.deepEqual(left('**/*.log', 'a.log', 'x/y/a.log', 'a.logs'), ['a.logs']);
    assert.deepEqual(left('**.pyc', 'a.pyc', 'x/y/a.pyc', 'a.py'), ['a.py']);
    assert.deepEqual(left('*/temp*', 'a/temporary.txt', 'a/temp', 'temp', 'a/b/temp'), ['temp', 'a/b/temp']);
    assert.deepEqual(left('a/**/z', 'a/z', 'a/b/c/z', 'a/b/c', 'z'), ['a/b/c', 'z']);
    assert.deepEqual(left('**', 'a', 'b/c'), []);
  });

  test('one character, a class, and an escaped star', () => {
    assert.deepEqual(left('temp?', 'tempa', 'temp', 'tempab'), ['temp', 'tempab']);
    assert.deepEqual(left('[a-c]1', 'a1', 'c1', 'd1'), ['d1']);
    assert.deepEqual(left('[^a-c]1', 'a1', 'c1', 'd1'), ['a1', 'c1']);
    assert.deepEqual(left('\\*.md', '*.md', 'a.md'), ['a.md']);
  });

  test('the last pattern that matches decides', () => {
    assert.deepEqual(left('*.md\n!README*.md\nREADME-secret.md', 'a.md', 'README.md', 'README-secret.md'), [
      'README.md',
    ]);
    assert.deepEqual(left('build\n!build/keep.txt', 'build/a', 'build/keep.txt'), ['build/keep.txt']);
    assert.equal(readDockerignore('a\n!b').hasExceptions, true);
    assert.equal(readDockerignore('a').hasExceptions, false);
  });

  test('patterns made to be slow are not', () => {
    const slow = `${'**/a*'.repeat(60)}b`;
    const deep = Array.from({ length: 60 }, () => 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').join('/');
    const before = performance.now();
    assert.deepEqual(left(`${slow}\n${'*a'.repeat(200)}b`, deep), [deep]);
    assert.ok(performance.now() - before < 1_000);
  });

  test('more patterns than anybody needs are refused', () => {
    assert.throws(() => readDockerignore('x\n'.repeat(501)), RangeError);
    assert.throws(() => readDockerignore('x'.repeat(600)), RangeError);
  });
});
