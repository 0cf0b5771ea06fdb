/** What a schema found, in words; and text that no table can hold. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { fieldErrorsOf, unusableText } from '../../platform/violation.ts';

suite('violations', () => {
  test('a field is named by its path, the whole by what it is', () => {
    const violation = { keyword: 'type', message: 'must be string', params: { type: 'string' } };
    const fieldOf = (instancePath: string) =>
      fieldErrorsOf([{ ...violation, instancePath }], 'body')[0]?.field;
    assert.equal(fieldOf(''), 'body');
    assert.equal(fieldOf('/env/0/key'), 'env.0.key');
    assert.equal(fieldOf('/a~1b/c~0d'), 'a/b.c~d');
  });

  test('what is wrong for each of several reasons is said once', () => {
    const at = { instancePath: '/size' };
    const constant = (value: string) => ({
      ...at,
      keyword: 'const',
      message: 'must be equal to constant',
      params: { allowedValue: value },
    });
    const anyOf = { ...at, keyword: 'anyOf', message: 'must match a schema in anyOf', params: {} };
    assert.deepEqual(fieldErrorsOf([constant('a'), constant('b'), anyOf], 'body'), [
      { field: 'size', message: 'must be one of "a", "b"' },
    ]);
    const notNull = { ...at, keyword: 'type', message: 'must be null', params: { type: 'null' } };
    const tooLong = {
      ...at,
      keyword: 'maxLength',
      message: 'must NOT have more than 3 characters',
      params: { limit: 3 },
    };
    assert.deepEqual(fieldErrorsOf([tooLong, notNull, anyOf], 'body'), [
      { field: 'size', message: tooLong.message },
    ]);
    assert.deepEqual(fieldErrorsOf([notNull], 'body'), [{ field: 'size', message: 'must be null' }]);
    assert.deepEqual(fieldErrorsOf([anyOf], 'body'), [{ field: 'size', message: 'is not valid' }]);
  });

  test('no more than twenty are named', () => {
    const many = Array.from({ length: 1_000 }, (_, at) => ({
      instancePath: `/tags/${at}`,
      keyword: 'type',
      message: 'must be object',
      params: {},
    }));
    assert.equal(fieldErrorsOf(many, 'body').length, 20);
  });

  test('the place of a text that cannot be stored is found, wherever it is', () => {
    assert.equal(unusableText({ a: ['x', { b: 'fine ✓ 😀' }], c: 7, d: null, e: true }), undefined);
    assert.equal(unusableText({ a: ['x', { b: 'a\0' }] })?.field, 'a.1.b');
    assert.equal(unusableText('\ud800')?.field, 'body');
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), value => {
        const isUnusable = /\\u0000|\\ud[89a-f]/.test(JSON.stringify(value).replaceAll('\\\\', ''));
        const inKeys = /"[^"]*(?:\\u0000|\\ud[89a-f])[^"]*":/.test(
          JSON.stringify(value).replaceAll('\\\\', ''),
        );
        if (!inKeys) assert.equal(unusableText(value) !== undefined, isUnusable);
      }),
    );
  });
});
