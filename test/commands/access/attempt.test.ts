/** The record of refused attempts: true counts, a bounded number of events, and never what was sent. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openAttempts } from '../../../commands/access/attempt.ts';
import { systemClock } from '../../../commands/clock.ts';
import type { RefusedAttempt } from '../../../domain/access/attempt.ts';
import type { EventOf, Recorded } from '../../../domain/events.ts';
import { memoryStore } from '../../../eventstore/memory.ts';
import { type EventStore, LogUnavailable } from '../../../eventstore/store.ts';
import { startApi, webhookSecret } from '../../support/api.ts';
import { signIn } from '../../support/sign-in.ts';
import { eventually } from '../../support/workers.ts';

const singly = 20;
const actorsMax = 500;
const unsentMax = 5_000;

const refusal: RefusedAttempt = {
  actor: 'ann',
  outcome: 'forbidden',
  status: 403,
  method: 'POST',
  route: '/apps',
  target: null,
  ip: '192.0.2.1',
  userAgent: 'curl/8',
  correlationId: 'r1',
};

/** Everything in the log, in its order. */
async function everything(store: EventStore): Promise<readonly Recorded[]> {
  const stop = new AbortController();
  const events: Recorded[] = [];
  for await (const batch of store.subscribe({ from: 'start', streamPrefixes: [''], signal: stop.signal })) {
    events.push(...batch.events);
    if (batch.caughtUp) stop.abort();
  }
  return events;
}

async function refusedIn(store: EventStore): Promise<readonly EventOf<'AttemptsRefused'>['data'][]> {
  return (await everything(store)).flatMap(event => (event.type === 'AttemptsRefused' ? [event.data] : []));
}

const sumOf = (refusals: readonly { count: number }[]) => refusals.reduce((sum, { count }) => sum + count, 0);

/** A log that is away until it is told to come back; `forgets`: it stores, and its answer is lost. */
function awayStore(): {
  store: EventStore;
  inner: EventStore;
  isAway: boolean;
  forgets: number;
  tries: number;
} {
  const inner = memoryStore();
  const away = { inner, isAway: false, forgets: 0, tries: 0, store: inner };
  away.store = {
    ...inner,
    async load(stream) {
      if (away.isAway) throw new LogUnavailable('away');
      return inner.load(stream);
    },
    async append(...given) {
      away.tries += 1;
      if (away.isAway) throw new LogUnavailable('away');
      const stored = await inner.append(...given);
      if (away.forgets === 0) return stored;
      away.forgets -= 1;
      throw new LogUnavailable('the answer was lost');
    },
  };
  return away;
}

function open(store: EventStore, minuteMs = 3_600_000) {
  const warned: string[] = [];
  const log = { warn: (_detail: object, line: string) => void warned.push(line) };
  return { warned, ...openAttempts({ store, clock: systemClock, log, minuteMs }) };
}

