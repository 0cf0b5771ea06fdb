/** Trees, keys and exports in memory, for tests of what is proved about logs. */
import { chainAfter, chainStart, signCheckpoint } from '../../platform/proof/checkpoint.ts';
import { exportLines } from '../../platform/proof/export-format.ts';
import { leafOf } from '../../platform/proof/leaf.ts';
import { hashLeaf, openEdge } from '../../platform/proof/merkle.ts';
import type { Signer } from '../../platform/proof/note.ts';
import type { TileAt } from '../../platform/proof/tiles.ts';
import { type StreamOptions, verifyStream } from '../../platform/proof/verify-stream.ts';

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

/** Leaves as events would make them, the same for the same numbers. */
export const leavesOf = (count: number, change: (n: number) => object = n => ({ n })): string[] =>
  Array.from({ length: count }, (_, n) =>
    leafOf({
      position: BigInt(n * 100 + 7),
      stream: `apps.build-${n % 9}`,
      revision: BigInt(Math.floor(n / 9)),
      id: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
      type: 'Tested',
      isJson: true,
      data: change(n) as never,
      metadata: { actor: 'ann', '"position":"9"': ',"position":"8"' },
      created: '2026-01-02T03:04:05.678Z',
    }),
  );

export type ExportOptions = {
  readonly signer: Signer;
  /** Sizes that checkpoints are published of; the last one always is. */
  readonly every?: number;
  readonly from?: number;
  /** Of the leaves that the tree has kept; by default what is exported. */
  readonly kept?: readonly string[];
  readonly changes?: readonly string[];
  /** Signs from this size on. */
  readonly next?: { readonly signer: Signer; readonly from: number };
};

export type Sample = { readonly lines: string[]; readonly checkpoints: ReturnType<typeof signCheckpoint>[] };

/** An export of these leaves, as one would come from the server. */
export function exportOf(leaves: readonly string[], options: ExportOptions): Sample {
  const { signer, every = 100, from = 0, kept = leaves, changes = [], next } = options;
  const edge = openEdge();
  let chain: Buffer = chainStart;
  const hashes = kept.map(leaf => hashLeaf(Buffer.from(leaf)));
  const checkpoints: ReturnType<typeof signCheckpoint>[] = [];
  const origin = signer.name;
  const head = () => {
    const { size } = edge;
    const position = BigInt((size - 1) * 100 + 7);
    const by = next !== undefined && size >= next.from ? next.signer : signer;
    return signCheckpoint(
      { origin, size, root: edge.root(), position, chain, time: '2026-01-02T03:04:05.678Z' },
      by,
    );
  };
  const lines = [exportLines.title(), exportLines.origin(origin)];
  const grow = (n: number) => {
    edge.push(hashes[n] as Buffer);
    chain = chainAfter(chain, hashes[n] as Buffer);
  };
  for (let n = 0; n < from; n += 1) grow(n);
  lines.push(
    exportLines.from(from, chain),
    ...edge.peaks.map(exportLines.peak),
    exportLines.key(signer.vkey),
  );
  lines.push(...changes.map(exportLines.change));
  let first = from;
  for (let n = from; n < kept.length; n += 1) {
    grow(n);
    if (leaves[n] !== undefined) lines.push(`${leaves[n]}\n`);
    if (edge.size % every === 0 || edge.size === kept.length) {
      const made = head();
      checkpoints.push(made);
      lines.push(exportLines.checkpoint(made.note));
    }
    if ((n + 1) % 256 !== 0 && n + 1 !== kept.length) continue;
    lines.push(exportLines.tile(first, Buffer.concat(hashes.slice(first, n + 1))));
    first = n + 1;
  }
  lines.push(exportLines.end(edge.size));
  return { lines, checkpoints };
}

/** Verifies the text in parts of this many bytes. */
export function verifyText(text: string, options: StreamOptions, partBytes = 1_000_000) {
  const bytes = Buffer.from(text);
  async function* parts() {
    for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
  }
  return verifyStream(parts(), { threads: 0, ...options });
}
