import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { ingestions } from '../../../projections/apps/ingestion.ts';
import { recorded, sampleEvents, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const queued = {
  app_id: 'todo',
  run: 1,
  cause: 'registered',
  status: 'queued',
  attempt: 0,
  message: null,
  commit: null,
  branch: null,
  durations: null,
  queued_at: '2026-01-01T00:00:04.000Z',
  started_at: null,
  retry_at: null,
  finished_at: null,
};
const processing = { ...queued, status: 'processing', attempt: 1, started_at: '2026-01-01T00:00:05.000Z' };
const waiting = {
  ...processing,
  status: 'queued',
  message: 'no network',
  durations: { cloneMs: 4, inspectMs: 0, storeMs: 0 },
  retry_at: '2026-01-01T00:01:00.000Z',
};

suite('ingestions in the table', async () => {
  const tables = await openTables(ingestions);
  after(() => tables.close());

  test('queued, then processing', async () => {
    assert.deepEqual(await tables.rowsAfter(samples('IngestionQueued')), [queued]);
    assert.deepEqual(await tables.rowsAfter(samples('IngestionQueued', 'IngestionStarted')), [processing]);
  });

  test('an attempt that failed says why until a success', async () => {
    const failedOnce = ['IngestionQueued', 'IngestionStarted', 'IngestionAttemptFailed'] as const;
    assert.deepEqual(await tables.rowsAfter(samples(...failedOnce)), [waiting]);
    const again = { ...waiting, status: 'processing', retry_at: null };
    assert.deepEqual(await tables.rowsAfter(samples(...failedOnce, 'IngestionStarted')), [again]);
    const rows = await tables.rowsAfter(samples(...failedOnce, 'IngestionStarted', 'IngestionSucceeded'));
    const ready = {
      ...again,
      status: 'ready',
      message: null,
      commit: 'c1',
      branch: 'main',
      durations: { cloneMs: 1, inspectMs: 2, storeMs: 3 },
      finished_at: '2026-01-01T00:00:09.000Z',
    };
    assert.deepEqual(rows, [ready]);
  });

  test('failed for good', async () => {
    const rows = await tables.rowsAfter(samples('IngestionQueued', 'IngestionStarted', 'IngestionFailed'));
    const failed = {
      status: 'failed',
      message: 'no such branch',
      commit: 'c2',
      durations: { cloneMs: 4, inspectMs: 5, storeMs: 0 },
      finished_at: '2026-01-01T00:00:08.000Z',
    };
    assert.deepEqual(rows, [{ ...processing, ...failed }]);
  });

  test('cancelled while it waits for another attempt', async () => {
    const events = samples(
      'IngestionQueued',
      'IngestionStarted',
      'IngestionAttemptFailed',
      'IngestionCancelled',
    );
    const cancelled = { status: 'cancelled', retry_at: null, finished_at: '2026-01-01T00:00:10.000Z' };
    assert.deepEqual(await tables.rowsAfter(events), [{ ...waiting, ...cancelled }]);
  });

  test('each ingestion of an app has a row of its own', async () => {
    const second = { ...sampleEvents.IngestionQueued, run: 2, cause: 'webhook' as const };
    const next = recorded({ type: 'IngestionQueued', data: second }, 9n);
    const rows = await tables.rowsAfter([...samples('IngestionQueued', 'IngestionStarted'), next]);
    assert.deepEqual(rows, [processing, { ...queued, run: 2, cause: 'webhook' }]);
  });
});
