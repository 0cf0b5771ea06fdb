/** Which engine something goes to, by what is promised on each. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Candidate, chooseEngine, lacks } from '../../../workers/adapters/engine-choice.ts';

const gib = 1024 ** 3;

type Named = Candidate & { readonly name: string };
type Given = {
  readonly has?: readonly [cpus: number, gibs: number];
  readonly promised?: readonly [cpus: number, gibs: number, launches?: number];
  readonly limits?: Partial<Candidate['limits']>;
  readonly wants?: readonly [cpus: number, gibs: number];
  readonly isAtHand?: boolean;
};

function engine(name: string, given: Given = {}): Named {
  const [cpus, memory] = given.has ?? [4, 8];
  const [usedCpus, usedMemory, launches = 1] = given.promised ?? [0, 0, 0];
  const [wantedCpus, wantedMemory] = given.wants ?? [0.5, 0.25];
  return {
    name,
    machine: { cpus, memoryBytes: memory * gib, platform: 'linux/amd64' },
    limits: { cpus: undefined, memoryBytes: undefined, launches: undefined, ...given.limits },
    promised: { cpus: usedCpus, memoryBytes: usedMemory * gib, launches },
    wanted: { cpus: wantedCpus, memoryBytes: wantedMemory * gib, isLaunch: true },
    isAtHand: given.isAtHand ?? false,
  };
}

const chosen = (...engines: Named[]) => chooseEngine(engines)?.name;

suite('an engine is chosen', () => {
  test('by what is left of it', () => {
    assert.equal(chosen(engine('a', { promised: [1, 2] }), engine('b', { promised: [1, 1] })), 'a');
    assert.equal(chosen(engine('a', { promised: [1, 5] }), engine('b', { promised: [1, 1] })), 'b');
    assert.equal(chosen(engine('a', { promised: [3, 1] }), engine('b', { promised: [1, 4] })), 'b');
  });

  test('as a part of its size', () => {
    const small = engine('small', { has: [2, 4] });
    assert.equal(chosen(small, engine('large', { has: [8, 16], promised: [4, 4] })), 'small');
    assert.equal(chosen(small, engine('large', { has: [8, 16], promised: [1, 2] })), 'large');
  });

  test('always the same of two that are as good', () => {
    assert.equal(chosen(engine('a'), engine('b')), 'a');
    assert.equal(chosen(engine('b'), engine('a')), 'b');
  });

  test('rather where the image is, unless another one is much emptier', () => {
    const has = engine('has', { promised: [0.5, 0.5], isAtHand: true });
    assert.equal(chosen(engine('empty'), has), 'has');
    assert.equal(chosen(engine('empty'), { ...has, promised: { ...has.promised, cpus: 2 } }), 'empty');
  });

  test('although more is promised than there is, as long as no limit was set', () => {
    assert.equal(chosen(engine('a', { promised: [40, 80] })), 'a');
    assert.equal(chosen(engine('a', { promised: [40, 80] }), engine('b', { promised: [60, 99] })), 'a');
  });

  test('within the limits that were set for it', () => {
    const cpus = { limits: { cpus: 2 }, promised: [1.75, 1] } as const;
    assert.equal(chosen(engine('a', cpus)), undefined);
    assert.equal(chosen(engine('a', { ...cpus, wants: [0.25, 0.25] })), 'a');
    const memory = { limits: { memoryBytes: 2 * gib }, promised: [0, 1.75] } as const;
    assert.equal(chosen(engine('a', memory)), 'a');
    assert.equal(chosen(engine('a', { ...memory, wants: [0.5, 0.5] })), undefined);
    const launches = { limits: { launches: 3 }, promised: [0, 0, 3] } as const;
    assert.equal(chosen(engine('a', launches)), undefined);
    assert.equal(chosen(engine('a', launches), engine('b', { promised: [3, 6] })), 'b');
    const build = engine('a', launches);
    assert.equal(chosen({ ...build, wanted: { ...build.wanted, isLaunch: false } }), 'a');
  });

  test('of none, not at all', () => assert.equal(chosen(), undefined));
});

test('what an engine lacks of the labels that are asked for', () => {
  const has = { zone: 'east', disk: 'ssd' };
  assert.deepEqual(lacks(has, {}), []);
  assert.deepEqual(lacks(has, { zone: 'east' }), []);
  assert.deepEqual(lacks(has, { zone: 'west', disk: 'ssd', gpu: 'yes' }), ['zone=west', 'gpu=yes']);
});
