import assert from 'node:assert/strict';
import os from 'node:os';
import { suite, test } from 'node:test';
import { isPublic } from '../../../workers/egress/address.ts';

suite('an address is let through', () => {
  const open = [
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.0.1',
    '172.32.0.1',
    '223.255.255.255',
  ];
  for (const address of [...open, '2606:4700:4700::1111', '2a00:1450:4001::1', '2001:4860:4860::8888']) {
    test(address, () => assert.equal(isPublic(address), true));
  }
});

suite('an address is closed', () => {
  const closed = {
    'nobody’s': ['0.0.0.0', '0.1.2.3', '::', '240.0.0.1', '255.255.255.255', '4000::1'],
    'of this machine': ['127.0.0.1', '127.9.9.9', '::1'],
    private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1', 'fc00::1', 'fec0::1'],
    'of the link, where clouds have their metadata': [
      '169.254.169.254',
      '169.254.170.2',
      'fe80::1',
      'fd00:ec2::254',
    ],
    'of clouds by another name': ['168.63.129.16', '100.100.100.200', '192.0.0.192'],
    'shared by a provider’s customers': ['100.64.0.1', '100.127.255.255'],
    'for examples and tests': [
      '192.0.2.1',
      '198.51.100.1',
      '203.0.113.9',
      '198.18.0.1',
      '2001:db8::1',
      '3fff::1',
    ],
    'of many at once': ['224.0.0.1', '239.1.1.1', 'ff02::1'],
    'IPv4 within IPv6': [
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '::ffff:a9fe:a9fe',
      '::127.0.0.1',
      '64:ff9b::a00:1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2001:0:7f00:1::',
    ],
    'no address': [
      '',
      'localhost',
      '1.2.3',
      '0x7f.1',
      '2130706433',
      '010.0.0.1',
      'fe80::1%eth0',
      '2606:4700::1%eth0',
    ],
  };
  for (const [kind, addresses] of Object.entries(closed)) {
    for (const address of addresses) {
      test(`${address} is ${kind}`, () => assert.equal(isPublic(address), false));
    }
  }

  test('that this machine has itself, public or not', t => {
    const own = { address: '8.8.4.4', family: 'IPv4' } as os.NetworkInterfaceInfo;
    const own6 = { address: '2a00::7', family: 'IPv6' } as os.NetworkInterfaceInfo;
    t.mock.method(os, 'networkInterfaces', () => ({ eth0: [own, own6] }));
    assert.deepEqual(['8.8.4.4', '2a00::7', '2a00:0::7', '8.8.8.8'].map(isPublic), [
      false,
      false,
      false,
      true,
    ]);
  });
});
