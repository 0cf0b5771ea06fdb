/**
 * The matrix of what somebody may do to an export, found by our verifier and by a second one that was written from the page
 * alone. They have to agree on what is sound, and on where the first thing is that is not.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { exportLines } from '../../../platform/proof/export-format.ts';
import { signKeyChange } from '../../../platform/proof/key-change.ts';
import { newSigner } from '../../../platform/proof/note.ts';
import { type ExportOptions, exportOf, leavesOf, type Sample, verifyText } from '../../support/proof.ts';
import { type Kept, verifyAgain } from '../../support/second-verifier.ts';

const signer = newSigner('apphub.example/audit');
const runs = Number(process.env.APPHUB_TEST_TREES ?? 60);

type Tampered = { readonly lines: readonly string[]; readonly kept?: readonly Kept[] };

/** What both say, once they were found to say the same. */
async function bothSay({ lines, kept = [] }: Tampered, key = signer) {
  const text = lines.join('');
  const known = kept.flatMap(({ name, notes }) =>
    notes.map(note => ({ source: name, checkpoint: checkpointOf(note) })),
  );
  const first = await verifyText(text, { key, known });
  const second = verifyAgain(Buffer.from(text), key.vkey, kept);
  assert.equal(second.sound, first.differences.length === 0, say(first.differences, second.findings));
  const isUnreadable = first.differences.some(({ kind }) => kind === 'malformed');
  if (second.sound) {
    assert.deepEqual([second.size, second.root], [first.size, first.root.toString('base64')]);
    return undefined;
  }
  const at = Math.min(...first.differences.map(({ index }) => index));
  if (!isUnreadable)
    assert.equal(
      Math.min(...second.findings.map(({ from }) => from)),
      at,
      say(first.differences, second.findings),
    );
  return { at, kinds: first.differences.map(({ kind }) => kind), differences: first.differences };
}

const say = (first: unknown, second: unknown) =>
  JSON.stringify([first, second], (_, value) => (typeof value === 'bigint' ? `${value}` : value));

const checkpoints = new Map<string, Sample['checkpoints'][number]>();
const checkpointOf = (note: string) => checkpoints.get(note) as Sample['checkpoints'][number];
function sampleOf(leaves: readonly string[], options: Partial<ExportOptions> = {}): Sample {
  const sample = exportOf(leaves, { signer, ...options });
  for (const one of sample.checkpoints) checkpoints.set(one.note, one);
  return sample;
}
const keptOf = (name: string, sample: Sample): Kept => ({
  name,
  notes: sample.checkpoints.map(({ note }) => note),
});

test('the second verifier leans on nothing but node:crypto', () => {
  const file = path.join(import.meta.dirname, '../../support/second-verifier.ts');
  const imports = [...readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)].map(match => match[1]);
  assert.deepEqual(imports, ['node:crypto']);
});

