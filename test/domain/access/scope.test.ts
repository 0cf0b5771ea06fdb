import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { covers, grants, holds, isAmong, isGrant, scopes } from '../../../domain/access/scope.ts';

suite('scopes', () => {
  test('an empty list, an unknown word and a beginning give nothing', () => {
    for (const granted of [
      [],
      [''],
      ['apps'],
      ['apps:'],
      ['App:read'],
      ['nothing:*'],
      ['**'],
      ['apps:re*'],
    ]) {
      for (const scope of scopes) assert.equal(grants(granted, scope), false, `${granted} ${scope}`);
    }
  });

  test('a scope gives itself, a context its scopes, the star everything', () => {
    assert.ok(grants(['apps:read'], 'apps:read'));
    assert.ok(!grants(['apps:read'], 'apps:write'));
    assert.ok(grants(['apps:*'], 'apps:write'));
    assert.ok(!grants(['apps:*'], 'audit:read'));
    assert.ok(!grants(['admin:*'], 'admin'));
    for (const scope of scopes) assert.ok(grants(['*'], scope));
  });

  test('only what is known can be granted', () => {
    for (const grant of ['*', 'admin', 'apps:*', 'apps:read']) assert.ok(isGrant(grant), grant);
    for (const not of ['', 'apps', 'apps:', 'a*', ':*', 'admin:*', 'toString']) assert.ok(!isGrant(not), not);
  });

  test('nobody gives on what he has not', () => {
    const grant = fc.constantFrom('*', 'apps:*', 'secrets:*', ...scopes);
    const lists = fc.array(grant, { maxLength: 5 });
    fc.assert(
      fc.property(lists, lists, (granted, wanted) => {
        const all = (list: readonly string[]) => scopes.filter(scope => grants(list, scope));
        const gives = all(wanted).every(scope => grants(granted, scope));
        // The star also stands for scopes that do not exist yet.
        if (covers(granted, wanted)) assert.ok(gives);
        else assert.ok(!gives || wanted.includes('*'));
      }),
    );
    assert.ok(!covers([...scopes], ['*']));
    assert.ok(!covers(['*'], ['unknown']));
  });

  test('resources are named whole or by their beginning; nothing is not everything', () => {
    assert.ok(isAmong(null, 'shop'));
    assert.ok(!isAmong([], 'shop'));
    assert.ok(isAmong(['shop'], 'shop') && !isAmong(['shop'], 'shops'));
    assert.ok(isAmong(['team-*'], 'team-a') && !isAmong(['team-*'], 'team'));
    assert.ok(holds(null, null) && holds(null, ['a']) && !holds(['a'], null));
    assert.ok(
      holds(['team-*'], ['team-a', 'team-b*']) && !holds(['team-*'], ['tea*']) && !holds(['a'], ['a*']),
    );
  });
});
