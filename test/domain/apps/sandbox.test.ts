import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkEgressHost, confined } from '../../../domain/apps/sandbox.ts';

suite('a sandbox', () => {
  test('is closed unless something is said', () => {
    assert.deepEqual(confined, { egress: [], allowRoot: false, runtime: 'default' });
  });

  test('lets through hosts by name, with all below a name, and a port', () => {
    for (const host of [
      'api.example.org',
      '*.example.org',
      'a-1.example.org:8443',
      'xn--bcher-kva.example',
    ]) {
      assert.equal(checkEgressHost(host), undefined, host);
    }
  });

  test('knows no addresses, no single labels, no wildcards elsewhere, no schemes', () => {
    const wrong = [
      '',
      '*',
      'localhost',
      '*.org',
      '10.0.0.1',
      '[::1]',
      'a.*.org',
      '*a.example.org',
      'https://a.org',
    ];
    const odd = [
      'a.org/x',
      'a..org',
      '-a.org',
      'a.org:0',
      'a.org:65536',
      'a.org:1:2',
      `${'a.'.repeat(130)}org`,
    ];
    for (const host of [...wrong, ...odd]) {
      assert.match(checkEgressHost(host) ?? 'fine', /^must be a host name such as/, host);
    }
  });
});
