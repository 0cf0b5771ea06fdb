import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type HostNameCommand,
  type HostNameEvent,
  hostName,
  readHostName,
} from '../../../domain/apps/host-name.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const of = (appId = 'shop') => ({ host: 'shop.example.org', appId, at: '2026-01-01T00:00:00.000Z' });
const claimed = (launchId: string | null = null): HostNameEvent => ({
  type: 'HostNameClaimed',
  data: { ...of(), launchId },
});
const released: HostNameEvent = { type: 'HostNameReleased', data: of() };
const claim = (appId = 'shop', launchId: string | null = null): HostNameCommand => ({
  type: 'ClaimHostName',
  data: { ...of(appId), launchId },
});
const release = (appId = 'shop'): HostNameCommand => ({ type: 'ReleaseHostName', data: of(appId) });

suite('a host name', () => {
  test('belongs to whoever claims it first', () => {
    given(hostName, []).when(claim()).gives([claimed()]);
    given(hostName, [claimed()]).when(claim('other')).gives('host-name/taken');
    given(hostName, [claimed()]).when(release('other')).gives('not-found');
  });

  test('is claimed once, and aimed anew', () => {
    given(hostName, [claimed()]).when(claim()).gives([]);
    given(hostName, [claimed('l1')])
      .when(claim('shop', 'l2'))
      .gives([{ type: 'HostNameAimed', data: { ...of(), launchId: 'l2' } }]);
    given(hostName, [claimed('l1')])
      .when(claim())
      .gives([{ type: 'HostNameAimed', data: { ...of(), launchId: null } }]);
  });

  test('is anybody’s again once it was released', () => {
    given(hostName, [claimed()]).when(release()).gives([released]);
    given(hostName, []).when(release()).gives([]);
    given(hostName, [claimed(), released]).when(release()).gives([]);
    const other: HostNameEvent = { type: 'HostNameClaimed', data: { ...of('other'), launchId: null } };
    given(hostName, [claimed(), released]).when(claim('other')).gives([other]);
    given(hostName, [claimed(), released, other]).when(claim()).gives('host-name/taken');
  });

  test('any commands in any order', () => {
    const app = fc.constantFrom('shop', 'other');
    const launchId = fc.constantFrom(null, 'l1', 'l2');
    const commands: fc.Arbitrary<HostNameCommand> = fc.oneof(
      fc.tuple(app, launchId).map(([appId, id]) => claim(appId, id)),
      app.map(release),
    );
    const reached = holdsForAnyCommands(hostName, commands);
    assert.deepEqual([...reached].sort(), ['HostNameAimed', 'HostNameClaimed', 'HostNameReleased']);
  });
});

suite('how a host name is written', () => {
  const rules = { platformHosts: ['apphub.example.org', '127.0.0.1'], previewDomain: 'preview.example.net' };
  const read = (text: string) => readHostName(text, rules);
  const hostOf = (text: string) => {
    const found = read(text);
    return 'host' in found ? found.host : undefined;
  };

  test('as a browser asks for it', () => {
    for (const [text, host] of [
      ['shop.example.org', 'shop.example.org'],
      ['Shop.Example.ORG.', 'shop.example.org'],
      [' shop.example.org ', 'shop.example.org'],
      ['bücher.example', 'xn--bcher-kva.example'],
      ['BÜCHER.example', 'xn--bcher-kva.example'],
      ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
      ['ｓｈｏｐ.example', 'shop.example'],
      ['shop。example', 'shop.example'],
      ['apphub.example.org.evil.example', 'apphub.example.org.evil.example'],
      ['xpreview.example.net', 'xpreview.example.net'],
      ['a.b.c.d.example', 'a.b.c.d.example'],
    ] as const) {
      assert.equal(hostOf(text), host, text);
    }
  });

  test('is a name, and nobody else’s', () => {
    const label = 'x'.repeat(63);
    for (const text of [
      '',
      '.',
      'shop',
      'localhost',
      'x.localhost',
      'preview.example.net',
      'x.preview.example.net',
      'a.b.preview.example.net',
      'apphub.example.org',
      'AppHub.example.org.',
      '127.0.0.1',
      '127.1',
      '0x7f.0.0.1',
      '0177.0.0.1',
      '2130706433',
      '1.2.3.4',
      '１２７.0.0.1',
      '[::1]',
      '::1',
      'https://shop.example.org',
      'shop.example.org:443',
      'shop.example.org/x',
      'user@shop.example.org',
      'shop.example.org?x',
      'shop.example.org#x',
      'shop example.org',
      'shop.\nexample.org',
      'shop..example.org',
      '-shop.example.org',
      'shop-.example.org',
      '_shop.example.org',
      '*.example.org',
      'sh%6fp.example.org',
      'shop.example.1',
      'xn--.example',
      `${label}x.example.org`,
      [label, label, label, label, 'org'].join('.'),
    ]) {
      const found = read(text);
      assert.ok('wrong' in found && found.wrong.startsWith('must '), `${text} ${JSON.stringify(found)}`);
    }
  });

  test('what was read is read as itself, whatever was written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ unit: 'grapheme' }), fc.webAuthority()), text => {
        const host = hostOf(text);
        if (host === undefined) return;
        assert.equal(hostOf(host), host);
        assert.match(host, /^[a-z0-9.-]{3,253}$/);
        assert.equal(new URL(`http://${host}/`).hostname, host);
      }),
      { numRuns: 1_000 },
    );
  });
});
