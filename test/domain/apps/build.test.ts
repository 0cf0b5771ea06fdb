import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type BuildCommand, type BuildEvent, build } from '../../../domain/apps/build.ts';
import { presentImage } from '../../../domain/apps/build-image.ts';
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
const log = { lines: 3, bytes: 40, truncated: false };
const image = { image: 'apphub/todo:c1', imageId: 'sha256:1', bytes: 1_000, ports: [80] };
const failure = { reason: 'exit code 1', step: 2, instruction: 'RUN false' };
const request: BuildCommand = { type: 'RequestBuild', data: asked };
const start: BuildCommand = { type: 'StartBuild', data: { buildId, at } };
const finish = (attempt: number, result: typeof image | typeof failure): BuildCommand => ({
  type: 'FinishBuild',
  data: { buildId, attempt, durationMs: 9, log, at, result },
});
const cancel: BuildCommand = { type: 'CancelBuild', data: { buildId, at } };

const requested: BuildEvent = { type: 'BuildRequested', data: asked };
const started = (attempt: number): BuildEvent => ({
  type: 'BuildStarted',
  data: { buildId, appId, attempt, at },
});
const ended = (attempt: number) => ({ buildId, appId, attempt, durationMs: 9, log, at });
const succeeded = (attempt: number): BuildEvent => ({
  type: 'BuildSucceeded',
  data: { ...ended(attempt), provenance: null, pushed: null, ...image },
});
const failed = (attempt: number): BuildEvent => ({
  type: 'BuildFailed',
  data: { ...ended(attempt), ...failure },
});
const cancelled: BuildEvent = { type: 'BuildCancelled', data: { buildId, appId, at } };
const by = { buildId: 'b2', commit: 'c2' };
const supersede: BuildCommand = { type: 'SupersedeBuild', data: { buildId, by, at } };
const superseded: BuildEvent = { type: 'BuildSuperseded', data: { buildId, appId, by, at } };
const ends = [succeeded(1), failed(1), cancelled];

suite('a build', () => {
  test('is requested once; the same request again does nothing, whatever became of it', () => {
    given(build, []).when(request).gives([requested]);
    given(build, [requested]).when(request).gives([]);
    given(build, [requested, started(1)])
      .when(request)
      .gives([]);
    for (const end of ends)
      given(build, [requested, started(1), end])
        .when(request)
        .gives([]);
  });

  test('must be there for anything else', () => {
    for (const command of [start, finish(1, image), cancel])
      given(build, []).when(command).gives('not-found');
  });

  test('starts with the next attempt, also when its worker was lost', () => {
    given(build, [requested])
      .when(start)
      .gives([started(1)]);
    given(build, [requested, started(1)])
      .when(start)
      .gives([started(2)]);
    given(build, [requested, started(1), started(2)])
      .when(start)
      .gives([started(3)]);
  });

  test('succeeds with its image, or fails with the step', () => {
    given(build, [requested, started(1)])
      .when(finish(1, image))
      .gives([succeeded(1)]);
    given(build, [requested, started(1)])
      .when(finish(1, failure))
      .gives([failed(1)]);
    given(build, [requested, started(1), started(2)])
      .when(finish(2, image))
      .gives([succeeded(2)]);
  });

  test('an attempt that was replaced or has not begun reports in vain', () => {
    given(build, [requested]).when(finish(1, image)).gives('build/not-started');
    given(build, [requested, started(1), started(2)])
      .when(finish(1, image))
      .gives('build/stale-attempt');
    given(build, [requested, started(1)])
      .when(finish(2, failure))
      .gives('build/stale-attempt');
  });

  test('is cancelled while it is queued or running', () => {
    given(build, [requested]).when(cancel).gives([cancelled]);
    given(build, [requested, started(1)])
      .when(cancel)
      .gives([cancelled]);
  });

  test('makes room for a newer one while it waits; once it has begun it goes on', () => {
    given(build, []).when(supersede).gives('not-found');
    given(build, [requested]).when(supersede).gives([superseded]);
    for (const history of [[started(1)], [started(1), succeeded(1)], [cancelled], [superseded]]) {
      given(build, [requested, ...history])
        .when(supersede)
        .gives([]);
    }
    given(build, [requested, superseded]).when(start).gives('build/already-finished');
  });

  test('keeps what it was made of with its image', () => {
    const papers = {
      provenance: {
        dockerfile: { path: 'Dockerfile', sha256: 'd1' },
        context: '',
        bases: [{ ref: 'node:24', imageId: null, digest: null }],
        builder: { kind: 'buildkit', engine: '28.0.1', platform: 'linux/amd64' },
        secrets: [{ name: 'npmrc', version: 1 }],
      },
      pushed: { repository: 'registry.example/todo', digest: 'sha256:9' },
    } as const;
    const data = { buildId, attempt: 1, durationMs: 9, log, at, result: { ...image, ...papers } };
    given(build, [requested, started(1)])
      .when({ type: 'FinishBuild', data } as never)
      .gives([{ type: 'BuildSucceeded', data: { ...ended(1), ...image, ...papers } } as never]);
  });

  test('nothing follows its end', () => {
    for (const end of ends) {
      for (const command of [start, finish(1, image), finish(2, failure), cancel]) {
        given(build, [requested, started(1), end])
          .when(command)
          .gives('build/already-finished');
      }
    }
    given(build, [requested, cancelled]).when(start).gives('build/already-finished');
  });

  test('keeps the image and what it was made of for whoever launches it', () => {
    const state = [requested, started(1), succeeded(1)].reduce(build.evolve, build.initialState);
    const { buildId: _buildId, cause: _cause, pinned: _pinned, at: requestedAt, ...spec } = asked;
    assert.deepEqual(state, {
      status: 'finished',
      attempt: 1,
      spec,
      requestedAt,
      built: image,
      image: presentImage,
    });
    const unbuilt = [requested, started(1), failed(1)].reduce(build.evolve, build.initialState);
    assert.equal(unbuilt.built, null);
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const attempt = fc.integer({ min: 1, max: 3 });
    const reached = holdsForAnyCommands(
      build,
      fc.oneof(
        fc.constant(request),
        { weight: 2, arbitrary: fc.constant(start) },
        fc.tuple(attempt, fc.constantFrom(image, failure)).map(args => finish(...args)),
        fc.constant(cancel),
        fc.constant(supersede),
      ),
    );
    assert.equal(reached.size, 6, [...reached].join());
  });
});
