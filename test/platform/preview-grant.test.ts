/** Grants for private launches: signed, read strictly, and void by time, by launch and by number. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type Grant, looksLikeGrant, openGrants, whyNot } from '../../platform/preview-grant.ts';

const grants = openGrants(['a secret of the tests']);
const launchId = 'e879cf1b-ceda-81d7-b4cf-424c39b01422';
const linkId = '0199c0de-0000-7000-8000-000000000000';
const sample: Grant = { launchId, kind: 'link', expiresAtSeconds: 1_790_000_000, linkEpoch: 7, linkId };

const anyGrant: fc.Arbitrary<Grant> = fc.record(
  {
    launchId: fc.oneof(fc.uuid(), fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)),
    kind: fc.constantFrom('link', 'session'),
    expiresAtSeconds: fc.integer({ min: 1, max: 999_999_999_999 }),
    linkEpoch: fc.integer({ min: 0, max: 999_999_999 }),
    linkId: fc.oneof(fc.constant(''), fc.uuid()),
  },
  { noNullPrototype: true },
);

suite('grants', () => {
  test('are read as they were made', () => {
    fc.assert(
      fc.property(anyGrant, grant => {
        const token = grants.make(grant);
        assert.deepEqual(grants.read(token), grant);
        // It goes into an address and a cookie as it is.
        assert.equal(encodeURIComponent(token), token);
        assert.ok(looksLikeGrant(token));
      }),
    );
  });

  test('that have any bit of any byte turned are none', () => {
    fc.assert(
      fc.property(anyGrant, fc.nat(), fc.integer({ min: 0, max: 7 }), (grant, place, bit) => {
        const bytes = Buffer.from(grants.make(grant));
        const at = place % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        assert.equal(grants.read(bytes.toString('latin1')), undefined);
      }),
      { numRuns: 2_000 },
    );
    // Each of them for one, also the last letter, of which four ways of writing mean the same bytes.
    const token = grants.make(sample);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ %';
    for (let at = 0; at < token.length; at += 1) {
      for (const letter of letters) {
        if (letter === token[at]) continue;
        assert.equal(
          grants.read(token.slice(0, at) + letter + token.slice(at + 1)),
          undefined,
          `${at} ${letter}`,
        );
      }
      assert.equal(grants.read(token.slice(0, at)), undefined);
      assert.equal(grants.read(token.slice(0, at) + token.slice(at + 1)), undefined);
    }
    for (const around of [
      `${token} `,
      ` ${token}`,
      `${token}\n`,
      `${token}.`,
      `${token}${token}`,
      '',
      'apg1',
      'apg1.......',
    ]) {
      assert.equal(grants.read(around), undefined);
    }
    assert.equal(grants.read(`apg1.${'x'.repeat(100_000)}`), undefined);
  });

  test('that nobody here signed are none, whatever they look like', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.base64String()), text => {
        assert.equal(grants.read(text), undefined);
        assert.equal(grants.read(`apg1.l.${launchId}.1790000000.7..${text}`), undefined);
      }),
    );
    assert.equal(openGrants(['another secret']).read(grants.make(sample)), undefined);
  });

  test('numbers are written in one way only', () => {
    const token = grants.make({ ...sample, linkId: '' });
    const signature = token.slice(-43);
    for (const text of [
      '01790000000.7',
      '1790000000.07',
      '1790000000.+7',
      '1.79e9.7',
      '-1.7',
      '0.7',
      '1790000000.1e1',
    ]) {
      assert.equal(grants.read(`apg1.l.${launchId}.${text}..${signature}`), undefined, text);
    }
    for (const wrong of [
      { expiresAtSeconds: 0 },
      { expiresAtSeconds: 1.5 },
      { expiresAtSeconds: Number.NaN },
      { linkEpoch: -1 },
      { linkEpoch: 1e21 },
      { launchId: 'a.b' },
      { launchId: '' },
      { linkId: 'a.b' },
    ]) {
      assert.throws(() => grants.make({ ...sample, ...wrong }), /cannot be said/, JSON.stringify(wrong));
    }
  });

  test('made by the secret before are good until it is forgotten', () => {
    const [before, now] = [openGrants(['one']), openGrants(['two', 'one'])];
    assert.deepEqual(now.read(before.make(sample)), sample);
    assert.deepEqual(now.read(now.make(sample)), sample);
    assert.equal(before.read(now.make(sample)), undefined, 'the first one signs');
    assert.equal(openGrants(['three', 'two']).read(before.make(sample)), undefined);
    assert.throws(() => openGrants([]));
  });

  test('open their own launch, in their time, until their number has passed', () => {
    const launch = { launchId, linkEpoch: 7 };
    const end = sample.expiresAtSeconds * 1_000;
    assert.equal(whyNot(sample, launch, end - 1), '');
    assert.equal(whyNot(sample, launch, end), 'expired');
    assert.equal(whyNot(sample, { ...launch, launchId: 'another' }, end - 1), 'foreign');
    assert.equal(whyNot(sample, { ...launch, linkEpoch: 8 }, end - 1), 'revoked');
    // What this process knows of the launch may be older than the grant.
    assert.equal(whyNot(sample, { ...launch, linkEpoch: 6 }, end - 1), '');
  });
});
