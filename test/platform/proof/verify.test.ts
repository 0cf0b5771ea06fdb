/** Exports that were tampered with: each change is found, named and located. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { exportLines } from '../../../platform/proof/export-format.ts';
import { signKeyChange } from '../../../platform/proof/key-change.ts';
import { newSigner } from '../../../platform/proof/note.ts';
import { verifyStream } from '../../../platform/proof/verify-stream.ts';
import { exportOf, leavesOf, verifyText } from '../../support/proof.ts';

const signer = newSigner('apphub.example/audit');
const options = { key: signer };
const count = 700;
const leaves = leavesOf(count);
const positionOf = (n: number) => BigInt(n * 100 + 7);
const whole = exportOf(leaves, { signer });
const lineOf = (n: number) => whole.lines.indexOf(`${leaves[n]}\n`);
const verify = (lines: readonly string[], more: object = {}) =>
  verifyText(lines.join(''), { ...options, ...more });
const said = (verified: Awaited<ReturnType<typeof verify>>) =>
  verified.differences.map(({ kind, index, position }) => [kind, index, position]);

suite('an export that is whole', () => {
  test('is sound, in parts of any size, with and without threads', async () => {
    for (const [partBytes, threads] of [
      [1_000_000, 0],
      [777, 0],
      [64_000, 1],
      [64_000, 2],
    ] as const) {
      const verified = await verifyText(whole.lines.join(''), { ...options, threads }, partBytes);
      assert.deepEqual(verified.differences, []);
      const { from, size, checkpoints, signedSize, origin } = verified;
      assert.deepEqual([from, size, checkpoints, signedSize, origin], [0, count, 7, count, signer.name]);
      assert.deepEqual(verified.root, whole.checkpoints.at(-1)?.root);
    }
  });

  test('may begin anywhere', async () => {
    for (const from of [0, 1, 255, 256, 300, 699]) {
      const { differences, size } = await verify(exportOf(leaves, { signer, from }).lines);
      assert.deepEqual([differences, size], [[], count]);
    }
  });

  test('may be signed with several keys, if one vouches for the other', async () => {
    const next = newSigner(signer.name);
    const time = '2026-01-02T03:04:05.678Z';
    const changes = [signKeyChange(signer.name, signer, next, time)];
    const signedByBoth = exportOf(leaves, { signer, next: { signer: next, from: 300 }, changes }).lines;
    for (const key of [signer, next]) {
      const { differences, keys } = await verify(signedByBoth, { key });
      assert.deepEqual([differences, keys.length], [[], 2]);
    }
    const unvouched = await verify(exportOf(leaves, { signer, next: { signer: next, from: 300 } }).lines);
    assert.deepEqual(unvouched.differences[0]?.kind, 'unsigned');
    const stranger = await verify(signedByBoth, { key: newSigner(signer.name) });
    assert.ok(stranger.differences.every(({ kind }) => kind === 'unsigned') && stranger.checkpoints === 0);
  });
});

suite('what was tampered with', () => {
  test('a flipped bit of any event', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: count - 1 }), fc.nat(), fc.nat({ max: 5 }), async (n, where, bit) => {
        const bytes = Buffer.from(leaves[n] as string);
        const at = 1 + (where % (bytes.length - 1));
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        fc.pre(bytes[at] !== 10);
        const lines = whole.lines.map(Buffer.from);
        lines[lineOf(n)] = Buffer.concat([bytes, Buffer.from('\n')]);
        const { differences } = await verifyBytes(Buffer.concat(lines));
        assert.deepEqual([differences[0]?.kind, differences[0]?.index], ['changed', n]);
      }),
      { numRuns: 60 },
    );
  });

  test('an event that was changed, also the first and the last', async () => {
    for (const n of [0, 255, 256, 457, 699]) {
      const changed = whole.lines.with(lineOf(n), `${leavesOf(count, () => ({ n: -1 }))[n]}\n`);
      assert.deepEqual(said(await verify(changed)), [['changed', n, positionOf(n)]]);
    }
  });

  test('an event that is missing, or several', async () => {
    for (const n of [1, 255, 256, 457, 699]) {
      const verified = await verify(whole.lines.toSpliced(lineOf(n), 1));
      assert.deepEqual(said(verified)[0], ['missing', n, positionOf(n - 1)]);
    }
    const two = whole.lines.toSpliced(lineOf(20), 1).toSpliced(lineOf(10), 1);
    assert.deepEqual(said(await verify(two)), [
      ['missing', 10, positionOf(9)],
      ['missing', 20, positionOf(19)],
    ]);
  });

  test('an event too many', async () => {
    const more = whole.lines.toSpliced(lineOf(30), 0, `${leavesOf(1, () => ({ n: 'planted' }))[0]}\n`);
    const [first] = said(await verify(more));
    assert.deepEqual(first?.slice(0, 2), ['inserted', 30]);
  });

  test('events in another order', async () => {
    const [a, b] = [lineOf(40), lineOf(50)];
    const swapped = whole.lines.with(a, whole.lines[b] as string).with(b, whole.lines[a] as string);
    const [first, second] = said(await verify(swapped));
    assert.deepEqual(first, ['reordered', 40, positionOf(50)]);
    assert.equal(second?.[0], 'reordered');
  });

  test('an end that is missing: cut anywhere, or cut and made to look whole', async () => {
    for (const lines of [
      whole.lines.slice(0, -1),
      whole.lines.slice(0, lineOf(500)),
      whole.lines.slice(0, 20),
    ])
      assert.ok((await verify(lines)).differences.some(({ kind }) => kind === 'truncated'));
    const shorter = exportOf(leaves.slice(0, 600), { signer }).lines;
    assert.deepEqual((await verify(shorter)).differences, []);
    const known = [{ source: 'a witness', checkpoint: whole.checkpoints.at(-1) as never }];
    const [difference] = (await verify(shorter, { known })).differences;
    assert.deepEqual([difference?.kind, difference?.index, difference?.before], ['truncated', 600, count]);
  });

  test('the middle cut out, with its hashes', async () => {
    const [a, b] = whole.lines.flatMap((line, at) => (line.startsWith('tile ') ? [at] : []));
    const cut = whole.lines.toSpliced((a ?? 0) + 1, (b ?? 0) - (a ?? 0));
    const [difference] = (await verify(cut)).differences;
    assert.deepEqual([difference?.kind, difference?.index, difference?.before], ['missing', 256, 512]);
  });

  test('a history that was written anew, chain and signatures and all: only a checkpoint from elsewhere shows it', async () => {
    const rewritten = leavesOf(count, n => ({ n: n === 250 ? 'rewritten' : n }));
    const anew = exportOf(rewritten, { signer }).lines;
    assert.deepEqual((await verify(anew)).differences, []);
    const known = whole.checkpoints.map(checkpoint => ({ source: 'a witness', checkpoint }));
    const verified = await verify(anew, { known });
    assert.equal(verified.differences.length, 1);
    const [difference] = verified.differences;
    assert.deepEqual([difference?.kind, difference?.index, difference?.before], ['rewritten', 200, 300]);
  });

  test('events and their hashes, but not the signatures', async () => {
    const rewritten = leavesOf(count, n => ({ n: n === 250 ? 'rewritten' : n }));
    const forged = exportOf(rewritten, { signer }).lines;
    const notes = whole.lines.filter(line => line.startsWith('checkpoint '));
    const lines = forged.map(line => (line.startsWith('checkpoint ') ? (notes.shift() as string) : line));
    const [difference] = (await verify(lines)).differences;
    assert.deepEqual([difference?.kind, difference?.index, difference?.before], ['rewritten', 200, 300]);
  });

  test('histories that were forked for two witnesses', async () => {
    const other = exportOf(
      leavesOf(count, n => ({ n: n >= 450 ? 'other' : n })),
      { signer },
    );
    const known = [
      ...whole.checkpoints.map(checkpoint => ({ source: 'one', checkpoint })),
      ...other.checkpoints.map(checkpoint => ({ source: 'two', checkpoint })),
    ];
    const verified = await verify(whole.lines, { known });
    assert.deepEqual(verified.agreeing, ['one']);
    const [difference] = verified.differences;
    assert.deepEqual([difference?.kind, difference?.index, difference?.before], ['forked', 400, 500]);
    assert.match(difference?.detail ?? '', /one.*two|two.*one/);
  });

  test('lines that are none', async () => {
    for (const line of ['nonsense\n', 'tile 0 AAAA\n', 'checkpoint eA==\n', 'end 3\n', 'peak x\n', '\n']) {
      const { differences } = await verify(whole.lines.toSpliced(lineOf(300), 0, line));
      assert.ok(differences.length > 0, line);
    }
    assert.ok((await verifyText('', options)).differences.length > 0);
    assert.ok((await verifyText('hello', options)).differences.length > 0);
    const swapped = [exportLines.end(0), ...whole.lines];
    assert.ok((await verify(swapped)).differences.length > 0);
  });
});

function verifyBytes(bytes: Buffer) {
  async function* parts() {
    yield bytes;
  }
  return verifyStream(parts(), { threads: 0, ...options });
}
