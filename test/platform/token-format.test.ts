import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  isAmongDigests,
  makeApiKey,
  makeSessionToken,
  readApiKey,
  readSessionToken,
  sha256Of,
} from '../../platform/token-format.ts';

suite('API keys as text', () => {
  test('are known by their beginning, and hold their id', () => {
    fc.assert(
      fc.property(fc.uuid(), keyId => {
        const { token, sha256, hint } = makeApiKey(keyId);
        assert.match(token, /^aph_[0-9A-Za-z]{71}$/);
        assert.deepEqual(readApiKey(token), { keyId });
        assert.equal(sha256, sha256Of(token));
        assert.equal(token.slice(-10, -6), hint);
      }),
    );
  });

  test('are told from what was mistyped, anywhere', () => {
    const { token } = makeApiKey('00000000-0000-4000-8000-000000000001');
    for (let at = 0; at < token.length; at += 1) {
      const other = token[at] === 'x' ? 'y' : 'x';
      assert.equal(readApiKey(token.slice(0, at) + other + token.slice(at + 1)), undefined, `${at}`);
      assert.equal(readApiKey(token.slice(0, at) + token.slice(at + 1)), undefined);
    }
    for (const not of ['', 'aph_', `${token}a`, ` ${token}`, token.toUpperCase()])
      assert.equal(readApiKey(not), undefined);
  });

  test('never come twice', () => {
    const keyId = '00000000-0000-4000-8000-000000000001';
    assert.notEqual(makeApiKey(keyId).token, makeApiKey(keyId).token);
  });
});

test('cookies of sessions hold their id and nothing else', () => {
  const sessionId = '00000000-0000-4000-8000-000000000002';
  const { token } = makeSessionToken(sessionId);
  assert.deepEqual(readSessionToken(token), { sessionId });
  for (const not of ['', '.', sessionId, `${token}.x`, token.slice(1), `../${token}`]) {
    assert.equal(readSessionToken(not), undefined, not);
  }
});

test('a digest is found among others, and only the whole text has it', () => {
  assert.ok(isAmongDigests([sha256Of('a'), sha256Of('b')], 'b'));
  assert.ok(
    !isAmongDigests([sha256Of('a')], 'b') && !isAmongDigests([], 'a') && !isAmongDigests(['', 'x'], 'a'),
  );
});
