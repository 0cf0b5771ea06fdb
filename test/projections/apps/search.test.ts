import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType } from '../../../domain/events.ts';
import { search } from '../../../projections/apps/search.ts';
import { samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

type Row = { tags: string[]; words: string } & Record<string, unknown>;

const registered = {
  app_id: 'todo',
  name_sort: 'todo',
  name_lexeme: 'todo',
  name_words: 'todo',
  about_words: 'a list',
  owner: 'ann',
  status: 'pending',
  archived: false,
  updated_at: '2026-01-01T00:00:00.000Z',
  own_tags: ['language:node'],
  own_words: 'language node',
  found_tags: [],
  found_words: '',
  found_about_words: '',
  tags: ['language:node'],
  words: "'0todo' '1todo' '2language' '2node' '2todo' '3a' '3language' '3list' '3node' '3todo'",
};

suite('what a search looks at', async () => {
  const tables = await openTables(search);
  after(() => tables.close());
  const rowAfter = async (...types: readonly EventType[]) => {
    const rows = (await tables.rowsAfter(samples(...types))) as readonly Row[];
    assert.equal(rows.length, 1);
    return rows[0] as Row;
  };

  test('words by the place they stand in: the whole name, name, tags, anything', async () => {
    assert.deepEqual(await rowAfter('RepositoryRegistered'), registered);
  });

  test('a changed name takes its words along; the id stays a word of the name', async () => {
    const row = await rowAfter('RepositoryRegistered', 'RepositoryChanged');
    assert.equal(row.name_lexeme, 'to-do');
    assert.equal(row.name_words, 'to do todo');
    assert.equal(row.owner, null);
    assert.match(row.words, /'0to-do' '1do' '1to' '1todo'/);
    assert.doesNotMatch(row.words, /'0todo'/);
  });

  test('tags come and go', async () => {
    const tagged = await rowAfter('RepositoryRegistered', 'RepositoryTagged');
    assert.deepEqual(tagged.tags, ['a:b', 'language:node']);
    assert.match(tagged.words, /'2b'/);
    const untagged = await rowAfter('RepositoryRegistered', 'RepositoryTagged', 'RepositoryUntagged');
    assert.deepEqual(untagged, { ...registered, updated_at: untagged.updated_at });
  });

  test('what is found in the repository joins what its owner says, and the next ingestion says it anew', async () => {
    const row = await rowAfter('RepositoryRegistered', 'IngestionSucceeded', 'IngestionSucceeded');
    assert.equal(row.status, 'ready');
    assert.deepEqual(row.tags, ['language:node', 'port:80']);
    assert.deepEqual([row.found_words, row.found_about_words], ['port 80', 'todo a']);
    assert.match(row.words, /'2port'.*'3port'/);
  });

  test('the status follows the ingestion', async () => {
    const statuses = [
      ['IngestionQueued', 'pending'],
      ['IngestionStarted', 'processing'],
      ['IngestionAttemptFailed', 'pending'],
      ['IngestionFailed', 'failed'],
      ['IngestionCancelled', 'failed'],
    ] as const;
    for (const [type, status] of statuses) {
      assert.equal((await rowAfter('RepositoryRegistered', type)).status, status, type);
    }
  });

  test('an archived app is marked; registered anew it is as if new', async () => {
    const row = await rowAfter('RepositoryRegistered', 'RepositoryArchived');
    assert.deepEqual(row, { ...registered, archived: true, updated_at: '2026-01-01T00:00:24.000Z' });
    const again = await rowAfter(
      'RepositoryRegistered',
      'RepositoryTagged',
      'RepositoryArchived',
      'RepositoryRegistered',
    );
    assert.equal(again.archived, false);
    assert.deepEqual(again.own_tags, ['language:node']);
  });
});
