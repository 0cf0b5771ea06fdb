/** What a build printed, over HTTP: gone on with after a break, as a file, in parts, and no longer kept. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { operatorToken, startApi } from '../../support/api.ts';
import { openBetween } from '../../support/between.ts';
import { finishBuild, ingest, startBuild } from '../../support/play.ts';
import { assertProblem } from '../../support/problem.ts';

suite('the log of a build', async () => {
  const api = await startApi();
  after(() => api.close());
  await api.write('POST', '/apps', { id: 'todo', name: 'Todo', repoUrl: 'https://git.example/todo.git' });
  await ingest(api, 'todo');
  const running = async () => {
    const { id } = await api.write('POST', '/apps/todo/builds');
    await startBuild(api, id);
    await api.read(`/builds/${id}`);
    return id as string;
  };
  const write = async (id: string, ...lines: string[]) => {
    const writer = await api.logs.writer(id);
    for (const line of lines) await writer.write(line);
    await writer.close();
  };
  const get = (id: string, query: string, fields: Record<string, string> = {}, url = api.url) =>
    fetch(`${url}/builds/${id}/logs${query}`, {
      headers: { authorization: `Bearer ${operatorToken}`, ...fields },
    });
  const failure = { reason: 'no', step: null, instruction: null };

  test('is a file of known length, which can be gone on with', async () => {
    const id = await running();
    await write(id, 'x'.repeat(3_000), '0123456789');
    const whole = await get(id, '?download=true');
    assert.deepEqual(
      ['content-length', 'accept-ranges', 'etag', 'content-disposition'].map(name => whole.headers.get(name)),
      ['3012', 'bytes', `"${id}-3012"`, `attachment; filename="build-${id}.log"`],
    );
    assert.equal((await whole.text()).length, 3_012);
    const etag = whole.headers.get('etag') ?? '';
    const rest = await get(id, '?download=true', { range: 'bytes=3001-', 'if-range': etag });
    assert.deepEqual([rest.status, rest.headers.get('content-range')], [206, 'bytes 3001-3011/3012']);
    assert.equal(await rest.text(), '0123456789\n');
    const part = await get(id, '', { range: 'bytes=3003-3004' });
    assert.deepEqual([part.status, part.headers.get('content-length')], [206, '2']);
    assert.equal(await part.text(), '23');
    const other = await get(id, '?download=true', { range: 'bytes=3001-', 'if-range': '"other"' });
    assert.deepEqual([other.status, (await other.text()).length], [200, 3_012]);
    const beyond = await api.ask('GET', `/builds/${id}/logs`, { headers: { range: 'bytes=3012-' } });
    assertProblem(beyond, 416, 'range-not-satisfiable');
    assert.deepEqual([beyond.headers.get('content-range'), beyond.body.bytes], ['bytes */3012', 3_012]);
    assert.equal((await get(id, '?download=true&offset=99999')).headers.get('content-length'), '0');
  });

  test('of unknown length while it is being written has parts all the same', async () => {
    const id = await running();
    const writer = await api.logs.writer(id);
    await writer.write('one');
    const follower = api.logs.follow(id, 0, new AbortController().signal)[Symbol.asyncIterator]();
    await follower.next();
    const part = await get(id, '', { range: 'bytes=1-' });
    assert.deepEqual([part.status, part.headers.get('content-range')], [206, 'bytes 1-3/*']);
    assert.equal(part.headers.get('etag'), null);
    assert.equal(await part.text(), 'ne\n');
    await writer.close();
    await follower.return?.();
  });

  test('is followed beyond the end of one attempt into the next, until the build is over', async () => {
    const id = await running();
    await write(id, 'one', 'INTERRUPTED');
    const following = (await get(id, '?follow=true')).text();
    await startBuild(api, id);
    await write(id, '--- attempt 2 ---', 'two');
    await finishBuild(api, id, failure, 2);
    assert.equal(await following, 'one\nINTERRUPTED\n--- attempt 2 ---\ntwo\n');
  });

  test('is followed through any number of broken connections without a byte lost or twice', async t => {
    const id = await running();
    const between = await openBetween(api.url);
    t.after(() => between.close());
    const lines = Array.from({ length: 400 }, (_, at) => `${at} größe ${'x'.repeat(at)}`);
    const writing = (async () => {
      const writer = await api.logs.writer(id);
      for (const line of lines) {
        await writer.write(line);
        await new Promise(setImmediate);
      }
      await writer.close();
      await finishBuild(api, id, failure);
    })();
    const parts: Uint8Array[] = [];
    let offset = 0;
    for (let breaks = 0; ; breaks += 1) {
      try {
        const answer = await get(id, `?follow=true&offset=${offset}`, {}, new URL(between.url).origin);
        let seen = 0;
        for await (const part of answer.body ?? []) {
          parts.push(part);
          offset += part.length;
          seen += part.length;
          if (breaks < 5 && seen > 5_000) between.cut();
        }
        break;
      } catch {
        between.mend();
      }
    }
    await writing;
    assert.ok(Buffer.concat(parts).toString() === `${lines.join('\n')}\n`);
  });

  test('that is not kept any more is said to be gone; one that never was is empty', async () => {
    const id = await running();
    await write(id, 'one');
    await finishBuild(api, id, failure);
    await api.read(`/builds/${id}`);
    await api.logs.remove(id);
    for (const query of ['', '?follow=true', '?download=true'])
      assertProblem(await api.ask('GET', `/builds/${id}/logs${query}`), 410, 'log-removed');
    const { id: cancelled } = await api.write('POST', '/apps/todo/builds');
    await api.write('POST', `/builds/${cancelled}/cancel`);
    await api.read(`/builds/${cancelled}`);
    for (const query of ['', '?follow=true', '?download=true']) {
      const answer = await api.ask('GET', `/builds/${cancelled}/logs${query}`);
      assert.deepEqual([answer.status, answer.text], [200, '']);
    }
  });
});
