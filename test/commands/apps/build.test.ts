/** Asking for builds over HTTP, and reading them: lists, states, and what they printed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { reportStatus } from '../../../workers/tables.ts';
import { operatorToken, startApi } from '../../support/api.ts';
import { commit, finishBuild, ingest, startBuild } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';
const other = 'f'.repeat(40);

suite('builds', async () => {
  const api = await startApi();
  after(() => api.close());
  const app = async (id: string) => {
    await api.write('POST', '/apps', { id, name: 'A', repoUrl, ref: 'main' });
    await ingest(api, id, { dockerfilePath: 'web/Dockerfile' });
  };

  test('the commit that was ingested last is built, or another one', async () => {
    await app('commits');
    const asked = await api.ask('POST', '/apps/commits/builds');
    assert.equal(asked.status, 202, asked.text);
    const { id, position } = asked.body.data;
    assert.equal(asked.headers.get('location'), `/builds/${id}`);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    api.wrote(BigInt(position));
    const { requestedAt, waitingFor, queuePosition, ...build } = (await api.read(`/builds/${id}`)).data;
    assert.deepEqual(build, {
      id,
      appId: 'commits',
      commit,
      ref: 'main',
      dockerfilePath: 'web/Dockerfile',
      args: {},
      cause: 'manual',
      status: 'queued',
      attempt: 0,
      image: null,
      imageId: null,
      bytes: null,
      ports: null,
      failure: null,
      supersededBy: null,
      pushed: null,
      builder: null,
      log: null,
      startedAt: null,
      finishedAt: null,
      durationMs: null,
    });
    assert.ok(!Number.isNaN(Date.parse(requestedAt)));
    assert.match(waitingFor, /workers have not reported/);
    assert.equal(queuePosition, 1);
    const second = await api.write('POST', '/apps/commits/builds', { commit: other });
    assert.equal((await api.read(`/builds/${second.id}`)).data.commit, other);
    assert.equal((await api.read('/apps/commits')).data.build.id, second.id);
  });

  test('a build that waits says for what, for as long as that is so', async () => {
    await app('waits');
    const { id } = await api.write('POST', '/apps/waits/builds');
    const waitingFor = async () => (await api.read(`/builds/${id}`)).data.waitingFor;
    await reportStatus(api.sql, 'docker', false, 'No Docker engine answers at /var/run/docker.sock.');
    assert.equal(await waitingFor(), 'No Docker engine answers at /var/run/docker.sock.');
    assert.equal((await api.read('/apps/waits/builds')).data[0].waitingFor, await waitingFor());
    await api.sql('worker_status').update({ at: api.sql.raw(`now() - interval '1 hour'`) });
    assert.match(await waitingFor(), /not reported for a while/);
    await reportStatus(api.sql, 'docker', true, null);
    await reportStatus(api.sql, 'disk', false, 'The disk is full.');
    assert.equal(await waitingFor(), 'The disk is full.');
    await api
      .sql('worker_status')
      .where({ name: 'disk' })
      .update({ at: api.sql.raw(`now() - interval '1 hour'`) });
    assert.match(await waitingFor(), /before it in the queue/);
    await api.sql('worker_status').delete();
  });

  test('without a commit there is nothing to build', async () => {
    await api.write('POST', '/apps', { id: 'empty', name: 'A', repoUrl });
    assertProblem(await api.ask('POST', '/apps/empty/builds'), 409, 'build/no-commit');
    for (const wrong of ['main', 'F'.repeat(40), commit.slice(1), '', null, 7]) {
      assertInvalid(await api.ask('POST', '/apps/empty/builds', { body: { commit: wrong } }), 'commit');
    }
    assertInvalid(await api.ask('POST', '/apps/empty/builds', { body: { branch: 'x' } }), 'branch');
  });

  test('a failure says where; a retry is a new build of the same', async () => {
    await app('fails');
    const { id } = await api.write('POST', '/apps/fails/builds', { commit: other });
    assertProblem(await api.ask('POST', `/builds/${id}/retry`), 409, 'build/not-finished');
    await startBuild(api, id);
    assert.equal((await api.read(`/builds/${id}`)).data.status, 'running');
    assertProblem(await api.ask('POST', `/builds/${id}/retry`), 409, 'build/not-finished');
    await finishBuild(api, id, { reason: 'exit code 1', step: 2, instruction: 'RUN false' });
    const failed = (await api.read(`/builds/${id}`)).data;
    assert.deepEqual(
      [failed.status, failed.failure, failed.log, failed.durationMs],
      [
        'failed',
        { reason: 'exit code 1', step: 2, instruction: 'RUN false' },
        { lines: 2, bytes: 20, truncated: false },
        99,
      ],
    );
    const retry = await api.write('POST', `/builds/${id}/retry`);
    assert.notEqual(retry.id, id);
    const again = (await api.read(`/builds/${retry.id}`)).data;
    assert.deepEqual([again.commit, again.cause, again.status], [other, 'retry', 'queued']);
    assertProblem(await api.ask('POST', `/builds/${id}/cancel`), 409, 'build/already-finished');
  });

  test('what is queued or running can be cancelled, once', async () => {
    await app('cancels');
    for (const isRunning of [false, true]) {
      const { id } = await api.write('POST', '/apps/cancels/builds');
      if (isRunning) await startBuild(api, id);
      await api.write('POST', `/builds/${id}/cancel`);
      assert.equal((await api.read(`/builds/${id}`)).data.status, 'cancelled');
      assertProblem(await api.ask('POST', `/builds/${id}/cancel`), 409, 'build/already-finished');
    }
  });

  test('a build that is not there, and an id that is none', async () => {
    for (const [method, rest] of [
      ['GET', ''],
      ['GET', '/logs'],
      ['GET', '/logs?follow=true'],
      ['POST', '/retry'],
      ['POST', '/cancel'],
    ]) {
      assertProblem(await api.ask(method ?? '', `/builds/${randomUUID()}${rest}`), 404, 'not-found');
      assertProblem(await api.ask(method ?? '', `/builds/urn:uuid:${randomUUID()}${rest}`), 404, 'not-found');
      for (const id of ['1', '..%2F..%2Fetc', `${randomUUID()}x`]) {
        assertInvalid(await api.ask(method ?? '', `/builds/${id}${rest}`), 'buildId');
      }
    }
  });

  test('lists are newest first, by app and status, and their pages together are the whole', async () => {
    await app('lists');
    const ids: string[] = [];
    for (let at = 0; at < 5; at += 1) ids.unshift((await api.write('POST', '/apps/lists/builds')).id);
    await api.write('POST', `/builds/${ids[1]}/cancel`);
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { data: { id: string }[]; meta: { nextCursor: string | null } } = await api.read(
        `/apps/lists/builds?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      assert.ok(page.data.length <= 2);
      pages.push(...page.data.map(({ id }) => id));
      cursor = page.meta.nextCursor;
    }
    assert.deepEqual(pages, ids);
    const listed = async (place: string) => (await api.read(place)).data.map(({ id }: { id: string }) => id);
    assert.deepEqual(await listed('/apps/lists/builds?status=cancelled'), [ids[1]]);
    assert.deepEqual((await listed('/builds?limit=5')).slice(0, 5), ids);
    assertInvalid(await api.ask('GET', '/builds?status=done'), 'status');
    for (const limit of ['0', '201', '1.5', 'x', ''])
      assertInvalid(await api.ask('GET', `/builds?limit=${limit}`), 'limit');
    const { meta } = await api.read('/apps/lists/builds?limit=2');
    for (const place of [
      `/builds?cursor=${meta.nextCursor}`,
      '/builds?cursor=x',
      `/apps/lists/builds?status=failed&cursor=${meta.nextCursor}`,
    ]) {
      assertInvalid(await api.ask('GET', place), 'cursor');
    }
  });

  suite('logs', async () => {
    const lines = ['Step 1/2 : FROM scratch', 'größer ✓', 'done'];
    const whole = `${lines.join('\n')}\n`;
    const build = async (id: string) => {
      await app(id);
      const { id: buildId } = await api.write('POST', `/apps/${id}/builds`);
      await api.read(`/builds/${buildId}`);
      return buildId;
    };

    const end = async (id: string) => {
      await startBuild(api, id);
      await finishBuild(api, id, { reason: 'exit code 1', step: null, instruction: null });
    };

    test('what is there now, from an offset in bytes on; nothing where nothing was printed', async () => {
      const id = await build('log-now');
      const at = async (query: string) => {
        const answer = await api.ask('GET', `/builds/${id}/logs${query}`);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
        assert.equal(answer.headers.get('cache-control'), 'no-store');
        return [answer.text, answer.headers.get('x-apphub-next-offset')];
      };
      assert.deepEqual(await at(''), ['', '0']);
      const writer = await api.logs.writer(id);
      for (const line of lines) await writer.write(line);
      await writer.close();
      const bytes = Buffer.byteLength(whole);
      assert.deepEqual(await at(''), [whole, String(bytes)]);
      assert.deepEqual(await at('?offset=24'), [`${lines[1]}\ndone\n`, String(bytes)]);
      assert.deepEqual(await at(`?offset=${bytes}`), ['', String(bytes)]);
      assert.deepEqual(await at(`?offset=${2 ** 40}`), ['', String(2 ** 40)]);
      const download = await api.ask('GET', `/builds/${id}/logs?download=true&offset=24`);
      assert.equal(download.text, `${lines[1]}\ndone\n`);
      assert.equal(download.headers.get('content-disposition'), `attachment; filename="build-${id}.log"`);
      for (const offset of ['-1', '1.5', '1e20', String(2 ** 53), 'x', '']) {
        assertInvalid(await api.ask('GET', `/builds/${id}/logs?offset=${offset}`), 'offset');
      }
      assertInvalid(await api.ask('GET', `/builds/${id}/logs?follow=maybe`), 'follow');
    });

    test('followed: from the start or an offset, as it comes, until the build has ended', async () => {
      const id = await build('log-follow');
      const open = (offset: number) =>
        fetch(`${api.url}/builds/${id}/logs?follow=true&offset=${offset}`, {
          headers: { authorization: `Bearer ${operatorToken}` },
        });
      const early = await open(0);
      assert.equal(early.status, 200, 'the answer begins before there is a line');
      const writer = await api.logs.writer(id);
      await writer.write(lines[0] ?? '');
      const reader = (early.body ?? new ReadableStream()).getReader();
      let text = Buffer.from((await reader.read()).value ?? '').toString();
      assert.equal(text, `${lines[0]}\n`, 'the first line came before the second was written');
      const late = (await open(24)).text();
      for (const line of lines.slice(1)) await writer.write(line);
      await writer.close();
      await end(id);
      for (let next = await reader.read(); !next.done; next = await reader.read())
        text += Buffer.from(next.value).toString();
      assert.equal(text, whole);
      assert.equal(await late, `${lines[1]}\ndone\n`);
    });

    test('a build that ends without having printed ends its followers too', async () => {
      const id = await build('log-never');
      const following = api.ask('GET', `/builds/${id}/logs?follow=true`);
      await api.write('POST', `/builds/${id}/cancel`);
      const answer = await following;
      assert.deepEqual([answer.status, answer.text], [200, '']);
    });

    test('a log of several mebibytes comes whole, and part by part', async () => {
      const id = await build('log-large');
      const writer = await api.logs.writer(id);
      const line = 'x'.repeat(9_999);
      for (let at = 0; at < 250; at += 1) await writer.write(line);
      await writer.close();
      await end(id);
      const expected = `${line}\n`.repeat(250);
      assert.ok((await api.ask('GET', `/builds/${id}/logs?download=true`)).text === expected);
      assert.ok((await api.ask('GET', `/builds/${id}/logs?follow=true`)).text === expected);
      let text = '';
      for (let offset = 0, turns = 0; offset < expected.length && turns < 10; turns += 1) {
        const part = await api.ask('GET', `/builds/${id}/logs?offset=${offset}`);
        text += part.text;
        offset = Number(part.headers.get('x-apphub-next-offset'));
      }
      assert.ok(text === expected);
    });
  });
});
