import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType } from '../../../domain/events.ts';
import { history } from '../../../projections/apps/history.ts';
import { recordedAt, sampleEvents, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

suite('the history of an app', async () => {
  const tables = await openTables(history);
  after(() => tables.close());

  test('holds every type of event of the app, its builds and its launches', async () => {
    const every = Object.keys(sampleEvents) as EventType[];
    const rows = await tables.rowsAfter(samples(...every));
    // The samples begin with those of apps.
    const types = every.filter(type => 'appId' in sampleEvents[type] && !type.startsWith('LaunchUsed'));
    const expected = types.map((type, at) => ({
      app_id: 'todo',
      position: at + 1,
      event_id: `00000000-0000-4000-8000-${String(at + 1).padStart(12, '0')}`,
      type,
      stream: 'apps.repository-todo',
      at: recordedAt,
      actor: 'operator:ann',
      correlation_id: 'r1',
      causation_id: 'q1',
      data: sampleEvents[type],
    }));
    assert.ok(rows.length >= 25);
    assert.deepEqual(rows, expected);
  });
});
