import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType } from '../../../domain/events.ts';
import { repositories } from '../../../projections/apps/repository.ts';
import { sampleEvents, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const registered = {
  app_id: 'todo',
  name: 'Todo',
  description: 'A list',
  repo_url: 'https://git.example/todo.git',
  ref: 'main',
  dockerfile_path: null,
  homepage: null,
  owner: 'ann',
  archived: false,
  ingest_status: 'pending',
  status_message: null,
  run: 0,
  attempt: 0,
  cause: null,
  inspection: null,
  commit: null,
  branch: null,
  release: null,
  sandbox: null,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  ingested_at: null,
};
const busy = { ...registered, ingest_status: 'processing', run: 1, attempt: 1, cause: 'registered' };

suite('apps in the table', async () => {
  const tables = await openTables(repositories);
  after(() => tables.close());
  const rowsOf = (...types: readonly EventType[]) =>
    tables.rowsAfter(samples('RepositoryRegistered', ...types));
  const updated = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;

  test('registered, changed, tagged, released, archived', async () => {
    assert.deepEqual(await rowsOf(), [registered]);
    const changed = { ...registered, name: 'To do', owner: null, updated_at: updated(1) };
    assert.deepEqual(await rowsOf('RepositoryChanged'), [changed]);
    assert.deepEqual(await rowsOf('RepositoryTagged'), [{ ...registered, updated_at: updated(2) }]);
    assert.deepEqual(await rowsOf('RepositoryUntagged'), [{ ...registered, updated_at: updated(3) }]);
    const { release } = sampleEvents.RepositoryReleased;
    assert.deepEqual(await rowsOf('RepositoryReleased'), [
      { ...registered, release, updated_at: updated(16) },
    ]);
    assert.deepEqual(await rowsOf('RepositoryArchived'), [
      { ...registered, archived: true, updated_at: updated(24) },
    ]);
  });

  test('the newest ingestion, as it goes', async () => {
    const queued = { ...busy, ingest_status: 'pending', attempt: 0, updated_at: updated(4) };
    assert.deepEqual(await rowsOf('IngestionQueued'), [queued]);
    const running = ['IngestionQueued', 'IngestionStarted'] as const;
    assert.deepEqual(await rowsOf(...running), [{ ...busy, updated_at: updated(5) }]);
    assert.deepEqual(await rowsOf(...running, 'IngestionDeferred'), [{ ...busy, updated_at: updated(5) }]);
    assert.deepEqual(await rowsOf(...running, 'IngestionAttemptFailed'), [
      { ...busy, ingest_status: 'pending', status_message: 'no network', updated_at: updated(7) },
    ]);
    assert.deepEqual(await rowsOf(...running, 'IngestionFailed'), [
      { ...busy, ingest_status: 'failed', status_message: 'no such branch', updated_at: updated(8) },
    ]);
    assert.deepEqual(await rowsOf(...running, 'IngestionCancelled'), [
      {
        ...busy,
        ingest_status: 'failed',
        status_message: 'The ingestion was cancelled',
        updated_at: updated(10),
      },
    ]);
  });

  test('what a successful ingestion found', async () => {
    const rows = await rowsOf(
      'IngestionQueued',
      'IngestionStarted',
      'IngestionAttemptFailed',
      'IngestionSucceeded',
    );
    const found = {
      ingest_status: 'ready',
      inspection: sampleEvents.IngestionSucceeded.inspection,
      commit: 'c1',
      branch: 'main',
      ingested_at: updated(9),
      updated_at: updated(9),
    };
    assert.deepEqual(rows, [{ ...busy, ...found }]);
  });

  test('registered again after it was archived: described anew, nothing released', async () => {
    const rows = await rowsOf(
      'RepositoryReleased',
      'RepositoryChanged',
      'RepositoryArchived',
      'RepositoryRegistered',
    );
    assert.deepEqual(rows, [registered]);
  });
});
