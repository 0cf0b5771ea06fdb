/** What is asked of a launch while it lives, over HTTP; the workers' part is said as they would say it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { wakerOf } from '../../../commands/apps/deployment.ts';
import { systemClock } from '../../../commands/clock.ts';
import { execute } from '../../../commands/execute.ts';
import { type LaunchCommand, launch } from '../../../domain/apps/launch.ts';
import { type Body, startApi } from '../../support/api.ts';
import {
  commit,
  finishBuild,
  launchableApp,
  markRunning,
  release,
  removeImage,
  startBuild,
  startLaunch,
} from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

suite('a launch that lives', async () => {
  const api = await startApi({
    operators: [{ subject: 'ann', token: 'a-token-of-ann-1234', scopes: ['apps:*'], apps: ['other'] }],
  });
  after(() => api.close());
  let first = '';
  let second = '';
  before(async () => {
    first = await launchableApp(api, 'todo');
    second = (await api.write('POST', '/apps/todo/builds')).id;
    await startBuild(api, second);
    await finishBuild(api, second, { image: 'apphub/x:2', imageId: 'sha256:2', bytes: 5, ports: [90] });
  });

  const running = async () => {
    const { id } = await api.write('POST', '/apps/todo/launches', { buildId: first });
    await startLaunch(api, id);
    await markRunning(api, id);
    return id as string;
  };
  const say = async (id: string, command: LaunchCommand) => {
    const cause = randomUUID();
    const metadata = {
      actor: 'workers',
      correlationId: cause,
      causationId: cause,
      time: new Date().toISOString(),
    };
    const { position } = await execute(api.store, launch, id, command, metadata);
    if (position !== null) api.wrote(position);
  };
  const at = () => new Date().toISOString();
  const place = (deployment: number) => ({
    containerId: `k${deployment}`,
    engine: 'default',
    host: '10.0.0.9',
    hostPort: 90,
  });
  /** The deployment that is coming answers. */
  const comesUp = async (launchId: string, deployment: number) => {
    await say(launchId, {
      type: 'StartLaunch',
      data: { launchId, deployment, ...place(deployment), port: 90, at: at() },
    });
    await say(launchId, {
      type: 'MarkLaunchRunning',
      data: { launchId, deployment, startedInMs: 7, at: at() },
    });
  };
  const seen = async (id: string) => (await api.read(`/launches/${id}`)).data as Body;
  const deployments = async (id: string) => (await api.read(`/launches/${id}/deployments`)).data as Body[];

  test('is redeployed: the old one serves until the new one answers, and the list tells of both', async () => {
    const id = await running();
    await release(api, 'todo', second);
    await api.write('POST', `/launches/${id}/redeploy`);
    const meanwhile = await seen(id);
    assert.deepEqual(
      [meanwhile.status, meanwhile.serving, meanwhile.deployment, meanwhile.buildId],
      ['running', 1, 2, first],
    );
    await comesUp(id, 2);
    const then = await seen(id);
    assert.deepEqual(
      [then.status, then.serving, then.buildId, then.image, then.port],
      ['running', 2, second, 'apphub/x:2', 90],
    );
    assert.deepEqual(
      (await deployments(id)).map(one => [one.deployment, one.cause, one.status, one.buildId]),
      [
        [2, 'redeploy', 'serving', second],
        [1, 'start', 'retiring', first],
      ],
    );
  });

  test('goes back to the build that ran before, or to one that is named', async () => {
    const id = await running();
    assertProblem(await api.ask('POST', `/launches/${id}/rollback`), 409, 'launch/no-earlier-build');
    await api.write('POST', `/launches/${id}/redeploy`, { buildId: second });
    await comesUp(id, 2);
    await api.write('POST', `/launches/${id}/rollback`);
    const [newest] = await deployments(id);
    assert.deepEqual([newest?.cause, newest?.buildId, newest?.status], ['rollback', first, 'coming']);
    await comesUp(id, 3);
    await api.write('POST', `/launches/${id}/rollback`, { buildId: second });
    const [named] = await deployments(id);
    assert.deepEqual([named?.cause, named?.buildId], ['rollback', second]);
  });

  test('lists of which commit each was, and which can be gone back to', async () => {
    const id = await running();
    const { id: third } = await api.write('POST', '/apps/todo/builds');
    await startBuild(api, third);
    await finishBuild(api, third, { image: 'apphub/x:3', imageId: 'sha256:3', bytes: 5, ports: [90] });
    await api.write('POST', `/launches/${id}/redeploy`, { buildId: third });
    await comesUp(id, 2);
    await api.write('POST', `/launches/${id}/rollback`);
    await comesUp(id, 3);
    await removeImage(api, third, 'count');
    assert.deepEqual(
      (await deployments(id)).map(one => [one.deployment, one.commit, one.imageRemoved]),
      [
        [3, commit, null],
        [2, commit, 'count'],
        [1, commit, null],
      ],
    );
  });

  test('takes only builds of its own app that have an image', async () => {
    const id = await running();
    const foreign = await launchableApp(api, 'other');
    for (const verb of ['redeploy', 'rollback']) {
      const asked = (buildId: string) => api.ask('POST', `/launches/${id}/${verb}`, { body: { buildId } });
      assertProblem(await asked(foreign), 404, 'not-found');
      assertProblem(await asked(randomUUID()), 404, 'not-found');
      assertInvalid(await asked('x'), 'buildId');
      const { id: queued } = await api.write('POST', '/apps/todo/builds');
      assertProblem(await asked(queued), 409, 'launch/no-image');
    }
  });

  test('sleeps and wakes when it is asked to, and by a visit', async () => {
    const id = await running();
    await api.write('POST', `/launches/${id}/sleep`);
    const asleep = await seen(id);
    assert.deepEqual([asleep.status, asleep.serving], ['asleep', null]);
    assert.ok(asleep.sleptAt !== null);
    assert.equal(asleep.sleepReason, 'asked');
    await api.write('POST', `/launches/${id}/wake`);
    assert.deepEqual([(await seen(id)).status, (await seen(id)).deployment], ['waking', 2]);
    const wake = wakerOf({ store: api.store, clock: systemClock });
    await wake(id);
    assert.equal((await deployments(id)).length, 2, 'it is woken once');
    await comesUp(id, 2);
    await api.write('POST', `/launches/${id}/sleep`);
    await Promise.all([wake(id), wake(id), wake(id)]);
    await api.read('/apps');
    const [newest, ...before] = await deployments(id);
    assert.deepEqual([newest?.cause, before.length], ['wake', 2]);
    assert.equal((await api.read(`/apps/todo/history?limit=1`)).data[0].actor, 'visitor');
  });

  test('does not sleep while a container is being brought up, and says so', async () => {
    const id = await running();
    await api.write('POST', `/launches/${id}/redeploy`, { buildId: second });
    assertProblem(await api.ask('POST', `/launches/${id}/sleep`), 409, 'launch/deploying');
    await comesUp(id, 2);
    await api.write('POST', `/launches/${id}/sleep`);
    assert.equal((await api.ask('POST', `/launches/${id}/sleep`)).status, 202, 'it sleeps already');
    await api.write('POST', `/launches/${id}/wake`);
    assertProblem(await api.ask('POST', `/launches/${id}/sleep`), 409, 'launch/deploying');
  });

  test('keeps the port it was launched with, and finds that of the next build where none was named', async () => {
    const portAfter = async (body: object) => {
      const { id } = await api.write('POST', '/apps/todo/launches', { buildId: first, ...body });
      await startLaunch(api, id);
      await markRunning(api, id);
      const { position } = await api.write('POST', `/launches/${id}/redeploy`, { buildId: second });
      const asked = await api.read('/apps/todo/history?limit=5');
      const event = asked.data.find((one: Body) => one.position === position);
      return event.data.port;
    };
    assert.equal(await portAfter({ port: 1_234 }), 1_234);
    assert.equal(await portAfter({}), 90);
    assert.equal(await portAfter({ env: [{ key: 'PORT', value: '5000' }] }), 5_000);
  });

  test('is given more time, counted from now', async () => {
    const id = await running();
    await api.write('POST', `/launches/${id}/extend`, { ttlSeconds: 7_200 });
    const leftMs = Date.parse((await seen(id)).expiresAt) - Date.now();
    assert.ok(leftMs > 7_100_000 && leftMs <= 7_200_000, `${leftMs} ms`);
    await api.write('POST', `/launches/${id}/extend`);
    assert.ok(Date.parse((await seen(id)).expiresAt) - Date.now() <= 3_600_000);
    for (const ttlSeconds of [0, 9, 604_801, 1.5, 'x']) {
      assertInvalid(await api.ask('POST', `/launches/${id}/extend`, { body: { ttlSeconds } }), 'ttlSeconds');
    }
  });

  test('takes nothing more once it is over; what never was is not found', async () => {
    const id = await running();
    await api.write('POST', `/launches/${id}/stop`);
    for (const verb of ['redeploy', 'sleep', 'wake', 'extend']) {
      assertProblem(await api.ask('POST', `/launches/${id}/${verb}`), 409, 'launch/already-ended');
      assertProblem(await api.ask('POST', `/launches/${randomUUID()}/${verb}`), 404, 'not-found');
      const foreign = await api.ask('POST', `/launches/${id}/${verb}`, { token: 'a-token-of-ann-1234' });
      assertProblem(foreign, 403, 'foreign-resource');
    }
  });

  test('asked twice with the same key is redeployed once', async () => {
    const id = await running();
    const headers = { 'idempotency-key': randomUUID() };
    const [one, two] = [
      await api.ask('POST', `/launches/${id}/redeploy`, { headers }),
      await api.ask('POST', `/launches/${id}/redeploy`, { headers }),
    ];
    assert.deepEqual([one.status, two.status, two.body.data], [202, 202, one.body.data]);
    api.wrote(BigInt(one.body.data.position));
    assert.equal((await deployments(id)).length, 2);
  });
});

