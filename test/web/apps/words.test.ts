/** What is typed into the page's fields, taken apart without a browser. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

type Tag = { key: string; value: string };
type SearchWords = {
  wordAt(text: string, caret: number): { from: number; to: number; before: string };
  complete(text: string, caret: number, value: string): { text: string; caret: number };
  tagText(tag: Tag): string;
  tagsIn(text: string): string[];
  toggleTag(text: string, tag: string): string;
};
type RegisterWords = {
  idFrom(url: string): string;
  nameFrom(url: string): string;
  readTags(text: string): Tag[];
};
type Calmly = { calmly<T extends { id: string }>(before: T[], now: T[]): T[] };
// The page's files are JavaScript, checked by a configuration of their own.
const load = (name: string) => import(new URL(`../../../web/apps/${name}.js`, import.meta.url).href);
const { wordAt, complete, tagText, tagsIn, toggleTag } = (await load('search-words')) as SearchWords;
const { idFrom, nameFrom, readTags } = (await load('register-words')) as RegisterWords;
const { calmly } = (await load('calmly')) as Calmly;

suite('the word at the caret', () => {
  test('goes from the space before it to the space after it', () => {
    assert.deepEqual(wordAt('one two three', 6), { from: 4, to: 7, before: 'tw' });
    assert.deepEqual(wordAt('', 0), { from: 0, to: 0, before: '' });
  });

  test('is the whole of a quotation that was opened', () => {
    assert.deepEqual(wordAt('a kind:"web si', 14), { from: 2, to: 14, before: 'kind:"web si' });
    assert.deepEqual(wordAt('a kind:"web site" b', 11), { from: 2, to: 17, before: 'kind:"web' });
  });

  test('is replaced by a pair with a space behind it, by a key without one', () => {
    assert.deepEqual(complete('red te more', 6, 'team:'), { text: 'red team: more', caret: 9 });
    assert.deepEqual(complete('red team:a', 10, 'team:alpha'), { text: 'red team:alpha ', caret: 15 });
    assert.deepEqual(complete('red team:a more', 10, 'team:alpha'), {
      text: 'red team:alpha more',
      caret: 15,
    });
  });
});

suite('tags in a text', () => {
  test('are written so that they are read again', () => {
    assert.equal(tagText({ key: 'kind', value: 'web site' }), 'kind:"web site"');
    assert.deepEqual(tagsIn('red kind:"web site" https://example.org a:b :c'), ['kind:"web site"', 'a:b']);
  });

  test('come in once and go out again', () => {
    assert.equal(toggleTag('red', 'a:b'), 'red a:b');
    assert.equal(toggleTag('red A:B blue', 'a:b'), 'red blue');
  });
});

suite('what an address tells of an app', () => {
  const cases = [
    ['https://example.org/team/My_Cool.App.git', 'my-cool-app', 'My Cool App'],
    ['git@example.org:tool.git/', 'tool', 'Tool'],
    ['https://example.org/42-times', 'times', '42 times'],
    ['', '', ''],
  ] as const;
  for (const [url, id, name] of cases) {
    test(url || 'nothing', () => {
      assert.equal(idFrom(url), id);
      assert.equal(nameFrom(url), name);
    });
  }

  test('tags are pairs; what is none is left for the server to refuse', () => {
    assert.deepEqual(readTags('team:alpha, kind:"web app" url:a:b nope'), [
      { key: 'team', value: 'alpha' },
      { key: 'kind', value: 'web app' },
      { key: 'url', value: 'a:b' },
      { key: 'nope', value: '' },
    ]);
  });
});

suite('a list that is looked at', () => {
  const apps = (...ids: string[]) => ids.map(id => ({ id }));
  test('keeps its order, takes in what is new where it belongs, and lets go what is gone', () => {
    assert.deepEqual(calmly(apps('a', 'b', 'c'), apps('c', 'new', 'a')), apps('a', 'new', 'c'));
    assert.deepEqual(calmly(apps(), apps('a', 'b')), apps('a', 'b'));
  });

  test('shows each app as it is now', () => {
    assert.deepEqual(calmly([{ id: 'a', name: 'old' }], [{ id: 'a', name: 'new' }]), [
      { id: 'a', name: 'new' },
    ]);
  });
});
