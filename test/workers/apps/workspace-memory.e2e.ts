/** However much a workspace holds, it is a stream that is copied and put back: the process that does it needs little memory. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, suite, test } from 'node:test';
import { stateOf } from '../../../commands/execute.ts';
import { launch } from '../../../domain/apps/launch.ts';
import { workspace } from '../../../domain/apps/workspace.ts';
import type { WorkspaceCommand } from '../../../domain/apps/workspace-state.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { countFrom } from '../../support/chance.ts';
import { openTestDocker } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';
import { openWorkerProcesses, type WorkerProcesses } from '../../support/worker-process.ts';
import { eventually } from '../../support/workers.ts';

const mib = 1024 ** 2;
const contentMib = countFrom('APPHUB_TEST_WORKSPACE_MIB', 200);
const memoryMibMax = 100;

/** The kernel's own words about a process, in MiB. */
async function memoryOf(pid: number, what: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024;
}

suite('a workspace that holds much', () => {
  const images = openTestDocker();
  const { api, docker, instance } = images;
  let processes: WorkerProcesses;
  let imageId = '';
  before(async () => {
    await ensureTestImages();
    processes = await openWorkerProcesses(docker, instance);
    const data = 'RUN mkdir /data && chown 1000:1000 /data';
    imageId = await images.imageOf(
      'holder',
      data,
      'VOLUME /data',
      'USER 1000',
      'CMD ["httpd", "-f", "-p", "8080"]',
    );
  });
  after(async () => {
    await processes.close();
    await images.cleanUp();
  });

  test(`needs less than ${memoryMibMax} MiB more to be copied and put back`, {
    timeout: 280_000,
  }, async t => {
    const { bench } = processes;
    const at = () => bench.clock.now();
    const id = randomUUID();
    const say = (type: WorkspaceCommand['type'], more: object) =>
      bench.say(workspace, id, { type, data: { workspaceId: id, at: at(), ...more } } as WorkspaceCommand);
    const present = async () => (await stateOf(bench.store, workspace, id))?.state;
    const pid = processes.start(undefined, { APPHUB_LAUNCH_DRAIN_SECONDS: '0' }).pid ?? 0;
    const limits = {
      appId: 'app',
      name: 'Large',
      bytesMax: 4 * contentMib * mib,
      owner: 'ann',
      source: null,
    };
    await say('CreateWorkspace', limits);
    const kept = { workspace: { workspaceId: id, overlap: false } } as const;
    const one = await bench.requestLaunch({ image: 'apphub/holder:1', buildId: 'b', imageId, ...kept });
    const launchOf = async () => (await stateOf(bench.store, launch, one))?.state;
    await eventually(async () => assert.equal((await launchOf())?.status, 'running'));
    const [container] = await api.listContainers({ filters: { label: [`${labelOf.launch}=${one}`] } });
    const Cmd = ['sh', '-c', `head -c ${contentMib * mib} /dev/urandom >/data/large`];
    const exec = await api.getContainer(container?.Id ?? '').exec({ Cmd, AttachStdout: true });
    for await (const _chunk of await exec.start({}));
    assert.equal((await exec.inspect()).ExitCode, 0);

    const peakOf = async (work: () => Promise<unknown>) => {
      const before = await memoryOf(pid, 'VmRSS');
      // From here on the highest is counted anew.
      await writeFile(`/proc/${pid}/clear_refs`, '5');
      await work();
      return Math.round((await memoryOf(pid, 'VmHWM')) - before);
    };
    const snapshotId = randomUUID();
    const taking = await peakOf(async () => {
      await say('RequestSnapshot', { snapshotId, live: false, cloneId: null });
      await eventually(
        async () => assert.equal((await present())?.snapshots[snapshotId]?.status, 'taken'),
        120_000,
      );
    });
    const data = { launchId: one, deployment: 1, reason: 'asked', because: null, at: at() } as const;
    await bench.say(launch, one, { type: 'SleepLaunch', data });
    await eventually(async () => assert.deepEqual((await present())?.open, []));
    const restoring = await peakOf(async () => {
      await say('RestoreWorkspace', { snapshotId });
      await eventually(async () => assert.equal((await present())?.generation, 2), 120_000);
    });
    t.diagnostic(`${contentMib} MiB: ${taking} MiB more to copy it, ${restoring} MiB more to put it back`);
    const { content } = (await present())?.snapshots[snapshotId] ?? {};
    assert.ok((content?.contentBytes ?? 0) >= contentMib * mib);
    for (const more of [taking, restoring]) assert.ok(more < memoryMibMax, `${more} MiB more`);
    await bench.stop(one);
    await eventually(async () => assert.equal((await launchOf())?.status, 'ended'));
  });
});
