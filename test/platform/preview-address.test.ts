/** Addresses of launches: as they are given out, and as they are understood. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { nameOf, previewAddresses, sharesSite, withoutParameter } from '../../platform/preview-address.ts';

suite('addresses of launches', () => {
  test('are given out by the scheme of the platform, and with a port only where there has to be one', () => {
    const origin = (domain: string, port: number, publicUrl: string) => {
      const { originOf, originOfHost, pattern } = previewAddresses({ domain, port, publicUrl });
      return [originOf('x'), originOfHost('shop.example.org'), pattern];
    };
    assert.deepEqual(origin('localhost', 4_000, 'http://localhost:4000'), [
      'http://x.localhost:4000',
      'http://shop.example.org:4000',
      'http://*.localhost:4000',
    ]);
    assert.deepEqual(origin('preview.example.net', 443, 'https://apphub.example.org'), [
      'https://x.preview.example.net',
      'https://shop.example.org',
      'https://*.preview.example.net',
    ]);
    assert.equal(origin('preview.example.net', 8_443, 'https://h')[0], 'https://x.preview.example.net:8443');
    assert.equal(origin('preview.example.net', 80, 'http://h')[0], 'http://x.preview.example.net');
    assert.equal(origin('preview.example.net', 443, 'http://h')[0], 'http://x.preview.example.net:443');
  });

  test('are understood', () => {
    const at =
      (domain: string, ...own: string[]) =>
      (host: string) => {
        const named = nameOf(host, { domain, ownHosts: new Set(own) });
        return named === undefined
          ? 'platform'
          : named.kind === 'nobody'
            ? 'nobody'
            : `${named.kind} ${named.name}`;
      };
    const here = at('localhost', 'localhost');
    assert.equal(here('x.localhost'), 'launch x');
    assert.equal(here('localhost'), 'platform');
    for (const host of ['a.b.localhost', '-.localhost', '.localhost'])
      assert.equal(here(host), 'nobody', host);
    for (const host of ['127.0.0.1', '[::1]', '', 'myserver', 'a b.example.org', 'x'.repeat(300), '1.2.3.4'])
      assert.equal(here(host), 'platform', host);
    assert.equal(here('shop.example.org'), 'host shop.example.org');
    const there = at('preview.example.net', 'apphub.example.org');
    assert.equal(there('x.preview.example.net'), 'launch x');
    assert.equal(there('preview.example.net'), 'nobody');
    assert.equal(there('apphub.example.org'), 'platform');
    assert.equal(there('xpreview.example.net'), 'host xpreview.example.net');
    assert.equal(there('x.preview.example.net.evil.example'), 'host x.preview.example.net.evil.example');
  });

  test('lose one parameter and keep the rest as it was', () => {
    const without = (path: string) => Object.values(withoutParameter(path, 'g'));
    assert.deepEqual(without('/a?g=1'), ['/a', '1']);
    assert.deepEqual(without('/a?g'), ['/a', '']);
    assert.deepEqual(without('/a?x=1&g=2&y=%zz&g=3&&'), ['/a?x=1&y=%zz&&', '2']);
    assert.deepEqual(without('/a?%67=%32'), ['/a', '2']);
    for (const path of ['/', '/g=1', '/a?', '/a?x=g', '/a?gg=1&xg=2', '/a?%zz=1', '/a?x=1?g=1']) {
      assert.deepEqual(without(path), [path, undefined], path);
    }
  });

  test('that share a site with the platform are told from those that do not', () => {
    for (const [platform, domain] of [
      ['https://apphub.example.org', 'preview.example.org'],
      ['https://example.org', 'example.org'],
      ['https://example.org', 'p.example.org'],
      ['https://a.example.co.uk', 'b.example.co.uk'],
      ['http://apphub.lan', 'apphub.lan'],
    ]) {
      assert.equal(sharesSite(platform!, domain!), true, `${platform} ${domain}`);
    }
    for (const [platform, domain] of [
      ['https://apphub.example.org', 'preview.example.net'],
      ['https://apphub.co.uk', 'preview.co.uk'],
      ['http://localhost:4000', 'localhost'],
      ['http://10.0.0.1:4000', 'preview.lan'],
    ]) {
      assert.equal(sharesSite(platform!, domain!), false, `${platform} ${domain}`);
    }
  });
});
