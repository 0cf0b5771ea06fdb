import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type IngestionCause,
  type IngestionCommand,
  type IngestionEvent,
  ingestion,
} from '../../../domain/apps/ingestion.ts';
import { ingestionAttemptsMax } from '../../../domain/kernel/limits.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const retryAt = '2026-01-02T03:05:05.000Z';
const appId = 'todo';
const queue = (cause: IngestionCause, unlessCommit?: string): IngestionCommand => ({
  type: 'QueueIngestion',
  data: { appId, cause, at, ...(unlessCommit === undefined ? {} : { unlessCommit }) },
});
const start = (run: number): IngestionCommand => ({ type: 'StartIngestion', data: { appId, run, at } });
const why = { reason: 'no network', commit: 'c0', durations: { cloneMs: 4, inspectMs: 3, storeMs: 0 } };
const fail = (run: number, attempt: number, again: string | null): IngestionCommand => ({
  type: 'FailIngestion',
  data: { appId, run, attempt, ...why, retryAt: again, durationMs: 7, at },
});
const success = (run: number, attempt: number, commit = 'c1') => ({
  appId,
  run,
  attempt,
  commit,
  branch: 'main',
  inspection: {
    dockerfilePath: 'Dockerfile',
    title: 'Todo',
    description: null,
    homepage: null,
    tags: [],
    previews: [],
    ports: [80],
    healthcheck: false,
  },
  durations: { cloneMs: 1, inspectMs: 2, storeMs: 3 },
  at,
});
const finish = (run: number, attempt: number, commit = 'c1'): IngestionCommand => ({
  type: 'FinishIngestion',
  data: success(run, attempt, commit),
});
const cancel: IngestionCommand = { type: 'CancelIngestion', data: { appId, at } };

const queued = (run: number, cause: IngestionCause = 'registered'): IngestionEvent => ({
  type: 'IngestionQueued',
  data: { appId, run, cause, at },
});
const deferred = (cause: IngestionCause): IngestionEvent => ({
  type: 'IngestionDeferred',
  data: { appId, cause, at },
});
const started = (run: number, attempt: number): IngestionEvent => ({
  type: 'IngestionStarted',
  data: { appId, run, attempt, at },
});
const attemptFailed = (run: number, attempt: number): IngestionEvent => ({
  type: 'IngestionAttemptFailed',
  data: { appId, run, attempt, ...why, retryAt, at },
});
const failed = (run: number, attempt: number): IngestionEvent => ({
  type: 'IngestionFailed',
  data: { appId, run, attempt, ...why, durationMs: 7, at },
});
const succeeded = (run: number, attempt: number, commit = 'c1'): IngestionEvent => ({
  type: 'IngestionSucceeded',
  data: success(run, attempt, commit),
});
const cancelled = (run: number): IngestionEvent => ({ type: 'IngestionCancelled', data: { appId, run, at } });

