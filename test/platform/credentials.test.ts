/** Whose a token or a cookie is, over a real table of last uses and a log in memory. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { execute } from '../../commands/execute.ts';
import { apiKey } from '../../domain/access/api-key.ts';
import { session } from '../../domain/access/session.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { Credentials } from '../../platform/auth.ts';
import { openCredentials } from '../../platform/credentials.ts';
import { openLastSeen } from '../../platform/last-seen.ts';
import { knownOperators } from '../../platform/operators.ts';
import { makeApiKey, makeSessionToken } from '../../platform/token-format.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { eventually } from '../support/workers.ts';

const keyId = '00000000-0000-4000-8000-000000000001';
const sessionId = '00000000-0000-4000-8000-000000000002';
const ip = '192.0.2.1';
const begin = Date.parse('2026-01-01T00:00:00.000Z');
let now = begin;
const clock = { now: () => new Date(now).toISOString() };
const inSeconds = (seconds: number) => new Date(begin + seconds * 1_000).toISOString();
const metadata = () => ({
  actor: 'ann',
  correlationId: 'r',
  causationId: `q${Math.random()}`,
  time: clock.now(),
});

const ann = { subject: 'ann', token: 'the-token-of-ann-1', scopes: ['*'] };
const key = makeApiKey(keyId);
const cookie = makeSessionToken(sessionId);

suite('credentials', () => {
  let database: TestDatabase;
  let store: ReturnType<typeof memoryStore>;
  const warned: object[] = [];
  const open = async (operators = [ann]): Promise<Credentials> => {
    const known = knownOperators(operators);
    const lastSeen = await openLastSeen(database.sql, clock, { warn: detail => void warned.push(detail) });
    return openCredentials({
      operators: known,
      subjects: known,
      signInOperators: known,
      store,
      lastSeen,
      clock,
    });
  };
  before(async () => {
    database = await testDatabase();
    store = memoryStore();
    const { token: _key, ...verifier } = key;
    const made = {
      keyId,
      owner: 'ann',
      name: 'n',
      scopes: ['apps:read'],
      apps: ['shop'],
      expiresAt: inSeconds(600),
    };
    const data = { ...made, ...verifier, at: clock.now() };
    await execute(store, apiKey, keyId, { type: 'CreateApiKey', data }, metadata());
    const opened = {
      sessionId,
      subject: 'ann',
      name: 'Ann',
      how: 'token' as const,
      scopes: ['*'],
      apps: null,
    };
    const rest = {
      sha256: cookie.sha256,
      expiresAt: inSeconds(10_000),
      idleSeconds: 300,
      providerSessionId: null,
    };
    const session_ = { ...opened, ...rest, at: clock.now() };
    await execute(store, session, sessionId, { type: 'OpenSession', data: session_ }, metadata());
  });
  after(() => database.drop());

  test('tell whose they are, with what restricts them', async () => {
    const credentials = await open();
    now = begin;
    assert.equal((await credentials.identify({ bearer: ann.token, ip }))?.kind, 'operator');
    const byKey = await credentials.identify({ bearer: key.token, ip });
    assert.deepEqual(byKey, {
      subject: 'ann',
      name: 'n',
      kind: 'api-key',
      scopes: ['apps:read'],
      apps: ['shop'],
      expiresAt: inSeconds(600),
      credentialId: keyId,
      csrfToken: null,
    });
    const bySession = await credentials.identify({ session: cookie.token, ip });
    assert.equal(bySession?.kind, 'session');
    assert.match(bySession?.csrfToken ?? '', /^[\w-]{43}$/);
    assert.ok(!cookie.token.includes(bySession?.csrfToken ?? ''), 'the one cannot be told from the other');
  });

  test('of a known id with another secret, and of an unknown id, are nobody’s', async () => {
    const credentials = await open();
    for (const bearer of [
      makeApiKey(keyId).token,
      makeApiKey(sessionId).token,
      `${key.token}x`,
      'aph_',
      '',
    ]) {
      assert.equal(await credentials.identify({ bearer, ip }), undefined, bearer);
    }
    for (const session of [
      makeSessionToken(sessionId).token,
      makeSessionToken(keyId).token,
      '.',
      ann.token,
      key.token,
    ]) {
      assert.equal(await credentials.identify({ session, ip }), undefined, session);
    }
  });

  test('end by themselves; use keeps a session, and is remembered by a process that was started anew', async () => {
    const credentials = await open();
    now = begin + 250_000;
    assert.ok(await credentials.identify({ session: cookie.token, ip }));
    await eventually(async () => {
      const row = await database.sql('access_last_seen').where({ id: sessionId }).first();
      assert.equal(new Date(row?.at).toISOString(), inSeconds(250));
      assert.equal(row.ip, ip);
    });
    now = begin + 540_000;
    const another = await open();
    assert.ok(await another.identify({ session: cookie.token, ip }), '290 s after it was heard of');
    await eventually(async () => {
      const row = await database.sql('access_last_seen').where({ id: sessionId }).first();
      assert.equal(new Date(row?.at).toISOString(), inSeconds(540));
    });
    now = begin + 600_000;
    assert.equal(await another.identify({ bearer: key.token, ip }), undefined, 'the key has expired');
    now = begin + 840_000;
    assert.equal(await another.identify({ session: cookie.token, ip }), undefined, 'idle for 300 s');
    now = begin;
    assert.deepEqual(warned, []);
  });

  test('of an operator who was struck off the list open nothing', async () => {
    const credentials = await open([]);
    now = begin + 541_000;
    assert.equal(await credentials.identify({ session: cookie.token, ip }), undefined);
    assert.equal(await credentials.identify({ bearer: ann.token, ip }), undefined);
    assert.equal(await credentials.identify({ bearer: key.token, ip }), undefined);
  });

  test('that were ended open nothing from that moment on', async () => {
    const credentials = await open();
    now = begin + 541_000;
    assert.ok(await credentials.identify({ session: cookie.token, ip }));
    assert.ok(await credentials.identify({ bearer: key.token, ip }));
    const end = { sessionId, at: clock.now(), by: 'ann', reason: 'signed-out' as const };
    await execute(store, session, sessionId, { type: 'EndSession', data: end }, metadata());
    const revoke = { keyId, at: clock.now(), by: 'ann' };
    await execute(store, apiKey, keyId, { type: 'RevokeApiKey', data: revoke }, metadata());
    assert.equal(await credentials.identify({ session: cookie.token, ip }), undefined);
    assert.equal(await credentials.identify({ bearer: key.token, ip }), undefined);
  });
});
