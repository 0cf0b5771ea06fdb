import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkBuildArgs, mergeBuildArgs } from '../../../domain/apps/build-args.ts';
import { buildArgsMax, buildArgValueCharsMax } from '../../../domain/kernel/limits.ts';

suite('build arguments', () => {
  test('are names of shell variables and any text', () => {
    for (const args of [
      {},
      { NODE_ENV: 'production', _x1: '' },
      { TEXT: '$(id) `id` "quoted" \' -v --privileged\nsecond line' },
      { constructor: 'a', toString: 'b' },
    ]) {
      assert.equal(checkBuildArgs(args), undefined);
    }
  });

  test('are refused by name, with what is wrong', () => {
    const wrong = (name: string, value = 'x') => checkBuildArgs({ [name]: value })?.problem ?? '';
    for (const name of ['', '-v', '$(id)', 'a b', 'A=B', '1A', 'Ä', 'a\nb', 'x'.repeat(129)]) {
      assert.match(wrong(name), /name of letters/, name);
    }
    for (const name of [
      'BUILDKIT_SYNTAX',
      'BUILDKIT_INLINE_CACHE',
      'TARGETARCH',
      'BUILDPLATFORM',
      'APPHUB_SECRETS',
    ]) {
      assert.match(wrong(name), /keeps to itself/, name);
    }
    assert.equal(wrong('TARGET'), '');
    assert.match(wrong('A', 'x'.repeat(buildArgValueCharsMax + 1)), /at most 2048 characters/);
    assert.match(wrong('A', 'a\0b'), /NUL/);
    const many = Object.fromEntries(Array.from({ length: buildArgsMax + 1 }, (_, at) => [`A${at}`, '']));
    assert.match(checkBuildArgs(many)?.problem ?? '', /at most 32/);
  });

  test('of a request go before those of the app', () => {
    assert.deepEqual(mergeBuildArgs({ A: '1', B: '1' }, { B: '2', C: '2' }), { A: '1', B: '2', C: '2' });
  });
});
