/**
 * The tree as it grows, in memory: its edge, the open tile of each level and the head of the hash chain. What has changed since
 * it was last asked is handed out, to be stored. Never holds more than an open tile a level and what is not stored yet.
 */
import { chainAfter, chainStart } from './checkpoint.ts';
import { type Edge, inclusionProof, openEdge, peaksAt } from './merkle.ts';
import { openNewestNodes } from './newest-nodes.ts';
import { edgeWidths, hashesOf, tileHeight, tileWidth } from './tiles.ts';

type Grown = { readonly position: bigint; readonly id: string; readonly hash: Buffer };

/** A tile of level 0 is only handed out once it is full; others also while they are open. */
type GrownTile = { readonly level: number; readonly at: number; readonly hashes: Buffer };

export type Changes = {
  readonly from: number;
  readonly size: number;
  readonly leaves: readonly Grown[];
  readonly tiles: readonly GrownTile[];
};

export type TreeBuilder = {
  readonly size: number;
  readonly chain: Buffer;
  readonly position: bigint | null;
  root(): Buffer;
  push(leaf: Grown): void;
  /** What was added since the last call. */
  take(): Changes;
  /** Of a leaf that was pushed lately, in the tree of the first `size` leaves; undefined of one that is not in memory. */
  prove(
    position: bigint,
    size: number,
  ): { readonly index: number; readonly leafHash: Buffer; readonly proof: readonly Buffer[] } | undefined;
};

export type StoredTree = {
  readonly size: number;
  readonly chain: Buffer;
  readonly position: bigint | null;
  /** The open tile of each level, from level 0 on; empty where the level has none. */
  readonly open: readonly Buffer[];
};

export const emptyTree: StoredTree = { size: 0, chain: chainStart, position: null, open: [] };

/** Goes on from what is stored. Throws a RangeError when that does not fit together. */
export function openTreeBuilder(stored: StoredTree): TreeBuilder {
  const levels = stored.open.map(tile => splitHashes(tile));
  for (const [level, width] of edgeWidths(stored.size).entries()) {
    if ((levels[level]?.length ?? 0) !== width)
      throw new RangeError(
        `the open tile of level ${level} has not the ${width} hashes of ${stored.size} leaves`,
      );
  }
  const edge = edgeOf(stored);
  let { chain, position } = stored;
  let from = stored.size;
  let leaves: Grown[] = [];
  let full: GrownTile[] = [];
  const changed = new Set<number>();
  const newest = openNewestNodes(
    level => levels[level],
    () => edge.size,
  );
  for (const [n, hash] of (levels[0] ?? []).entries())
    newest.note(0, Math.floor(stored.size / tileWidth) * tileWidth + n, hash);

  const onNode = (height: number, hash: Buffer) => {
    newest.note(height, Math.floor((edge.size + 1) / 2 ** height) - 1, hash);
    if (height % tileHeight !== 0) return;
    const level = height / tileHeight;
    const open = levels[level] ?? [];
    levels[level] = open;
    open.push(hash);
    changed.add(level);
    if (open.length < tileWidth) return;
    const at = Math.floor((edge.size + 1) / tileWidth ** (level + 1)) - 1;
    full.push({ level, at, hashes: Buffer.concat(open) });
    if (level === 0) newest.turn();
    levels[level] = [];
    changed.delete(level);
  };

  return {
    get size() {
      return edge.size;
    },
    get chain() {
      return chain;
    },
    get position() {
      return position;
    },
    root: () => edge.root(),
    push(leaf) {
      edge.push(leaf.hash, onNode);
      chain = chainAfter(chain, leaf.hash);
      position = leaf.position;
      leaves.push(leaf);
      newest.place(leaf.position, edge.size - 1);
    },
    prove(position, size) {
      const index = newest.leafOf(position);
      if (index === undefined || index >= size) return undefined;
      const { hashAt } = newest;
      try {
        return { index, leafHash: hashAt(0, index), proof: inclusionProof(index, size, hashAt) };
      } catch (error) {
        if (error instanceof RangeError) return undefined;
        throw error;
      }
    },
    take() {
      const open = [...changed].flatMap(level => {
        const hashes = levels[level] ?? [];
        const at = Math.floor(edge.size / tileWidth ** (level + 1));
        return level === 0 || hashes.length === 0 ? [] : [{ level, at, hashes: Buffer.concat(hashes) }];
      });
      const changes = { from, size: edge.size, leaves, tiles: [...full, ...open] };
      from = edge.size;
      leaves = [];
      full = [];
      changed.clear();
      return changes;
    },
  };
}

/** The peaks lie in the open tiles: a whole one is a hash of the level above. */
function edgeOf({ size, open }: StoredTree): Edge {
  const tileAt = ({ level }: { level: number }) => {
    const tile = open[level];
    if (tile === undefined) return undefined;
    // As if the hashes before the open tile were there: only those in it are ever asked for.
    return tile;
  };
  return openEdge(size, peaksAt(size, hashesOf(tileAt)));
}

function splitHashes(tile: Buffer): Buffer[] {
  return Array.from({ length: tile.length / 32 }, (_, n) => tile.subarray(n * 32, (n + 1) * 32));
}
