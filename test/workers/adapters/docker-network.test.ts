import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoutes } from '../../../workers/adapters/docker-network.ts';
import { rangeOf } from '../../../workers/adapters/subnets.ts';

const line = (iface: string, destination: string, mask: string) =>
  [iface, destination, '00000000', '0001', '0', '0', '0', mask, '0', '0', '0'].join('\t');

test('the kernel’s routes are read, and those that are as wide as the world are not', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    line('eth0', '00000000', '00000000'),
    line('tun0', '0000000A', '000000FF'),
    line('docker0', '000011AC', '0000FFFF'),
    line('eth0', '0002A8C0', '00FFFFFF'),
    line('tun0', '0503000A', 'FFFFFFFF'),
    '',
  ].join('\n');
  assert.deepEqual(
    parseRoutes(text),
    ['172.17.0.0/16', '192.168.2.0/24', '10.0.3.5/32'].map(cidr => rangeOf(cidr)),
  );
});
