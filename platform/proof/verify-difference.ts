/** What can be wrong with an export, and how the leaves of one tile are told from those that were signed. */
import { hashBytes } from './merkle.ts';

/**
 * `changed`, `missing`, `inserted`, `reordered`: one event, at its place. `truncated`: the end is missing. `rewritten`: what
 * was signed between two sizes is another history. `forked`: two histories were shown to two witnesses. `unsigned`: a
 * checkpoint that no trusted key has signed. `malformed`: the file itself.
 */
type DifferenceKind =
  | 'changed'
  | 'missing'
  | 'inserted'
  | 'reordered'
  | 'truncated'
  | 'rewritten'
  | 'forked'
  | 'unsigned'
  | 'malformed';

export type Difference = {
  readonly kind: DifferenceKind;
  /** Of the first leaf that is not as it was; of a stretch, the first that may be. */
  readonly index: number;
  /** Up to which leaf it may lie, where it cannot be told more closely. */
  readonly before: number | null;
  /** Of the event in the log, or of the last one before it. Null where the file does not say. */
  readonly position: bigint | null;
  readonly detail: string;
};

export type Leaves = { readonly hashes: Buffer; readonly positions: readonly bigint[] };

const at = (hashes: Buffer, n: number) => hashes.toString('latin1', n * hashBytes, (n + 1) * hashBytes);
const countOf = (hashes: Buffer) => hashes.length / hashBytes;

/**
 * Compares the leaves that are there with the hashes that were kept; `first` is the index of the first of them, `last` the
 * position of the event before.
 */
export function differencesIn(
  first: number,
  found: Leaves,
  kept: Buffer,
  last: bigint | null,
): readonly Difference[] {
  if (found.hashes.equals(kept)) return [];
  const [foundCount, keptCount] = [countOf(found.hashes), countOf(kept)];
  const foundAt = new Map(Array.from({ length: foundCount }, (_, n) => [at(found.hashes, n), n]));
  const keptAt = new Map(Array.from({ length: keptCount }, (_, n) => [at(kept, n), n]));
  const positionAt = (n: number) => found.positions[n] ?? null;
  /** Of the nearest leaf before that is there. */
  const positionBefore = (n: number): bigint | null => {
    for (let before = n - 1; before >= 0; before -= 1) {
      const there = foundAt.get(at(kept, before));
      if (there !== undefined) return positionAt(there);
    }
    return last;
  };
  const of = (kind: DifferenceKind, n: number, position: bigint | null, detail: string): Difference => ({
    kind,
    index: first + n,
    before: null,
    position,
    detail,
  });
  const isSameSet = foundCount === keptCount && [...keptAt.keys()].every(hash => foundAt.has(hash));
  if (isSameSet) {
    const n = firstDifference(found.hashes, kept);
    const [hash] = [at(found.hashes, n)];
    return [of('reordered', n, positionAt(n), `the leaf ${first + (keptAt.get(hash) ?? n)} stands here`)];
  }
  const gone = [...keptAt].filter(([hash]) => !foundAt.has(hash)).map(([, n]) => n);
  const added = [...foundAt].filter(([hash]) => !keptAt.has(hash)).map(([, n]) => n);
  // Where one went and another came at the same place, it was changed.
  const changed = gone.filter((n, nth) => foundCount === keptCount && added[nth] === n);
  if (gone.length + added.length === 0) {
    // One of them stands here once more.
    const n = firstDifference(found.hashes, kept);
    return [of('inserted', n, positionAt(n), 'it is there more often than it was signed')];
  }
  return [
    ...changed.map(n => of('changed', n, positionAt(n), 'its bytes are not those that were signed')),
    ...gone
      .filter(n => !changed.includes(n))
      .map(n =>
        of('missing', n, positionBefore(n), 'it is not there; the position is that of the one before'),
      ),
    ...added
      .filter(n => !changed.includes(n))
      .map(n => of('inserted', n, positionAt(n), 'it is not among those that were signed')),
  ];
}

function firstDifference(a: Buffer, b: Buffer): number {
  let n = 0;
  while (n < countOf(a) && at(a, n) === at(b, n)) n += 1;
  return n;
}
