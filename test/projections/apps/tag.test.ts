import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { PlatformEvent } from '../../../domain/events.ts';
import { tags } from '../../../projections/apps/tag.ts';
import { recorded, sampleEvents, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const language = { folded: 'language:node', key: 'language', value: 'node', count: 1 };

suite('tags and how many apps use them', async () => {
  const tables = await openTables(tags);
  after(() => tables.close());
  const counts = (events: ReturnType<typeof samples>) => tables.rowsAfter(events, 'apps_tag_counts');
  const keys = (events: ReturnType<typeof samples>) => tables.rowsAfter(events, 'apps_tag_keys');

  test('a row says where the tag comes from', async () => {
    const rows = await tables.rowsAfter(
      samples('RepositoryRegistered', 'RepositoryTagged', 'IngestionSucceeded'),
    );
    assert.deepEqual(rows, [
      {
        app_id: 'todo',
        origin: 'found',
        tag: 'port:80',
        key: 'port',
        value: '80',
        source: 'auto:dockerfile',
        folded: 'port:80',
      },
      { app_id: 'todo', origin: 'own', tag: 'a:b', key: 'a', value: 'b', source: 'manual', folded: 'a:b' },
      {
        app_id: 'todo',
        origin: 'own',
        tag: 'language:node',
        key: 'language',
        value: 'node',
        source: 'author',
        folded: 'language:node',
      },
    ]);
  });

  test('counts come and go with the tags', async () => {
    const tagged = samples('RepositoryRegistered', 'RepositoryTagged');
    assert.deepEqual(await counts(tagged), [{ folded: 'a:b', key: 'a', value: 'b', count: 1 }, language]);
    const untagged = samples('RepositoryRegistered', 'RepositoryTagged', 'RepositoryUntagged');
    assert.deepEqual(await counts(untagged), [language]);
    assert.deepEqual(await keys(untagged), [{ key: 'language', count: 1 }]);
  });

  test('a tag that an app has twice, said and found, counts once', async () => {
    const inspection = {
      ...sampleEvents.IngestionSucceeded.inspection,
      tags: [{ key: 'Language', value: 'Node', source: 'auto:package' }],
    };
    const found = { type: 'IngestionSucceeded', data: { ...sampleEvents.IngestionSucceeded, inspection } };
    const events = [...samples('RepositoryRegistered'), recorded(found as PlatformEvent, 2n)];
    assert.deepEqual(await counts(events), [language]);
  });

  test('two apps count two; an archived one does not count, and counts again when it is registered anew', async () => {
    const other = (type: 'RepositoryRegistered' | 'RepositoryArchived', position: bigint) =>
      recorded({ type, data: { ...sampleEvents[type], appId: 'other' } } as PlatformEvent, position);
    const two = [...samples('RepositoryRegistered'), other('RepositoryRegistered', 2n)];
    assert.deepEqual(await counts(two), [{ ...language, count: 2 }]);
    const archived = [...two, other('RepositoryArchived', 3n)];
    assert.deepEqual(await counts(archived), [language]);
    assert.deepEqual(await counts([...archived, other('RepositoryRegistered', 4n)]), [
      { ...language, count: 2 },
    ]);
  });
});
