/**
 * Workers that are killed between any two steps of what is done with a workspace: its life is the same each time. What was kept
 * is there, nothing that came later is, every container was started once, and in the end nothing is left of it.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { stateOf } from '../../commands/execute.ts';
import { type LaunchCommand, launch } from '../../domain/apps/launch.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type { WorkspaceCommand } from '../../domain/apps/workspace-state.ts';
import { labelOf } from '../../workers/adapters/docker-labels.ts';
import { chanceFrom, countFrom, seed } from '../support/chance.ts';
import { openTestDocker } from '../support/docker.ts';
import { ensureTestImages } from '../support/images.ts';
import { openWorkerProcesses, type WorkerProcesses } from '../support/worker-process.ts';
import { eventually } from '../support/workers.ts';

const every = [
  'workspace.opened',
  'workspace.prepared',
  'workspace.told',
  'workspace.closed',
  'workspace.left',
  'snapshot.frozen',
  'snapshot.read',
  'snapshot.stored',
  'snapshot.told',
  'restore.begun',
  'restore.unpacked',
  'restore.told',
  'clone.asked',
  'discard.found',
  'discard.removed',
  'discard.told',
  'remove-snapshot.removed',
  'remove-workspace.copies',
  'remove-workspace.volumes',
];
const env = { APPHUB_LAUNCH_DRAIN_SECONDS: '0' };
const image = { image: 'apphub/keeper:1', buildId: 'b' };

/** So many of them by chance; from as many as there are, each of them. */
function chosen(count: number): string[] {
  const { pick } = chanceFrom(seed);
  const left = [...every];
  const some: string[] = [];
  while (some.length < count && left.length > 0) {
    const one = pick(left);
    left.splice(left.indexOf(one), 1);
    some.push(one);
  }
  return some;
}

