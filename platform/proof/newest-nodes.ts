/**
 * The nodes of the tree over its newest leaves, in memory: those of the open tile of level 0 and of the one before it, as they
 * came, and all that the open tiles of the other levels tell. Enough to prove what was added a moment ago.
 */
import { type HashAt, hashNode } from './merkle.ts';
import { tileHeight, tileWidth } from './tiles.ts';

export type NewestNodes = {
  /** A node that is whole now. */
  note(height: number, at: number, hash: Buffer): void;
  /** Which leaf the event at this position is. */
  place(position: bigint, leaf: number): void;
  /** A tile of level 0 is full: what came before it is let go. */
  turn(): void;
  leafOf(position: bigint): number | undefined;
  /** Throws a RangeError for one that is not in memory any more. */
  readonly hashAt: HashAt;
};

const heightsMax = 64;
const keyOf = (height: number, at: number) => at * heightsMax + height;

/** `openTile` answers the hashes of the open tile of a level, and `size` how many leaves there are. */
export function openNewestNodes(
  openTile: (level: number) => readonly Buffer[] | undefined,
  size: () => number,
): NewestNodes {
  let [nodes, nodesBefore] = [new Map<number, Buffer>(), new Map<number, Buffer>()];
  let [places, placesBefore] = [new Map<bigint, number>(), new Map<bigint, number>()];

  const inOpenTile: HashAt = (height, at) => {
    const level = height / tileHeight;
    const before = Math.floor(size() / tileWidth ** (level + 1)) * tileWidth;
    const hash = at < before ? undefined : openTile(level)?.[at - before];
    if (hash === undefined) throw new RangeError(`node ${at} of height ${height} is not in memory`);
    return hash;
  };
  const hashAt: HashAt = (height, at) => {
    const key = keyOf(height, at);
    const known = nodes.get(key) ?? nodesBefore.get(key);
    if (known !== undefined) return known;
    if (height % tileHeight === 0) return inOpenTile(height, at);
    const hash = hashNode(hashAt(height - 1, 2 * at), hashAt(height - 1, 2 * at + 1));
    nodes.set(key, hash);
    return hash;
  };

  return {
    note: (height, at, hash) => void nodes.set(keyOf(height, at), hash),
    place: (position, leaf) => void places.set(position, leaf),
    turn() {
      [nodes, nodesBefore] = [new Map(), nodes];
      [places, placesBefore] = [new Map(), places];
    },
    leafOf: position => places.get(position) ?? placesBefore.get(position),
    hashAt,
  };
}
