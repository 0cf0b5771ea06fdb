/** Arguments of builds as somebody types them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

type Words = {
  argsText: (args: Record<string, string>) => string;
  argsIn: (text: string) => { args: Record<string, string>; wrong: string };
  argErrors: (errors: { field: string; message: string }[]) => string[];
};
const file = new URL('../../../web/apps/build-input-words.js', import.meta.url);
const { argErrors, argsIn, argsText }: Words = await import(file.href);

suite('arguments of builds, as they are typed', () => {
  test('are a line each; what is shown is read again', () => {
    const args = { NODE_ENV: 'production', EMPTY: '', EQUAL: 'a=b', SPACE: ' x ' };
    assert.deepEqual(argsIn(argsText(args)), { args, wrong: '' });
    assert.deepEqual(argsIn('\n  A=1\n\nB=2\n'), { args: { A: '1', B: '2' }, wrong: '' });
    assert.deepEqual(argsIn(''), { args: {}, wrong: '' });
    for (const text of ['A', '=1', 'A=1\nB']) assert.match(argsIn(text).wrong, /write NAME=value/);
  });

  test('that are refused are named', () => {
    assert.deepEqual(
      argErrors([
        { field: 'args.BUILDKIT_SYNTAX', message: 'is a name that the builder keeps to itself' },
        { field: 'args', message: 'must be at most 32' },
        { field: 'other', message: 'no' },
      ]),
      ['BUILDKIT_SYNTAX is a name that the builder keeps to itself', 'There must be at most 32'],
    );
  });
});
