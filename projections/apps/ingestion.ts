/** Every ingestion of every app, by its number. The timeline of one is in the history. */
import type { StageDurations } from '../../domain/apps/ingestion.ts';
import { type Projection, patch, put, type Row } from '../projection.ts';

const table = 'apps_ingestions';

const keyOf = (data: { appId: string; run: number }) => ({ app_id: data.appId, run: data.run });

type Failure = { reason: string; commit: string | null; durations: StageDurations };
const failureOf = ({ reason, commit, durations }: Failure): Row => ({ message: reason, commit, durations });

export const ingestions: Projection = {
  name: table,
  version: 2,
  tables: { [table]: ['app_id', 'run'] },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('app_id').notNullable();
      t.integer('run').notNullable();
      t.primary(['app_id', 'run']);
      t.text('cause').notNullable();
      t.text('status').notNullable();
      t.integer('attempt').notNullable();
      t.text('message');
      t.text('commit');
      t.text('branch');
      t.jsonb('durations');
      t.timestamp('queued_at').notNullable();
      t.timestamp('started_at');
      t.timestamp('retry_at');
      t.timestamp('finished_at');
    }),

  on: {
    IngestionQueued: ({ data }) => [
      put(table, { ...keyOf(data), cause: data.cause, status: 'queued', attempt: 0, queued_at: data.at }),
    ],
    IngestionStarted: ({ data }) => [
      patch(table, keyOf(data), {
        status: 'processing',
        attempt: data.attempt,
        started_at: data.at,
        retry_at: null,
      }),
    ],
    IngestionAttemptFailed: ({ data }) => [
      patch(table, keyOf(data), { ...failureOf(data), status: 'queued', retry_at: data.retryAt }),
    ],
    IngestionFailed: ({ data }) => [
      patch(table, keyOf(data), { ...failureOf(data), status: 'failed', finished_at: data.at }),
    ],
    IngestionCancelled: ({ data }) => [
      patch(table, keyOf(data), { status: 'cancelled', retry_at: null, finished_at: data.at }),
    ],
    IngestionSucceeded: ({ data }) => [
      patch(table, keyOf(data), {
        status: 'ready',
        message: null,
        commit: data.commit,
        branch: data.branch,
        durations: data.durations,
        finished_at: data.at,
      }),
    ],
  },
};
