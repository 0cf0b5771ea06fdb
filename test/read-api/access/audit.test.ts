/** Who did what and who was refused: every filter, pages, what is wrong to ask, and who may see which rows. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { execute } from '../../../commands/execute.ts';
import { attempt, type RefusedAttempt } from '../../../domain/access/attempt.ts';
import { type Api, type Body, startApi } from '../../support/api.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { stillClock } from '../../support/sign-in.ts';

const ann = 'token-of-ann-0123456789';
const bob = 'token-of-bob-0123456789';
const auditor = 'token-of-the-auditor-01';
const repoUrl = 'https://git.example/team/app.git';

const refusal: RefusedAttempt = {
  actor: 'anonymous',
  outcome: 'unauthorized',
  status: 401,
  method: 'POST',
  route: '/apps',
  target: null,
  ip: '192.0.2.1',
  userAgent: 'curl/8',
  correlationId: 'r9',
};

/** Puts refusals into the log as the platform does. */
async function refuse(
  api: Api,
  ...refusals: (Partial<RefusedAttempt> & { at: string; since?: string; count?: number })[]
) {
  const id = randomUUID();
  const at = '2026-01-02T03:04:05.000Z';
  const all = refusals.map(one => ({ ...refusal, count: 1, since: one.at, ...one }));
  const metadata = { actor: 'platform', correlationId: id, causationId: id, time: at };
  const command = { type: 'RecordRefusals', data: { refusals: all, at } } as const;
  const { position } = await execute(api.store, attempt, id, command, metadata);
  api.wrote(position ?? 0n);
}

