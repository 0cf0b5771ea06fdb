/** Earlier times: whatever was answered once is answered again, and of the present nothing is in it. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { openChance } from '../bench/support/chance.ts';
import { type Api, startApi } from '../support/api.ts';
import { busyApps, busyBuilds, busyHistory, busyLaunches, busyWorkspaces } from '../support/busy.ts';

const timeout = 3_600_000;
/** So many moments are compared. `APPHUB_TEST_MOMENTS=1000` is the long proof. */
const moments = Number(process.env.APPHUB_TEST_MOMENTS ?? 20);
const eventsBetweenMax = 40;
const askedShare = 0.15;

type Described = { paths: Record<string, Record<string, { parameters?: { name: string }[] }>> };

/** Every route that can be asked for an earlier time, as its description has it. */
function routesOf(api: Api): readonly string[] {
  const { paths } = api.app.swagger() as unknown as Described;
  return Object.entries(paths)
    .filter(([, verbs]) => verbs.get?.parameters?.some(({ name }) => name === 'asOf'))
    .map(([route]) => route)
    .sort();
}

const idsOf: Readonly<Record<string, readonly string[]>> = {
  event: ['2', '12', '40'],
  appId: busyApps,
  buildId: busyBuilds,
  launchId: busyLaunches,
  workspaceId: busyWorkspaces,
};
/** What is asked besides, by route. */
const queriesOf: Readonly<Record<string, readonly string[]>> = {
  '/apps': [
    '',
    'q=todo',
    'tags=language:node',
    'q=node',
    'sort=name',
    'status=ready',
    'owner=ann',
    'limit=2',
  ],
  '/suggest': ['', 'q=l', 'q=language:', 'q=node'],
  '/builds': ['', 'status=queued', 'status=succeeded', 'limit=2'],
  '/launches': ['', 'status=running', 'limit=2'],
  '/images': ['', 'place=present', 'app=todo'],
  '/audit': ['', 'actor=op*', 'outcome=refused', 'action=Build*', 'limit=3'],
};

function placesOf(api: Api): readonly string[] {
  return routesOf(api).flatMap(route => {
    const name = /\{(\w+)\}/.exec(route)?.[1];
    const ids = name === undefined ? [''] : idsOf[name];
    assert.ok(ids, `who knows ids for ${route}?`);
    return ids.flatMap(id =>
      (queriesOf[route] ?? ['']).map(query => `${route.replace(/\{\w+\}/, id)}?${query}`),
    );
  });
}

async function answersOf(api: Api, places: readonly string[], query: string): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const place of places) {
    const { status, text } = await api.ask('GET', `${place}&${query}`);
    assert.ok(status === 200 || status === 404 || status === 409, `${place} ${query}: ${status} ${text}`);
    answers.push(`${status} ${text.replace(/urn:apphub:request:[0-9a-f-]+/, '')}`);
  }
  return answers;
}

