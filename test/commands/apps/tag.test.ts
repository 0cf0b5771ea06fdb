/** Tags by hand over HTTP, beside those the owner gave and those the source says itself. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import * as limits from '../../../domain/kernel/limits.ts';
import { startApi } from '../../support/api.ts';
import { ingest } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('tags by hand', async () => {
  const api = await startApi();
  after(() => api.close());
  const tagsOf = async (id: string) => (await api.read(`/apps/${id}`)).data.tags;
  const place = (id: string, key: string, value: string) =>
    `/apps/${id}/tags/${encodeURIComponent(key)}/${encodeURIComponent(value)}`;

  test('each tag carries who said so, and a tag of the source cannot be taken away by hand', async () => {
    await api.write('POST', '/apps', {
      id: 'sources',
      name: 'A',
      repoUrl,
      tags: [{ key: 'given', value: 'first' }],
    });
    await ingest(api, 'sources', {
      tags: [
        { key: 'language', value: 'javascript', source: 'auto:dockerfile' },
        { key: 'framework', value: 'nextjs', source: 'auto:package' },
      ],
    });
    await api.write('POST', '/apps/sources/tags', { key: 'later', value: 'by hand' });
    await api.write('POST', '/apps/sources/tags', { key: 'language', value: 'javascript' });
    assert.deepEqual(await tagsOf('sources'), [
      { key: 'framework', value: 'nextjs', source: 'auto:package' },
      { key: 'given', value: 'first', source: 'author' },
      { key: 'language', value: 'javascript', source: 'manual' },
      { key: 'later', value: 'by hand', source: 'manual' },
    ]);
    await api.write('DELETE', place('sources', 'language', 'javascript'));
    await api.write('DELETE', place('sources', 'framework', 'nextjs'));
    await api.write('DELETE', place('sources', 'given', 'first'));
    assert.deepEqual(await tagsOf('sources'), [
      { key: 'framework', value: 'nextjs', source: 'auto:package' },
      { key: 'language', value: 'javascript', source: 'auto:dockerfile' },
      { key: 'later', value: 'by hand', source: 'manual' },
    ]);
  });

  test('any value comes off again as it went on', async () => {
    await api.write('POST', '/apps', { id: 'values', name: 'A', repoUrl });
    const values = [
      'a/b',
      'a b',
      '100%',
      '%2F',
      'a?b#c',
      'ä:ö',
      '"',
      '\\',
      '+',
      '😀',
      '__proto__',
      '*',
      ':key',
      'a,b',
      '...',
    ];
    for (const value of values) await api.write('POST', '/apps/values/tags', { key: 'odd/key.x', value });
    assert.deepEqual(
      (await tagsOf('values')).map((tag: { value: string }) => tag.value).sort(),
      [...values].sort(),
    );
    for (const value of values) await api.write('DELETE', place('values', 'odd/key.x', value));
    assert.deepEqual(await tagsOf('values'), []);
  });

  test('a tag that is there already, or not there, is no event', async () => {
    await api.write('POST', '/apps', { id: 'twice', name: 'A', repoUrl });
    const added = await api.ask('POST', '/apps/twice/tags', { body: { key: 'a', value: 'b' } });
    assert.equal(added.status, 202);
    assert.equal(added.headers.get('location'), '/apps/twice');
    const again = await api.ask('POST', '/apps/twice/tags', { body: { key: 'a', value: 'b' } });
    const never = await api.ask('DELETE', place('twice', 'a', 'c'));
    assert.deepEqual([again.body, never.body], [added.body, added.body]);
    api.wrote(BigInt(added.body.data.position));
    assert.equal((await api.read('/apps/twice/history')).data.length, 2);
  });

  test('keys and values have their forms', async () => {
    await api.write('POST', '/apps', { id: 'forms', name: 'A', repoUrl });
    const add = (body: unknown) => api.ask('POST', '/apps/forms/tags', { body });
    for (const key of ['a', '9', 'stack.db', 'a/b-c_d', `a${'b'.repeat(63)}`]) {
      assert.equal((await add({ key, value: 'v' })).status, 202, key);
    }
    for (const key of ['', 'A', 'ä', '.a', '-a', 'a b', 'a:b', `a${'b'.repeat(64)}`, 7, null]) {
      assertInvalid(await add({ key, value: 'v' }), 'key');
    }
    for (const value of ['', ' ', 'a\nb', 'a\0', 'v'.repeat(limits.tagValueCharsMax + 1), 7]) {
      assertInvalid(await add({ key: 'k', value }), 'value');
    }
    assertInvalid(await add({ key: 'k', value: 'v', source: 'author' }), 'source');
    assertInvalid(await api.ask('DELETE', place('forms', 'A', 'v')), 'key');
    assertInvalid(await api.ask('DELETE', place('forms', 'a', 'v'.repeat(129))), 'value');
  });

  test('an app has two hundred tags at most', async () => {
    await api.write('POST', '/apps', { id: 'many', name: 'A', repoUrl });
    for (let at = 0; at < limits.tagsPerAppMax; at += 1) {
      await api.write('POST', '/apps/many/tags', { key: 'k', value: `v${at}` });
    }
    const message = assertInvalid(
      await api.ask('POST', '/apps/many/tags', { body: { key: 'k', value: 'more' } }),
      'tags',
    );
    assert.match(message, /200/);
    assert.equal((await api.ask('POST', '/apps/many/tags', { body: { key: 'k', value: 'v0' } })).status, 202);
  });
});

suite('ingestions by hand', async () => {
  const api = await startApi();
  after(() => api.close());

  test('retry queues one, which is seen; another is refused until it has ended or was cancelled', async () => {
    await api.write('POST', '/apps', { id: 'todo', name: 'A', repoUrl });
    const queued = await api.ask('POST', '/apps/todo/retry');
    assert.equal(queued.status, 202, queued.text);
    assert.deepEqual(
      [queued.headers.get('location'), queued.body.data.id],
      ['/apps/todo/ingestions', 'todo'],
    );
    api.wrote(BigInt(queued.body.data.position));
    const { data } = await api.read('/apps/todo');
    assert.deepEqual([data.status, data.ingestion], ['pending', { run: 1, attempt: 0, cause: 'retry' }]);
    const busy = await api.ask('POST', '/apps/todo/retry');
    assertProblem(busy, 409, 'ingestion/in-progress');
    assert.equal(busy.body.run, 1);
    await api.write('POST', '/apps/todo/cancel');
    assert.equal((await api.read('/apps/todo/ingestions')).data[0].status, 'cancelled');
    const shown = (await api.read('/apps/todo')).data;
    assert.deepEqual([shown.status, shown.statusMessage], ['failed', 'The ingestion was cancelled']);
    assertProblem(await api.ask('POST', '/apps/todo/cancel'), 409, 'ingestion/not-in-progress');
    await api.write('POST', '/apps/todo/retry');
    assert.deepEqual(
      (await api.read('/apps/todo/ingestions')).data.map((one: { run: number; status: string }) => [
        one.run,
        one.status,
      ]),
      [
        [2, 'queued'],
        [1, 'cancelled'],
      ],
    );
  });

  test('a body that says something is refused, an empty one is not', async () => {
    await api.write('POST', '/apps', { id: 'bodies', name: 'A', repoUrl });
    assertInvalid(await api.ask('POST', '/apps/bodies/retry', { body: { force: true } }), 'force');
    assertInvalid(await api.ask('POST', '/apps/bodies/retry', { body: [] }), 'body');
    assert.equal((await api.ask('POST', '/apps/bodies/retry', { body: {} })).status, 202);
  });
});
