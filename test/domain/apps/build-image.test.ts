import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type BuildCommand, type BuildEvent, build } from '../../../domain/apps/build.ts';
import { type BuildImageCommand, noImage } from '../../../domain/apps/build-image.ts';
import { fold } from '../../../domain/kernel/decider.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const buildId = 'b1';
const appId = 'todo';
const asked = {
  buildId,
  cause: 'manual',
  at,
  appId,
  repoUrl: 'https://git.example/todo.git',
  ref: null,
  commit: 'c1',
  dockerfilePath: 'Dockerfile',
  args: { NODE_ENV: 'production' },
  pinned: true,
} as const;
const ended = { attempt: 1, durationMs: 9, log: { lines: 3, bytes: 40, truncated: false }, at };
const built = { image: 'apphub/todo:c1', imageId: 'sha256:1', bytes: 1_000, ports: [80] };
const requested: BuildEvent = { type: 'BuildRequested', data: asked };
const started: BuildEvent = { type: 'BuildStarted', data: { buildId, appId, attempt: 1, at } };
const papers = { provenance: null, pushed: null };
const succeeded: BuildEvent = {
  type: 'BuildSucceeded',
  data: { buildId, appId, ...ended, ...papers, ...built },
};
const cancelled: BuildEvent = { type: 'BuildCancelled', data: { buildId, appId, at } };
const there = [requested, started, succeeded];

const { ports: _ports, ...image } = built;
const ofImage = { buildId, appId, ...image, at };
const remove = (reason: 'count' | 'disk'): BuildImageCommand => ({
  type: 'RemoveBuildImage',
  data: { buildId, reason, at },
});
const report = (isThere: boolean): BuildImageCommand => ({
  type: 'ReportBuildImage',
  data: { buildId, isThere, at },
});
const removing: BuildEvent = { type: 'BuildImageRemoving', data: { ...ofImage, reason: 'count' } };
const removed: BuildEvent = { type: 'BuildImageRemoved', data: { ...ofImage, reason: 'count' } };
const missing: BuildEvent = { type: 'BuildImageRemoved', data: { ...ofImage, reason: 'missing' } };
const kept = (reason: 'used' | 'found'): BuildEvent => ({
  type: 'BuildImageKept',
  data: { ...ofImage, reason },
});

suite('the image of a build', () => {
  test('is said to go before it goes, once', () => {
    given(build, there).when(remove('count')).gives([removing]);
    given(build, [...there, removing])
      .when(remove('disk'))
      .gives([]);
    given(build, [...there, removing, removed])
      .when(remove('disk'))
      .gives([]);
  });

  test('is gone for the reason it was to go', () => {
    given(build, [...there, removing])
      .when(report(false))
      .gives([removed]);
    given(build, [...there, removing, removed])
      .when(report(false))
      .gives([]);
  });

  test('is missing when nobody wanted it away', () => {
    given(build, there).when(report(false)).gives([missing]);
  });

  test('is kept when it is used, or found again, and may go later', () => {
    given(build, there).when(report(true)).gives([]);
    given(build, [...there, removing])
      .when(report(true))
      .gives([kept('used')]);
    given(build, [...there, missing])
      .when(report(true))
      .gives([kept('found')]);
    given(build, [...there, removing, kept('used')])
      .when(remove('count'))
      .gives([removing]);
  });

  test('is of a build that has made one', () => {
    for (const history of [[requested], [requested, started], [requested, cancelled]]) {
      for (const command of [remove('disk'), report(true), report(false)])
        given(build, history).when(command).gives('build/no-image');
      assert.deepEqual(fold(build, history).image, noImage);
    }
    given(build, []).when(remove('disk')).gives('not-found');
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const result = { type: 'FinishBuild', data: { buildId, ...ended, result: built } } as const;
    const first: BuildCommand[] = [
      { type: 'RequestBuild', data: asked },
      { type: 'StartBuild', data: { buildId, at } },
      result,
    ];
    const reached = holdsForAnyCommands(
      build,
      fc.constantFrom(...first, ...first, remove('count'), remove('disk'), report(true), report(false)),
    );
    for (const type of ['BuildSucceeded', 'BuildImageRemoved'])
      assert.ok(reached.has(type), [...reached].join());
  });
});
