/** One app, found by words and tags, suggested, shown with what the machines found out about it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { putPicture } from '../../../platform/objects.ts';
import { type Body, startApi } from '../../support/api.ts';
import { ingest } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('apps as they are seen', async () => {
  const api = await startApi();
  after(() => api.close());

  test('what the owner does not say, the source does', async () => {
    await api.write('POST', '/apps', { id: 'found', name: 'Found', repoUrl });
    const sha256 = await putPicture(api.objects, Buffer.from('picture'), 'image/png');
    const previews = [
      { kind: 'image', title: 'A shot', url: null, sha256, mediaType: 'image/png', bytes: 7 },
      { kind: 'video', title: null, url: 'https://v.example/x', sha256: null, mediaType: null, bytes: null },
    ] as const;
    await ingest(api, 'found', {
      title: 'README title',
      description: 'First paragraph',
      homepage: 'https://found.example/',
      dockerfilePath: 'deep/Dockerfile',
      previews: [...previews],
      ports: [80, 443],
    });
    const { data } = await api.read('/apps/found');
    assert.deepEqual(
      [
        data.status,
        data.title,
        data.description,
        data.homepage,
        data.dockerfilePath,
        data.branch,
        data.ports,
      ],
      [
        'ready',
        'README title',
        'First paragraph',
        'https://found.example/',
        'deep/Dockerfile',
        'main',
        [80, 443],
      ],
    );
    assert.deepEqual(data.previews, [
      { kind: 'image', title: 'A shot', url: `/pictures/${sha256}` },
      { kind: 'video', title: null, url: 'https://v.example/x' },
    ]);
    await api.write('PATCH', '/apps/found', { description: 'Own words', dockerfilePath: 'Dockerfile' });
    const said = (await api.read('/apps/found')).data;
    assert.deepEqual([said.description, said.dockerfilePath], ['Own words', 'Dockerfile']);
  });

  test('a picture is for everybody, for ever, and can do nothing', async () => {
    const bytes = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
    const sha256 = await putPicture(api.objects, bytes, 'image/svg+xml');
    const { status, headers, text } = await api.ask('GET', `/pictures/${sha256}`, { token: null });
    assert.deepEqual([status, text, headers.get('content-type')], [200, bytes.toString(), 'image/svg+xml']);
    assert.equal(headers.get('etag'), `"${sha256}"`);
    assert.match(headers.get('cache-control') ?? '', /immutable/);
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'.*sandbox/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assertProblem(
      await api.ask('GET', `/pictures/${createHash('sha256').update('x').digest('hex')}`),
      404,
      'not-found',
    );
    for (const key of ['x', sha256.toUpperCase(), `${sha256}%2f..`, '..%2f..%2foperator-token']) {
      assertInvalid(await api.ask('GET', `/pictures/${key}`), 'sha256');
    }
  });

  test('found by words, tags, status and owner, page by page, with facets', async () => {
    const apps = [
      { id: 'chart-one', name: 'Chart one', owner: 'ann', tags: [{ key: 'language', value: 'node' }] },
      { id: 'chart-two', name: 'Chart two', owner: 'bob', tags: [{ key: 'language', value: 'python' }] },
      {
        id: 'text-only',
        name: 'Other',
        description: 'Draws a chart',
        tags: [{ key: 'topic', value: 'big data' }],
      },
    ];
    for (const app of apps) await api.write('POST', '/apps', { repoUrl, ...app });
    const idsOf = async (query: string) => (await api.read(`/apps?${query}`)).data.map(({ id }: Body) => id);
    assert.deepEqual(await idsOf('q=chart&sort=relevance'), ['chart-two', 'chart-one', 'text-only']);
    assert.deepEqual(await idsOf('q=CHA+one'), ['chart-one']);
    assert.deepEqual(await idsOf('q=chart+language:python'), ['chart-two']);
    assert.deepEqual(await idsOf('tags=language:node'), ['chart-one']);
    assert.deepEqual(await idsOf('tags=language:node&tags=topic:x'), []);
    assert.deepEqual(await idsOf(`q=${encodeURIComponent('topic:"big data"')}`), ['text-only']);
    assert.deepEqual(await idsOf('q=chart&owner=ann'), ['chart-one']);
    assert.deepEqual(await idsOf('q=chart&status=ready'), []);
    assert.deepEqual(await idsOf('q=chart&status=pending&status=failed&sort=name'), [
      'chart-one',
      'chart-two',
      'text-only',
    ]);
    const page = await api.read('/apps?q=chart&limit=2');
    assert.deepEqual(page.meta.total, { count: 3, exact: true });
    assert.deepEqual(page.meta.facets.owners, [
      { value: 'ann', count: 1 },
      { value: 'bob', count: 1 },
    ]);
    assert.equal(page.data[0].repoUrl, repoUrl, 'a whole app each');
    assert.deepEqual(await idsOf(`q=chart&limit=2&cursor=${page.meta.nextCursor}`), ['text-only']);
    for (const [query, field] of [
      ['sort=best', 'sort'],
      ['limit=0', 'limit'],
      ['limit=101', 'limit'],
      ['cursor=x', 'cursor'],
      ['q=a&q=b', 'q'],
      [`q=${'x'.repeat(16_385)}`, 'q'],
      [Array.from({ length: 21 }, () => 'tags=a:b').join('&'), 'tags'],
    ]) {
      assertInvalid(await api.ask('GET', `/apps?${query}`), field ?? '');
    }
  });

  test('whatever is typed is text, in the search and at the caret', async () => {
    const typed = [
      '%',
      '_',
      ':',
      "'",
      '"',
      '\\',
      '%00',
      '%EF%BF%BF',
      '(',
      ')',
      '&',
      '|',
      '!',
      '*',
      '<->',
      'a:*',
      "';drop table apps_search;--",
      '\ud83d\ude00',
      '-',
      '\t\n',
      ',',
    ];
    for (const text of [
      ...typed,
      typed.join(' '),
      'k:"',
      '"""',
      'a:b:c',
      '::',
      'x'.repeat(10_000),
      '%'.repeat(10_000),
    ]) {
      const q = text.startsWith('%0') || text.startsWith('%E') ? text : encodeURIComponent(text);
      for (const place of [
        `/apps?q=${q}`,
        `/apps?tags=${q}`,
        `/apps?owner=${q.slice(0, 999)}`,
        `/apps?status=${q.slice(0, 99)}`,
        `/suggest?q=${q}`,
      ]) {
        if (/%[0-9A-F]?$/.test(place)) continue;
        const answer = await api.ask('GET', place);
        assert.equal(answer.status, 200, `${place.slice(0, 60)}: ${answer.text.slice(0, 200)}`);
      }
    }
    assert.deepEqual(api.logged, []);
  });

  test('keys and pairs for the word at the caret, most used first', async () => {
    for (let at = 0; at < 3; at += 1) {
      const tags = [{ key: 'zone', value: at < 2 ? 'north' : 'south' }];
      await api.write('POST', '/apps', { id: `zone-${at}`, name: 'Z', repoUrl, tags });
    }
    const suggest = async (q: string) =>
      (await api.read(`/suggest?q=${encodeURIComponent(q)}`)).data.map(
        (one: Body) => `${one.type} ${one.value} ${one.count}`,
      );
    assert.deepEqual(await suggest('zo'), ['key zone: 3', 'pair zone:north 2', 'pair zone:south 1']);
    assert.deepEqual(await suggest('red zone:'), ['pair zone:north 2', 'pair zone:south 1']);
    assert.deepEqual(await suggest('red zone:s'), ['pair zone:south 1']);
    assert.deepEqual(await suggest('nor'), ['pair zone:north 2']);
    assert.deepEqual(await suggest('topic:"big d'), ['pair topic:"big data" 1']);
    assert.deepEqual(await suggest('zo_e'), []);
    await api.write('DELETE', '/apps/zone-0');
    assert.deepEqual(await suggest('zone:'), ['pair zone:north 1', 'pair zone:south 1']);
    assert.equal((await api.read('/suggest?q=&limit=1')).data.length, 1);
    for (const limit of ['0', '51', 'x'])
      assertInvalid(await api.ask('GET', `/suggest?q=a&limit=${limit}`), 'limit');
  });
});
