/** Cutting small networks out of a range of IPv4 addresses, around those that are taken. */
import { createHash } from 'node:crypto';

/** Eight addresses: the network, the gateway, five containers, and the broadcast. */
const slotBits = 29;
const slotSize = 2 ** (32 - slotBits);

export type Range = { readonly first: number; readonly last: number };

/** Undefined: not IPv4 in the form `10.0.0.0/8`. */
export function rangeOf(cidr: string): Range | undefined {
  const [, address = '', bits = ''] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr) ?? [];
  if (address === '' || Number(bits) > 32) return undefined;
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(numberOf(address) / size) * size;
  return { first, last: first + size - 1 };
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(number / 2 ** shift) % 256).join('.');
}

/**
 * The subnets of a range that are free, beginning somewhere that depends on the name: those who choose at the same time seldom
 * choose the same. The caller tries one after the other.
 */
export function* freeSubnets(range: string, taken: readonly Range[], name: string): Iterable<string> {
  const within = rangeOf(range);
  if (within === undefined) throw new Error(`not a range of addresses: ${range}`);
  const slots = Math.floor((within.last - within.first + 1) / slotSize);
  const start = createHash('sha256').update(name).digest().readUInt32BE() % slots;
  const sorted = [...taken].sort((a, b) => a.first - b.first);
  for (let step = 0; step < slots; step += 1) {
    const first = within.first + ((start + step) % slots) * slotSize;
    const last = first + slotSize - 1;
    if (!sorted.some(other => other.first <= last && other.last >= first))
      yield `${textOf(first)}/${slotBits}`;
  }
}
