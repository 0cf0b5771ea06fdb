/** Proofs over HTTP, checked as somebody would who has nothing but the answers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { memoryStore } from '../../../eventstore/memory.ts';
import { listenTo } from '../../../platform/listen.ts';
import { parseCheckpoint } from '../../../platform/proof/checkpoint.ts';
import { leafOf } from '../../../platform/proof/leaf.ts';
import { hashLeaf, provesConsistency, provesInclusion } from '../../../platform/proof/merkle.ts';
import { readVerifier, verifyNote } from '../../../platform/proof/note.ts';
import { keepAuditTree } from '../../../workers/access/audit-tree.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { type Api, startApi } from '../../support/api.ts';
import { testDatabase } from '../../support/postgres.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { verifyText } from '../../support/proof.ts';
import { eventually } from '../../support/workers.ts';

const auditor = 'token-of-the-auditor-01';
const buffer = (text: string) => Buffer.from(text, 'base64');

suite('proofs', () => {
  const store = memoryStore();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-proof-'));
  const stop = new AbortController();
  let api: Api;
  let running: Promise<void>;
  let drop: () => Promise<void>;

  before(async () => {
    const database = await testDatabase();
    drop = database.drop;
    await createWorkerTables(database.sql);
    const tokens = { [auditor]: ['audit:read', 'apps:read'], 'only-audit-read-0123456': ['audit:read'] };
    api = await startApi({ store, stored: store, database, tokens });
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    running = keepAuditTree({
      sql: database.sql,
      store,
      stored: store,
      clock: systemClock,
      folder,
      origin: 'apphub.example/audit',
      checkpointEvents: 3,
      checkpointSeconds: 3_600,
      listen: (channel, onHeard) => listenTo(database.connectionString, channel, onHeard),
      onPublished: () => undefined,
      log,
      signal: stop.signal,
    });
    await register(7);
  });
  after(async () => {
    stop.abort();
    await running;
    await api.close();
    await drop();
    rmSync(folder, { recursive: true, force: true });
  });

  let apps = 0;
  const register = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      apps += 1;
      const body = { id: `app-${apps}`, name: 'App', repoUrl: 'https://git.example.org/team/app.git' };
      assert.equal((await api.ask('POST', '/apps', { body })).status, 201);
    }
  };
  const get = (place: string) => api.ask('GET', place, { token: null });
  const key = async () =>
    eventually(async () => {
      const { data } = (await get('/audit/keys')).body;
      assert.equal(data.length, 1);
      return readVerifier(data[0].key);
    });

  test('of each event lead to a head that is signed', async () => {
    const stopReading = new AbortController();
    for await (const { events } of store.follow({ from: 'start', signal: stopReading.signal })) {
      for (const [at, event] of events.entries()) {
        const { status, body } = await get(`/audit/proof/inclusion?position=${event.position}`);
        assert.equal(status, 200);
        const { index, leafHash, size, proof, checkpoint } = body.data;
        assert.equal(index, at);
        assert.equal(leafHash, hashLeaf(Buffer.from(leafOf(event))).toString('base64'));
        const head = parseCheckpoint(checkpoint);
        assert.equal(verifyNote(head.parsed, [await key()]).length, 1);
        assert.equal(head.size, size);
        const claim = { leafHash: buffer(leafHash), index, size, root: head.root };
        assert.ok(provesInclusion(proof.map(buffer), claim));
        assert.deepEqual((await get(`/audit/proof/inclusion?id=${event.id}`)).body.data.index, index);
        assert.deepEqual(
          (await get(`/audit/proof/inclusion?index=${index}`)).body.data.position,
          `${event.position}`,
        );
      }
      break;
    }
    stopReading.abort();
  });

  test('of one size and another agree with the checkpoints that were published', async () => {
    await eventually(async () => assert.ok((await get('/audit/checkpoints')).body.data.length > 0));
    await register(3);
    const { data } = await eventually(async () => {
      const { body } = await get('/audit/checkpoints');
      assert.ok(body.data.length >= 2);
      return body;
    });
    const [first, second] = data.map(({ note }: { note: string }) => parseCheckpoint(note));
    const { body } = await get(`/audit/proof/consistency?from=${first.size}&to=${second.size}`);
    assert.ok(provesConsistency(body.data.proof.map(buffer), first, second));
    assert.deepEqual([buffer(body.data.fromRoot), buffer(body.data.toRoot)], [first.root, second.root]);
    const at = await get(`/audit/proof/inclusion?index=0&size=${second.size}`);
    assert.equal(at.body.data.checkpoint, second.note);
    const { text } = await get('/audit/checkpoint');
    assert.ok(parseCheckpoint(text).size >= second.size);
  });

  test('are made of tiles that anybody may fetch', async () => {
    const { data } = (await get('/audit/proof/inclusion?index=1&size=2')).body;
    const answer = await fetch(`${api.url}/audit/tile/0/000.p/2`);
    const tile = Buffer.from(await answer.arrayBuffer());
    assert.equal(tile.length, 64);
    assert.deepEqual(tile.subarray(32), buffer(data.leafHash));
    for (const place of ['0/000', '0/000.p/200', '9/000', '0/1', '0/001.p/1'])
      assertProblem(await get(`/audit/tile/${place}`), 404, 'not-found');
  });

  test('are refused for what is not there, or cannot be meant', async () => {
    for (const query of ['position=0', 'index=999', 'id=00000000-0000-4000-8000-000000000000'])
      assertProblem(await get(`/audit/proof/inclusion?${query}`), 404, 'not-found');
    assertProblem(await get('/audit/proof/inclusion?position=999999'), 503, 'behind');
    const wrong: Record<string, string> = {
      'inclusion?': 'position',
      'inclusion?position=1&index=1': 'position',
      'inclusion?index=-1': 'index',
      'inclusion?position=x': 'position',
      'inclusion?id=x': 'id',
      'inclusion?index=3&size=3': 'size',
      'inclusion?index=0&size=999': 'size',
      'consistency?from=2&to=1': 'from',
      'consistency?from=0&to=999': 'to',
      'consistency?from=0.5&to=1': 'from',
    };
    for (const [query, field] of Object.entries(wrong))
      assertInvalid(await get(`/audit/proof/${query}`), field);
  });

  test('are for everybody, who witnesses them only for some', async () => {
    assert.equal((await get('/audit/witnesses')).status, 401);
    assert.deepEqual((await api.ask('GET', '/audit/witnesses')).body, { data: [] });
  });

  test('of everything are one file, which is verified without the server', async () => {
    const exported = async (query = '') => {
      const { status, text } = await api.ask('GET', `/audit/export${query}`, { token: auditor });
      assert.equal(status, 200, text);
      return { text, verified: await verifyText(text, { key: await key() }) };
    };
    const { text, verified } = await exported();
    assert.deepEqual(verified.differences, []);
    assert.ok(verified.size >= 11 && verified.checkpoints >= 2);
    const changed = await verifyText(text.replace('"app-4"', '"app-x"'), { key: await key() });
    assert.deepEqual(changed.differences[0]?.kind, 'changed');
    const [first] = (await get('/audit/checkpoints')).body.data;
    const { position, size } = parseCheckpoint(first.note);
    const part = (await exported(`?from=${(position ?? 0n) + 1n}`)).verified;
    assert.deepEqual([part.differences, part.from], [[], size]);
    const early = (await exported('?to=2')).verified;
    assert.deepEqual([early.differences, early.size], [[], size]);
    assert.ok(early.size < verified.size);
    const { body } = await api.ask('GET', '/audit/export', { token: 'only-audit-read-0123456' });
    assert.deepEqual([body.status, body.code, body.scope], [403, 'forbidden', 'apps:read']);
  });

  test('go on with another key that the one before vouches for', async () => {
    const old = await key();
    const { status } = await api.ask('POST', '/audit/keys/rotate');
    assert.equal(status, 202);
    await eventually(async () => {
      const { data } = (await get('/audit/keys')).body;
      assert.equal(data.length, 2);
      assert.equal(data[0].key, old.vkey);
      assert.match(data[1].statement, /^apphub audit key change v1\n/);
    });
    assertInvalid(await api.ask('POST', '/audit/tree/restart', { body: { because: 'a\nb' } }), 'because');
  });
});