suite('an ingestion', () => {
  test('is queued with the next number', () => {
    given(ingestion, [])
      .when(queue('registered'))
      .gives([queued(1)]);
    given(ingestion, [queued(1), started(1, 1), succeeded(1, 1)])
      .when(queue('retry'))
      .gives([queued(2, 'retry')]);
    given(ingestion, [queued(1), started(1, 1), failed(1, 1)])
      .when(queue('sync'))
      .gives([queued(2, 'sync')]);
    given(ingestion, [queued(1), cancelled(1)])
      .when(queue('retry'))
      .gives([queued(2, 'retry')]);
  });

  test('is not queued for the commit that was ingested last', () => {
    const events = [queued(1), started(1, 1), succeeded(1, 1, 'c1')];
    given(ingestion, events).when(queue('sync', 'c1')).gives([]);
    given(ingestion, events)
      .when(queue('webhook', 'c2'))
      .gives([queued(2, 'webhook')]);
    given(ingestion, [])
      .when(queue('webhook', 'c1'))
      .gives([queued(1, 'webhook')]);
    const after = [...events, queued(2), started(2, 1), failed(2, 1)];
    given(ingestion, after).when(queue('sync', 'c1')).gives([]);
  });

  test('that has not begun will see a push anyway', () => {
    for (const cause of ['webhook', 'sync', 'changed', 'registered'] as const) {
      given(ingestion, [queued(1)])
        .when(queue(cause))
        .gives([]);
    }
  });

  test('that has begun remembers one push for its end', () => {
    const busy = [queued(1), started(1, 1)];
    given(ingestion, busy)
      .when(queue('webhook'))
      .gives([deferred('webhook')]);
    given(ingestion, [...busy, deferred('webhook')])
      .when(queue('changed'))
      .gives([]);
    given(ingestion, [...busy, attemptFailed(1, 1)])
      .when(queue('changed'))
      .gives([deferred('changed')]);
    given(ingestion, [...busy, deferred('webhook')])
      .when(finish(1, 1))
      .gives([succeeded(1, 1), queued(2, 'webhook')]);
    given(ingestion, [...busy, deferred('changed')])
      .when(fail(1, 1, null))
      .gives([failed(1, 1), queued(2, 'changed')]);
    given(ingestion, [...busy, deferred('changed')])
      .when(fail(1, 1, retryAt))
      .gives([attemptFailed(1, 1)]);
  });

  test('a push is remembered for one ingestion only', () => {
    const events = [queued(1), started(1, 1), deferred('webhook'), succeeded(1, 1), queued(2), started(2, 1)];
    given(ingestion, events)
      .when(finish(2, 1))
      .gives([succeeded(2, 1)]);
  });

  test('cannot be asked for by hand while one is queued or running', () => {
    given(ingestion, [queued(1)])
      .when(queue('retry'))
      .gives('ingestion/in-progress');
    given(ingestion, [queued(1), started(1, 1)])
      .when(queue('retry'))
      .gives('ingestion/in-progress');
  });

  test('starts with the next attempt, also when its worker was lost', () => {
    given(ingestion, [queued(1)])
      .when(start(1))
      .gives([started(1, 1)]);
    given(ingestion, [queued(1), started(1, 1)])
      .when(start(1))
      .gives([started(1, 2)]);
    given(ingestion, [queued(1), started(1, 1), attemptFailed(1, 1)])
      .when(start(1))
      .gives([started(1, 2)]);
  });

  test('does not start for a number that is not its own, or after its end', () => {
    given(ingestion, []).when(start(1)).gives('ingestion/stale-attempt');
    given(ingestion, []).when(start(0)).gives('ingestion/stale-attempt');
    given(ingestion, [queued(1)])
      .when(start(2))
      .gives('ingestion/stale-attempt');
    const second = [queued(1), cancelled(1), queued(2)];
    given(ingestion, second).when(start(1)).gives('ingestion/stale-attempt');
    for (const end of [succeeded(1, 1), failed(1, 1), cancelled(1)]) {
      given(ingestion, [queued(1), started(1, 1), end])
        .when(start(1))
        .gives('ingestion/stale-attempt');
    }
  });

  test('attempts begin at one again in the next ingestion', () => {
    const events = [queued(1), started(1, 1), started(1, 2), succeeded(1, 2), queued(2)];
    given(ingestion, events)
      .when(start(2))
      .gives([started(2, 1)]);
  });

  test('succeeds, or fails for good', () => {
    const busy = [queued(1), started(1, 1)];
    given(ingestion, busy)
      .when(finish(1, 1))
      .gives([succeeded(1, 1)]);
    given(ingestion, busy)
      .when(fail(1, 1, null))
      .gives([failed(1, 1)]);
  });

  test(`is tried again, but not after attempt ${ingestionAttemptsMax}`, () => {
    const last = ingestionAttemptsMax;
    given(ingestion, [queued(1), started(1, last - 1)])
      .when(fail(1, last - 1, retryAt))
      .gives([attemptFailed(1, last - 1)]);
    given(ingestion, [queued(1), started(1, last)])
      .when(fail(1, last, retryAt))
      .gives([failed(1, last)]);
  });

  test('an attempt that was replaced, ended or not begun reports in vain', () => {
    const histories: IngestionEvent[][] = [
      [],
      [queued(1)],
      [queued(1), started(1, 1), started(1, 2)],
      [queued(1), started(1, 1), attemptFailed(1, 1)],
      [queued(1), started(1, 1), succeeded(1, 1)],
      [queued(1), started(1, 1), cancelled(1)],
      [queued(1), started(1, 1), cancelled(1), queued(2), started(2, 1)],
    ];
    for (const events of histories) {
      given(ingestion, events).when(finish(1, 1)).gives('ingestion/stale-attempt');
      given(ingestion, events)
        .when(fail(1, 1, null))
        .gives('ingestion/stale-attempt');
    }
  });

  test('is cancelled while it is queued or running, together with what was remembered', () => {
    given(ingestion, [queued(1)])
      .when(cancel)
      .gives([cancelled(1)]);
    given(ingestion, [queued(1), started(1, 1)])
      .when(cancel)
      .gives([cancelled(1)]);
    given(ingestion, []).when(cancel).gives('ingestion/not-in-progress');
    given(ingestion, [queued(1), cancelled(1)])
      .when(cancel)
      .gives('ingestion/not-in-progress');
    const again = [queued(1), started(1, 1), deferred('webhook'), cancelled(1), queued(2), started(2, 1)];
    given(ingestion, again)
      .when(finish(2, 1))
      .gives([succeeded(2, 1)]);
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const number = fc.constantFrom(1, 1, 1, 2);
    const commit = fc.constantFrom('c1', 'c2');
    const reached = holdsForAnyCommands(
      ingestion,
      fc.oneof(
        {
          weight: 2,
          arbitrary: fc.constantFrom<IngestionCause>('registered', 'retry', 'sync').map(c => queue(c)),
        },
        commit.map(commit => queue('webhook', commit)),
        { weight: 3, arbitrary: number.map(start) },
        fc.tuple(number, number, commit).map(([run, attempt, commit]) => finish(run, attempt, commit)),
        fc.tuple(number, number, fc.constantFrom(null, retryAt)).map(args => fail(...args)),
        fc.constant(cancel),
      ),
    );
    assert.equal(reached.size, 7, [...reached].join());
  });
});
