/** Trees in memory, for tests of what is proved about trees. */
import { openEdge } from '../../platform/proof/merkle.ts';
import type { TileAt } from '../../platform/proof/tiles.ts';

/** Every tile of the tree with these leaf hashes. */
export function growTiles(leaves: readonly Buffer[]): { readonly tileAt: TileAt } {
  const edge = openEdge();
  const levels: Buffer[][] = [];
  for (const leaf of leaves) {
    edge.push(leaf, (height, hash) => {
      if (height % 8 !== 0) return;
      levels[height / 8] ??= [];
      levels[height / 8]?.push(hash);
    });
  }
  return {
    tileAt: ({ level, at }) => {
      const part = levels[level]?.slice(at * 256, (at + 1) * 256) ?? [];
      return part.length === 0 ? undefined : Buffer.concat(part);
    },
  };
}