suite('GET /audit', async () => {
  const clock = stillClock('2026-03-01T12:00:00.000Z');
  const api = await startApi({
    clock: { ...systemClock, now: clock.now },
    operators: [
      {
        subject: 'ann',
        token: ann,
        scopes: ['apps:*', 'audit:read', 'keys:write'],
        apps: ['team-*', 'solo'],
      },
      { subject: 'bob', token: bob, scopes: ['apps:*'] },
      { subject: 'auditor', token: auditor, scopes: ['audit:read'] },
    ],
  });
  after(() => api.close());

  const as = async (token: string, method: string, place: string, body?: object) => {
    const answer = await api.ask(method, place, { token, headers: { 'user-agent': 'the tests' }, body });
    assert.ok(answer.status < 300, answer.text);
    api.wrote(BigInt(answer.body.data.position));
    return answer.body.data.id as string;
  };
  /** `actor action target outcome` of every row, newest first. */
  const rows = async (query = ''): Promise<string[]> =>
    (await api.read(`/audit${query}`)).data.map(
      (row: Body) => `${row.actor} ${row.action} ${row.target} ${row.outcome}`,
    );

  let keyId = '';
  before(async () => {
    await as(ann, 'POST', '/apps', { id: 'team-shop', name: 'Shop', repoUrl });
    clock.pass(60);
    await as(bob, 'POST', '/apps', { id: 'other', name: 'Other', repoUrl });
    clock.pass(60);
    keyId = await as(ann, 'POST', '/auth/api-keys', { name: 'k', scopes: ['apps:read'], apps: ['solo'] });
    clock.pass(60);
    await as(ann, 'PATCH', '/apps/team-shop', { name: 'Shop!' });
    await refuse(
      api,
      { at: '2026-03-01T12:10:00.000Z', count: 7, since: '2026-03-01T12:09:30.000Z' },
      {
        at: '2026-03-01T12:11:00.000Z',
        actor: 'bob',
        outcome: 'forbidden',
        status: 403,
        target: 'apps/team-shop',
        method: 'DELETE',
        route: '/apps/:appId',
      },
      // Told late: it happened before what is told already.
      { at: '2026-03-01T12:00:30.000Z', actor: 'bo_', outcome: 'csrf', status: 403 },
    );
  });

  const shop = 'ann RepositoryRegistered apps/team-shop succeeded';
  const other = 'bob RepositoryRegistered apps/other succeeded';
  const change = 'ann RepositoryChanged apps/team-shop succeeded';
  const anonymous = 'anonymous POST /apps null unauthorized';
  const forbidden = 'bob DELETE /apps/:appId apps/team-shop forbidden';
  const late = 'bo_ POST /apps null csrf';
  const key = () => `ann ApiKeyCreated api-keys/${keyId} succeeded`;

  test('newest first by time, with everything that is known', async () => {
    assert.deepEqual(await rows(), [forbidden, anonymous, change, key(), other, late, shop]);
    const { data } = await api.read('/audit');
    const { correlationId, position, ...done } = data.at(-1);
    assert.match(correlationId, /^[0-9a-f-]{36}$/);
    assert.match(position, /^\d+$/);
    assert.deepEqual(done, {
      at: '2026-03-01T12:00:00.000Z',
      since: '2026-03-01T12:00:00.000Z',
      actor: 'ann',
      action: 'RepositoryRegistered',
      target: 'apps/team-shop',
      outcome: 'succeeded',
      status: null,
      route: 'POST /apps',
      ip: '127.0.0.1',
      userAgent: 'the tests',
      count: 1,
    });
    const { position: _, ...refused } = data[1];
    assert.deepEqual(refused, {
      at: '2026-03-01T12:10:00.000Z',
      since: '2026-03-01T12:09:30.000Z',
      actor: 'anonymous',
      action: 'POST /apps',
      target: null,
      outcome: 'unauthorized',
      status: 401,
      route: 'POST /apps',
      ip: '192.0.2.1',
      userAgent: 'curl/8',
      correlationId: 'r9',
      count: 7,
    });
  });

  test('each filter, exactly or by a beginning', async () => {
    assert.deepEqual(await rows('?actor=bob'), [forbidden, other]);
    assert.deepEqual(await rows('?actor=bo*'), [forbidden, other, late]);
    assert.deepEqual(await rows('?actor=bo'), []);
    assert.deepEqual(await rows('?actor=bo_*'), [late], 'nothing in it stands for something else');
    assert.deepEqual(await rows('?actor=%25*'), []);
    assert.deepEqual(await rows('?actor=%5C*'), []);
    assert.deepEqual(await rows('?action=Repository*'), [change, other, shop]);
    assert.deepEqual(await rows('?action=DELETE%20/apps/:appId'), [forbidden]);
    assert.deepEqual(await rows('?target=apps/team-shop'), [forbidden, change, shop]);
    assert.deepEqual(await rows('?target=api-keys/*'), [key()]);
    assert.deepEqual(await rows('?outcome=refused'), [forbidden, anonymous, late]);
    assert.deepEqual(await rows('?outcome=succeeded'), [change, key(), other, shop]);
    assert.deepEqual(await rows('?outcome=csrf'), [late]);
    assert.deepEqual(await rows('?actor=ann&action=Repository*&target=apps/*&outcome=succeeded'), [
      change,
      shop,
    ]);
  });

  test('from and to, in any offset: the first counts, the last does not', async () => {
    const [from, to] = ['2026-03-01T12:01:00Z', '2026-03-01T12:03:00Z'];
    assert.deepEqual(await rows(`?from=${from}&to=${to}`), [key(), other]);
    assert.deepEqual(await rows('?from=2026-03-01T14:11:00.000%2B02:00'), [forbidden]);
    assert.deepEqual(await rows('?to=2026-03-01T12:00:00.001Z'), [shop]);
  });

  test('the pages together are the whole, of every filter, while more happens', async () => {
    for (const filter of ['', '&outcome=refused', '&actor=bo*', '&target=apps/*']) {
      const whole = (await api.read(`/audit?limit=200${filter}`)).data.map((row: Body) => row.position);
      const pages: string[] = [];
      for (let cursor = ''; ; ) {
        const page: Body = await api.read(`/audit?limit=2${filter}${cursor}`);
        pages.push(...page.data.map((row: Body) => row.position));
        if (page.meta.nextCursor === null) break;
        cursor = `&cursor=${page.meta.nextCursor}`;
        await refuse(api, { at: '2026-04-01T00:00:00.000Z', actor: 'bob', target: 'apps/team-shop' });
      }
      assert.deepEqual(pages, whole, filter);
    }
  });

  test('what cannot be meant is said, field by field', async () => {
    const bad: [string, string][] = [
      ['from=yesterday', 'from'],
      ['from=2026-03-01', 'from'],
      ['from=0000-01-01T00:00:00Z', 'from'],
      ['to=2016-12-31T23:59:60Z', 'to'],
      ['to=9999-12-31T23:59:59-01:00', 'to'],
      ['from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', 'to'],
      ['outcome=sucess', 'outcome'],
      ['actor=', 'actor'],
      ['actor=a%00b', 'actor'],
      [`target=${'x'.repeat(257)}`, 'target'],
      ['limit=0', 'limit'],
      ['cursor=nonsense', 'cursor'],
    ];
    for (const [query, field] of bad) assertInvalid(await api.ask('GET', `/audit?${query}`), field);
    const { meta } = await api.read('/audit?limit=1');
    assertInvalid(await api.ask('GET', `/audit?limit=1&actor=bob&cursor=${meta.nextCursor}`), 'cursor');
    const [sum, tier, value] = JSON.parse(Buffer.from(meta.nextCursor, 'base64url').toString());
    for (const id of ['', 'x', '-1', '9'.repeat(19)]) {
      const cursor = Buffer.from(JSON.stringify([sum, tier, value, id])).toString('base64url');
      assertInvalid(await api.ask('GET', `/audit?limit=1&cursor=${cursor}`), 'cursor');
    }
    assert.deepEqual(api.logged, []);
  });

  test('it needs its scope, and who may see some apps sees rows of these alone', async () => {
    assertProblem(await api.ask('GET', '/audit', { token: bob }), 403, 'forbidden');
    assertProblem(await api.ask('GET', '/audit', { token: null }), 401, 'unauthorized');
    await api.read('/audit');
    const { body } = await api.ask('GET', '/audit?to=2026-03-30T00:00:00Z', { token: ann });
    assert.deepEqual(
      body.data.map((row: Body) => `${row.actor} ${row.action} ${row.target} ${row.outcome}`),
      [forbidden, change, shop],
    );
    const all = await api.ask('GET', '/audit?limit=1', { token: auditor });
    const foreign = await api.ask('GET', `/audit?limit=1&cursor=${all.body.meta.nextCursor}`, { token: ann });
    assertInvalid(foreign, 'cursor');
  });
});
