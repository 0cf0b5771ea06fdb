/** The Idempotency-Key: what is sent twice is done once, and one key stands for one request, for ever. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { openSegmentStorage } from '../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { type Api, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { testDatabase } from '../support/postgres.ts';
import { assertInvalid, assertProblem } from '../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('Idempotency-Key', async () => {
  const api = await startApi({ tokens: { 'the-token-of-bob': ['apps:read', 'apps:write'] } });
  after(() => api.close());
  const keyed = (method: string, place: string, key: string, body?: unknown, token?: string) =>
    api.ask(method, place, {
      body,
      headers: { 'idempotency-key': key },
      ...(token === undefined ? {} : { token }),
    });
  const historyOf = async (appId: string) =>
    (await api.read(`/apps/${appId}/history`)).data as { type: string }[];

  test('the same request again gets the same answer, and makes no second event', async () => {
    const body = { id: 'again', name: 'A', repoUrl };
    const first = await keyed('POST', '/apps', 'k-again', body);
    assert.equal(first.status, 201, first.text);
    api.wrote(BigInt(first.body.data.position));
    await api.write('PATCH', '/apps/again', { name: 'B' });
    const second = await keyed('POST', '/apps', 'k-again', body);
    assert.deepEqual([second.status, second.body], [201, first.body]);
    assert.equal(second.headers.get('location'), '/apps/again');
    assert.deepEqual(
      (await historyOf('again')).map(({ type }) => type),
      ['RepositoryChanged', 'RepositoryRegistered'],
    );
    assertProblem(await api.ask('POST', '/apps', { body }), 409, 'already-exists');
  });

  test('the same key with other words is refused, on the same app, on another one, on another route', async () => {
    const body = { id: 'words', name: 'A', repoUrl };
    const first = await keyed('POST', '/apps', 'k-words', body);
    assert.equal(first.status, 201);
    api.wrote(BigInt(first.body.data.position));
    const others: [string, string, unknown?][] = [
      ['POST', '/apps', { ...body, name: 'B' }],
      ['POST', '/apps', { ...body, id: 'words-too' }],
      ['PATCH', '/apps/words', { name: 'B' }],
      ['POST', '/apps/words/tags', { key: 'a', value: 'b' }],
      ['DELETE', '/apps/words'],
      ['POST', '/apps/words/retry'],
    ];
    for (const [method, place, other] of others) {
      assertProblem(await keyed(method, place, 'k-words', other), 422, 'idempotency/mismatch');
    }
    assertProblem(await api.ask('GET', '/apps/words-too'), 404, 'not-found');
    assert.equal((await historyOf('words')).length, 1);
  });

  test('a key that has changed nothing stands for its request all the same', async () => {
    await api.write('POST', '/apps', { id: 'nothing', name: 'A', repoUrl, tags: [{ key: 'a', value: 'b' }] });
    assert.equal((await keyed('POST', '/apps/nothing/tags', 'k-no', { key: 'a', value: 'b' })).status, 202);
    const other = await keyed('POST', '/apps/nothing/tags', 'k-no', { key: 'a', value: 'c' });
    assertProblem(other, 422, 'idempotency/mismatch');
    assert.equal((await keyed('POST', '/apps/nothing/tags', 'k-no', { key: 'a', value: 'b' })).status, 202);
  });

  test('many repeats at once are one event and one answer', async () => {
    const body = { id: 'at-once', name: 'A', repoUrl };
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => keyed('POST', '/apps', 'k-once', body)),
    );
    assert.deepEqual(
      [...new Set(answers.map(({ status, text }) => `${status} ${text}`))].length,
      1,
      answers[0]?.text,
    );
    assert.equal(answers[0]?.status, 201);
    api.wrote(BigInt(answers[0]?.body.data.position));
    assert.equal((await historyOf('at-once')).length, 1);
  });

  test('of many different requests with one key at once, one is done', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        keyed('POST', '/apps', 'k-race', { id: `race-${at}`, name: 'A', repoUrl }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(7).fill(422)]);
  });

  test('builds and launches that are asked for twice are one build and one launch', async () => {
    await launchableApp(api, 'twice');
    for (const place of ['/apps/twice/builds', '/apps/twice/launches', '/apps/twice/retry']) {
      const first = await keyed('POST', place, `k ${place}`);
      const second = await keyed('POST', place, `k ${place}`);
      assert.equal(first.status, 202, first.text);
      assert.deepEqual([second.status, second.body], [202, first.body]);
      api.wrote(BigInt(first.body.data.position));
    }
    assert.equal((await api.read('/apps/twice/builds')).data.length, 2);
    assert.equal((await api.read('/apps/twice/launches')).data.length, 1);
  });

  test('what was done is answered so for ever, also when it could not be done any longer', async () => {
    const built = await launchableApp(api, 'gone');
    const places = ['/apps/gone/builds', '/apps/gone/launches', '/apps/gone/retry', `/builds/${built}/retry`];
    const firsts = await Promise.all(places.map(place => keyed('POST', place, `k ${place}`)));
    await api.write('DELETE', '/apps/gone');
    for (const [at, place] of places.entries()) {
      const again = await keyed('POST', place, `k ${place}`);
      assert.deepEqual([again.status, again.body], [202, firsts[at]?.body]);
      assertProblem(await keyed('POST', place, `new ${place}`), 409, 'archived');
    }
    const [place = ''] = places;
    assertProblem(
      await keyed('POST', place, `k ${place}`, { commit: 'f'.repeat(40) }),
      422,
      'idempotency/mismatch',
    );
  });

  test('a key is its owner’s own', async () => {
    const body = { key: 'a', value: 'b' };
    await api.write('POST', '/apps', { id: 'owners', name: 'A', repoUrl });
    assert.equal((await keyed('POST', '/apps/owners/tags', 'shared', body)).status, 202);
    const bob = await keyed('PATCH', '/apps/owners', 'shared', { name: 'B' }, 'the-token-of-bob');
    assert.equal(bob.status, 202, bob.text);
  });

  test('a key has 1 to 255 characters', async () => {
    assert.equal(
      (await keyed('POST', '/apps', 'k'.repeat(255), { id: 'long', name: 'A', repoUrl })).status,
      201,
    );
    for (const key of ['', ' ', 'k'.repeat(256)]) {
      assertInvalid(
        await keyed('POST', '/apps', key, { id: 'longer', name: 'A', repoUrl }),
        'Idempotency-Key',
      );
    }
  });
});

test('an Idempotency-Key is known after a restart, because the log on the disk knows it', async t => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-key-'));
  const database = await testDatabase();
  t.after(async () => {
    await database.drop();
    await rm(directory, { recursive: true });
  });
  const start = async <T>(during: (api: Api) => Promise<T>): Promise<T> => {
    const storage = await openSegmentStorage({ directory });
    const server = await startLogServer({ storage, port: 0 });
    const log = openLog(`esdb://127.0.0.1:${server.port}?tls=false`);
    const api = await startApi({ store: log.store, database });
    try {
      return await during(api);
    } finally {
      await api.close();
      await log.close();
      await server.close();
      await storage.close();
    }
  };
  const register = (api: Api, name: string) =>
    api.ask('POST', '/apps', { headers: { 'idempotency-key': 'k' }, body: { id: 'durable', name, repoUrl } });
  const first = await start(api => register(api, 'A'));
  assert.equal(first.status, 201, first.text);
  const again = await start(api => register(api, 'A'));
  assert.deepEqual([again.status, again.body], [201, first.body]);
  await start(async api => {
    assertProblem(await register(api, 'B'), 422, 'idempotency/mismatch');
    api.wrote(BigInt(first.body.data.position));
    assert.equal((await api.read('/apps/durable/history')).data.length, 1);
  });
});