suite('refused attempts over HTTP', () => {
  test('are told one by one up to twenty, then counted, each kind for itself', async () => {
    const token = 'token-of-ann-0123456789';
    const operators = [{ subject: 'ann', token, scopes: ['apps:read'] }];
    const api = await startApi({ records: true, operators });
    try {
      const headers = { 'user-agent': 'the tests' };
      for (let at = 0; at < 25; at += 1) await api.ask('DELETE', `/apps/shop-${at}`, { token, headers });
      for (let at = 0; at < 3; at += 1) await api.ask('GET', '/audit', { token, headers });
      await api.ask('GET', '/apps', { token: null, headers });
      await eventually(async () => assert.equal((await refusedIn(api.store)).length, singly + 1));
      await api.attempts.close();
      const refused = await refusedIn(api.store);
      const told = refused.map(({ actor, method, route, target, outcome, count }) =>
        [actor, method, route, target, outcome, count].join(' '),
      );
      assert.deepEqual(told.slice(0, singly), [
        ...Array.from({ length: singly }, (_, at) => `ann DELETE /apps/:appId apps/shop-${at} forbidden 1`),
      ]);
      assert.deepEqual(told.slice(singly), [
        'anonymous GET /apps  unauthorized 1',
        // The newest of them, and how many there were.
        'ann GET /audit  forbidden 8',
      ]);
      const { since, at, status, ip, userAgent, correlationId } = refused.at(-1) ?? { since: '', at: '' };
      assert.ok(since < at);
      assert.deepEqual([status, ip, userAgent], [403, '127.0.0.1', 'the tests']);
      assert.match(correlationId ?? '', /^[0-9a-f-]{36}$/);
    } finally {
      await api.close();
    }
  });

  test('say nothing of what was sent: no token, key, cookie or signature is anywhere in the log', async () => {
    const api = await startApi({ records: true });
    try {
      const planted: string[] = [];
      const canary = (name: string) => {
        const text = `canary-${name}-${'x'.repeat(20)}`;
        planted.push(text);
        return text;
      };
      const json = { 'content-type': 'application/json' };
      const made = await api.write('POST', '/apps', {
        id: 'shop',
        name: 'A',
        repoUrl: 'https://git.example/a.git',
      });
      assert.ok(made.position);
      await api.ask('GET', '/apps', { token: canary('bearer') });
      await api.ask('GET', `/apps?access_token=${canary('address')}`);
      await api.ask('GET', `/apps/shop?token=${canary('address-of-an-app')}`);
      await api.ask('POST', '/auth/sessions', { token: null, body: { token: canary('sign-in') } });
      await api.ask('GET', '/apps', { token: null, headers: { authorization: `Basic ${canary('basic')}` } });
      await api.ask('GET', '/apps', {
        token: null,
        headers: { cookie: `__Host-apphub-session=${canary('cookie')}` },
      });
      await api.ask('POST', '/webhooks/git/shop', {
        token: null,
        headers: { ...json, 'x-hub-signature-256': `sha256=${canary('signature')}` },
        body: '{}',
      });
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13';
      const socketKey = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
      const socket = `GET /stream?access_token=${canary('stream')} HTTP/1.1\r\nHost: localhost\r\n${upgrade}`;
      assert.match(await api.raw(`${socket}\r\n${socketKey}\r\n\r\n`), /^HTTP\/1\.1 40[01] /);
      const browser = await signIn(api);
      await browser.ask('POST', '/apps', { id: 'other' }, { 'x-csrf-token': canary('csrf') });
      const key = await browser.ask('POST', '/auth/api-keys', {
        name: 'k',
        scopes: ['apps:read', 'keys:write'],
      });
      const turned = await browser.ask('POST', `/auth/api-keys/${key.body.data.id}/rotate`);
      await api.ask('POST', '/apps', { token: turned.body.data.key, body: { id: 'another' } });
      await api.ask('GET', '/stream', { token: key.body.data.key });
      await browser.ask('DELETE', `/auth/sessions/${browser.sessionId}`);
      await api.attempts.close();

      const events = await everything(api.store);
      const types = new Set(events.map(({ type }) => type));
      for (const type of [
        'AttemptsRefused',
        'ApiKeyCreated',
        'ApiKeyRotated',
        'SessionOpened',
        'SessionEnded',
      ] as const)
        assert.ok(types.has(type), type);
      const outcomes = new Set((await refusedIn(api.store)).map(({ outcome }) => outcome));
      assert.deepEqual([...outcomes].sort(), ['csrf', 'forbidden', 'token-in-address', 'unauthorized']);
      const text = JSON.stringify(events, (_name, value) => (typeof value === 'bigint' ? `${value}` : value));
      const secrets = {
        planted,
        keys: [key.body.data.key, turned.body.data.key].flatMap(one => [one, one.slice(26, -10)]),
        cookie: [browser.cookie.slice(-43), browser.csrf],
        platform: [webhookSecret, 'operator-of-the-tests'],
      };
      for (const [kind, list] of Object.entries(secrets)) {
        assert.ok(list.length > 0);
        for (const secret of list) {
          assert.ok(secret.length > 15, `${kind}: ${secret}`);
          assert.ok(!text.includes(secret), `${kind}: ${secret} is in the log`);
        }
      }
      assert.ok(!text.includes('canary'));
    } finally {
      await api.close();
    }
  });
});

