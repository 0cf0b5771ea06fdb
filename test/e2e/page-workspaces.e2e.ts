/**
 * Workspaces on the page, by keyboard alone: made, kept in a snapshot, put back, changed and deleted. What workers would say is
 * played.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execute } from '../../commands/execute.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type { WorkspaceCommand } from '../../domain/apps/workspace-state.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { focusedName, holds, openBrowser, openPage, overflowOf, signIn, tabTo } from '../support/browser.ts';
import { poorContrasts } from '../support/contrast.ts';
import { runE2E } from '../support/e2e.ts';
import * as play from '../support/play.ts';

runE2E('a workspace is made, kept in a snapshot, put back and deleted by keyboard', async e2e => {
  const api = await startApi();
  e2e.registerCleanup('server', () => api.close());
  await play.launchableApp(api, 'todo');
  const url = api.url.replace('127.0.0.1', 'localhost');
  const browser = await openBrowser(e2e);
  // Its snapshots are asked for once more when it has just gone.
  const { page, complaints } = await openPage(browser, { expected: /status of 404/ });
  const at = () => new Date().toISOString();
  /** As the workers say it. */
  const say = async (workspaceId: string, type: WorkspaceCommand['type'], more: object) => {
    const cause = randomUUID();
    const metadata = { actor: 'workers', correlationId: cause, causationId: cause, time: at() };
    const command = { type, data: { workspaceId, at: at(), ...more } } as WorkspaceCommand;
    const { position } = await execute(api.store, workspace, workspaceId, command, metadata);
    api.wrote(position ?? 0n);
  };
  const press = async (name: RegExp) => {
    await tabTo(page, name);
    await page.keyboard.press('Enter');
  };

  await signIn(page, url, operatorToken, '/a/todo/workspaces');
  await page.getByRole('heading', { name: 'Nothing is kept' }).waitFor();
  await press(/^Make a workspace$/);
  await page.getByRole('dialog', { name: 'Make a workspace' }).waitFor();
  assert.match(await focusedName(page), /^Name/);
  await page.keyboard.type('Orders of March');
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Workspace Orders of March' }).waitFor();
  const first = async (place: string): Promise<string> => {
    const id = await e2e.eventually(async () => {
      const [one] = (await api.read(place)).data;
      assert.ok(one !== undefined);
      return one.id as string;
    });
    return id;
  };
  const id = await first('/apps/todo/workspaces');
  const engine = 'default';
  const volumes = (generation: number) => [{ path: '/data', name: `apphub-${id}-${generation}-data` }];
  await say(id, 'RecordVolumes', { generation: 1, engine, volumes: volumes(1) });
  await page.getByText('Keeps').waitFor();

  await press(/^Take a snapshot$/);
  await page.getByText('Taking a snapshot', { exact: true }).first().waitFor();
  const snapshotId = await first(`/workspaces/${id}/snapshots`);
  const content = {
    key: `workspaces/${id}/${snapshotId}.tar.zst`,
    bytes: 40,
    sha256: 'aa',
    contentBytes: 2_000_000,
  };
  const taken = { snapshotId, ...content, entries: 3, paths: ['/data'], pausedMs: 50 };
  await say(id, 'CompleteSnapshot', taken);
  await page.getByText('2.0 MB in 3 entries, stood still for 50 ms').waitFor();

  await page.getByRole('region', { name: 'Workspace Orders of March' }).getByText('Ready').waitFor();

  // Asked first, with the safe answer under the finger; Escape leaves it as it is.
  await press(/^Put back…$/);
  await page.getByRole('dialog', { name: 'Put this snapshot back?' }).waitFor();
  assert.equal(await focusedName(page), 'Keep it');
  await page.keyboard.press('Escape');
  await holds(e2e, page, `document.activeElement?.textContent === 'Put back…'`);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Put this snapshot back?' }).waitFor();
  await press(/^Put it back$/);
  await page.getByText('Putting a snapshot back').first().waitFor();
  const restored = { generation: 2, engine, volumes: volumes(2), bytes: 2_000_000, restoredInMs: 9 };
  await say(id, 'CompleteRestore', restored);
  await page.getByRole('region', { name: 'Workspace Orders of March' }).getByText('Ready').waitFor();

  await press(/^Change…$/);
  await page.getByRole('dialog', { name: 'Change Orders of March' }).waitFor();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Orders of spring');
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Workspace Orders of spring' }).waitFor();

  // On the smallest screen, in both themes.
  for (const colorScheme of ['light', 'dark'] as const) {
    const small = await openPage(browser, { viewport: { width: 320, height: 640 }, colorScheme });
    await signIn(small.page, url, operatorToken, `/a/todo/workspaces/${id}`);
    await small.page.getByText('2.0 MB in 3 entries').waitFor();
    assert.ok((await overflowOf(small.page)) <= 0, 'it is wider than 320 px');
    assert.deepEqual(await poorContrasts(small.page), [], colorScheme);
    assert.deepEqual(small.complaints, []);
  }

  await press(/^Remove…$/);
  await page.getByRole('button', { name: 'Remove it' }).waitFor();
  await press(/^Remove it$/);
  await page.getByText('Removing it').first().waitFor();
  await say(id, 'ConfirmSnapshotRemoved', { snapshotId });
  await page.getByText('2.0 MB in 3 entries').waitFor({ state: 'detached' });
  await tabTo(page, /^Delete…$/, 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByText('It cannot be brought back.').waitFor();
  await press(/^Delete it$/);
  await page.getByText('Deleting').first().waitFor();
  await say(id, 'ConfirmWorkspaceRemoved', {});
  await page.getByRole('heading', { name: 'Nothing is kept' }).waitFor();
  assert.deepEqual(complaints, []);
  assert.deepEqual(api.logged, []);
});
