/** Chance that is the same in every run, and words as people use them: few of them often, most of them rarely. */

export type Chance = {
  /** At least 0, below 1. */
  next(): number;
  /** A whole number, at least 0, below `end`. */
  below(end: number): number;
  of<T>(list: readonly T[]): T;
  /** True this often. */
  is(probability: number): boolean;
};

/** mulberry32: good enough to look like chance, and the same everywhere. */
export function openChance(seed: number): Chance {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  return {
    next,
    below,
    of: <T>(list: readonly T[]) => list[below(list.length)] as T,
    is: probability => next() < probability,
  };
}

/** Picks ranks from 0 by Zipf's law: the n-th is picked 1/n times as often as the first. */
export function zipf(chance: Chance, count: number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) {
    sum += 1 / (rank + 1);
    sums[rank] = sum;
  }
  return () => {
    const wanted = chance.next() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const onsets = ['b', 'c', 'd', 'f', 'g', 'h', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'st', 'tr', 'pl'];
const vowels = ['a', 'e', 'i', 'o', 'u', 'ai', 'ea', 'ou'];
const codas = ['', '', '', 'n', 'r', 's', 'l', 't', 'x'];

/** Distinct words that can be spoken; the more frequent, the shorter. */
export function words(count: number): readonly string[] {
  const chance = openChance(7);
  const made = new Set<string>();
  while (made.size < count) {
    const syllables = made.size < 500 ? 1 + chance.below(2) : 2 + chance.below(3);
    let word = '';
    for (let n = 0; n < syllables; n += 1) word += chance.of(onsets) + chance.of(vowels) + chance.of(codas);
    if (word.length > 2) made.add(word);
  }
  return [...made];
}
