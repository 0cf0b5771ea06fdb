import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { builds } from '../../../projections/apps/build.ts';
import { sampleEvents, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const queued = {
  build_id: 'b1',
  app_id: 'todo',
  repo_url: 'https://git.example/todo.git',
  commit: 'c1',
  ref: null,
  dockerfile_path: 'Dockerfile',
  args: { NODE_ENV: 'production' },
  cause: 'ingested',
  pinned: false,
  status: 'queued',
  attempt: 0,
  image: null,
  image_id: null,
  bytes: null,
  ports: null,
  failure: null,
  superseded_by: null,
  provenance: null,
  pushed: null,
  log: null,
  duration_ms: null,
  asked_position: 1,
  requested_at: '2026-01-01T00:00:11.000Z',
  started_at: null,
  finished_at: null,
};
const running = { ...queued, status: 'running', attempt: 1, started_at: '2026-01-01T00:00:12.000Z' };

suite('builds in the table', async () => {
  const tables = await openTables(builds);
  after(() => tables.close());

  test('queued, then running', async () => {
    assert.deepEqual(await tables.rowsAfter(samples('BuildRequested')), [queued]);
    assert.deepEqual(await tables.rowsAfter(samples('BuildRequested', 'BuildStarted')), [running]);
  });

  test('succeeded, with an image of more than 4 GiB', async () => {
    const rows = await tables.rowsAfter(samples('BuildRequested', 'BuildStarted', 'BuildSucceeded'));
    const succeeded = {
      ...running,
      status: 'succeeded',
      image: 'apphub/todo:c1',
      image_id: 'sha256:1',
      bytes: 5_000_000_000,
      ports: [80, 443],
      provenance: sampleEvents.BuildSucceeded.provenance,
      log: { lines: 3, bytes: 90, truncated: false },
      duration_ms: 1_500,
      finished_at: '2026-01-01T00:00:13.000Z',
    };
    assert.deepEqual(rows, [succeeded]);
  });

  test('failed, with the step', async () => {
    const rows = await tables.rowsAfter(samples('BuildRequested', 'BuildStarted', 'BuildFailed'));
    const failed = {
      ...running,
      status: 'failed',
      failure: { reason: 'exit code 1', step: 2, instruction: 'RUN false' },
      log: { lines: 2, bytes: 20, truncated: true },
      duration_ms: 700,
      finished_at: '2026-01-01T00:00:14.000Z',
    };
    assert.deepEqual(rows, [failed]);
  });

  test('cancelled', async () => {
    const rows = await tables.rowsAfter(samples('BuildRequested', 'BuildCancelled'));
    assert.deepEqual(rows, [{ ...queued, status: 'cancelled', finished_at: '2026-01-01T00:00:15.000Z' }]);
  });

  test('given up for a newer one', async () => {
    const rows = await tables.rowsAfter(samples('BuildRequested', 'BuildSuperseded'));
    const superseded = { status: 'superseded', superseded_by: { buildId: 'b2', commit: 'c2' } };
    assert.deepEqual(rows, [{ ...queued, ...superseded, finished_at: '2026-01-01T00:00:15.000Z' }]);
  });
});
