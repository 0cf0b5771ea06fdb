/** Workspaces over HTTP; the workers' part is said as they would say it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { wakerOf } from '../../../commands/apps/deployment.ts';
import { systemClock } from '../../../commands/clock.ts';
import { execute } from '../../../commands/execute.ts';
import { workspace } from '../../../domain/apps/workspace.ts';
import type { WorkspaceCommand } from '../../../domain/apps/workspace-state.ts';
import { type Body, startApi } from '../../support/api.ts';
import { launchableApp, markRunning, startLaunch } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const gib = 1024 ** 3;
const content = { key: 'k', bytes: 4, sha256: 'aa', contentBytes: 9, entries: 1, paths: ['/data'] };

suite('workspaces', async () => {
  const api = await startApi({
    operators: [
      { subject: 'ann', token: 'a-token-of-ann-1234', scopes: ['apps:*'], apps: ['other'] },
      { subject: 'bob', token: 'a-token-of-bob-1234', scopes: ['apps:read', 'apps:launch'] },
    ],
  });
  after(() => api.close());
  before(async () => {
    await launchableApp(api, 'todo');
    await launchableApp(api, 'shop');
  });

  const say = async (type: WorkspaceCommand['type'], workspaceId: string, more: object = {}) => {
    const cause = randomUUID();
    const time = new Date().toISOString();
    const metadata = { actor: 'workers', correlationId: cause, causationId: cause, time };
    const command = { type, data: { workspaceId, at: time, ...more } } as WorkspaceCommand;
    const { position } = await execute(api.store, workspace, workspaceId, command, metadata);
    if (position !== null) api.wrote(position);
  };
  const seen = async (id: string) => (await api.read(`/workspaces/${id}`)).data as Body;
  const make = async (more: object = {}) =>
    (await api.write('POST', '/apps/todo/workspaces', { name: 'Mine', ...more })).id as string;
  const volumes = (id: string) => [{ path: '/data', name: `apphub-${id}-1` }];
  /** One that a launch has written to, whose container is gone again. */
  const filled = async () => {
    const id = await make();
    const { id: launchId } = await api.write('POST', '/apps/todo/launches', { workspaceId: id });
    const of = { launchId, deployment: 1, appId: 'todo', overlap: false };
    await say('OpenWorkspace', id, of);
    await say('RecordVolumes', id, { generation: 1, engine: 'default', volumes: volumes(id) });
    await say('CloseWorkspace', id, { launchId, deployment: 1 });
    return { id, launchId: launchId as string };
  };
  const taken = async (id: string) => {
    const { id: snapshotId } = await api.write('POST', `/workspaces/${id}/snapshots`);
    await say('CompleteSnapshot', id, { snapshotId, ...content, pausedMs: 3 });
    return snapshotId as string;
  };

  test('one is made, with the room that is usual or that is asked for', async () => {
    const id = await make();
    const { requestedAt: _at, ...shown } = await seen(id);
    assert.deepEqual(shown, {
      id,
      appId: 'todo',
      name: 'Mine',
      owner: 'operator',
      status: 'empty',
      bytes: null,
      weighedAt: null,
      bytesMax: gib,
      level: 'fits',
      paths: [],
      engine: null,
      launchId: null,
      source: null,
      failure: null,
      snapshots: 0,
      operationAt: null,
      restoredAt: null,
      waitingFor: null,
    });
    const small = await make({ bytesMax: 2 * 1024 ** 2, name: 'Small' });
    assert.equal((await seen(small)).bytesMax, 2 * 1024 ** 2);
    const list = (await api.read('/apps/todo/workspaces')).data as Body[];
    assert.deepEqual(
      list.slice(0, 2).map(one => one.id),
      [small, id],
    );
  });

  test('what cannot be used is said by its field', async () => {
    for (const [body, field] of [
      [{ name: 'Mine', bytesMax: 11 * gib }, 'bytesMax'],
      [{ name: 'Mine', bytesMax: 1 }, 'bytesMax'],
      [{ name: 'a\u001b[31mb' }, 'name'],
    ] as const) {
      assertInvalid(await api.ask('POST', '/apps/todo/workspaces', { body }), field);
    }
    assertProblem(await api.ask('POST', '/apps/none/workspaces', { body: { name: 'x' } }), 404, 'not-found');
    assertProblem(await api.ask('GET', `/workspaces/${randomUUID()}`), 404, 'not-found');
  });

  test('the same key makes one', async () => {
    const headers = { 'Idempotency-Key': randomUUID() };
    const body = { name: 'Once' };
    const one = await api.ask('POST', '/apps/todo/workspaces', { body, headers });
    const again = await api.ask('POST', '/apps/todo/workspaces', { body, headers });
    assert.deepEqual(again.body, one.body);
    const other = await api.ask('POST', '/apps/todo/workspaces', { body: { name: 'Two' }, headers });
    assertProblem(other, 422, 'idempotency/mismatch');
  });

  test('a launch has it alone, and only one of the same app', async () => {
    const id = await make();
    const { id: launchId } = await api.write('POST', '/apps/todo/launches', {
      workspaceId: id,
      overlap: true,
    });
    assert.equal((await seen(id)).launchId, launchId);
    const launched = (await api.read(`/launches/${launchId}`)).data as Body;
    assert.deepEqual(launched.workspace, { workspaceId: id, overlap: true });
    const body = { workspaceId: id };
    const second = await api.ask('POST', '/apps/todo/launches', { body });
    assertProblem(second, 409, 'workspace/in-use');
    assert.equal(second.body.launchId, launchId);
    assertProblem(await api.ask('POST', '/apps/shop/launches', { body }), 409, 'workspace/other-app');
    const none = { workspaceId: randomUUID() };
    assertProblem(await api.ask('POST', '/apps/todo/launches', { body: none }), 404, 'not-found');
    assertProblem(await api.ask('DELETE', `/workspaces/${id}`), 409, 'workspace/in-use');
  });

  test('a repeated launch has it as well', async () => {
    const id = await make();
    const asked = { body: { workspaceId: id }, headers: { 'Idempotency-Key': randomUUID() } };
    const first = await api.ask('POST', '/apps/todo/launches', asked);
    assert.deepEqual((await api.ask('POST', '/apps/todo/launches', asked)).body, first.body);
  });

  test('snapshots are taken, listed, put back and removed', async () => {
    const { id, launchId } = await filled();
    const busy = await api.write('POST', `/workspaces/${id}/snapshots`, { live: true });
    assert.equal((await seen(id)).status, 'snapshot');
    assertProblem(await api.ask('POST', `/workspaces/${id}/snapshots`), 409, 'workspace/busy');
    await say('FailSnapshot', id, { snapshotId: busy.id, reason: 'no room' });
    const snapshotId = await taken(id);
    const list = (await api.read(`/workspaces/${id}/snapshots`)).data as Body[];
    assert.deepEqual(
      list.map(one => [one.id, one.status, one.live, one.contentBytes, one.reason]),
      [
        [snapshotId, 'taken', false, 9, null],
        [busy.id, 'failed', true, null, 'no room'],
      ],
    );
    assert.equal((await seen(id)).snapshots, 1);
    await api.write('POST', `/workspaces/${id}/restore`, { snapshotId });
    assert.equal((await seen(id)).status, 'restore');
    await say('CompleteRestore', id, {
      generation: 2,
      engine: 'default',
      volumes: volumes(id),
      bytes: 9,
      restoredInMs: 1,
    });
    assert.equal((await seen(id)).status, 'ready');
    await say('OpenWorkspace', id, { launchId, deployment: 2, appId: 'todo', overlap: false });
    const refused = await api.ask('POST', `/workspaces/${id}/restore`, { body: { snapshotId } });
    assertProblem(refused, 409, 'workspace/running');
    await api.write('DELETE', `/workspaces/${id}/snapshots/${snapshotId}`);
    await say('ConfirmSnapshotRemoved', id, { snapshotId });
    const left = (await api.read(`/workspaces/${id}/snapshots`)).data as Body[];
    assert.deepEqual(
      left.map(one => one.id),
      [busy.id],
    );
    const gone = await api.ask('DELETE', `/workspaces/${id}/snapshots/${snapshotId}`);
    assertProblem(gone, 404, 'not-found');
  });

  test('the same key takes one snapshot', async () => {
    const { id } = await filled();
    const headers = { 'Idempotency-Key': randomUUID() };
    const first = await api.ask('POST', `/workspaces/${id}/snapshots`, { headers });
    assert.equal(first.status, 202);
    const again = await api.ask('POST', `/workspaces/${id}/snapshots`, { headers });
    assert.deepEqual(again.body, first.body);
  });

  test('a clone is another one, of what is there or of a snapshot', async () => {
    const { id } = await filled();
    const empty = await make();
    const none = await api.ask('POST', `/workspaces/${empty}/clone`, { body: { name: 'x' } });
    assertProblem(none, 409, 'workspace/empty');
    const clone = await api.write('POST', `/workspaces/${id}/clone`, { name: 'Copy' });
    const shown = await seen(clone.id);
    assert.deepEqual(
      [shown.status, shown.name, shown.bytesMax, shown.source.workspaceId],
      ['filling', 'Copy', gib, id],
    );
    assertProblem(
      await api.ask('POST', '/apps/todo/launches', { body: { workspaceId: clone.id } }),
      409,
      'workspace/busy',
    );
    const snapshotId = await taken(id);
    const named = await api.write('POST', `/workspaces/${id}/clone`, { name: 'Old', snapshotId });
    assert.deepEqual((await seen(named.id)).source, { workspaceId: id, snapshotId });
    const body = { name: 'x', snapshotId: randomUUID() };
    assertProblem(await api.ask('POST', `/workspaces/${id}/clone`, { body }), 404, 'not-found');
  });

  test('a full one is neither woken nor launched, until it may hold more', async () => {
    const { id, launchId } = await filled();
    await startLaunch(api, launchId);
    await markRunning(api, launchId);
    await say('WeighWorkspace', id, { generation: 1, bytes: 2 * gib });
    assert.equal((await seen(id)).level, 'full');
    await api.write('POST', `/launches/${launchId}/sleep`);
    for (const what of ['wake', 'redeploy']) {
      assertProblem(await api.ask('POST', `/launches/${launchId}/${what}`), 409, 'workspace/full');
    }
    const wake = wakerOf({ store: api.store, clock: systemClock });
    await assert.rejects(wake(launchId), { code: 'workspace/full' });
    await api.write('PATCH', `/workspaces/${id}`, { bytesMax: 4 * gib });
    assert.deepEqual([(await seen(id)).level, (await seen(id)).bytesMax], ['fits', 4 * gib]);
    await wake(launchId);
  });

  test('who may not reach the app, or not raise the room, is refused', async () => {
    const id = await make();
    await seen(id);
    const ofAnn = { token: 'a-token-of-ann-1234' };
    const ofBob = { token: 'a-token-of-bob-1234' };
    for (const [method, path, body] of [
      ['GET', `/workspaces/${id}`, undefined],
      ['GET', `/workspaces/${id}/snapshots`, undefined],
      ['DELETE', `/workspaces/${id}`, undefined],
      ['POST', `/workspaces/${id}/snapshots`, undefined],
      ['POST', `/workspaces/${id}/restore`, { snapshotId: randomUUID() }],
      ['POST', `/workspaces/${id}/clone`, { name: 'x' }],
      ['POST', '/apps/todo/workspaces', { name: 'x' }],
    ] as const) {
      assertProblem(await api.ask(method, path, { ...ofAnn, body }), 403, 'foreign-resource');
    }
    const list = await api.ask('GET', '/workspaces', ofAnn);
    assert.deepEqual(list.body.data, []);
    const raise = await api.ask('PATCH', `/workspaces/${id}`, { ...ofBob, body: { bytesMax: 2 * gib } });
    assertProblem(raise, 403, 'forbidden');
    assert.equal((await api.ask('DELETE', `/workspaces/${id}`, ofBob)).status, 202);
  });

  test('a deleted one is gone', async () => {
    const id = await make();
    await api.write('DELETE', `/workspaces/${id}`);
    assert.equal((await seen(id)).status, 'removing');
    const body = { name: 'x' };
    assertProblem(await api.ask('PATCH', `/workspaces/${id}`, { body }), 409, 'workspace/removed');
    await say('ConfirmWorkspaceRemoved', id);
    await api.read('/workspaces');
    assertProblem(await api.ask('GET', `/workspaces/${id}`), 404, 'not-found');
  });
});
