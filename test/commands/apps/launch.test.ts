/** Launching apps over HTTP: what may be asked for, what is seen of it, and what the app prints. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import * as limits from '../../../domain/kernel/limits.ts';
import { operatorToken, startApi } from '../../support/api.ts';
import {
  confirmRemoved,
  failLaunch,
  finishBuild,
  launchableApp,
  markRunning,
  startBuild,
  startLaunch,
} from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

suite('launches', async () => {
  let containerLogs: (
    id: string,
    asked: { deployment: number; tail?: number; follow?: boolean; signal?: AbortSignal },
  ) => AsyncIterable<Uint8Array>;
  const api = await startApi({
    reads: { containerLogs: (id, asked) => containerLogs(id, asked) },
    tokens: { 'a-reader': ['apps:read'], 'a-writer': ['apps:read', 'apps:write'] },
  });
  after(() => api.close());
  const buildId = await launchableApp(api, 'todo');
  const launch = (body?: unknown, appId = 'todo') => api.ask('POST', `/apps/${appId}/launches`, { body });
  const launched = async (body?: unknown) => {
    const { id } = await api.write('POST', '/apps/todo/launches', body);
    return (await api.read(`/launches/${id}`)).data;
  };

  test('what is asked for is what is seen, at an address of its own', async () => {
    const body = {
      buildId,
      env: [
        { key: 'GREETING', value: 'hello\n"you" ✓' },
        { key: '_x9', value: '' },
      ],
      resourceProfile: 'large',
      ttlSeconds: 60,
      port: 3_000,
      access: 'public',
      restart: 'no',
      idleSeconds: null,
      healthPath: '/up?deep=1',
    };
    const answer = await launch(body);
    assert.equal(answer.status, 202, answer.text);
    const { id, position } = answer.body.data;
    assert.equal(answer.headers.get('location'), `/launches/${id}`);
    api.wrote(BigInt(position));
    const { requestedAt, expiresAt, ...seen } = (await api.read(`/launches/${id}`)).data;
    assert.deepEqual(seen, {
      id,
      appId: 'todo',
      buildId,
      image: 'apphub/x:1',
      status: 'requested',
      url: `http://${id}.localhost/`,
      env: body.env,
      resourceProfile: 'large',
      port: 3_000,
      owner: 'operator',
      access: 'public',
      restart: 'no',
      idleSeconds: null,
      healthPath: '/up?deep=1',
      sandbox: { egress: [], allowRoot: false, runtime: 'default' },
      workspace: null,
      deployment: 1,
      serving: null,
      startedInMs: null,
      failure: null,
      because: null,
      sleepReason: null,
      runningAt: null,
      sleptAt: null,
      endedAt: null,
      waitingFor: 'The workers have not reported yet.',
    });
    assert.equal(Date.parse(expiresAt) - Date.parse(requestedAt), 60_000);
  });

  test('what is not asked for has defaults: the release, an hour, small, the port the app says', async () => {
    const byDefault = await launched();
    assert.deepEqual(
      [byDefault.buildId, byDefault.resourceProfile, byDefault.env, byDefault.port],
      [buildId, 'small', [], 80],
    );
    const life = Date.parse(byDefault.expiresAt) - Date.parse(byDefault.requestedAt);
    assert.equal(life, limits.launchTtlSecondsDefault * 1_000);
    assert.equal((await launched({ env: [{ key: 'PORT', value: '9000' }] })).port, 9_000);
    assert.equal((await launched({ env: [{ key: 'PORT', value: '9000' }], port: 1 })).port, 1);
    assert.equal((await launched({ env: [{ key: 'PORT', value: 'none' }] })).port, 80);
  });

  test('the environment has bounds, and each name once', async () => {
    const env = (count: number) => Array.from({ length: count }, (_, at) => ({ key: `K${at}`, value: 'v' }));
    assert.equal((await launch({ env: env(limits.launchEnvMax) })).status, 202);
    assertInvalid(await launch({ env: env(limits.launchEnvMax + 1) }), 'env');
    for (const key of ['', '1A', 'A-B', 'A=B', 'A B', 'ä', 'A\0', 'A\n', 'K'.repeat(129), 7, null]) {
      assertInvalid(await launch({ env: [{ key, value: 'v' }] }), 'env.0.key');
    }
    assert.equal(
      (await launch({ env: [{ key: 'A', value: 'v'.repeat(limits.envValueCharsMax) }] })).status,
      202,
    );
    for (const value of ['v'.repeat(limits.envValueCharsMax + 1), 'a\0b', '\ud800', 7, null]) {
      assertInvalid(await launch({ env: [{ key: 'A', value }] }), 'env.0.value');
    }
    const twice = await launch({ env: [...env(2), { key: 'K1', value: 'w' }] });
    assert.match(assertInvalid(twice, 'env.2.key'), /K1 is given twice/);
    assertInvalid(await launch({ env: [{ key: 'A', value: 'v', secret: true }] }), 'env.0.secret');
    assertInvalid(await launch({ env: { A: 'v' } }), 'env');
    assertInvalid(await launch({ env: [{ key: 'A' }] }), 'env.0.value');
  });

  test('profile, time to live and port have bounds', async () => {
    for (const resourceProfile of ['small', 'medium', 'large']) {
      assert.equal((await launch({ resourceProfile })).status, 202);
    }
    for (const resourceProfile of ['huge', '', null, 'constructor', { memoryBytes: 1 }]) {
      assert.match(
        assertInvalid(await launch({ resourceProfile }), 'resourceProfile'),
        /"small", "medium", "large"/,
      );
    }
    for (const ttlSeconds of [limits.launchTtlSecondsMin, limits.launchTtlSecondsMax]) {
      assert.equal((await launch({ ttlSeconds })).status, 202);
    }
    for (const ttlSeconds of [
      limits.launchTtlSecondsMin - 1,
      limits.launchTtlSecondsMax + 1,
      60.5,
      '60',
      -1,
      1e99,
      null,
    ]) {
      assertInvalid(await launch({ ttlSeconds }), 'ttlSeconds');
    }
    for (const port of [0, 65_536, 80.5, '80']) assertInvalid(await launch({ port }), 'port');
    for (const unknown of ['command', 'privileged', 'image', 'volumes']) {
      assertInvalid(await launch({ [unknown]: 'x' }), unknown);
    }
  });

  test('without an image of this app there is nothing to launch', async () => {
    await api.write('POST', '/apps', { id: 'unbuilt', name: 'A', repoUrl: 'https://git.example/a.git' });
    assertProblem(await launch(undefined, 'unbuilt'), 409, 'launch/no-image');
    assertProblem(await launch({ buildId }, 'unbuilt'), 404, 'not-found');
    assertProblem(await launch({ buildId: randomUUID() }), 404, 'not-found');
    assertInvalid(await launch({ buildId: 'latest' }), 'buildId');
    const { id } = await api.write('POST', '/apps/todo/builds');
    assertProblem(await launch({ buildId: id }), 409, 'launch/no-image');
    await startBuild(api, id);
    await finishBuild(api, id, { reason: 'exit code 1', step: 1, instruction: 'RUN false' });
    const failed = await launch({ buildId: id });
    assertProblem(failed, 409, 'launch/no-image');
    assert.equal(failed.body.buildId, id);
  });

  test('from requested to stopped, and the page of the app counts those that run', async () => {
    const { id } = await launched();
    const seen = async () => (await api.read(`/launches/${id}`)).data;
    const runningNow = async () => (await api.read('/apps/todo')).data.launch.running;
    await startLaunch(api, id);
    assert.equal((await seen()).status, 'starting');
    await markRunning(api, id);
    const running = await seen();
    assert.deepEqual([running.status, running.startedInMs, running.waitingFor], ['running', 850, null]);
    assert.equal(await runningNow(), 1);
    const stop = await api.ask('POST', `/launches/${id}/stop`);
    assert.equal(stop.status, 202, stop.text);
    assert.equal(stop.headers.get('location'), `/launches/${id}`);
    assert.deepEqual((await api.ask('POST', `/launches/${id}/stop`)).body, stop.body, 'twice is once');
    api.wrote(BigInt(stop.body.data.position));
    assert.equal((await seen()).status, 'stopping');
    assert.equal(await runningNow(), 0);
    await confirmRemoved(api, id);
    const stopped = await seen();
    assert.equal(stopped.status, 'stopped');
    assert.ok(stopped.endedAt >= stopped.runningAt);
    assertProblem(await api.ask('POST', `/launches/${id}/stop`), 409, 'launch/already-ended');
    assertProblem(await api.ask('POST', `/launches/${randomUUID()}/stop`), 404, 'not-found');
    assertInvalid(await api.ask('POST', '/launches/x/stop'), 'launchId');
  });

  test('a failure says how the app went', async () => {
    const { id } = await launched();
    await startLaunch(api, id);
    await failLaunch(api, id);
    const { status, failure } = (await api.read(`/launches/${id}`)).data;
    const { at: failedAt, ...how } = failure;
    assert.ok(Date.parse(failedAt) > 0);
    assert.deepEqual(
      [status, how],
      [
        'failed',
        { reason: 'it exited', exitCode: 3, oomKilled: false, lastLines: ['oh', 'no'], isLoop: false },
      ],
    );
    const { data } = await api.read('/launches?status=failed');
    assert.deepEqual(
      data.map((one: { id: string }) => one.id),
      [id],
    );
    assert.ok((await api.read('/apps/todo/launches?limit=200')).data.length > 5);
    assertInvalid(await api.ask('GET', '/launches?status=gone'), 'status');
  });

  test('to launch is a right of its own', async () => {
    for (const token of ['a-reader', 'a-writer']) {
      const answer = await api.ask('POST', '/apps/todo/launches', { token });
      assertProblem(answer, 403, 'forbidden');
      assert.equal(answer.body.scope, 'apps:launch');
    }
    assert.equal((await api.ask('GET', '/launches', { token: 'a-reader' })).status, 200);
  });

  test('what the app prints comes from its container while that is there, and from what was kept afterwards', async () => {
    const { id } = await launched();
    const logs = (query = '') => api.ask('GET', `/launches/${id}/logs${query}`);
    containerLogs = () => assert.fail('there is no container yet');
    assert.deepEqual([(await logs()).status, (await logs()).text], [200, '']);
    await startLaunch(api, id);
    await api.read(`/launches/${id}`);
    const asked: object[] = [];
    containerLogs = async function* (_id, { deployment, tail, follow }) {
      asked.push({ deployment, tail, follow });
      yield Buffer.from('one\n');
      yield Buffer.from('two\n');
    };
    const live = await logs('?tail=5');
    assert.deepEqual(
      [live.text, live.headers.get('content-type')],
      ['one\ntwo\n', 'text/plain; charset=utf-8'],
    );
    await logs('?follow=true');
    assert.deepEqual(asked, [
      { deployment: 1, tail: 5, follow: false },
      { deployment: 1, tail: undefined, follow: true },
    ]);
    assert.equal((await logs('?deployment=2&tail=1')).text, 'one\ntwo\n');
    assert.deepEqual(asked.at(-1), { deployment: 2, tail: 1, follow: false });
    assertInvalid(await logs('?deployment=0'), 'deployment');
    for (const tail of ['-1', '10001', 'x']) assertInvalid(await logs(`?tail=${tail}`), 'tail');

    containerLogs = () => assert.fail('what was kept is enough');
    const writer = await api.logs.writer(`${id}-1`);
    for (let at = 1; at <= 300; at += 1) await writer.write(`${at} ${'x'.repeat(9_000)}`);
    await writer.write('the end');
    await writer.close();
    assert.equal((await logs('?tail=0')).text, '');
    assert.equal((await logs('?tail=1')).text, 'the end\n');
    assert.deepEqual(
      (await logs('?tail=3')).text.split('\n').map(line => line.slice(0, 4)),
      ['299 ', '300 ', 'the ', ''],
    );
    assert.equal((await logs()).text.length, 'the end\n'.length + 300 * 9_002 + 9 + 2 * 90 + 3 * 201);
    assert.equal((await logs('?tail=10000')).text, (await logs()).text);
    assertProblem(await api.ask('GET', `/launches/${randomUUID()}/logs`), 404, 'not-found');
  });

  test('an engine that is away is said to be away; an app that says nothing is waited for', async () => {
    const { id } = await launched();
    await startLaunch(api, id);
    await api.read(`/launches/${id}`);
    // biome-ignore lint/correctness/useYield: it fails before it has anything to say.
    containerLogs = async function* () {
      throw new Error('connect ENOENT /var/run/docker.sock');
    };
    const away = await api.ask('GET', `/launches/${id}/logs?follow=true`);
    assertProblem(away, 503, 'unavailable');
    assert.doesNotMatch(away.text, /docker\.sock/);

    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { promise: spoken, resolve: speak } = Promise.withResolvers<void>();
    containerLogs = async function* (_id, { signal }) {
      try {
        await spoken;
        yield Buffer.from('at last\n');
        await new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve()));
      } finally {
        end();
      }
    };
    const leave = new AbortController();
    const answer = await fetch(`${api.url}/launches/${id}/logs?follow=true`, {
      headers: { authorization: `Bearer ${operatorToken}` },
      signal: leave.signal,
    });
    assert.equal(answer.status, 200, 'the answer begins before the app says anything');
    speak();
    const reader = (answer.body ?? new ReadableStream()).getReader();
    assert.equal(Buffer.from((await reader.read()).value ?? '').toString(), 'at last\n');
    leave.abort();
    await ended;
  });
});