suite('an earlier time', { timeout }, () => {
  let api: Api;
  const next = busyHistory(7);
  let position = 0n;
  const happen = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      const { stream, event } = next();
      ({ position } = await api.store.append(stream, [event], 'none'));
    }
  };
  before(async () => {
    api = await startApi({ keepsPast: true });
  });
  after(() => api.close());

  test(`gives at ${moments} moments what was answered live`, { timeout }, async () => {
    const chance = openChance(11);
    await happen(5);
    const places = placesOf(api);
    assert.ok(routesOf(api).length >= 18, `only ${routesOf(api)}`);
    const seen: { position: bigint; time: string; answers: readonly string[]; some: readonly string[] }[] =
      [];
    for (let n = 0; n < moments; n += 1) {
      await happen(1 + chance.below(eventsBetweenMax));
      // Some at each moment, so that each of them comes many times where there are many moments.
      const some = places.filter(() => chance.is(askedShare));
      await engineIsThere(api);
      const answers = await answersOf(api, some, `after=${position}`);
      const time = Date.now();
      seen.push({ position, time: new Date(time).toISOString(), answers, some });
      while (Date.now() === time) await new Promise(resolve => setImmediate(resolve));
    }
    await happen(200);
    let compared = 0;
    const different = new Set<string>();
    for (const [n, moment] of seen.entries()) {
      const asOf = n % 2 === 0 ? moment.position : moment.time;
      const answers = await answersOf(api, moment.some, `asOf=${asOf}`);
      for (const [at, answer] of answers.entries()) {
        same(answer, moment.answers[at] ?? '', `${moment.some[at]} as of ${asOf}`);
        compared += 1;
        different.add(answer);
      }
    }
    assert.ok(different.size > moments, 'nothing ever changed');
    const asked = new Set(seen.flatMap(({ some }) => some.map(place => place.split('/')[3] ?? place)));
    assert.ok(asked.size > 5, 'most routes were never asked');
    if (process.env.APPHUB_TEST_MOMENTS !== undefined)
      console.log(`${compared} answers of ${moments} moments in ${position} events are as they were`);
  });

  test('before the first event there was nothing', async () => {
    const empty = await api.ask('GET', '/apps?asOf=2001-01-01T00:00:00Z');
    assert.deepEqual(empty.body.data, []);
    assert.equal(empty.headers.get('apphub-as-of-position'), '-1');
    for (const early of ['0000-01-01T00:00:00Z', '1969-12-31T23:59:59-11:00'])
      assert.equal((await api.ask('GET', `/apps?asOf=${early}`)).status, 200, early);
    assert.equal((await api.ask('GET', '/apps/todo?asOf=0')).status, 404);
    assert.equal((await api.ask('GET', '/apps/todo?asOf=1')).status, 200);
  });

  test('an answer says which moment it is of', async () => {
    const { headers } = await api.ask('GET', '/apps/todo?asOf=3');
    assert.equal(headers.get('apphub-as-of-position'), '3');
    const created = (await api.store.load('apps.busy-3')).events[0]?.created;
    assert.equal(headers.get('apphub-as-of-time'), created);
  });

  test('what was written a moment ago can be asked for at once', async () => {
    await happen(30);
    const { status } = await api.ask('GET', `/apps?asOf=${position}`);
    assert.equal(status, 200);
    const now = await api.ask('GET', `/apps?asOf=${new Date().toISOString()}&after=${position}`);
    assert.equal(now.headers.get('apphub-as-of-position'), String(position));
  });

  const refused: readonly (readonly [string, string, number, string])[] = [
    ['GET', '/apps?asOf=yesterday', 400, 'invalid'],
    ['GET', '/apps?asOf=2026-02-31T99:00:00Z', 400, 'invalid'],
    ['GET', '/apps?asOf=99999999999999999999', 400, 'invalid'],
    ['GET', '/apps?asOf=-1', 400, 'invalid'],
    ['GET', '/apps?asOf=', 400, 'invalid'],
    ['GET', '/apps?asOf=%00', 400, 'invalid'],
    ['GET', '/apps?asOf=1&asOf=2', 400, 'invalid'],
    ['GET', '/apps?asOf=2999-01-01T00:00:00Z', 400, 'as-of-future'],
    ['GET', '/apps?asOf=9000000000000000000', 400, 'as-of-future'],
    ['GET', '/engines?asOf=1', 400, 'as-of-unsupported'],
    ['GET', '/projections?asOf=1', 400, 'as-of-unsupported'],
    ['GET', '/auth/sessions?asOf=1', 400, 'as-of-unsupported'],
    ['GET', '/auth/api-keys?asOf=1', 400, 'as-of-unsupported'],
    ['GET', '/healthz?asOf=1', 400, 'as-of-unsupported'],
    ['GET', `/builds/${busyBuilds[0]}/logs?asOf=1`, 400, 'as-of-unsupported'],
    ['GET', `/launches/${busyLaunches[0]}/logs?asOf=1`, 400, 'as-of-unsupported'],
    ['GET', `/launches/${busyLaunches[0]}/egress?asOf=1`, 400, 'as-of-unsupported'],
    ['GET', '/stream?asOf=1', 400, 'as-of-unsupported'],
    ['POST', '/apps/todo/builds?asOf=1', 400, 'as-of-unsupported'],
    ['DELETE', '/apps/todo?asOf=1', 400, 'as-of-unsupported'],
  ];
  for (const [method, place, status, code] of refused) {
    test(`${method} ${place} is refused: ${code}`, async () => {
      const answer = await api.ask(method, place);
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.code, code);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    });
  }

  test('the page itself is the same, and asks for what it shows', async () => {
    const { status, headers } = await api.ask('GET', '/?asOf=2999-01-01T00:00:00Z');
    assert.equal(status, 200);
    assert.equal(headers.get('apphub-as-of-position'), null);
  });

  test('what is not kept by time is unknown, and is not what it is now', async () => {
    await api.sql('worker_status').update({ ok: false, reason: 'No engine.' });
    const launch = '/launches?status=requested&limit=1';
    const now = await api.ask('GET', launch);
    assert.equal(now.body.data[0].waitingFor, 'No engine.');
    assert.equal((await api.ask('GET', `${launch}&asOf=${position}`)).body.data[0].waitingFor, null);
  });

  test('a failed request leaves nothing open', async () => {
    for (let n = 0; n < 30; n += 1) await api.ask('GET', '/apps/nobody?asOf=5');
    const { rows } = await api.sql.raw(
      `select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%' and datname = current_database()
         and application_name = 'past'`,
    );
    assert.equal(rows[0].n, 0);
  });

  test('GET /past says what can be asked for, and what lies around a moment', async () => {
    const { data } = (await api.ask('GET', '/past?around=3')).body;
    assert.equal(data.here.position, '3');
    assert.ok(BigInt(data.previous?.position ?? 0) < 3n && BigInt(data.next.position) > 3n);
    assert.equal(data.last.position, String(position));
    assert.ok(data.first.at <= data.last.at);
  });
});

