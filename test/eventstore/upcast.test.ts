/** Events as they were stored once, and what is read of them today. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { upcast } from '../../eventstore/upcast.ts';

const at = '2026-01-02T03:04:05.000Z';

suite('events that were stored before', () => {
  test('failures of an ingestion did not say how far it had come', () => {
    const howFar = { commit: null, durations: { cloneMs: 0, inspectMs: 0, storeMs: 0 } };
    const attempt = { appId: 'a', run: 1, attempt: 1, reason: 'away', retryAt: at, at };
    assert.deepEqual(upcast('IngestionAttemptFailed', attempt), { ...attempt, ...howFar });
    const last = { appId: 'a', run: 1, attempt: 3, reason: 'away', durationMs: 5, at };
    assert.deepEqual(upcast('IngestionFailed', last), { ...last, ...howFar });
  });

  test('launches had one container, on this machine, and nobody asked who may see them', () => {
    const of = { launchId: 'l', appId: 'a', at };
    const asked = {
      ...of,
      buildId: 'b',
      image: 'i',
      imageId: 's',
      env: [],
      resourceProfile: 'small',
      port: 80,
    };
    const before = {
      owner: 'operator',
      access: 'private',
      restart: 'no',
      idleSeconds: null,
      healthPath: null,
      sandbox: { egress: [], allowRoot: true, runtime: 'default' },
      workspace: null,
    };
    assert.deepEqual(upcast('LaunchRequested', asked), { ...before, ...asked });
    const started = { ...of, containerId: 'k', hostPort: 40_000, port: 80 };
    const place = { deployment: 1, status: 'starting', engine: 'default', host: '127.0.0.1' };
    assert.deepEqual(upcast('LaunchStarting', started), { ...place, ...started });
    const running = { ...of, startedInMs: 5 };
    assert.deepEqual(upcast('LaunchRunning', running), {
      deployment: 1,
      replaced: null,
      serves: null,
      ...running,
    });
    const stopping = { ...of, reason: 'expired' };
    assert.deepEqual(upcast('LaunchStopping', stopping), { because: null, coming: null, ...stopping });
    const failed = { ...of, reason: 'exited', exitCode: 1, lastLines: [] };
    assert.deepEqual(upcast('LaunchFailed', failed), {
      deployment: 1,
      oomKilled: false,
      isLoop: false,
      ...failed,
    });
  });

  test('builds had no arguments, and no newer commit took the place of one that waits', () => {
    const asked = { buildId: 'b', appId: 'a', repoUrl: 'u', ref: null, commit: 'c', dockerfilePath: 'D', at };
    const ingested = { ...asked, cause: 'ingested' };
    assert.deepEqual(upcast('BuildRequested', ingested), { ...ingested, args: {}, pinned: false });
    for (const cause of ['manual', 'retry']) {
      assert.deepEqual(upcast('BuildRequested', { ...asked, cause }), {
        ...asked,
        cause,
        args: {},
        pinned: true,
      });
    }
  });

  test('it was not kept what an image was made of, and there were no registries', () => {
    const log = { lines: 1, bytes: 2, truncated: false };
    const built = { image: 'i', imageId: 'sha256:1', bytes: 3, ports: [80] };
    const succeeded = { buildId: 'b', appId: 'a', attempt: 1, durationMs: 5, log, at, ...built };
    assert.deepEqual(upcast('BuildSucceeded', succeeded), { ...succeeded, provenance: null, pushed: null });
  });

  test('what has the present shape stays as it is, and so does what has no other', () => {
    const durations = { cloneMs: 1, inspectMs: 2, storeMs: 3 };
    const failed = {
      appId: 'a',
      run: 1,
      attempt: 3,
      reason: 'away',
      durationMs: 5,
      commit: 'c',
      durations,
      at,
    };
    assert.deepEqual(upcast('IngestionFailed', failed), failed);
    assert.deepEqual(upcast('IngestionQueued', { appId: 'a' }), { appId: 'a' });
    assert.deepEqual(upcast('toString', { appId: 'a' }), { appId: 'a' });
  });
});
