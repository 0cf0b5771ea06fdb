/** The tree against the vectors that implementations of RFC 6962 share, against its definition, and against what is no proof. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  consistencyProof,
  hashLeaf,
  inclusionProof,
  openEdge,
  peaksAt,
  provesConsistency,
  provesInclusion,
  rootAt,
} from '../../../platform/proof/merkle.ts';
import { edgeWidths, hashesOf, pathOfTile, tileOfPath, tilesAsked } from '../../../platform/proof/tiles.ts';
import { growTiles } from '../../support/proof.ts';

const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const leaves = inputs.map(input => hashLeaf(Buffer.from(input, 'hex')));
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const node = {
  left2: '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  leaf1: '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  right4: '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  leaf4: 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  pair3: 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
  pair2: '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
};
const hex = (hashes: readonly Uint8Array[]) => hashes.map(one => Buffer.from(one).toString('hex'));
const text = (n: number) => roots[n] as string;

suite('the vectors of RFC 6962', () => {
  const hashAt = hashesOf(growTiles(leaves).tileAt);

  test('roots of 0 to 8 leaves', () => {
    for (const [size, root] of roots.entries()) {
      assert.equal(rootAt(size, hashAt).toString('hex'), root);
      const edge = openEdge();
      for (const leaf of leaves.slice(0, size)) edge.push(leaf);
      assert.equal(edge.root().toString('hex'), root);
    }
  });

  const inclusions: readonly [number, number, readonly string[]][] = [
    [0, 1, []],
    [0, 8, [node.leaf1, node.left2, node.right4]],
    [5, 8, [node.leaf4, node.pair3, text(4)]],
    [2, 3, [text(2)]],
    [1, 5, [text(1), node.left2, node.leaf4]],
  ];
  for (const [index, size, path] of inclusions) {
    test(`leaf ${index} of ${size}`, () => {
      const proof = inclusionProof(index, size, hashAt);
      assert.deepEqual(hex(proof), path);
      const root = Buffer.from(text(size), 'hex');
      assert.ok(provesInclusion(proof, { leafHash: leaves[index] as Buffer, index, size, root }));
    });
  }

  const consistencies: readonly [number, number, readonly string[]][] = [
    [1, 1, []],
    [1, 8, [node.leaf1, node.left2, node.right4]],
    [6, 8, [node.pair2, node.pair3, text(4)]],
    [2, 5, [node.left2, node.leaf4]],
    [0, 5, []],
  ];
  for (const [first, second, path] of consistencies) {
    test(`${first} leaves and ${second}`, () => {
      const proof = consistencyProof(first, second, hashAt);
      assert.deepEqual(hex(proof), path);
      assert.ok(provesConsistency(proof, head(first), head(second)));
    });
  }

  const head = (size: number) => ({ size, root: Buffer.from(text(size), 'hex') });
});

/** The definition of RFC 9162 2.1.1, word for word. */
function mth(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return createHash('sha256').digest();
  if (hashes.length === 1) return hashes[0] as Buffer;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return createHash('sha256')
    .update('\u0001')
    .update(mth(hashes.slice(0, k)))
    .update(mth(hashes.slice(k)))
    .digest();
}

