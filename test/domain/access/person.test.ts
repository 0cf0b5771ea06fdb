/** Who may come in by the OIDC provider, and with what. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { admit, type PersonClaims, type PersonPolicy } from '../../../domain/access/person.ts';

const ada: PersonClaims = {
  sub: '17',
  name: 'Ada Lovelace',
  email: 'ada@example.org',
  isEmailVerified: true,
  groups: ['staff'],
  sid: 's1',
};
const policy: PersonPolicy = {
  allowedDomains: ['example.org'],
  groupScopes: { staff: ['apps:read'], makers: ['apps:*', 'apps:read'], idle: [] },
  groupApps: { guests: ['demo-*'], makers: ['team-*'] },
};

suite('a person of the provider', () => {
  test('has the scopes of his group, and reaches all apps', () => {
    assert.deepEqual(admit(ada, policy), {
      subject: 'oidc:17',
      name: 'Ada Lovelace',
      scopes: ['apps:read'],
      apps: null,
    });
  });

  test('has the scopes of all his groups once, and stays within the apps of those that are restricted', () => {
    const person = admit({ ...ada, groups: ['guests', 'makers', 'staff', 'nowhere'] }, policy);
    assert.deepEqual(person, {
      subject: 'oidc:17',
      name: 'Ada Lovelace',
      scopes: ['apps:read', 'apps:*'],
      apps: ['demo-*', 'team-*'],
    });
  });

  const names: [Partial<PersonClaims>, string][] = [
    [{}, 'Ada Lovelace'],
    [{ name: null }, 'ada@example.org'],
    [{ name: null, email: null }, '17'],
  ];
  for (const [claims, name] of names) {
    test(`is called ${name}`, () => {
      const person = admit({ ...ada, ...claims }, { ...policy, allowedDomains: [] });
      assert.equal(typeof person === 'string' ? person : person.name, name);
    });
  }

  const refused: [string, Partial<PersonClaims>, string][] = [
    ['an address that is not verified', { isEmailVerified: false }, 'unverified-email'],
    ['no address', { email: null }, 'unverified-email'],
    ['another domain', { email: 'ada@example.com' }, 'foreign-domain'],
    ['a domain below', { email: 'ada@evil.example.org' }, 'foreign-domain'],
    ['a domain that ends like it', { email: 'ada@evilexample.org' }, 'foreign-domain'],
    ['two domains', { email: 'ada@example.org@example.com' }, 'foreign-domain'],
    ['a domain alone', { email: 'example.org' }, 'foreign-domain'],
    ['no groups', { groups: [] }, 'no-groups'],
    ['groups that are not named', { groups: ['others', 'STAFF', 'constructor', '__proto__'] }, 'no-groups'],
    ['a group with no scopes', { groups: ['idle'] }, 'no-groups'],
    ['a group with apps and no scopes', { groups: ['guests'] }, 'no-groups'],
  ];
  for (const [name, claims, code] of refused) {
    test(`with ${name} does not come in`, () => assert.equal(admit({ ...ada, ...claims }, policy), code));
  }

  test('may have an address in capital letters', () => {
    assert.equal(typeof admit({ ...ada, email: 'Ada@Example.ORG' }, policy), 'object');
  });

  test('may have an address with an @ in quotes', () => {
    assert.equal(typeof admit({ ...ada, email: '"ada@home"@example.org' }, policy), 'object');
  });

  test('needs no verified address where no domain is named', () => {
    const anywhere = { ...policy, allowedDomains: [] };
    assert.equal(typeof admit({ ...ada, isEmailVerified: false }, anywhere), 'object');
  });
});
