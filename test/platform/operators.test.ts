import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { anyOf, knownOperators, operatorsFile, parseOperators } from '../../platform/operators.ts';
import { eventually } from '../support/workers.ts';

const token = 'a-token-long-enough';
const one = { subject: 'ann', token, scopes: ['apps:*'] };

suite('tokens of the installation', () => {
  test('are read from a list', () => {
    assert.deepEqual(parseOperators(JSON.stringify([one])), [one]);
    assert.deepEqual(parseOperators('[]'), []);
    const restricted = { ...one, apps: ['team-*'] };
    assert.deepEqual(parseOperators(JSON.stringify([restricted])), [restricted]);
  });

  const wrong: [string, unknown, RegExp][] = [
    ['no JSON', undefined, /must be JSON/],
    ['no list', {}, /must be a list/],
    ['an entry that is nothing', [null], /entry 1: subject/],
    ['no subject', [{ token, scopes: [] }], /entry 1: subject/],
    ['a short token', [{ ...one, token: 'short' }], /entry 1 \(ann\): token/],
    ['a token that cannot be sent', [{ ...one, token: 'a token with spaces in it' }], /token/],
    ['no scopes', [{ subject: 'ann', token }], /scopes must be a list/],
    ['one scope for a list', [{ ...one, scopes: '*' }], /scopes must be a list/],
    [
      'an unknown scope',
      [one, { ...one, scopes: ['apps:fly'] }],
      /entry 2 \(ann\): there is no scope "apps:fly"/,
    ],
    ['apps that are no list', [{ ...one, apps: '*' }], /apps must be a list/],
  ];
  for (const [what, list, says] of wrong) {
    test(`are refused in words: ${what}`, () => {
      const text = list === undefined ? '{' : JSON.stringify(list);
      assert.throws(() => parseOperators(text), { message: says });
      assert.throws(
        () => parseOperators(text),
        (error: Error) => !error.message.includes(token),
      );
    });
  }

  test('say whose they are and what that one may', () => {
    const known = knownOperators([one, { ...one, subject: 'bob', token: `${token}-2`, apps: ['shop'] }]);
    assert.equal(known.identify(token)?.subject, 'ann');
    assert.deepEqual(known.identify(`${token}-2`)?.apps, ['shop']);
    for (const not of ['', token.slice(1), `${token} `, token.toUpperCase()])
      assert.equal(known.identify(not), undefined);
    assert.ok(known.has('bob') && !known.has('eve'));
    const both = anyOf(knownOperators([]), known);
    assert.equal(both.identify(token)?.subject, 'ann');
    assert.ok(both.has('ann'));
  });
});

suite('a file of tokens', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-operators-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'operators.json');
  const store = (list: unknown) => {
    writeFileSync(`${file}.new`, typeof list === 'string' ? list : JSON.stringify(list));
    renameSync(`${file}.new`, file);
  };

  test('is read again when it changes; what cannot be used changes nothing', async () => {
    const warned: object[] = [];
    store([one]);
    const known = operatorsFile(file, { warn: detail => void warned.push(detail) });
    assert.equal(known.identify(token)?.subject, 'ann');
    store([{ ...one, subject: 'bob' }]);
    await eventually(() => assert.equal(known.identify(token)?.subject, 'bob'));
    store('{');
    await eventually(() => {
      assert.equal(known.identify(token)?.subject, 'bob');
      assert.ok(warned.length > 0);
    });
    store([]);
    await eventually(() => assert.equal(known.identify(token), undefined));
    assert.ok(!known.has('bob'));
  });
});