suite('any tree', () => {
  const many = Array.from({ length: 1_300 }, (_, n) => hashLeaf(Buffer.from(`leaf ${n}`)));
  const tiles = growTiles(many);
  const hashAt = hashesOf(tiles.tileAt);
  const sizes = fc.integer({ min: 0, max: many.length });

  test('has the root of the definition, whether it grew or is read from tiles, and goes on from its peaks', () => {
    fc.assert(
      fc.property(sizes, sizes, (one, other) => {
        const [small, large] = one < other ? [one, other] : [other, one];
        const wanted = mth(many.slice(0, large));
        assert.deepEqual(rootAt(large, hashAt), wanted);
        const edge = openEdge(small, peaksAt(small, hashAt));
        for (const leaf of many.slice(small, large)) edge.push(leaf);
        assert.deepEqual(edge.root(), wanted);
      }),
      { numRuns: 40 },
    );
  });

  test('proves each of its leaves, and nothing else by the same proof', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: many.length }), fc.nat(), fc.nat(), (size, pick, wrong) => {
        const index = pick % size;
        const root = mth(many.slice(0, size));
        const leafHash = many[index] as Buffer;
        const proof = inclusionProof(index, size, hashAt);
        assert.ok(provesInclusion(proof, { leafHash, index, size, root }));
        const other = wrong % size;
        if (other !== index) assert.ok(!provesInclusion(proof, { leafHash, index: other, size, root }));
        assert.ok(!provesInclusion(proof, { leafHash: hashLeaf(Buffer.from('x')), index, size, root }));
        assert.ok(!provesInclusion([...proof, leafHash], { leafHash, index, size, root }));
        if (proof.length > 0) {
          assert.ok(!provesInclusion(proof.slice(1), { leafHash, index, size, root }));
          const flipped = proof.map(Buffer.from);
          const at = wrong % flipped.length;
          (flipped[at] as Buffer)[wrong % 32] = ((flipped[at] as Buffer)[wrong % 32] as number) ^ 1;
          assert.ok(!provesInclusion(flipped, { leafHash, index, size, root }));
        }
      }),
      { numRuns: 150 },
    );
  });

  test('proves each earlier self, and no other tree by the same proof', () => {
    fc.assert(
      fc.property(sizes, sizes, fc.nat(), (one, other, wrong) => {
        const [small, large] = one < other ? [one, other] : [other, one];
        const first = { size: small, root: mth(many.slice(0, small)) };
        const second = { size: large, root: mth(many.slice(0, large)) };
        const proof = consistencyProof(small, large, hashAt);
        assert.ok(provesConsistency(proof, first, second));
        assert.ok(!provesConsistency([...proof, first.root], first, second));
        if (small > 0) {
          const altered = many.slice(0, small);
          altered[wrong % small] = hashLeaf(Buffer.from('x'));
          assert.ok(!provesConsistency(proof, { size: small, root: mth(altered) }, second));
        }
        if (proof.length > 0) assert.ok(!provesConsistency(proof.slice(1), first, second));
        if (small < large) assert.ok(!provesConsistency(proof, second, first));
      }),
      { numRuns: 150 },
    );
  });

  test('asks for few tiles, all of which are named before', () => {
    for (const size of [1, 255, 256, 257, 1_300]) {
      const ask = (from: typeof hashAt) => inclusionProof(Math.floor(size / 2), size, from);
      const wanted = new Map(
        tilesAsked(ask).map(place => [`${place.level}/${place.at}`, tiles.tileAt(place)]),
      );
      assert.ok(wanted.size <= 4, `${wanted.size}`);
      const fetched = hashesOf(place => wanted.get(`${place.level}/${place.at}`));
      assert.deepEqual(ask(fetched), ask(hashAt));
    }
  });

  test('is refused what it does not hold', () => {
    assert.throws(() => inclusionProof(5, 5, hashAt), RangeError);
    assert.throws(() => consistencyProof(6, 5, hashAt), RangeError);
    assert.throws(() => rootAt(1_301, hashAt), RangeError);
    assert.throws(() => openEdge(3, []), RangeError);
    assert.ok(
      !provesInclusion([], { leafHash: many[0] as Buffer, index: -1, size: 1, root: many[0] as Buffer }),
    );
    assert.ok(
      !provesInclusion([], { leafHash: many[0] as Buffer, index: 0.5, size: 1, root: many[0] as Buffer }),
    );
  });
});

suite('tiles', () => {
  test('are named as tlog-tiles names them', () => {
    assert.equal(pathOfTile({ level: 0, at: 1_234_067 }, 256), 'tile/0/x001/x234/067');
    assert.equal(pathOfTile({ level: 2, at: 0 }, 17), 'tile/2/000.p/17');
    assert.deepEqual(edgeWidths(70_000), [112, 17, 1]);
    assert.deepEqual(edgeWidths(256), [0, 1]);
    for (const place of [
      { level: 0, at: 0, width: 1 },
      { level: 3, at: 999, width: 256 },
      { level: 0, at: 1_000, width: 255 },
      { level: 0, at: 1_234_067, width: 256 },
    ])
      assert.deepEqual(tileOfPath(pathOfTile(place, place.width).slice('tile/'.length)), place);
    for (const path of [
      '0/1',
      '0/x000/001',
      '0/000.p/0',
      '0/000.p/256',
      '0/000.p/300',
      '00/000',
      '9/000',
      '0/../000',
    ])
      assert.equal(tileOfPath(path), undefined, path);
  });
});
