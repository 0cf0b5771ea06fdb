import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { images } from '../../../projections/apps/build-image.ts';
import { samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const present = {
  build_id: 'b1',
  app_id: 'todo',
  image: 'apphub/todo:c1',
  image_id: 'sha256:1',
  bytes: 5_000_000_000,
  place: 'present',
  reason: null,
  built_at: '2026-01-01T00:00:13.000Z',
  used_at: null,
  changed_at: '2026-01-01T00:00:13.000Z',
};

suite('images in the table', async () => {
  const tables = await openTables(images);
  after(() => tables.close());

  test('built, and launched', async () => {
    assert.deepEqual(await tables.rowsAfter(samples('BuildSucceeded')), [present]);
    const launched = { ...present, used_at: '2026-01-01T00:00:17.000Z' };
    assert.deepEqual(await tables.rowsAfter(samples('BuildSucceeded', 'LaunchRequested')), [launched]);
  });

  test('to go, and gone', async () => {
    const going = {
      ...present,
      place: 'removing',
      reason: 'count',
      changed_at: '2026-01-01T00:00:15.100Z',
    };
    assert.deepEqual(await tables.rowsAfter(samples('BuildSucceeded', 'BuildImageRemoving')), [going]);
    const gone = { ...going, place: 'removed', changed_at: '2026-01-01T00:00:15.200Z' };
    const all = samples('BuildSucceeded', 'BuildImageRemoving', 'BuildImageRemoved');
    assert.deepEqual(await tables.rowsAfter(all), [gone]);
  });

  test('kept after all', async () => {
    const kept = { ...present, changed_at: '2026-01-01T00:00:15.300Z' };
    const all = samples('BuildSucceeded', 'BuildImageRemoving', 'BuildImageKept');
    assert.deepEqual(await tables.rowsAfter(all), [kept]);
  });
});