suite('a flood of refused attempts', () => {
  test('of one actor makes as many events as a few, and the counts stay true', async () => {
    const store = memoryStore();
    const attempts = open(store);
    for (let at = 0; at < 10_000; at += 1)
      attempts.note(at % 2 === 0 ? refusal : { ...refusal, outcome: 'unauthorized', status: 401 });
    await attempts.close();
    const refused = await refusedIn(store);
    assert.equal(refused.length, singly + 2);
    for (const outcome of ['forbidden', 'unauthorized'])
      assert.equal(sumOf(refused.filter(one => one.outcome === outcome)), 5_000);
  });

  test('of ever new addresses is bounded too: beyond some of them the rest is counted together', async () => {
    const store = memoryStore();
    const attempts = open(store);
    for (let at = 0; at < 10_000; at += 1)
      attempts.note({ ...refusal, actor: 'anonymous', ip: `192.0.${at >> 8}.${at & 255}` });
    await attempts.close();
    const refused = await refusedIn(store);
    assert.equal(refused.length, actorsMax + 1);
    assert.equal(sumOf(refused), 10_000);
    const { ip, route, count, userAgent } = refused.at(-1) ?? {};
    assert.deepEqual([ip, route, count, userAgent], ['', '(many)', 10_000 - actorsMax, '']);
  });

  test('is told anew when the minute is over', async () => {
    const store = memoryStore();
    const attempts = open(store, 50);
    for (let at = 0; at < 30; at += 1) attempts.note(refusal);
    await eventually(async () => assert.equal(sumOf(await refusedIn(store)), 30));
    attempts.note(refusal);
    await eventually(async () => assert.equal(sumOf(await refusedIn(store)), 31));
    assert.deepEqual(
      (await refusedIn(store)).map(({ count }) => count),
      [...Array(singly).fill(1), 10, 1],
    );
    await attempts.close();
  });
});

suite('while the log is away', () => {
  test('nothing that fits is lost, and nobody waits', async () => {
    const away = awayStore();
    away.isAway = true;
    const attempts = open(away.store);
    for (let at = 0; at < 100; at += 1)
      attempts.note({ ...refusal, actor: `user-${at}`, correlationId: `r${at}` });
    await eventually(() => assert.ok(attempts.warned.length > 0));
    away.isAway = false;
    await eventually(async () => assert.equal((await refusedIn(away.inner)).length, 100));
    const ids = (await refusedIn(away.inner)).map(({ correlationId }) => correlationId);
    assert.deepEqual(
      ids,
      Array.from({ length: 100 }, (_, at) => `r${at}`),
    );
    await attempts.close();
  });

  test('what was stored while its answer was lost is not told twice', async () => {
    const away = awayStore();
    // As often as one append is repeated.
    away.forgets = 3;
    const attempts = open(away.store);
    for (let at = 0; at < 10; at += 1) attempts.note(refusal);
    await eventually(() => assert.ok(attempts.warned.length > 0 && away.forgets === 0));
    await attempts.close();
    assert.equal((await refusedIn(away.inner)).length, 10);
  });

  test('what no longer fits is counted with its like, never with somebody else’s', async () => {
    const away = awayStore();
    away.isAway = true;
    const attempts = open(away.store);
    const [actors, each, late] = [400, 17, 5];
    const noted = actors * each + late;
    assert.ok(noted > unsentMax);
    for (let at = 0; at < actors * each; at += 1) attempts.note({ ...refusal, actor: `user-${at % actors}` });
    for (let at = 0; at < late; at += 1) attempts.note({ ...refusal, actor: `user-${at}`, outcome: 'csrf' });
    away.isAway = false;
    await eventually(async () => assert.equal(sumOf(await refusedIn(away.inner)), noted));
    await attempts.close();
    const refused = await refusedIn(away.inner);
    assert.equal(sumOf(refused), noted);
    const together = refused.filter(one => one.route === '(many)');
    assert.deepEqual(
      together.map(one => [one.actor, one.outcome, one.count]),
      [['anonymous', 'csrf', 5]],
    );
    const byActor = Map.groupBy(refused, ({ actor }) => actor);
    for (let at = 0; at < actors; at += 1) assert.equal(sumOf(byActor.get(`user-${at}`) ?? []), each);
  });
});
