import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isAllowed, parseRules, targetOf } from '../../../workers/egress/rule.ts';

const rules = parseRules(['api.example.org', '*.Example.net', 'db.example.org:5432', '*.x.org:8443']);

suite('a host that an app may reach', () => {
  const allowed: [string, number][] = [
    ['api.example.org', 443],
    ['api.example.org', 80],
    ['a.example.net', 443],
    ['a.b.example.net', 443],
    ['db.example.org', 5432],
    ['a.x.org', 8443],
  ];
  for (const [host, port] of allowed) {
    test(`${host}:${port}`, () => assert.ok(isAllowed(rules, host, port)));
  }
});

suite('a host that an app may not reach', () => {
  const refused: [string, number][] = [
    ['example.org', 443],
    ['x.api.example.org', 443],
    ['api.example.org', 8443],
    ['example.net', 443],
    ['badexample.net', 443],
    ['.example.net', 443],
    ['db.example.org', 443],
    ['a.x.org', 443],
    ['api.example.org.evil.org', 443],
    ['', 443],
  ];
  for (const [host, port] of refused) {
    test(`${host}:${port}`, () => assert.ok(!isAllowed(rules, host, port)));
  }

  test('any, where none is named', () => assert.ok(!isAllowed(parseRules([]), 'api.example.org', 443)));
});

suite('what is asked for', () => {
  test('is a name and a port', () => {
    assert.deepEqual(targetOf('API.example.org:443'), { host: 'api.example.org', port: 443 });
    assert.deepEqual(targetOf('api.example.org.:443'), { host: 'api.example.org', port: 443 });
    assert.deepEqual(targetOf('api.example.org', 80), { host: 'api.example.org', port: 80 });
  });

  test('is nothing else', () => {
    const wrong = [
      '',
      'a.org',
      ':443',
      'a.org:0',
      'a.org:65536',
      'a.org:x',
      '[::1]:443',
      'a@b.org:443',
      'a.org:443/x',
      'a b:1',
    ];
    for (const text of wrong) assert.equal(targetOf(text), undefined, text);
  });
});
