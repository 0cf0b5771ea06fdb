/** Workspaces from their making to their end, with workers and the real engine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, suite, test } from 'node:test';
import { createZstdDecompress } from 'node:zlib';
import { stateOf } from '../../../commands/execute.ts';
import { type LaunchCommand, launch } from '../../../domain/apps/launch.ts';
import { workspace } from '../../../domain/apps/workspace.ts';
import type { WorkspaceCommand, WorkspaceSource } from '../../../domain/apps/workspace-state.ts';
import { readWorkspaces } from '../../../platform/workspace-config.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { openTestDocker } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';
import { eventually, found, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const mib = 1024 ** 2;
const image = { image: 'apphub/keeper:1', buildId: 'b' };

suite('workspaces', () => {
  const images = openTestDocker();
  const { api, docker, instance } = images;
  let bench: WorkerBench;
  let imageId = '';
  before(async () => {
    await ensureTestImages();
    bench = await openWorkerBench({ docker });
    await bench.start({
      everyMs: { docker: 100, expiry: 100, reconcile: 200, weigh: 200 },
      workspaces: { ...readWorkspaces({}), weighSeconds: 1 },
    });
    // It notes each of its starts, and serves what it has noted.
    imageId = await images.imageOf(
      'keeper',
      'RUN mkdir /data && echo seeded >/data/seed && chown -R 1000:1000 /data',
      'VOLUME /data',
      'USER 1000',
      'CMD ["sh", "-c", "echo start >>/data/starts; exec httpd -f -p $PORT -h /data"]',
    );
  });
  after(async () => {
    await bench.close();
    await images.cleanUp();
  });

  const at = () => bench.clock.now();
  const say = (workspaceId: string, type: WorkspaceCommand['type'], more: object = {}) =>
    bench.say(workspace, workspaceId, { type, data: { workspaceId, at: at(), ...more } } as WorkspaceCommand);
  const tell = (launchId: string, type: LaunchCommand['type'], more: object = {}) =>
    bench.say(launch, launchId, { type, data: { launchId, at: at(), ...more } } as LaunchCommand);
  const make = async (more: { bytesMax?: number; source?: WorkspaceSource } = {}) => {
    const workspaceId = randomUUID();
    const made = { appId: 'app', name: 'Mine', bytesMax: 100 * mib, owner: 'ann', source: null, ...more };
    await say(workspaceId, 'CreateWorkspace', made);
    return workspaceId;
  };
  const start = async (workspaceId: string, more: { imageId?: string; overlap?: boolean } = {}) => {
    const { overlap = false, imageId: of = imageId } = more;
    const launchId = await bench.requestLaunch({
      ...image,
      imageId: of,
      workspace: { workspaceId, overlap },
    });
    return launchId;
  };
  const launchOf = async (id: string) => {
    const state = (await stateOf(bench.store, launch, id))?.state;
    assert.ok(state !== undefined);
    return state;
  };
  const workspaceOf = async (id: string) => {
    const state = (await stateOf(bench.store, workspace, id))?.state;
    assert.ok(state !== undefined);
    return state;
  };
  const until = (id: string, status: string) =>
    eventually(async () => {
      const state = await launchOf(id);
      assert.equal(state.status, status);
      return state;
    });
  const running = async (id: string, deployment?: number) => {
    const state = await eventually(async () => {
      const now = await launchOf(id);
      assert.equal(now.status, 'running');
      if (deployment !== undefined) assert.equal(now.serving?.deployment, deployment);
      return now;
    });
    const { host, hostPort } = state.serving?.place ?? {};
    return { url: `http://${host}:${hostPort}`, deployment: state.serving?.deployment ?? 0 };
  };
  const read = async (url: string, file: string) => {
    const answer = await fetch(`${url}/${file}`, { signal: AbortSignal.timeout(5_000) });
    return answer.status === 200 ? await answer.text() : `${answer.status}`;
  };
  const sleep = async (id: string) => {
    const { serving } = await launchOf(id);
    await tell(id, 'SleepLaunch', { deployment: serving?.deployment, reason: 'asked', because: null });
  };
  const stopped = async (id: string) => {
    await bench.stop(id);
    await until(id, 'ended');
  };
  const inside = async (launchId: string, ...command: string[]) => {
    const label = [`${labelOf.launch}=${launchId}`];
    const [one] = await api.listContainers({ filters: { label } });
    const exec = await api
      .getContainer(one?.Id ?? '')
      .exec({ Cmd: command, AttachStdout: true, AttachStderr: true });
    const stream = await exec.start({});
    for await (const _chunk of stream);
    const { ExitCode } = await exec.inspect();
    assert.equal(ExitCode, 0, command.join(' '));
  };
  const snapshotOf = async (workspaceId: string, live = false) => {
    const snapshotId = randomUUID();
    await say(workspaceId, 'RequestSnapshot', { snapshotId, live, cloneId: null });
    await eventually(async () =>
      assert.equal((await workspaceOf(workspaceId)).snapshots[snapshotId]?.status, 'taken'),
    );
    return snapshotId;
  };
  /** What stands in these files of a copy. */
  const numbersIn = async (key: string, ...files: string[]) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-copy-'));
    try {
      const stored = await bench.objects.get(key);
      assert.ok(stored !== undefined);
      const tar = spawn('tar', ['-x', '-C', folder], { stdio: ['pipe', 'ignore', 'inherit'] });
      const ended = once(tar, 'exit');
      await pipeline(stored.stream, createZstdDecompress(), tar.stdin);
      await ended;
      const all = await readdir(folder, { recursive: true });
      const texts = files.map(name => {
        const found = all.find(place => path.basename(place) === name);
        return readFile(path.join(folder, found ?? name), 'utf8');
      });
      return (await Promise.all(texts)).map(Number);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  const volumesLeft = async (workspaceId: string) =>
    (await docker.workspaces.list()).filter(one => one.workspaceId === workspaceId);

  test('what an app writes outlives its sleep, its redeploys and its launch', async () => {
    const id = await make();
    const first = await start(id);
    const up = await running(first);
    assert.equal(await read(up.url, 'starts'), 'start\n');
    assert.equal(await read(up.url, 'seed'), 'seeded\n');
    await sleep(first);
    await until(first, 'asleep');
    await tell(first, 'WakeLaunch');
    assert.equal(await read((await running(first, 2)).url, 'starts'), 'start\nstart\n');
    await tell(first, 'Redeploy', { cause: 'redeploy', ...image, imageId, port: 8_080 });
    assert.equal(await read((await running(first, 3)).url, 'starts'), 'start\n'.repeat(3));
    await stopped(first);
    const second = await start(id);
    assert.equal(await read((await running(second)).url, 'starts'), 'start\n'.repeat(4));
    await stopped(second);
    assert.equal((await volumesLeft(id)).length, 1);
    const [volume] = await volumesLeft(id);
    const { Labels: labels } = await api.getVolume(volume?.name ?? '').inspect();
    assert.deepEqual(
      [labels[labelOf.instance], labels[labelOf.app], labels[labelOf.path]],
      [instance, 'app', '/data'],
    );
    assert.ok(found(bench, 'LaunchRequested', first).id === labels[labelOf.event]);
  });

  test('what was removed stays removed, also where the image brings it along', async () => {
    const id = await make();
    const one = await start(id);
    await running(one);
    await inside(one, 'rm', '-rf', '/data/seed', '/data/starts');
    await sleep(one);
    await until(one, 'asleep');
    await tell(one, 'WakeLaunch');
    assert.equal(await read((await running(one, 2)).url, 'seed'), '404');
    await stopped(one);
  });

  test('a redeploy waits until the old container is gone, and the old build is woken where the new one fails', async () => {
    const id = await make();
    const one = await start(id);
    await running(one);
    const broken = await images.imageOf('broken', 'VOLUME /data', 'USER 1000', 'CMD ["false"]');
    await tell(one, 'Redeploy', { cause: 'redeploy', ...image, imageId: broken, port: 8_080 });
    await until(one, 'asleep');
    const told = history(bench, 'workspace', id);
    assert.ok(told.includes('WorkspaceAwaited'), told.join(' '));
    const order = bench.events
      .filter(({ stream }) => stream.endsWith(one) || stream.endsWith(id))
      .map(({ type, data }) => `${type} ${'deployment' in data ? data.deployment : ''}`);
    assert.ok(order.indexOf('WorkspaceClosed 1') < order.indexOf('WorkspaceOpened 2'), order.join('\n'));
    await tell(one, 'WakeLaunch');
    assert.equal(await read((await running(one, 3)).url, 'starts'), 'start\nstart\n');
    await stopped(one);
  });

  test('with overlap the old one serves until the new one answers', async () => {
    const id = await make();
    const one = await start(id, { overlap: true });
    await running(one);
    await tell(one, 'Redeploy', { cause: 'redeploy', ...image, imageId, port: 8_080 });
    assert.equal(await read((await running(one, 2)).url, 'starts'), 'start\nstart\n');
    assert.ok(!history(bench, 'workspace', id).includes('WorkspaceAwaited'));
    await stopped(one);
  });

  test('a snapshot of what runs is of one moment, and the app goes on', async () => {
    const id = await make();
    const one = await start(id);
    const { url } = await running(one);
    await inside(
      one,
      'sh',
      '-c',
      'dd if=/dev/urandom of=/data/big bs=1M count=20 2>/dev/null; ln -s seed /data/link',
    );
    // Two files on both sides of a large one: the second is one behind, or the same, at every moment.
    const counting = [
      'n=0; put() { echo $n >/tmp/n; cp /tmp/n /data/.$1; mv /data/.$1 /data/$1; }',
      'while true; do n=$((n+1)); put a; put z; done',
    ].join('; ');
    await inside(one, 'sh', '-c', `(${counting}) >/dev/null 2>&1 &`);
    await eventually(async () => assert.match(await read(url, 'z'), /^\d+$/m));
    const snapshotId = await snapshotOf(id);
    const taken = found(bench, 'WorkspaceSnapshotTaken', id).data;
    assert.ok(
      taken.pausedMs > 0 && taken.contentBytes > 20 * mib && taken.entries > 6,
      JSON.stringify(taken),
    );
    assert.deepEqual(taken.paths, ['/data']);
    const [ahead = 0, behind = 0] = await numbersIn(taken.key, 'a', 'z');
    assert.ok(behind > 0 && (ahead === behind || ahead === behind + 1), `${ahead} and ${behind}`);
    assert.equal(await read(url, 'seed'), 'seeded\n');
    assert.deepEqual(await docker.workspaces.frozen(), []);
    const live = await snapshotOf(id, true);
    assert.equal(found(bench, 'WorkspaceSnapshotTaken', id).data.pausedMs, 0);
    await say(id, 'RemoveSnapshot', { snapshotId: live });
    await eventually(async () => assert.equal((await workspaceOf(id)).snapshots[live], undefined));
    assert.equal(await bench.objects.has(taken.key.replace(snapshotId, live)), false);
    await stopped(one);
  });

  test('it is put back while nobody runs: all of it, and nothing of what came later', async () => {
    const id = await make();
    const one = await start(id);
    await running(one);
    const snapshotId = await snapshotOf(id);
    await assert.rejects(say(id, 'RestoreWorkspace', { snapshotId }), /may be writing/);
    await inside(one, 'sh', '-c', 'echo later >/data/later; echo more >>/data/starts; rm /data/seed');
    await sleep(one);
    await eventually(async () => assert.deepEqual((await workspaceOf(id)).open, []));
    await say(id, 'RestoreWorkspace', { snapshotId });
    // A visitor who comes now waits for it.
    await tell(one, 'WakeLaunch');
    const { url } = await running(one, 2);
    assert.deepEqual(
      [await read(url, 'starts'), await read(url, 'seed'), await read(url, 'later')],
      ['start\nstart\n', 'seeded\n', '404'],
    );
    await eventually(async () =>
      assert.deepEqual(
        (await volumesLeft(id)).map(all => all.generation),
        [2],
      ),
    );
    assert.deepEqual((await workspaceOf(id)).discarded, []);
    await stopped(one);
  });

  test('a copy that was changed is not put back, and nothing is lost', async () => {
    const id = await make();
    const one = await start(id);
    await running(one);
    const snapshotId = await snapshotOf(id);
    await stopped(one);
    const { key } = found(bench, 'WorkspaceSnapshotTaken', id).data;
    const other = await make();
    const two = await start(other);
    await running(two);
    await snapshotOf(other);
    const foreign = await bench.objects.get(found(bench, 'WorkspaceSnapshotTaken', other).data.key);
    const parts: Buffer[] = [];
    for await (const part of foreign?.stream ?? []) parts.push(part);
    const genuine = Buffer.concat(parts);
    for (const [bytes, why] of [
      [genuine, /checksum is another|holds more/],
      [genuine.subarray(0, genuine.length / 2), /cannot be read|not the one that was stored/],
      [Buffer.from('what is this'), /cannot be read/],
    ] as const) {
      await bench.objects.put(key, bytes, { contentType: 'application/zstd' });
      const before = history(bench, 'workspace', id).length;
      await say(id, 'RestoreWorkspace', { snapshotId });
      await eventually(() =>
        assert.ok(history(bench, 'workspace', id).slice(before).includes('WorkspaceVolumesRemoved')),
      );
      assert.match(found(bench, 'WorkspaceRestoreFailed', id).data.reason, why);
      assert.deepEqual(
        (await volumesLeft(id)).map(all => all.generation),
        [1],
      );
    }
    await bench.objects.remove(key);
    await say(id, 'RestoreWorkspace', { snapshotId });
    await eventually(() =>
      assert.match(found(bench, 'WorkspaceRestoreFailed', id).data.reason, /not in the store/),
    );
    const again = await start(id);
    assert.equal(await read((await running(again)).url, 'seed'), 'seeded\n');
    await stopped(again);
    await stopped(two);
  });

  test('a clone has the same content, and is another one', async () => {
    const id = await make();
    const one = await start(id);
    await running(one);
    const snapshotId = randomUUID();
    const copy = await make({ source: { workspaceId: id, snapshotId, isNew: true } });
    await eventually(async () => assert.notEqual((await workspaceOf(copy)).engine, null));
    // What was taken for it alone is gone again.
    await eventually(async () => assert.deepEqual((await workspaceOf(id)).snapshots, {}));
    const two = await start(copy);
    assert.equal(await read((await running(two)).url, 'starts'), 'start\nstart\n');
    await inside(two, 'sh', '-c', 'echo other >/data/seed');
    assert.equal(await read((await running(one)).url, 'seed'), 'seeded\n');
    const kept = await snapshotOf(id);
    const third = await make({ source: { workspaceId: id, snapshotId: kept, isNew: false } });
    await eventually(async () => assert.notEqual((await workspaceOf(third)).engine, null));
    assert.equal((await workspaceOf(id)).snapshots[kept]?.status, 'taken');
    const small = await make({
      bytesMax: mib / 1_024,
      source: { workspaceId: id, snapshotId: kept, isNew: false },
    });
    await eventually(async () => assert.equal((await workspaceOf(small)).isBroken, false));
    const none = await make({ source: { workspaceId: id, snapshotId: randomUUID(), isNew: false } });
    await eventually(async () => assert.equal((await workspaceOf(none)).isBroken, true));
    await stopped(one);
    await stopped(two);
  });

  test('one that holds too much is put to sleep and not opened, until there is room', async () => {
    const id = await make({ bytesMax: 10 * mib });
    const one = await start(id);
    await running(one);
    await inside(one, 'sh', '-c', 'dd if=/dev/zero of=/data/a bs=1M count=9 2>/dev/null');
    await eventually(() => assert.equal(found(bench, 'WorkspaceWeighed', id).data.level, 'nearly'));
    assert.equal((await launchOf(one)).status, 'running');
    const [row] = await bench.sql('worker_workspaces').where({ workspace_id: id });
    assert.ok(Number(row.bytes) > 9 * mib);
    await inside(one, 'sh', '-c', 'dd if=/dev/zero of=/data/b bs=1M count=9 2>/dev/null');
    await until(one, 'asleep');
    const slept = found(bench, 'LaunchSlept', one).data;
    assert.deepEqual(
      [slept.reason, slept.because],
      ['full', 'Its workspace held 18.9 MB and may hold 10.5 MB.'],
    );
    // Somebody who asks all the same waits.
    await tell(one, 'WakeLaunch');
    await eventually(() => assert.equal(found(bench, 'WorkspaceAwaited', id).data.obstacle, 'full'));
    await say(id, 'ChangeWorkspace', { bytesMax: 100 * mib });
    assert.equal(await read((await running(one, 2)).url, 'seed'), 'seeded\n');
    await stopped(one);
  });

  test('a launch that cannot have it fails, and says why', async () => {
    const id = await make();
    const plain = await images.imageOf('plain', 'RUN echo plain', 'USER 1000', 'CMD ["sleep", "60"]');
    const one = await start(id, { imageId: plain });
    await until(one, 'ended');
    assert.match(found(bench, 'LaunchFailed', one).data.reason, /declares no VOLUME/);
    await eventually(async () => assert.equal((await workspaceOf(id)).attached, null));
    const two = await start(id);
    await running(two);
    const three = await start(id);
    await until(three, 'ended');
    assert.equal(found(bench, 'LaunchFailed', three).data.reason, 'A launch has the workspace');
    assert.equal((await launchOf(two)).status, 'running');
    await stopped(two);
    const [volume] = await volumesLeft(id);
    await api.getVolume(volume?.name ?? '').remove();
    const four = await start(id);
    await until(four, 'ended');
    assert.match(
      found(bench, 'LaunchFailed', four).data.reason,
      /is gone from the engine; put a snapshot back/,
    );
  });

  test('a deleted one leaves nothing', async () => {
    const id = await make();
    const one = await start(id);
    await running(one);
    await snapshotOf(id);
    await stopped(one);
    const { key } = found(bench, 'WorkspaceSnapshotTaken', id).data;
    await say(id, 'RemoveWorkspace');
    await eventually(async () => assert.equal((await workspaceOf(id)).status, 'removed'));
    assert.deepEqual(await volumesLeft(id), []);
    assert.equal(await bench.objects.has(key), false);
    assert.deepEqual(await bench.sql('worker_workspaces').where({ workspace_id: id }), []);
  });

  test('volumes that the log says are over are removed as orphans; those that it does not know are left alone', async () => {
    const id = await make();
    await say(id, 'RemoveWorkspace');
    await eventually(async () => assert.equal((await workspaceOf(id)).status, 'removed'));
    const volume = (workspaceId: string, name: string) =>
      api.createVolume({
        Name: name,
        Labels: {
          [labelOf.instance]: instance,
          [labelOf.workspace]: workspaceId,
          [labelOf.generation]: '1',
        },
      });
    const stranger = `apphub-${randomUUID()}-1-stranger`;
    await volume(randomUUID(), stranger);
    const orphan = `apphub-${id}-1-orphan`;
    await volume(id, orphan);
    await eventually(() => {
      const removed = bench.events.filter(
        ({ type, data }) => type === 'OrphanRemoved' && data.name === orphan,
      );
      assert.equal(removed.length, 1);
    });
    const names = (await docker.workspaces.list()).map(one => one.name);
    assert.deepEqual([names.includes(orphan), names.includes(stranger)], [false, true]);
    const warnings = () => bench.logged.filter(({ detail }) => detail.volume === stranger);
    await eventually(() => assert.equal(warnings().length, 1));
  });

  test('one that was kept for a launch that never came is free again', async () => {
    const id = await make();
    const none = randomUUID();
    const long = new Date(Date.now() - 120_000).toISOString();
    await say(id, 'AttachWorkspace', { appId: 'app', launchId: none, at: long });
    await eventually(async () => assert.equal((await workspaceOf(id)).attached, null));
  });
});
