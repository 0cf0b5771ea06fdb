/** Where a request came from: the nearest address on its way that is not one of our own proxies. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

const hopsMax = 32;

/** Whether an address is one of these, or in one of these networks (CIDR, RFC 4632). */
export function trusts(proxies: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return address => {
    const plain = plainOf(address);
    return isIP(plain) !== 0 && list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
  };
}

/** This machine's own. */
export function isLoopback(address: string): boolean {
  const plain = plainOf(address);
  return plain === '::1' || plain.startsWith('127.');
}

/** An IPv4 address that came in through a socket of both families is shown as what it is. */
const plainOf = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '');

/** Reads `X-Forwarded-For` from its end for as long as what is read is trusted. */
export function clientAddress(proxies: readonly string[]): (request: IncomingMessage) => string {
  const isTrusted = trusts(proxies);
  return ({ headers, socket }) => {
    let address = plainOf(socket.remoteAddress ?? '');
    const given = headers['x-forwarded-for'];
    if (given === undefined) return address;
    const said = [given].flat().join(',').split(',');
    for (const hop of said.reverse().slice(0, hopsMax)) {
      const next = plainOf(hop.trim());
      if (!isTrusted(address) || isIP(next) === 0) break;
      address = next;
    }
    return address;
  };
}
