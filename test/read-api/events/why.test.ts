/** The event behind each value; held against the rows that the projections have made of the same log. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { type Body, startApi } from '../../support/api.ts';
import { bringUp, confirmRetired, endDeployment, launchableApp, removeImage } from '../../support/play.ts';
import { assertProblem } from '../../support/problem.ts';

const foreign = 'good-for-another-app';
/** Of apps:read, for one app. */
const operators = [{ subject: 'limited', token: foreign, scopes: ['apps:read'], apps: ['other'] }] as const;

suite('why', async () => {
  const api = await startApi({ operators });
  after(() => api.close());
  let buildId = '';
  let launchId = '';
  let workspaceId = '';
  before(async () => {
    buildId = await launchableApp(api, 'busy');
    await launchableApp(api, 'other');
    for (const name of ['First', 'Second', 'Second']) await api.write('PATCH', '/apps/busy', { name });
    await api.write('POST', '/apps/busy/tags', { key: 'team', value: 'web' });
    await api.write('POST', '/apps/busy/tags', { key: 'team', value: 'gone' });
    await api.write('DELETE', '/apps/busy/tags/team/gone');
    launchId = (await api.write('POST', '/apps/busy/launches', { restart: 'on-failure' })).id;
    await bringUp(api, launchId, 1);
    await endDeployment(api, launchId, 1);
    await confirmRetired(api, launchId, 1);
    await bringUp(api, launchId, 2);
    const other = (await api.write('POST', '/apps/busy/launches')).id;
    await bringUp(api, other, 1);
    await removeImage(api, buildId, 'count');
    workspaceId = (await api.write('POST', '/apps/busy/workspaces', { name: 'kept' })).id;
  });

  const why = async (path: string): Promise<Body[]> => (await api.read(`${path}/why`)).data;
  const fieldOf = async (path: string, field: string): Promise<Body> =>
    (await api.read(`${path}/why?field=${encodeURIComponent(field)}`)).data[0];

  /** JSON as PostgreSQL gives it: times in one form, and numbers that are too large for JavaScript as numbers. */
  const plain = (value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    if (/^\d{4}-\d\d-\d\dT/.test(value)) return Date.parse(value);
    return /^\d+$/.test(value) ? Number(value) : value;
  };

  for (const [kind, table, key, id] of [
    ['apps', 'apps_repositories', 'app_id', () => 'busy'],
    ['builds', 'apps_builds', 'build_id', () => buildId],
    ['launches', 'apps_launches', 'launch_id', () => launchId],
    ['workspaces', 'apps_workspaces', 'workspace_id', () => workspaceId],
  ] as const) {
    test(`of ${kind}: each value is that of the row`, async () => {
      const found = await why(`/${kind}/${id()}`);
      const row = await api
        .sql(table)
        .where({ [key]: id() })
        .first();
      const values = new Map(found.map(({ field, value }) => [field, value]));
      const columns = Object.keys(row).filter(column => column !== key);
      const camel = (name: string) => name.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase());
      for (const column of columns) {
        const name = camel(column);
        // What no event has ever said is as the table makes it.
        if (!values.has(name))
          assert.ok([null, 0, 1, false].includes(row[column]), `${column}: ${row[column]}`);
        else
          assert.deepEqual(plain(values.get(name)), plain(JSON.parse(JSON.stringify(row[column]))), column);
      }
      const own = found.filter(({ field }) => !field.includes('['));
      assert.deepEqual(
        own.map(({ field }) => field).filter(name => !columns.map(camel).includes(name)),
        [],
      );
    });
  }

  test('an event is told with its actor, its command and its cause', async () => {
    const name = await fieldOf('/apps/busy', 'name');
    assert.equal(name.value, 'Second');
    assert.deepEqual(
      [name.event.type, name.event.actor, name.event.command, name.event.cause],
      ['RepositoryChanged', 'operator', 'PATCH /apps/:appId', null],
    );
    assert.deepEqual(
      name.changes.map(({ value }: Body) => value),
      ['Second', 'First', 'busy'],
    );
    const status = await fieldOf(`/launches/${launchId}`, 'status');
    assert.deepEqual([status.event.actor, status.event.command], ['worker:played', null]);
    assert.deepEqual(status.event.stream, `apps.launch-${launchId}`);
    assert.deepEqual(
      status.changes.map(({ value }: Body) => value),
      ['running', 'restarting', 'running', 'starting', 'requested'],
    );
  });

  test('parts have their key in their name', async () => {
    const launch = await why(`/launches/${launchId}`);
    const of = (field: string) => launch.find(one => one.field === field)?.value;
    assert.deepEqual([of('deployments[1].status'), of('deployments[2].status')], ['gone', 'serving']);
    const tags = (await why('/apps/busy')).filter(({ field }) => field.startsWith('tags[own, '));
    assert.deepEqual([...new Set(tags.map(({ field }) => field.split('.')[0]))], ['tags[own, team:web]']);
  });

  test('what is not there, and what somebody may not see, is refused', async () => {
    assertProblem(await api.ask('GET', '/apps/nobody/why'), 404, 'not-found');
    assertProblem(await api.ask('GET', '/apps/busy/why?field=colour'), 404, 'not-found');
    assertProblem(
      await api.ask('GET', `/launches/${launchId}/why`, { token: foreign }),
      403,
      'foreign-resource',
    );
  });
});

suite('what led to what', async () => {
  const api = await startApi({ operators });
  after(() => api.close());

  test('from the request down to the last effect, and up again', async () => {
    await launchableApp(api, 'chain');
    await api.read('/apps/chain/history');
    const rows = await api.sql('apps_history').where({ app_id: 'chain' }).orderBy('position');
    // The played workers cause nothing: the rows are made a chain with a branch here.
    const [first, second, third, fourth, alone] = rows;
    const correlation = { correlation_id: first.correlation_id };
    const lead = (row: Body, cause: Body) =>
      api
        .sql('apps_history')
        .where({ app_id: 'chain', position: row.position })
        .update({ ...correlation, causation_id: cause.event_id });
    await lead(second, first);
    await lead(third, second);
    await lead(fourth, second);
    await api
      .sql('apps_history')
      .where({ app_id: 'chain', position: alone.position })
      .update({ ...correlation, causation_id: 'somebody-else' });
    const ask = async (row: Body) => (await api.read(`/events/${row.position}/causes`)).data;
    const told = (nodes: Body[]) => nodes.map(({ eventId, depth }) => [eventId, depth]);
    const top = await ask(first);
    assert.equal(top.command, 'POST /apps');
    assert.deepEqual(told(top.causes), []);
    assert.deepEqual(told(top.effects), [
      [second.event_id, 1],
      [third.event_id, 2],
      [fourth.event_id, 2],
    ]);
    assert.deepEqual([top.others, top.isCut], [1, false]);
    const bottom = await ask(fourth);
    assert.equal(bottom.command, 'POST /apps');
    assert.deepEqual(told(bottom.causes), [
      [first.event_id, -2],
      [second.event_id, -1],
    ]);
    assert.deepEqual([bottom.effects, bottom.event.eventId], [[], fourth.event_id]);
  });

  test('nothing is at a position of nobody’s, and nothing is shown of apps that are out of reach', async () => {
    assertProblem(await api.ask('GET', '/events/999999999/causes'), 404, 'not-found');
    const [row] = await api.sql('apps_history').where({ app_id: 'chain' }).orderBy('position');
    const answer = await api.ask('GET', `/events/${row.position}/causes`, { token: foreign });
    assertProblem(answer, 403, 'foreign-resource');
  });
});
