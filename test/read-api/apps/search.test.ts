import assert from 'node:assert/strict';
import { after, beforeEach, suite, test } from 'node:test';
import fc from 'fast-check';
import { wordsOf } from '../../../domain/apps/words.ts';
import { httpServer } from '../../../platform/http.ts';
import { knownOperators } from '../../../platform/operators.ts';
import { searchApps, searchReads } from '../../../read-api/apps/search.ts';
import { archived, ingested, registered, searchTables } from '../../support/search.ts';

const loadApps = async (ids: readonly string[]) => ids.map(id => ({ id }));

suite('search', async () => {
  const tables = await searchTables();
  const { sql, store } = tables;
  after(() => tables.drop());
  beforeEach(() => tables.empty());

  const ask = (asked: Partial<Parameters<typeof searchApps>[1]>) =>
    searchApps({ sql, loadApps }, { limit: 25, ...asked });
  const idsOf = async (asked: Partial<Parameters<typeof searchApps>[1]>) =>
    (await ask(asked)).data.map(app => app.id);

  test('name before tags before description, whichever is newer; whole words and names first', async () => {
    await store(
      registered('whole', { name: 'Chart', at: 1 }),
      registered('word', { name: 'My chart', at: 2 }),
      registered('start', { name: 'My charts', at: 3 }),
      registered('tag', { tags: ['kind:chart'], at: 4 }),
      registered('text', { description: 'Draws a chart', at: 5 }),
      registered('other', { description: 'Draws lines', at: 6 }),
    );
    assert.deepEqual(await idsOf({ q: 'chart' }), ['whole', 'word', 'start', 'tag', 'text']);
    assert.deepEqual(await idsOf({ q: 'chart', sort: 'updated' }), ['text', 'tag', 'start', 'word', 'whole']);
  });

  test('every word must begin a word; accents and case do not matter', async () => {
    await store(registered('a', { name: 'Café Résumé' }), registered('b', { name: 'Cafe' }));
    assert.deepEqual(await idsOf({ q: 'RESU caf' }), ['a']);
    assert.deepEqual(await idsOf({ q: 'afe' }), []);
  });

  test('tags in the text and beside it, all of them, found or given', async () => {
    await store(
      registered('a', { tags: ['language:Node', 'topic:big data'] }),
      registered('b', { tags: ['language:node'] }),
      ingested('b', ['port:80']),
    );
    assert.deepEqual(await idsOf({ q: 'language:node', sort: 'name' }), ['a', 'b']);
    assert.deepEqual(await idsOf({ q: 'language:node', tags: ['PORT:80'] }), ['b']);
    assert.deepEqual(await idsOf({ q: 'topic:"big data" a' }), ['a']);
    assert.deepEqual(await idsOf({ tags: ['language:node,port:80'] }), ['b']);
    assert.deepEqual(await idsOf({ tags: ['language:nod'] }), []);
  });

  test('archived apps only where they are asked for', async () => {
    await store(
      registered('a'),
      registered('b'),
      ingested('b', [], 2),
      registered('c', { at: 3 }),
      archived('a'),
    );
    assert.deepEqual(await idsOf({}), ['c', 'b']);
    assert.deepEqual(await idsOf({ status: ['archived'] }), ['a']);
    assert.deepEqual(await idsOf({ status: ['ready'] }), ['b']);
    assert.deepEqual(await idsOf({ status: ['ready,archived'] }), ['a', 'b']);
    assert.deepEqual(await idsOf({ status: ['nonsense'] }), []);
  });

  test('owner, facets and total', async () => {
    await store(
      registered('a', { owner: 'ann', tags: ['x:1', 'y:2'] }),
      registered('b', { owner: 'ann', tags: ['x:1'] }),
      registered('c', { owner: 'bob' }),
    );
    const { data, meta } = await ask({ owner: 'ann', sort: 'name' });
    assert.deepEqual(data, [{ id: 'a' }, { id: 'b' }]);
    assert.deepEqual(meta, {
      total: { count: 2, exact: true },
      nextCursor: null,
      sort: 'name',
      facets: {
        tags: [
          { key: 'x', value: '1', count: 2 },
          { key: 'y', value: '2', count: 1 },
        ],
        statuses: [{ value: 'pending', count: 2 }],
        owners: [{ value: 'ann', count: 2 }],
      },
    });
  });

  test('what is typed is never more than text', async () => {
    await store(
      registered('a', { name: '100% pure_text', tags: ['path:a%b'] }),
      registered('b', { name: 'pure' }),
    );
    assert.deepEqual(await idsOf({ q: '%' }), []);
    assert.deepEqual(await idsOf({ q: 'pure_' }), ['b', 'a']);
    assert.deepEqual(await idsOf({ q: 'path:a%b' }), ['a']);
    assert.deepEqual(await idsOf({ q: 'path:a_b' }), []);
    assert.deepEqual(await idsOf({ q: `100 '); drop table apps_search; --` }), []);
    assert.deepEqual(await idsOf({ q: 'pure:*|!' }), []);
    assert.deepEqual(await idsOf({ q: 'x'.repeat(10_000) }), []);
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: fc.constantFrom(...`%_:'"\\&|!()*<>-\0 aé\ud800,`), maxLength: 30 }),
    );
    await fc.assert(
      fc.asyncProperty(hostile, hostile, hostile, async (q, tag, owner) => {
        await store(registered('c', { name: `${q}x`, description: tag, owner, tags: [`k:${tag}`] }));
        await ask({ q, tags: [tag], owner });
        const word = wordsOf(q).find(one => /^[a-z]{2,}$/.test(one));
        if (word !== undefined) assert.ok((await idsOf({ q: word })).includes('c'));
      }),
      { numRuns: 100 },
    );
  });

  test('the pages together are the whole, without a repeat, for each order', async () => {
    const app = fc.record({
      name: fc.constantFrom('red', 'red blue', 'blue redder', 'Red'),
      description: fc.constantFrom('red', 'blue', null),
      tags: fc.subarray(['k:red', 'k:blue']),
      at: fc.integer({ min: 0, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(app, { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom('relevance', 'updated', 'name'),
        async (apps, limit, sort) => {
          await tables.empty();
          await store(...apps.map((said, at) => registered(`app-${at}`, said)));
          const whole = await idsOf({ q: 'red', sort, limit: 100 });
          const pages: string[] = [];
          for (let cursor: string | null = '', turns = 0; cursor !== null && turns < 60; turns += 1) {
            const page: Awaited<ReturnType<typeof ask>> = await ask({ q: 'red', sort, limit, cursor });
            pages.push(...page.data.map(({ id }) => id));
            cursor = page.meta.nextCursor;
          }
          assert.deepEqual(pages, whole);
          assert.equal(new Set(pages).size, apps.length);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('what the walk along the order does not reach, the index finds; the total says that it is not exact', async () => {
    const many = Array.from({ length: 5_000 }, (_, at) =>
      registered(`many-${String(at).padStart(4, '0')}`, {
        at: at + 10,
        description: 'common',
        tags: ['k:v'],
      }),
    );
    const rare = [0, 1, 2].map(at => registered(`old-${at}`, { name: 'rare', tags: ['k:rare'], at }));
    // Better matches than all the near ones, of three tiers, far away.
    const far = [
      registered('far-whole', { name: 'Common', at: 4 }),
      registered('far-word', { name: 'A common thing', at: 6 }),
      registered('far-tag', { tags: ['k:commonly'], at: 5 }),
    ];
    await store(...rare, ...far, ...many);
    assert.deepEqual(await idsOf({ q: 'rar' }), ['old-2', 'old-1', 'old-0']);
    assert.deepEqual(await idsOf({ tags: ['k:rare'], limit: 2 }), ['old-2', 'old-1']);
    assert.deepEqual((await ask({ q: 'common' })).meta.total, { count: 500, exact: false });
    assert.deepEqual((await ask({ q: 'rare' })).meta.total, { count: 3, exact: true });
    for (const limit of [2, 100]) {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null && seen.length < 5_003; ) {
        const page: Awaited<ReturnType<typeof ask>> = await ask({ q: 'common', limit, cursor });
        seen.push(...page.data.map(({ id }) => id));
        cursor = limit === 2 && seen.length > 8 ? null : page.meta.nextCursor;
      }
      const near = many.map(({ data }) => ('appId' in data ? data.appId : '')).reverse();
      const whole = ['far-whole', 'far-word', 'far-tag', ...near];
      assert.deepEqual(seen, limit === 2 ? whole.slice(0, seen.length) : whole);
    }
  });

  test('a cursor belongs to its query', async () => {
    await store(registered('a', { at: 1 }), registered('b', { at: 2 }));
    const { meta } = await ask({ limit: 1 });
    const cursor = meta.nextCursor ?? '';
    assert.deepEqual(await idsOf({ limit: 1, cursor }), ['a']);
    await assert.rejects(ask({ q: 'a', cursor }), { status: 400 });
    for (const bad of ['x', '%', Buffer.from('[1]').toString('base64url'), cursor.slice(0, -6), '\0']) {
      await assert.rejects(ask({ cursor: bad }), { status: 400 }, bad);
    }
  });

  test('over HTTP: needs its scope, checks what is asked, waits to be fresh', async () => {
    await store(registered('todo', { name: 'To do', tags: ['language:node'], at: 1 }));
    const ann = knownOperators([{ subject: 'ann', token: 't', scopes: ['apps:read'] }]);
    const app = await httpServer({
      logger: undefined,
      version: '0',
      credentials: { identify: async ({ bearer = '' }) => ann.identify(bearer) },
    });
    const asked: unknown[] = [];
    const fresh = async (request: { query: unknown }) => {
      asked.push((request.query as { after?: string }).after);
    };
    await app.register(searchReads({ sql, loadApps, fresh }));
    const get = (url: string) => app.inject({ url, headers: { authorization: 'Bearer t' } });
    assert.equal((await app.inject('/apps')).statusCode, 401);
    const found = await get('/apps?q=do&tags=language:node&status=pending&sort=relevance&limit=5&after=7');
    assert.equal(found.statusCode, 200, found.body);
    assert.deepEqual(found.json().data, [{ id: 'todo' }]);
    assert.deepEqual(asked, ['7']);
    const suggested = await get('/suggest?q=red%20lang');
    assert.deepEqual(suggested.json(), {
      data: [
        { type: 'key', value: 'language:', label: 'language', count: 1 },
        { type: 'pair', value: 'language:node', label: 'language:node', count: 1 },
      ],
    });
    for (const url of [
      '/apps?sort=x',
      '/apps?limit=0',
      '/apps?limit=101',
      '/apps?cursor=x',
      '/apps?after=-1',
    ]) {
      const answer = await get(url);
      assert.equal(answer.statusCode, 400, url);
    }
    for (const url of [
      '/apps?q=%00%25_%3A',
      '/suggest?q=%00%25_%27',
      '/apps?tags=%00&owner=%00&status=%00',
    ]) {
      assert.equal((await get(url)).statusCode, 200, url);
    }
    await app.close();
  });
});
