import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type ApiServer, appRow, buildRow, startApiServer } from '../support/api-server.ts';
import { runCli, startCli, until } from '../support/run-cli.ts';

suite('apphub apps', () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(() => server.close());
  beforeEach(() => {
    server.apps.clear();
    server.events.length = 0;
    server.requests.length = 0;
    server.faults.length = 0;
  });
  const run = (...args: string[]) => runCli(['apps', ...args], server.env);

  test('add registers with an id made from the address, under an idempotency key', async () => {
    const { code, stdout, stderr } = await run(
      ...['add', 'https://git.example.org/team/My_Shop.git', '--tag', 'team:web', '--tag', 'url:http://x'],
      ...['--dockerfile', 'docker/Dockerfile', '--homepage', ''],
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Registered my-shop/);
    const [request] = server.requests;
    assert.deepEqual(request?.body, {
      id: 'my-shop',
      name: 'my-shop',
      repoUrl: 'https://git.example.org/team/My_Shop.git',
      tags: [
        { key: 'team', value: 'web' },
        { key: 'url', value: 'http://x' },
      ],
      dockerfilePath: 'docker/Dockerfile',
      homepage: null,
    });
    assert.match(request?.key ?? '', /^[0-9a-f-]{36}$/);
  });

  test('add says the fields that are wrong and exits 2', async () => {
    const { code, stdout, stderr } = await run('add', 'https://git.example.org/x.git', '--id', 'X');
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /not valid \(invalid\)\n {2}id: must match/);
  });

  test('add of a taken id exits 6', async () => {
    server.apps.set('shop', appRow('shop'));
    const { code, stderr } = await run('add', 'https://git.example.org/shop.git');
    assert.equal(code, 6);
    assert.match(stderr, /This id is taken \(already-exists\)/);
  });

  test('a connection that breaks is tried again under the same key', async () => {
    server.faults.push('reset', { status: 409, code: 'busy', title: 'Somebody else wrote first' });
    const { code, stderr } = await run('add', 'https://git.example.org/shop.git', '--json');
    assert.equal(code, 0, stderr);
    const keys = server.requests.map(request => request.key);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
  });

  test('add --watch follows this ingestion alone until it is ready, then shows the app', async () => {
    const cli = startCli(['apps', 'add', 'https://git.example.org/shop.git', '--watch'], server.env);
    await until(() => server.apps.has('shop'));
    server.append('IngestionFailed', 'apps.ingestion-shop-two', { attempt: 1, reason: 'of another app' });
    server.append('IngestionQueued', 'apps.ingestion-shop', { run: 1, cause: 'registered' });
    server.append('IngestionStarted', 'apps.ingestion-shop', { run: 1, attempt: 1 });
    await cli.seen(/cloning and inspecting, attempt 1/);
    server.apps.set('shop', appRow('shop', { status: 'ready', commit: 'ab'.repeat(20), branch: 'main' }));
    const last = server.append('IngestionSucceeded', 'apps.ingestion-shop', {
      commit: 'ab'.repeat(20),
      branch: 'main',
      durations: { cloneMs: 900, inspectMs: 90, storeMs: 10 },
    });
    const { code, stdout, stderr } = await cli.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /03:04:05 {2}ready at abababababab of main in 1\.0 s/);
    assert.match(stdout, /shop \(shop\) {2}ready/);
    assert.doesNotMatch(stdout, /of another app/);
    const reads = server.requests.filter(({ method, path }) => method === 'GET' && path === '/apps/shop');
    assert.equal(reads.at(-1)?.query.get('after'), last);
  });

  test('retry --watch --json prints each event and the result, and exits 1 when it fails', async () => {
    server.apps.set('shop', appRow('shop', { status: 'failed' }));
    const cli = startCli(['apps', 'retry', 'shop', '--watch', '--json'], server.env);
    await until(() => server.events.length > 0);
    server.append('IngestionFailed', 'apps.ingestion-shop', { attempt: 3, reason: 'no Dockerfile' });
    const { code, stdout } = await cli.ended;
    assert.equal(code, 1);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ kind, event, data }) => [kind, event?.type ?? data.id]),
      [
        ['event', 'IngestionFailed'],
        ['result', 'shop'],
      ],
    );
  });

  test('show --watch of an app that is ready already ends at once', async () => {
    server.apps.set('shop', appRow('shop', { status: 'ready' }));
    const { code, stdout } = await run('show', 'shop', '--watch');
    assert.equal(code, 0);
    assert.match(stdout, /shop \(shop\) {2}ready/);
  });

  test('list reads as many pages as it needs and says what it left out', async () => {
    for (let at = 100; at < 350; at++) server.apps.set(`app-${at}`, appRow(`app-${at}`));
    const { code, stdout, stderr } = await run('list', '--limit', '230');
    assert.equal(code, 0);
    assert.equal(stdout.trimEnd().split('\n').length, 231);
    assert.match(stderr, /230 of 250 apps/);
    assert.deepEqual(
      server.requests.map(({ query }) => query.get('limit')),
      ['100', '100', '30'],
    );
  });

  test('list --json is the one document of the API', async () => {
    server.apps.set('shop', appRow('shop', { build: buildRow('build-1', 'shop') }));
    const { stdout } = await run('list', '--json', '--status', 'pending', '--tag', 'a:b', '--tag', 'c:d:e');
    const document = JSON.parse(stdout);
    assert.equal(document.data[0].id, 'shop');
    assert.deepEqual(document.meta.total, { count: 1, exact: true });
    assert.equal(server.requests[0]?.query.get('tags'), 'a:b,c:d:e');
    assert.equal(server.requests[0]?.query.get('status'), 'pending');
  });

  test('what a stranger wrote cannot steer the terminal', async () => {
    server.apps.set(
      'shop',
      appRow('shop', { name: '\u001b[2Jgone\u0007\u202etxt', description: 'a\r\nb\u001b]0;title\u0007c' }),
    );
    for (const args of [['list'], ['show', 'shop']]) {
      const { stdout } = await run(...args);
      assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
      assert.match(stdout, /gone txt/);
    }
  });

  test('search sends its words, edit only what is given, untag an encoded value', async () => {
    server.apps.set('shop', appRow('shop'));
    await run('search', 'web', 'shop', 'language:go');
    await run('edit', 'shop', '--owner', 'ada', '--ref', '');
    await run('untag', 'shop', 'path:a/b?c');
    const [search, edit, untag] = server.requests;
    assert.equal(search?.query.get('q'), 'web shop language:go');
    assert.deepEqual([edit?.method, edit?.body], ['PATCH', { owner: 'ada', ref: null }]);
    assert.deepEqual(server.events.at(-1)?.data, { tag: { key: 'path', value: 'a/b?c' } });
    assert.equal(untag?.method, 'DELETE');
    assert.equal((await run('edit', 'shop')).code, 2);
  });

  test('archive, cancel and tag answer with a sentence, and 5 for an app nobody has', async () => {
    server.apps.set('shop', appRow('shop'));
    assert.match((await run('tag', 'shop', 'a:b', 'c:d')).stdout, /Tagged shop: a:b, c:d/);
    assert.match((await run('cancel', 'shop')).stdout, /Cancelled the ingestion of shop/);
    assert.match((await run('archive', 'shop')).stdout, /Archived shop/);
    assert.deepEqual(
      server.events.map(({ type }) => type),
      ['RepositoryTagged', 'RepositoryTagged', 'IngestionCancelled', 'RepositoryArchived'],
    );
    const { code, stderr } = await run('archive', 'nobody');
    assert.equal(code, 5);
    assert.match(stderr, /There is nothing with this id \(not-found\)/);
  });

  test('history shows the newest first in words', async () => {
    server.apps.set('shop', appRow('shop'));
    server.append('RepositoryRegistered', 'apps.repository-shop', { repoUrl: 'https://x/y' });
    server.append('IngestionFailed', 'apps.ingestion-shop', { attempt: 3, reason: 'no Dockerfile' });
    const { stdout } = await run('history', 'shop');
    const [, first, second] = stdout.split('\n');
    assert.match(first ?? '', /200 .*failed after attempt 3: no Dockerfile/);
    assert.match(second ?? '', /100 .*registered from https:\/\/x\/y/);
  });
});