suite('how an app is confined', async () => {
  const api = await startApi({ tokens: { 'a-writer': ['apps:*'] } });
  after(() => api.close());
  before(() => launchableApp(api, 'todo'));
  const sandbox = { egress: ['api.example.org', '*.example.com:8443'], allowRoot: true, runtime: 'runsc' };
  const launched = async () => {
    const { id } = await api.write('POST', '/apps/todo/launches');
    return (await api.read(`/launches/${id}`)).data.sandbox;
  };

  test('counts for what is launched from then on, and is nothing that its owner may say', async () => {
    const asEveryApp = { egress: [], allowRoot: false, runtime: 'default' };
    assert.deepEqual(await launched(), asEveryApp);
    assert.deepEqual((await api.read('/apps/todo')).data.sandbox, asEveryApp);
    const asked = await api.ask('PUT', '/apps/todo/sandbox', { body: sandbox, token: 'a-writer' });
    assertProblem(asked, 403, 'forbidden');
    await api.write('PUT', '/apps/todo/sandbox', {
      ...sandbox,
      egress: ['API.example.org', '*.example.com:8443'],
    });
    assert.deepEqual(await launched(), sandbox);
    assert.deepEqual((await api.read('/apps/todo')).data.sandbox, sandbox);
  });

  test('names hosts, not addresses', async () => {
    const body = { ...sandbox, egress: ['fine.example.org', '10.0.0.1', 'localhost'] };
    const answer = await api.ask('PUT', '/apps/todo/sandbox', { body });
    assertProblem(answer, 400, 'invalid');
    assert.deepEqual(
      answer.body.errors.map((one: { field: string }) => one.field),
      ['egress.1', 'egress.2'],
    );
    assertProblem(await api.ask('PUT', '/apps/nobody/sandbox', { body: sandbox }), 404, 'not-found');
    assertInvalid(
      await api.ask('PUT', '/apps/todo/sandbox', { body: { ...sandbox, runtime: 'x' } }),
      'runtime',
    );
  });
});