suite('workers that are killed while something is done with a workspace', () => {
  const images = openTestDocker();
  const { api, docker, instance } = images;
  let processes: WorkerProcesses;
  let imageId = '';
  before(async () => {
    await ensureTestImages();
    processes = await openWorkerProcesses(docker, instance);
    imageId = await images.imageOf(
      'keeper',
      'RUN mkdir /data && echo seeded >/data/seed && chown -R 1000:1000 /data',
      'VOLUME /data',
      'USER 1000',
      'CMD ["sh", "-c", "echo start >>/data/starts; exec httpd -f -p $PORT -h /data"]',
    );
  });
  after(async () => {
    await processes.close();
    await images.cleanUp();
  });

  const at = () => processes.bench.clock.now();
  const say = (workspaceId: string, type: WorkspaceCommand['type'], more: object = {}) =>
    processes.bench.say(workspace, workspaceId, {
      type,
      data: { workspaceId, at: at(), ...more },
    } as WorkspaceCommand);
  const tell = (launchId: string, type: LaunchCommand['type'], more: object = {}) =>
    processes.bench.say(launch, launchId, { type, data: { launchId, at: at(), ...more } } as LaunchCommand);
  const launchOf = async (id: string) => (await stateOf(processes.bench.store, launch, id))?.state;
  const workspaceOf = async (id: string) => (await stateOf(processes.bench.store, workspace, id))?.state;
  const make = async (source: object | null = null) => {
    const workspaceId = randomUUID();
    const made = { appId: 'app', name: 'Mine', bytesMax: 100 * 1024 ** 2, owner: 'ann', source };
    await say(workspaceId, 'CreateWorkspace', made);
    return workspaceId;
  };
  const running = (id: string, deployment: number) =>
    eventually(async () => {
      const state = await launchOf(id);
      assert.deepEqual([state?.status, state?.serving?.deployment], ['running', deployment]);
      const { host, hostPort } = state?.serving?.place ?? {};
      return `http://${host}:${hostPort}`;
    });
  const read = async (url: string, file: string) => {
    const answer = await fetch(`${url}/${file}`, { signal: AbortSignal.timeout(5_000) });
    return answer.status === 200 ? await answer.text() : `${answer.status}`;
  };
  const inside = async (launchId: string, command: string) => {
    const [one] = await api.listContainers({ filters: { label: [`${labelOf.launch}=${launchId}`] } });
    const exec = await api
      .getContainer(one?.Id ?? '')
      .exec({ Cmd: ['sh', '-c', command], AttachStdout: true });
    const stream = await exec.start({});
    for await (const _chunk of stream);
    assert.equal((await exec.inspect()).ExitCode, 0, command);
  };
  const objects = async () => {
    const folder = path.join(processes.dataDir, 'objects');
    const all = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return all.filter(entry => entry.isFile()).map(entry => entry.name);
  };

  /** From its making to its end. */
  async function live(): Promise<void> {
    const id = await make();
    const spec = { workspace: { workspaceId: id, overlap: false }, restart: 'on-failure' } as const;
    const one = await processes.bench.requestLaunch({ ...image, imageId, ...spec });
    assert.equal(await read(await running(one, 1), 'starts'), 'start\n');
    await inside(one, 'echo kept >/data/kept');
    const snapshotId = randomUUID();
    await say(id, 'RequestSnapshot', { snapshotId, live: false, cloneId: null });
    await eventually(async () =>
      assert.equal((await workspaceOf(id))?.snapshots[snapshotId]?.status, 'taken'),
    );
    await eventually(async () => assert.deepEqual(await docker.workspaces.frozen(), []));
    await inside(one, 'echo later >/data/later');
    await tell(one, 'SleepLaunch', { deployment: 1, reason: 'asked', because: null });
    await eventually(async () => assert.deepEqual((await workspaceOf(id))?.open, []));
    await say(id, 'RestoreWorkspace', { snapshotId });
    await eventually(async () => assert.equal((await workspaceOf(id))?.generation, 2));
    await tell(one, 'WakeLaunch');
    const url = await running(one, 2);
    assert.deepEqual(
      [await read(url, 'starts'), await read(url, 'kept'), await read(url, 'later'), await read(url, 'seed')],
      ['start\nstart\n', 'kept\n', '404', 'seeded\n'],
    );
    await eventually(async () => {
      const volumes = (await docker.workspaces.list()).filter(volume => volume.workspaceId === id);
      assert.deepEqual(
        volumes.map(({ generation }) => generation),
        [2],
      );
    });
    const copy = await make({ workspaceId: id, snapshotId: randomUUID(), isNew: true });
    await eventually(async () => assert.notEqual((await workspaceOf(copy))?.engine, null));
    await eventually(async () =>
      assert.deepEqual(Object.keys((await workspaceOf(id))?.snapshots ?? {}), [snapshotId]),
    );
    await say(id, 'RemoveSnapshot', { snapshotId });
    await eventually(async () => assert.deepEqual((await workspaceOf(id))?.snapshots, {}));
    await processes.bench.stop(one);
    await eventually(async () => assert.equal((await launchOf(one))?.status, 'ended'));
    await eventually(async () => assert.equal((await workspaceOf(id))?.attached, null));
    for (const each of [id, copy]) {
      await say(each, 'RemoveWorkspace');
      await eventually(async () => assert.equal((await workspaceOf(each))?.status, 'removed'));
    }
    await eventually(async () => {
      assert.deepEqual(await docker.workspaces.list(), []);
      assert.deepEqual(await docker.listLaunches(), []);
      assert.deepEqual(await objects(), []);
    });
    const failed = processes.bench.events.filter(({ type }) => /Failed$|Crashed$/.test(type));
    assert.deepEqual(
      failed.map(({ data }) => data),
      [],
    );
  }

  for (const place of chosen(countFrom('APPHUB_TEST_WORKSPACE_KILLS', 2)))
    test(`at ${place}`, { timeout: 240_000 }, async t => {
      t.diagnostic(`seed ${seed}`);
      let died = 0;
      let child: ChildProcess | undefined;
      let isOver = false;
      const start = (fault?: string) => {
        child = processes.start(fault, env);
        child.once('exit', (_code, signal) => {
          if (isOver) return;
          if (signal === 'SIGKILL') died += 1;
          start();
        });
      };
      start(place);
      await live().finally(async () => {
        isOver = true;
        if (child !== undefined) await processes.kill(child);
      });
      assert.equal(died, 1, `nobody came to ${place}`);
    });
});
