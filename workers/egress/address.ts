/**
 * Which addresses are of the public internet. Whatever leads back to this machine, its neighbours, or the services that clouds
 * have for their machines is not: those trust whoever reaches them.
 */
import net from 'node:net';
import os from 'node:os';

const closed = new net.BlockList();
for (const [address, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  // Azure's metadata and health service has an address that looks like any other.
  ['168.63.129.16', 32],
] as const) {
  closed.addSubnet(address, bits, 'ipv4');
}
/** Within what is global at all: Teredo and others that hold an IPv4 address, and what is kept for documentation. */
for (const [address, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  closed.addSubnet(address, bits, 'ipv6');
}
/** Everything else of IPv6 is local, embeds an IPv4 address (`::ffff:`, `64:ff9b::`), or is not given out. */
const global6 = new net.BlockList();
global6.addSubnet('2000::', 3, 'ipv6');

/** Whether an app may be let through to this address. Not to this machine either, whatever address it has. */
export function isPublic(address: string): boolean {
  const family = net.isIP(address);
  if (family === 4) return !closed.check(address, 'ipv4') && !isOwn(address);
  if (family !== 6 || address.includes('%')) return false;
  return global6.check(address, 'ipv6') && !closed.check(address, 'ipv6') && !isOwn(address);
}

function isOwn(address: string): boolean {
  const family = net.isIP(address) === 4 ? 'ipv4' : 'ipv6';
  const own = new net.BlockList();
  for (const each of Object.values(os.networkInterfaces()).flatMap(one => one ?? [])) {
    own.addAddress(each.address, each.family === 'IPv4' ? 'ipv4' : 'ipv6');
  }
  return own.check(address, family);
}
