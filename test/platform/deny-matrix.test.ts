/**
 * Every route of the description × every way not to be let in: each is refused with the right status and leaves one record of who
 * tried what. Each request comes from an address of its own, so that its record is found among the others.
 */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { isScope, type Scope, scopes } from '../../domain/access/scope.ts';
import type { EventOf, Recorded } from '../../domain/events.ts';
import { sessionCookie } from '../../platform/session-cookie.ts';
import { makeApiKey, makeSessionToken } from '../../platform/token-format.ts';
import { type Answer, type Body, operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { assertProblem } from '../support/problem.ts';

/** What is meant for everybody. A route that joins them is named here, or this fails. */
const forEverybody = [
  'GET /audit/checkpoint',
  'GET /audit/checkpoints',
  'GET /audit/keys',
  'GET /audit/proof/consistency',
  'GET /audit/proof/inclusion',
  'GET /audit/tile/{*}',
  'GET /auth/callback',
  'GET /auth/login',
  'GET /auth/options',
  'GET /healthz',
  'GET /launches/{launchId}/open',
  'GET /pictures/{sha256}',
  'GET /preview/hosts/check',
  'GET /preview/hosts/{host}/check',
  'GET /readyz',
  'POST /auth/backchannel-logout',
  'POST /auth/sessions',
  'POST /webhooks/git/{appId}',
];

type Route = { verb: string; path: string; needed: Scope | 'identified'; place: string; body?: Body };
type Denial = { status: number; code: string; actor: string; headers: Record<string, string> };
/** Undefined where the way does not lead to this route. */
type Way = (route: Route) => Denial | undefined;

let now = Date.parse('2026-01-01T00:00:00.000Z');
let ids = 0;
const newId = () => {
  ids += 1;
  return `00000000-0000-4000-8000-${String(ids).padStart(12, '0')}`;
};
const clock = { now: () => new Date(now).toISOString(), newId };
const without = (scope: Scope) => `everything-but-${scope.replace(':', '-')}`;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

suite('the deny matrix', { concurrency: 1 }, async () => {
  const api = await startApi({
    records: true,
    trustedProxies: ['127.0.0.0/8', '::1'],
    clock,
    operators: [
      ...scopes.map(scope => ({
        subject: `all but ${scope.replace(':', '.')}`.replaceAll(' ', '-'),
        token: without(scope),
        scopes: scopes.filter(one => one !== scope),
      })),
      { subject: 'team', token: 'the-token-of-the-team', scopes: ['*'], apps: ['team-*'] },
      { subject: 'eve', token: 'the-token-of-eve-123', scopes: scopes.filter(one => one !== 'admin') },
    ],
  });
  after(() => api.close());

  const buildId = await launchableApp(api, 'known-app');
  const { id: launchId } = await api.write('POST', '/apps/known-app/launches');
  const { id: workspaceId } = await api.write('POST', '/apps/known-app/workspaces', { name: 'kept' });
  const key = async (seconds: number, scopes = ['*']) => {
    const body = { name: 'k', scopes, expiresInSeconds: seconds };
    return (await api.ask('POST', '/auth/api-keys', { body })).body.data as { id: string; key: string };
  };
  const expired = await key(60);
  const revoked = await key(6_000);
  const others = await key(6_000);
  const narrow = await key(6_000, ['apps:*', 'keys:write', 'audit:read']);
  await api.write('DELETE', `/auth/api-keys/${revoked.id}`);
  const signIn = async (): Promise<{ id: string; cookie: string }> => {
    const answer = await api.ask('POST', '/auth/sessions', { body: { token: operatorToken }, token: null });
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    return { id: answer.body.data.id, cookie };
  };
  const session = await signIn();
  const ended = await signIn();
  await api.write('DELETE', `/auth/sessions/${ended.id}`);
  now += 120_000;

  const { paths } = (await api.ask('GET', '/openapi.json')).body;
  const filled: Record<string, string> = {
    appId: 'known-app',
    buildId,
    launchId,
    host: 'shop.example.org',
    keyId: others.id,
    sessionId: session.id,
    key: 'a',
    value: 'b',
    projection: 'apps_builds',
    position: '7',
    event: (await api.read('/apps/known-app/history')).data[0].position,
    workspaceId,
    snapshotId: launchId,
    name: 'a',
  };
  const targets: Record<string, string> = {
    appId: 'apps/known-app',
    buildId: `builds/${buildId}`,
    launchId: `launches/${launchId}`,
    workspaceId: `workspaces/${workspaceId}`,
    keyId: `api-keys/${others.id}`,
    projection: 'projections/apps_builds',
    event: `events/${filled.event}`,
    sessionId: `sessions/${session.id}`,
  };
  const placeOf = (path: string) =>
    path.replace(/\{(\w+)\}/g, (_, name) => filled[name] ?? assert.fail(`a value for ${name}`));
  const routes: Route[] = [];
  const open: string[] = [];
  for (const [path, item] of Object.entries<Body>(paths)) {
    for (const [verb, operation] of Object.entries<Body>(item)) {
      const needed = operation['x-apphub-scope'];
      if (needed === 'public') open.push(`${verb.toUpperCase()} ${path}`);
      else routes.push({ verb: verb.toUpperCase(), path, needed, place: placeOf(path) });
    }
  }

  test('knows every route, and each names what it needs', () => {
    assert.deepEqual(
      open.sort(),
      forEverybody.filter(route => open.includes(route)),
    );
    assert.ok(open.length >= 6 && routes.length >= 30, `${open.length} ${routes.length}`);
    for (const { verb, path, needed } of routes) {
      assert.ok(needed === 'identified' || isScope(needed), `${verb} ${path} needs ${needed}`);
    }
  });

  const nobody =
    (headers: Record<string, string>): Way =>
    () => ({
      status: 401,
      code: 'unauthorized',
      actor: 'anonymous',
      headers,
    });
  const foreign = (code: string, status: number, actor: string, token: string): Denial => ({
    status,
    code,
    actor,
    headers: bearer(token),
  });
  const cookieOf = (value: string) => ({
    cookie: `${sessionCookie}=${value}`,
    origin: api.url,
    'x-csrf-token': 'x',
  });
  const isRead = ({ verb }: Route) => verb === 'GET';
  const ways: Record<string, Way> = {
    'no credential': nobody({}),
    'another scheme': nobody({ authorization: `Basic ${btoa(`operator:${operatorToken}`)}` }),
    garbage: nobody(bearer('garbage')),
    'the beginning of a token': nobody(bearer(operatorToken.slice(0, -1))),
    'a key that never was': nobody(bearer(makeApiKey(newId()).token)),
    'a key with another secret': nobody(bearer(makeApiKey(others.id).token)),
    'a key that has expired': nobody(bearer(expired.key)),
    'a key that was revoked': nobody(bearer(revoked.key)),
    'a session that was ended': nobody({ ...cookieOf(''), cookie: ended.cookie }),
    'a session with another secret': nobody(cookieOf(makeSessionToken(session.id).token)),
    'a session that never was': nobody(cookieOf(makeSessionToken(newId()).token)),
    'a wrong key beside a good session': nobody({
      ...bearer('garbage'),
      cookie: session.cookie,
      origin: api.url,
    }),
    'every scope but the right one': ({ needed }) =>
      needed === 'identified'
        ? undefined
        : foreign('forbidden', 403, `all-but-${needed.replace(':', '.')}`, without(needed)),
    'an app out of reach': route =>
      /\{(appId|buildId|launchId)\}/.test(route.path)
        ? foreign('foreign-resource', 403, 'team', 'the-token-of-the-team')
        : undefined,
    'a key or session of somebody else': route =>
      /\{(keyId|sessionId)\}/.test(route.path) && !isRead(route)
        ? foreign('not-found', 404, 'eve', 'the-token-of-eve-123')
        : undefined,
    'a program at the sessions of its owner': route =>
      route.path.startsWith('/auth/sessions') ? foreign('forbidden', 403, 'operator', narrow.key) : undefined,
    'a cookie without its token': route =>
      isRead(route)
        ? undefined
        : {
            status: 403,
            code: 'csrf',
            actor: 'operator',
            headers: { cookie: session.cookie, origin: api.url },
          },
    'a cookie from another page': route =>
      isRead(route)
        ? undefined
        : {
            status: 403,
            code: 'csrf',
            actor: 'operator',
            headers: { cookie: session.cookie, origin: 'https://evil.example', 'x-csrf-token': csrf },
          },
    'a cookie from no page': route =>
      isRead(route)
        ? undefined
        : {
            status: 403,
            code: 'csrf',
            actor: 'operator',
            headers: { cookie: session.cookie, 'x-csrf-token': csrf },
          },
  };
  const me = await api.ask('GET', '/auth/identity', { token: null, headers: { cookie: session.cookie } });
  const csrf: string = me.body.data.csrfToken;

  const expectations = new Map<string, Denial & { route: Route; what: string }>();
  let asked = 0;
  for (const [what, way] of Object.entries(ways)) {
    test(`refuses ${what} everywhere`, async () => {
      const before = asked;
      for (const route of routes) {
        const denial = way(route);
        if (denial === undefined) continue;
        asked += 1;
        const ip = `10.${Math.floor(asked / 62_500)}.${Math.floor(asked / 250) % 250}.${(asked % 250) + 1}`;
        const headers = { ...denial.headers, 'x-forwarded-for': ip, 'user-agent': `matrix ${what}` };
        const answer: Answer = await api.ask(route.verb, route.place, { token: null, headers });
        try {
          assertProblem(answer, denial.status, denial.code);
        } catch (error) {
          throw new Error(`${route.verb} ${route.path}`, { cause: error });
        }
        expectations.set(ip, { ...denial, route, what });
      }
      assert.ok(asked > before);
    });
  }

  test('has left one record of each, and nothing has been done', async () => {
    await api.attempts.close();
    const refused: Recorded<EventOf<'AttemptsRefused'>>[] = [];
    const done: string[] = [];
    const stop = new AbortController();
    const from = { from: 'start', streamPrefixes: ['access.', 'apps.'], signal: stop.signal } as const;
    for await (const batch of api.store.subscribe(from)) {
      for (const event of batch.events) {
        if (event.type === 'AttemptsRefused') refused.push(event as never);
        else if (event.metadata.request?.userAgent.startsWith('matrix'))
          done.push(`${event.type} ${event.stream}`);
      }
      if (batch.caughtUp) stop.abort();
    }
    assert.deepEqual(done, []);
    const told = refused.filter(({ data }) => data.actor === 'anonymous').map(({ data }) => data.ip);
    assert.equal(new Set(told).size, told.length, 'one each');
    let counted = 0;
    for (const { data } of refused) {
      counted += data.count;
      const right = expectations.get(data.ip) ?? assert.fail(`nobody asked from ${data.ip}`);
      const { route, what } = right;
      const where = `${what}: ${route.verb} ${route.path}`;
      assert.equal(data.outcome, right.code, where);
      assert.equal(data.status, right.status, where);
      assert.equal(data.actor, right.actor, where);
      assert.equal(
        `${data.method} ${data.route}`,
        `${route.verb} ${route.path.replace(/\{(\w+)\}/g, ':$1')}`,
        where,
      );
      const [, first = ''] = /\{(\w+)\}/.exec(route.path) ?? [];
      assert.equal(data.target, targets[first] ?? null, where);
      assert.ok(data.correlationId.length > 30, where);
    }
    assert.equal(counted, expectations.size, 'every attempt is counted');
    assert.ok(refused.length > 300, `${refused.length}`);
    const text = JSON.stringify(refused, (_name, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    for (const secret of [operatorToken, expired.key, revoked.key, others.key, session.cookie, csrf]) {
      assert.ok(!text.includes(secret.replace(`${sessionCookie}=`, '')), 'no token in the record');
    }
  });
});
