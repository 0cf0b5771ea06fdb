/** Proofs out of the memory of whoever keeps the tree: the same as those of the whole tree, or none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HashAt, hashLeaf, hashNode, inclusionProof } from '../../../platform/proof/merkle.ts';
import { edgeWidths, tileHeight, tileWidth } from '../../../platform/proof/tiles.ts';
import { openTreeBuilder, type StoredTree } from '../../../platform/proof/tree-builder.ts';

const leafCount = tileWidth ** 2 + 3 * tileWidth;
const rows: Buffer[][] = [Array.from({ length: leafCount }, (_, n) => hashLeaf(Buffer.from(`leaf ${n}`)))];
for (let row = rows[0] as Buffer[]; row.length > 1; rows.push(row)) {
  row = Array.from({ length: row.length >> 1 }, (_, n) =>
    hashNode(row[2 * n] as Buffer, row[2 * n + 1] as Buffer),
  );
}
/** Of the whole tree, with nothing left out. */
const nodeAt: HashAt = (height, at) => rows[height]?.[at] as Buffer;

const positionOf = (leaf: number) => BigInt(leaf * 3 + 1);
const storedAt = (size: number): StoredTree => ({
  size,
  chain: Buffer.alloc(32),
  position: size === 0 ? null : positionOf(size - 1),
  open: edgeWidths(size).map((width, level) => {
    const whole = Math.floor(size / tileWidth ** level);
    return Buffer.concat(
      Array.from({ length: width }, (_, n) => nodeAt(level * tileHeight, whole - width + n)),
    );
  }),
});

function grown(from: number, to: number) {
  const builder = openTreeBuilder(storedAt(from));
  for (let leaf = from; leaf < to; leaf += 1)
    builder.push({ position: positionOf(leaf), id: `${leaf}`, hash: nodeAt(0, leaf) });
  return builder;
}

test('what was pushed lately is proved as the whole tree would, at each size since', () => {
  const borders = [0, tileWidth, 2 * tileWidth, tileWidth ** 2];
  const near = fc.tuple(fc.constantFrom(...borders), fc.integer({ min: -40, max: 300 }));
  fc.assert(
    fc.property(near, fc.integer({ min: 1, max: 600 }), fc.nat(), fc.nat(), ([border, off], more, a, b) => {
      const from = Math.max(0, border + off);
      const to = Math.min(leafCount, from + more);
      const builder = grown(from, to);
      const leaf = from + (a % (to - from));
      const size = leaf + 1 + (b % (to - leaf));
      const proved = builder.prove(positionOf(leaf), size);
      const newestFull = Math.floor(to / tileWidth) * tileWidth;
      // Those of the open tile, and of the one before it, as far as they came since the builder was opened.
      if (leaf < newestFull - tileWidth) return proved === undefined;
      if (proved === undefined) return to >= tileWidth ** 2 && leaf < tileWidth ** 2;
      assert.deepEqual(proved, {
        index: leaf,
        leafHash: nodeAt(0, leaf),
        proof: inclusionProof(leaf, size, nodeAt),
      });
      return true;
    }),
    { numRuns: 150 },
  );
});

test('what was there before, is not there, or lies behind the size is not proved', () => {
  const builder = grown(300, 400);
  assert.equal(builder.prove(positionOf(299), 400), undefined);
  assert.equal(builder.prove(positionOf(400), 400), undefined);
  assert.equal(builder.prove(positionOf(350) + 1n, 400), undefined);
  assert.equal(builder.prove(positionOf(350), 350), undefined);
  assert.equal(builder.prove(positionOf(350), 351)?.index, 350);
});
