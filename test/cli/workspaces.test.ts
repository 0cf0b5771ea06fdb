/** What launches keep, by the command line, asked of the real API. The workers' part is said as they would say it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { execute } from '../../commands/execute.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type { WorkspaceCommand } from '../../domain/apps/workspace-state.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { runCli } from '../support/run-cli.ts';

const gib = 1024 ** 3;
const idPattern = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

suite('apphub workspaces', async () => {
  const api = await startApi();
  after(() => api.close());
  before(() => launchableApp(api, 'shop'));
  const run = async (...args: string[]) => {
    const { position } = (await api.sql('projection_checkpoints').max('position as position').first()) ?? {};
    if (position != null) api.wrote(BigInt(position));
    await api.read('/workspaces');
    return runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  };
  const say = async (type: WorkspaceCommand['type'], workspaceId: string, more: object = {}) => {
    const cause = randomUUID();
    const time = new Date().toISOString();
    const metadata = { actor: 'workers', correlationId: cause, causationId: cause, time };
    const command = { type, data: { workspaceId, at: time, ...more } } as WorkspaceCommand;
    const { position } = await execute(api.store, workspace, workspaceId, command, metadata);
    if (position !== null) api.wrote(position);
  };
  const idIn = (text: string) => idPattern.exec(text)?.[0] ?? '';
  const made = async (...options: string[]) => {
    const { stdout, code, stderr } = await run('workspaces', 'create', 'shop', 'Orders of March', ...options);
    assert.equal(code, 0, stderr);
    return idIn(stdout);
  };
  /** A launch has put something in. */
  const filled = async () => {
    const id = await made('--size', '2g');
    const launched = await run('launches', 'start', 'shop', '--workspace', id);
    assert.equal(launched.code, 0, launched.stderr);
    const launchId = idIn(launched.stdout);
    await say('OpenWorkspace', id, { launchId, deployment: 1, appId: 'shop', overlap: false });
    const volumes = [{ path: '/var/lib/shop', name: 'v' }];
    await say('RecordVolumes', id, { generation: 1, engine: 'default', volumes });
    await say('CloseWorkspace', id, { launchId, deployment: 1 });
    return { id, launchId };
  };
  const content = {
    key: 'k',
    bytes: 4_000,
    sha256: 'aa',
    contentBytes: 9_000,
    entries: 12,
    paths: ['/data'],
  };

  test('one is made, listed, shown, changed and deleted', async () => {
    const id = await made('--size', '512m');
    const list = await run('workspaces', 'list', 'shop');
    assert.match(list.stdout, new RegExp(`${id} +shop +Orders of March +empty +- +536.9 MB +-`));
    const change = await run('workspaces', 'change', id, '--size', '3g', '--name', 'Orders');
    assert.equal(change.code, 0, change.stderr);
    const shown = JSON.parse((await run('workspaces', 'show', id, '--json')).stdout).data;
    assert.deepEqual([shown.name, shown.bytesMax], ['Orders', 3 * gib]);
    assert.equal((await run('workspaces', 'remove', id)).code, 0);
    await say('ConfirmWorkspaceRemoved', id);
    assert.equal((await run('workspaces', 'show', id)).code, 5);
  });

  test('what is not an amount, and a change of nothing, is misunderstood', async () => {
    assert.match(
      (await run('workspaces', 'create', 'shop', 'x', '--size', 'much')).stderr,
      /--size is "much"/,
    );
    assert.equal((await run('workspaces', 'change', randomUUID())).code, 2);
    assert.match((await run('workspaces', 'create', 'shop', 'x', '--size', '99g')).stderr, /at most/);
  });

  test('snapshots are taken, shown, put back, cloned and removed', async () => {
    const { id, launchId } = await filled();
    const taking = run('workspaces', 'snapshot', id, '--watch');
    const snapshotId = await (async () => {
      for (;;) {
        const [one] = (await api.read(`/workspaces/${id}/snapshots`)).data;
        if (one !== undefined) return one.id as string;
      }
    })();
    await say('CompleteSnapshot', id, { snapshotId, ...content, pausedMs: 30 });
    const taken = await taking;
    assert.equal(taken.code, 0, taken.stderr);
    assert.match(taken.stdout, /snapshot taken: 12 entries, 9.0 kB; stood still for 30 ms/);
    const card = (await run('workspaces', 'show', id)).stdout;
    assert.match(card, /Folders +\/var\/lib\/shop/);
    assert.match(card, new RegExp(`Launch +${launchId}`));
    assert.match(card, new RegExp(`${snapshotId} +taken +12 +9.0 kB +4.0 kB +30 ms`));
    const clone = await run('workspaces', 'clone', id, 'A copy', '--snapshot', snapshotId);
    assert.equal((await api.read(`/workspaces/${idIn(clone.stdout)}`)).data.status, 'filling');
    assert.equal((await run('workspaces', 'restore', id, snapshotId)).code, 0);
    await say('FailRestore', id, { generation: 2, reason: 'the store is away' });
    assert.match((await run('workspaces', 'show', id)).stdout, /Failure +the store is away/);
    assert.equal((await run('workspaces', 'remove', id, snapshotId)).code, 0);
    assert.match((await run('workspaces', 'snapshots', id)).stdout, /removing/);
    const busy = await run('workspaces', 'remove', id);
    assert.equal(busy.code, 6);
    assert.match(busy.stderr, /A launch has the workspace/);
  });
});
