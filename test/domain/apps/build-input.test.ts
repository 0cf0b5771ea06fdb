import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type BuildInputCommand,
  type BuildInputEvent,
  buildInput,
  secretsFor,
} from '../../../domain/apps/build-input.ts';
import { buildSecretsMax } from '../../../domain/kernel/limits.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const appId = 'todo';
const repoUrl = 'https://git.example/todo.git';

const setArgs = (args: Record<string, string>): BuildInputCommand => ({
  type: 'SetBuildArgs',
  data: { appId, args, at },
});
const argsSet = (args: Record<string, string>): BuildInputEvent => ({
  type: 'BuildArgsSet',
  data: { appId, args, at },
});
const set = (name: string, key: string): BuildInputCommand => ({
  type: 'SetBuildSecret',
  data: { appId, name, key, repoUrl, at },
});
const wasSet = (name: string, version: number, key: string, from = repoUrl): BuildInputEvent => ({
  type: 'BuildSecretSet',
  data: { appId, name, version, key, repoUrl: from, at },
});
const remove = (name: string): BuildInputCommand => ({
  type: 'RemoveBuildSecret',
  data: { appId, name, at },
});
const removed = (name: string, version: number): BuildInputEvent => ({
  type: 'BuildSecretRemoved',
  data: { appId, name, version, at },
});

suite('what builds are given', () => {
  test('arguments are set all together; the same ones again change nothing', () => {
    given(buildInput, []).when(setArgs({})).gives([]);
    given(buildInput, [])
      .when(setArgs({ A: '1' }))
      .gives([argsSet({ A: '1' })]);
    const known = [argsSet({ A: '1', B: '2' })];
    given(buildInput, known)
      .when(setArgs({ B: '2', A: '1' }))
      .gives([]);
    for (const args of [{}, { A: '1' }, { A: '1', B: '3' }, { A: '1', C: '2' }, { A: '1', B: '2', C: '' }]) {
      given(buildInput, known)
        .when(setArgs(args))
        .gives([argsSet(args)]);
    }
  });

  test('a secret has a version that only ever grows', () => {
    given(buildInput, [])
      .when(set('npmrc', 'k1'))
      .gives([wasSet('npmrc', 1, 'k1')]);
    given(buildInput, [wasSet('npmrc', 1, 'k1')])
      .when(set('npmrc', 'k2'))
      .gives([wasSet('npmrc', 2, 'k2')]);
    given(buildInput, [wasSet('npmrc', 1, 'k1')])
      .when(set('npmrc', 'k1'))
      .gives([]);
    given(buildInput, [wasSet('npmrc', 1, 'k1'), removed('npmrc', 1)])
      .when(set('npmrc', 'k2'))
      .gives([wasSet('npmrc', 2, 'k2')]);
    given(buildInput, [wasSet('npmrc', 1, 'k1')])
      .when(set('__proto__', 'k2'))
      .gives([wasSet('__proto__', 1, 'k2')]);
  });

  test('is removed once', () => {
    given(buildInput, []).when(remove('npmrc')).gives('not-found');
    given(buildInput, [wasSet('npmrc', 3, 'k1')])
      .when(remove('npmrc'))
      .gives([removed('npmrc', 3)]);
    given(buildInput, [wasSet('npmrc', 3, 'k1'), removed('npmrc', 3)])
      .when(remove('npmrc'))
      .gives([]);
  });

  test('an app has so many secrets at most; those that were removed do not count', () => {
    const full = Array.from({ length: buildSecretsMax }, (_, n) => wasSet(`s${n}`, 1, `k${n}`));
    given(buildInput, full).when(set('more', 'k')).gives('invalid');
    given(buildInput, full)
      .when(set('s0', 'k'))
      .gives([wasSet('s0', 2, 'k')]);
    given(buildInput, [...full, removed('s0', 1)])
      .when(set('more', 'k'))
      .gives([wasSet('more', 1, 'k')]);
    given(buildInput, [...full, removed('s0', 1), wasSet('more', 1, 'k')])
      .when(set('s0', 'k'))
      .gives('invalid');
  });

  test('a secret is for builds of the address it was set for', () => {
    const events = [
      wasSet('a', 1, 'k1'),
      wasSet('b', 1, 'k2', 'https://git.example/other.git'),
      wasSet('c', 1, 'k3'),
      removed('c', 1),
    ];
    const state = events.reduce(buildInput.evolve, buildInput.initialState);
    assert.deepEqual(secretsFor(state, repoUrl), [{ name: 'a', version: 1, key: 'k1' }]);
    assert.deepEqual(secretsFor(state, 'https://git.example/other.git'), [
      { name: 'b', version: 1, key: 'k2' },
    ]);
    assert.deepEqual(secretsFor(state, ''), []);
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const name = fc.constantFrom('a', 'b', '__proto__');
    const reached = holdsForAnyCommands(
      buildInput,
      fc.oneof(
        fc.constantFrom({}, { A: '1' }, { A: '2', B: '1' }).map(setArgs),
        fc.tuple(name, fc.constantFrom('k1', 'k2')).map(args => set(...args)),
        name.map(remove),
      ),
    );
    assert.equal(reached.size, 3, [...reached].join());
  });
});
