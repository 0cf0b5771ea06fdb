/** How often somebody may ask: counted for whom, told in which fields, and when Redis is away. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { anonymous } from '../../platform/auth.ts';
import { freePort } from '../../platform/free-port.ts';
import { countedAs, networkOf, openRateLimiter } from '../../platform/rate-limit.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { assertProblem } from '../support/problem.ts';

const log = { warn: () => undefined };

test('somebody who is known counts for himself, others by their address', () => {
  assert.deepEqual(countedAs(anonymous, '192.0.2.1'), { kind: 'anonymous', key: '192.0.2.1' });
  const ann = { kind: 'operator', subject: 'ann', credentialId: null };
  assert.deepEqual(countedAs(ann, '192.0.2.1'), { kind: 'identified', key: 'operator ann' });
  const key = { kind: 'api-key', subject: 'ann', credentialId: 'k1' };
  assert.deepEqual(countedAs(key, '192.0.2.1'), { kind: 'identified', key: 'api-key k1' });
});

test('an IPv6 address counts with its network, however it is written', () => {
  for (const ip of ['2001:db8:1:2::', '2001:db8:1:2:3:4:5:6', '2001:DB8:1:2::9']) {
    assert.equal(networkOf(ip), '2001:db8:1:2', ip);
  }
  assert.equal(networkOf('::1'), '0:0:0:0');
  assert.equal(networkOf('192.0.2.1'), '192.0.2.1');
});

test('while Redis is away a process counts alone', async () => {
  const redisUrl = `redis://127.0.0.1:${await freePort()}`;
  const limiter = openRateLimiter({ identified: 2, anonymous: 1, refused: 1 }, { redisUrl, log });
  assert.equal((await limiter.count('identified', 'a')).remaining, 1);
  await limiter.count('identified', 'a');
  await assert.rejects(limiter.count('identified', 'a'), { status: 429, code: 'rate-limited' });
  await limiter.count('identified', 'b');
  limiter.close();
});

suite('an API with limits', async () => {
  const api = await startApi({
    rateLimits: { identified: 5, anonymous: 4, refused: 2 },
    operators: [{ subject: 'bob', token: 'the-token-of-bob-1', scopes: ['apps:read'] }],
    records: true,
  });
  after(() => api.close());

  test('says how many are left, refuses what is too much, and records it', async () => {
    for (let left = 4; left >= 0; left -= 1) {
      const answer = await api.ask('GET', '/apps');
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('ratelimit-policy'), '"identified";q=5;w=60');
      assert.match(answer.headers.get('ratelimit') ?? '', new RegExp(`^"identified";r=${left};t=\\d+$`));
    }
    const refused = await api.ask('GET', '/apps');
    assertProblem(refused, 429, 'rate-limited');
    assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d?$/);
    assert.equal(
      (await api.ask('GET', '/apps', { token: 'the-token-of-bob-1' })).status,
      200,
      'another one may',
    );
    await api.attempts.close();
    const recorded: string[] = [];
    const stop = new AbortController();
    for await (const batch of api.store.subscribe({
      from: 'start',
      streamPrefixes: ['access.'],
      signal: stop.signal,
    })) {
      for (const { data } of batch.events)
        recorded.push(`${'actor' in data ? data.actor : ''} ${JSON.stringify(data)}`);
      if (batch.caughtUp) stop.abort();
    }
    assert.equal(recorded.length, 1);
    assert.match(recorded[0] ?? '', /^operator .*"outcome":"rate-limited"/);
  });

  test('counts credentials that are nobody’s on their own, and looks no further', async () => {
    for (const token of ['wrong-1', 'wrong-2']) {
      assertProblem(await api.ask('GET', '/apps', { token }), 401, 'unauthorized');
    }
    assertProblem(await api.ask('GET', '/apps', { token: 'wrong-3' }), 429, 'rate-limited');
    assert.equal((await api.ask('GET', '/apps', { token: 'the-token-of-bob-1' })).status, 200);
    assert.notEqual(operatorToken, 'wrong-3');
  });

  test('counts who says nothing by the address', async () => {
    const statuses: number[] = [];
    for (let at = 0; at < 5; at += 1)
      statuses.push((await api.ask('GET', '/healthz', { token: null })).status);
    assert.equal(statuses.at(-1), 429);
  });
});
