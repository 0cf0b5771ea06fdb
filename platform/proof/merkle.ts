/**
 * The Merkle tree of RFC 9162 (and RFC 6962) over SHA-256: hashes of leaves and nodes, the growing edge of a tree, and the two
 * proofs. A node is named by its height and its place in that height: it covers the leaves from `at * 2**height` on, and only
 * nodes whose leaves are all there are ever asked for.
 */
import { hash } from 'node:crypto';

export const hashBytes = 32;
const leafPrefix = 0x00;
const nodePrefix = 0x01;

/** Hash of the node at this height and place; the leaf hashes are at height 0. */
export type HashAt = (height: number, at: number) => Buffer;

/** Of the tree without leaves. */
const emptyRoot = hash('sha256', '', 'buffer');

export function hashLeaf(leaf: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(leaf.length + 1);
  input[0] = leafPrefix;
  input.set(leaf, 1);
  return hash('sha256', input, 'buffer');
}

const nodeInput = Buffer.alloc(1 + 2 * hashBytes);
nodeInput[0] = nodePrefix;

export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  return hash('sha256', nodeInput, 'buffer');
}

/** The roots of the largest whole subtrees from left to right, each with its height: all a tree needs to grow. */
type Peak = { readonly height: number; readonly hash: Buffer };

export type Edge = {
  readonly size: number;
  readonly peaks: readonly Buffer[];
  /** Adds a leaf by its hash. `onNode` is told each node that is whole now, the leaf first. */
  push(leafHash: Buffer, onNode?: (height: number, hash: Buffer) => void): void;
  root(): Buffer;
};

/**
 * A tree of `size` leaves by its peaks, as many as `size` has ones in binary. Throws a RangeError for another number of them.
 */
export function openEdge(size = 0, peaks: readonly Buffer[] = []): Edge {
  const heights = peakHeights(size);
  if (heights.length !== peaks.length)
    throw new RangeError(`${size} leaves have ${heights.length} peaks, not ${peaks.length}`);
  const stack: Peak[] = heights.map((height, at) => ({ height, hash: peaks[at] as Buffer }));
  let count = size;
  return {
    get size() {
      return count;
    },
    get peaks() {
      return stack.map(peak => peak.hash);
    },
    push(leafHash, onNode) {
      let height = 0;
      let merged = leafHash;
      onNode?.(height, merged);
      for (let last = stack.at(-1); last?.height === height; last = stack.at(-1)) {
        stack.pop();
        merged = hashNode(last.hash, merged);
        height += 1;
        onNode?.(height, merged);
      }
      stack.push({ height, hash: merged });
      count += 1;
    },
    root: () => rootOfPeaks(stack.map(peak => peak.hash)),
  };
}

/** Heights of the peaks of a tree of this size, from left to right. */
export function peakHeights(size: number): readonly number[] {
  const heights: number[] = [];
  let rest = size;
  for (let height = 0; rest > 0; height += 1) {
    if (rest % 2 === 1) heights.unshift(height);
    rest = Math.floor(rest / 2);
  }
  return heights;
}

function rootOfPeaks(peaks: readonly Buffer[]): Buffer {
  const last = peaks.at(-1);
  if (last === undefined) return emptyRoot;
  return peaks.slice(0, -1).reduceRight((right, left) => hashNode(left, right), last);
}

/** The peaks of the tree at this size, for whoever goes on from there. */
export function peaksAt(size: number, hashAt: HashAt): readonly Buffer[] {
  let from = 0;
  return peakHeights(size).map(height => {
    const found = hashAt(height, from / 2 ** height);
    from += 2 ** height;
    return found;
  });
}

export function rootAt(size: number, hashAt: HashAt): Buffer {
  return rootOfPeaks(peaksAt(size, hashAt));
}

/** Root of the leaves from `from` to before `to`, where `from` is where a subtree of at least that size begins. */
function rangeRoot(from: number, to: number, hashAt: HashAt): Buffer {
  let start = from;
  const peaks = peakHeights(to - from).map(height => {
    const found = hashAt(height, start / 2 ** height);
    start += 2 ** height;
    return found;
  });
  return rootOfPeaks(peaks);
}

/** RFC 9162 2.1.3.1: the hashes that lead from the leaf at `index` to the root of the first `size` leaves. */
export function inclusionProof(index: number, size: number, hashAt: HashAt): readonly Buffer[] {
  if (!(index >= 0 && index < size)) throw new RangeError(`there is no leaf ${index} among ${size}`);
  const path: Buffer[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      path.unshift(rangeRoot(middle, to, hashAt));
      to = middle;
    } else {
      path.unshift(rangeRoot(from, middle, hashAt));
      from = middle;
    }
  }
  return path;
}

/** RFC 9162 2.1.4.1: the hashes that show the first `first` of `second` leaves to be the tree that they were. */
export function consistencyProof(first: number, second: number, hashAt: HashAt): readonly Buffer[] {
  if (!(first >= 0 && first <= second)) throw new RangeError(`${first} leaves are no beginning of ${second}`);
  if (first === 0 || first === second) return [];
  const path: Buffer[] = [];
  let [from, to] = [0, second];
  let isWhole = true;
  while (first !== to) {
    const middle = from + splitOf(to - from);
    if (first <= middle) {
      path.unshift(rangeRoot(middle, to, hashAt));
      to = middle;
    } else {
      path.unshift(rangeRoot(from, middle, hashAt));
      from = middle;
      isWhole = false;
    }
  }
  return isWhole ? path : [rangeRoot(from, to, hashAt), ...path];
}

/** The largest power of two below `count`, which is more than 1. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

const isOdd = (value: number) => value % 2 === 1;
const half = (value: number) => Math.floor(value / 2);

/** RFC 9162 2.1.3.2. False for whatever does not prove it, of any shape. */
export function provesInclusion(
  proof: readonly Uint8Array[],
  { leafHash, index, size, root }: { leafHash: Uint8Array; index: number; size: number; root: Uint8Array },
): boolean {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let [node, last] = [index, size - 1];
  let found: Uint8Array = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      found = hashNode(sibling, found);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else found = hashNode(found, sibling);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(found, root);
}

type Head = { readonly size: number; readonly root: Uint8Array };

/** RFC 9162 2.1.4.2. A tree without leaves is the beginning of every tree. */
export function provesConsistency(proof: readonly Uint8Array[], first: Head, second: Head): boolean {
  const sizes = [first.size, second.size];
  if (!sizes.every(size => Number.isSafeInteger(size) && size >= 0) || first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && equal(first.root, second.root);
  if (first.size === 0) return proof.length === 0 && equal(first.root, emptyRoot);
  const path = isPowerOfTwo(first.size) ? [first.root, ...proof] : proof;
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let [node, last] = [first.size - 1, second.size - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  let [older, newer] = [start, start];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      older = hashNode(sibling, older);
      newer = hashNode(sibling, newer);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else newer = hashNode(newer, sibling);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(older, first.root) && equal(newer, second.root);
}

function isPowerOfTwo(value: number): boolean {
  let rest = value;
  while (rest > 1 && !isOdd(rest)) rest = half(rest);
  return rest === 1;
}

export const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