suite('the matrix', () => {
  const count = 600;
  const leaves = leavesOf(count);
  const whole = sampleOf(leaves);
  const lineOf = (n: number) => whole.lines.indexOf(`${leaves[n]}\n`);
  const flipped = (n: number, at: number) => {
    const line = Buffer.from(leaves[n] as string);
    line[at] = (line[at] as number) ^ 4;
    return `${line.toString('latin1')}\n`;
  };
  const rewritten = sampleOf(leavesOf(count, n => ({ n: n === 250 ? 'anew' : n })));
  const forked = sampleOf(leavesOf(count, n => ({ n: n >= 450 ? 'other' : n })));
  const tile = whole.lines.findIndex(line => line.startsWith('tile 256 '));
  const cases: Record<string, Tampered & { readonly gives: string; readonly at: number }> = {
    'a flipped bit': { lines: whole.lines.with(lineOf(301), flipped(301, 30)), gives: 'changed', at: 301 },
    'an event left out': { lines: whole.lines.toSpliced(lineOf(77), 1), gives: 'missing', at: 77 },
    'the first one left out': { lines: whole.lines.toSpliced(lineOf(0), 1), gives: 'missing', at: 0 },
    'the last one left out': { lines: whole.lines.toSpliced(lineOf(599), 1), gives: 'missing', at: 599 },
    'an event put in': {
      lines: whole.lines.toSpliced(lineOf(30), 0, `${leavesOf(1, () => ({ n: 'planted' }))[0]}\n`),
      gives: 'inserted',
      at: 30,
    },
    'an event once more': {
      lines: whole.lines.toSpliced(lineOf(30), 0, `${leaves[30]}\n`),
      gives: 'inserted',
      at: 31,
    },
    'two in the place of each other': {
      lines: whole.lines.with(lineOf(10), `${leaves[11]}\n`).with(lineOf(11), `${leaves[10]}\n`),
      gives: 'reordered',
      at: 10,
    },
    'cut off': { lines: whole.lines.slice(0, lineOf(400)), gives: 'truncated', at: 256 },
    'cut off at a checkpoint and made whole': {
      lines: sampleOf(leaves.slice(0, 500)).lines,
      kept: [keptOf('witness', whole)],
      gives: 'truncated',
      at: 500,
    },
    'the hash in a tile changed': {
      lines: whole.lines.with(
        tile,
        (whole.lines[tile] as string).replace(/ .{6}/, match =>
          match.replace(/.$/, c => (c === 'A' ? 'B' : 'A')),
        ),
      ),
      gives: 'rewritten',
      at: 200,
    },
    'written anew, with chain, hashes and signatures': {
      lines: rewritten.lines,
      kept: [keptOf('witness', whole)],
      gives: 'rewritten',
      at: 200,
    },
    'forked for two witnesses': {
      lines: whole.lines,
      kept: [keptOf('one', whole), keptOf('two', forked)],
      gives: 'forked',
      at: 400,
    },
    'signed by somebody else': {
      lines: sampleOf(leaves, { signer: newSigner(signer.name) }).lines,
      gives: 'unsigned',
      at: 100,
    },
    'the last checkpoint taken away': {
      lines: whole.lines.filter(
        line => line !== exportLines.checkpoint(whole.checkpoints.at(-1)?.note ?? ''),
      ),
      gives: 'unsigned',
      at: 500,
    },
  };
  for (const [name, { gives, at, ...tampered }] of Object.entries(cases)) {
    test(`${name} is found and located by both`, async () => {
      const said = await bothSay(tampered);
      assert.ok(said?.kinds.includes(gives as never), `${said?.kinds}`);
      assert.equal(said?.differences.find(({ kind }) => kind === gives)?.index, at);
    });
  }

  test('what is whole is sound to both, also with another key after a change, and from anywhere on', async () => {
    const next = newSigner(signer.name);
    const changes = [signKeyChange(signer.name, signer, next, '2026-01-02T03:04:05.678Z')];
    const turned = sampleOf(leaves, { changes, next: { signer: next, from: 300 } });
    for (const key of [signer, next]) assert.equal(await bothSay({ lines: turned.lines }, key), undefined);
    for (const from of [1, 255, 256, 257, 599])
      assert.equal(
        await bothSay({ lines: sampleOf(leaves, { from }).lines, kept: [keptOf('w', whole)] }),
        undefined,
      );
  });
});

/** What is done to the lines of an export, by numbers that chance gives. */
const acts: readonly ((lines: string[], a: number, b: number) => void)[] = [
  () => undefined,
  (lines, a) => void lines.splice(a, 1),
  (lines, a, b) => void lines.splice(b, 0, lines[a] as string),
  (lines, a, b) => {
    [lines[a], lines[b]] = [lines[b] as string, lines[a] as string];
  },
  (lines, a) => void lines.splice(a),
  (lines, a, b) => {
    const line = lines[a] as string;
    const at = b % (line.length - 1);
    const turned = String.fromCharCode(line.charCodeAt(at) ^ 1);
    lines[a] = line.slice(0, at) + turned + line.slice(at + 1);
  },
];

test('random trees with random damage: both agree on what is sound, and on where it is not', async () => {
  let sound = 0;
  const tree = fc.record({
    count: fc.integer({ min: 1, max: 550 }),
    every: fc.integer({ min: 20, max: 300 }),
    part: fc.double({ min: 0, max: 0.999, noNaN: true }),
    act: fc.nat({ max: acts.length - 1 }),
    a: fc.nat(),
    b: fc.nat(),
    onLeaves: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(tree, async ({ count, every, part, act, a, b, onLeaves }) => {
      const leaves = leavesOf(count);
      const whole = sampleOf(leaves, { every });
      const from = part < 0.5 ? 0 : Math.floor(part * count);
      const sample = sampleOf(leaves, { every, from });
      const lines = [...sample.lines];
      // Events are what matters most, so half of the time it is they.
      const places = lines.flatMap((line, at) => (!onLeaves || line.startsWith('{') ? [at] : []));
      const at = (n: number) => places[n % places.length] as number;
      acts[act]?.(lines, at(a), at(b));
      const said = await bothSay({ lines, kept: [keptOf('witness', whole)] });
      if (said === undefined) sound += 1;
      if (lines.join('') === sample.lines.join('')) assert.equal(said, undefined);
    }),
    { numRuns: runs },
  );
  assert.ok(sound > 0 && sound < runs, `${sound} of ${runs} were sound`);
});
