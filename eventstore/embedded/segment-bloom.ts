/**
 * Hashes of stream names, and a split-block Bloom filter over them (Putze, Sanders, Singler 2007, in the layout Apache
 * Parquet made common): eight words of one cache line, a bit in each. A new stream asks every segment whether it knows it;
 * that has to cost nanoseconds.
 */

const bitsPerStream = 14;
const wordsPerBlock = 8;
const salts = [
  0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
];

function mix(start: number): number {
  let hash = start;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** 32 well-mixed bits of a name; another seed gives other bits. */
export function hashName(name: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return mix(hash ^ Math.imul(seed, 0x9e3779b1));
}

const bitsSeed = 0x5bd1e995;

/** The second hash of a name, for the bits inside its block. */
export function hashBits(name: string): number {
  return hashName(name, bitsSeed);
}

export function bloomWords(streams: number): number {
  return Math.max(1, Math.ceil((streams * bitsPerStream) / (wordsPerBlock * 32))) * wordsPerBlock;
}

function blockOf(filter: Uint32Array, hash: number): number {
  const blocks = filter.length / wordsPerBlock;
  return Math.floor((hash / 0x100000000) * blocks) * wordsPerBlock;
}

export function bloomAdd(filter: Uint32Array, hash: number, bits: number): void {
  const block = blockOf(filter, hash);
  for (let word = 0; word < wordsPerBlock; word += 1) {
    const bit = Math.imul(bits, salts[word] ?? 0) >>> 27;
    filter[block + word] = (filter[block + word] ?? 0) | (1 << bit);
  }
}

/** False means certainly not; true means most likely. */
export function bloomHas(filter: Uint32Array, hash: number, bits: number): boolean {
  const block = blockOf(filter, hash);
  for (let word = 0; word < wordsPerBlock; word += 1) {
    const bit = Math.imul(bits, salts[word] ?? 0) >>> 27;
    if (((filter[block + word] ?? 0) & (1 << bit)) === 0) return false;
  }
  return true;
}