test('who may see it is a matter of now', { timeout: 60_000 }, async () => {
  const tokens = { 'a-token-that-reads': ['apps:read'] };
  const operators = [
    { subject: 'guest', token: 'a-token-of-a-guest', scopes: ['apps:read'], apps: ['shop'] },
  ];
  const api = await startApi({ keepsPast: true, tokens, operators });
  try {
    const next = busyHistory(3);
    let last = 0n;
    for (let n = 0; n < 60; n += 1) {
      const { stream, event } = next();
      last = (await api.store.append(stream, [event], 'none')).position;
    }
    const guest = { token: 'a-token-of-a-guest' };
    assert.equal((await api.ask('GET', `/apps/todo?asOf=${last}`, guest)).status, 403);
    const apps = await api.ask('GET', `/apps?asOf=${last}`, guest);
    assert.deepEqual(
      apps.body.data.map(({ id }: { id: string }) => id),
      ['shop'],
    );
    assert.equal((await api.ask('GET', '/audit?asOf=1', { token: 'a-token-that-reads' })).status, 403);
    assert.equal((await api.ask('GET', '/apps?asOf=1', { token: null })).status, 401);
  } finally {
    await api.close();
  }
});

test('where nothing is kept, it is said so', { timeout: 60_000 }, async () => {
  const api = await startApi();
  try {
    const { status, body } = await api.ask('GET', '/apps?asOf=1');
    assert.deepEqual([status, body.code], [400, 'as-of-unsupported']);
    assert.match(body.detail, /APPHUB_TIME_TRAVEL/);
    assert.equal((await api.ask('GET', '/past')).body.data.first, null);
  } finally {
    await api.close();
  }
});

/** As the workers report it, so that it is no reason to wait. */
async function engineIsThere({ sql }: Api): Promise<void> {
  const rows = ['docker', 'builder'].map(name => ({ name, ok: true, reason: null, at: sql.fn.now() }));
  await sql('worker_status').insert(rows).onConflict('name').merge();
}

/** Answers are long: where they begin to differ is said. */
function same(answer: string, recorded: string, what: string): void {
  if (answer === recorded) return;
  let at = 0;
  while (answer[at] === recorded[at]) at += 1;
  const near = (text: string) => text.slice(Math.max(0, at - 200), at + 200);
  assert.fail(`${what} differs:\n  now  ${near(answer)}\n  then ${near(recorded)}`);
}
