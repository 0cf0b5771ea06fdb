/** Volumes of workspaces on the real engine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import type { WorkspaceVolume } from '../../../domain/apps/workspace-state.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { WorkspaceFailure } from '../../../workers/adapters/docker-workspace-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';

const { signal } = new AbortController();

suite('volumes of workspaces', () => {
  const images = openTestDocker();
  const { api, docker, instance } = images;
  const { workspaces } = docker;
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'apphub-workspace-'));
  before(() => ensureTestImages());
  after(async () => {
    await images.cleanUp();
    rmSync(scratch, { recursive: true, force: true });
  });

  const newSet = () => ({ workspaceId: randomUUID(), generation: 1, engine: null, volumes: [] });
  const prepare = async (image: string, set: Parameters<typeof workspaces.prepare>[0]['set'], more = {}) =>
    workspaces.prepare({ set, container: startRequest('l', image, more), perAppMax: 50 });
  /** What a program says that runs with these volumes, as root and with everything a root may do. */
  async function say(volumes: readonly WorkspaceVolume[], script: string): Promise<string> {
    const container = await api.createContainer({
      Image: busyboxImage,
      Cmd: ['sh', '-c', script],
      Labels: { [labelOf.instance]: instance },
      HostConfig: {
        Mounts: volumes.map(({ path: at, name }) => ({ Type: 'volume', Source: name, Target: at })),
      },
      Tty: true,
    });
    await container.start();
    await container.wait();
    const said = (await container.logs({ stdout: true, stderr: true })).toString().replaceAll('\r\n', '\n');
    await container.remove();
    return said;
  }
  const handsLeft = async () => {
    const label = [`${labelOf.instance}=${instance}`, labelOf.hand];
    return (await api.listContainers({ all: true, filters: { label } })).length;
  };

  test('hold what the image brings along, for whoever runs it', async () => {
    const image = await images.imageOf(
      'seeded',
      'RUN mkdir -p /seed/sub /empty && echo hi >/seed/sub/file && chown -R 1000:1000 /seed && chmod 700 /empty',
      'VOLUME /seed',
      'VOLUME /empty',
      'VOLUME /new/folder',
      'USER 1001:1002',
    );
    const made = await prepare(image, newSet());
    assert.equal(made.engine, 'default');
    assert.deepEqual(made.volumes.map(one => one.path).sort(), ['/empty', '/new/folder', '/seed']);
    const said = await say(
      made.volumes,
      'stat -c "%n %a %u:%g" /seed /seed/sub/file /empty /new/folder; cat /seed/sub/file',
    );
    assert.equal(
      said,
      '/seed 755 1000:1000\n/seed/sub/file 644 1000:1000\n/empty 700 1001:1002\n/new/folder 755 1001:1002\nhi\n',
    );
    assert.equal(await handsLeft(), 0);
  });

  test('belong to nobody where the image says root, and its app is not marked', async () => {
    const image = await images.imageOf('rooted', 'RUN mkdir /data && echo hi >/data/file', 'VOLUME /data');
    const { volumes } = await prepare(image, newSet());
    assert.equal(await say(volumes, 'stat -c "%u:%g" /data /data/file'), '65534:65534\n65534:65534\n');
    const marked = await prepare(image, newSet(), { allowRoot: true });
    assert.equal(await say(marked.volumes, 'stat -c "%u:%g" /data /data/file'), '0:0\n0:0\n');
  });

  test('are made once, keep what was written, and grow by those that a newer image declares', async () => {
    const first = await images.imageOf('first', 'RUN mkdir /data && echo old >/data/file', 'VOLUME /data');
    const set = newSet();
    const { volumes } = await prepare(first, set);
    await say(volumes, 'echo new >/data/file; rm -f /data/gone');
    const known = { ...set, engine: 'default', volumes };
    assert.deepEqual((await prepare(first, known)).volumes, volumes);
    const second = await images.imageOf('second', 'VOLUME /data', 'VOLUME /more', 'RUN echo 2');
    const grown = await prepare(second, known);
    assert.equal(grown.volumes.length, 2);
    assert.deepEqual(
      grown.volumes.find(one => one.path === '/data'),
      volumes[0],
    );
    assert.equal(await say(grown.volumes, 'cat /data/file; ls /more'), 'new\n');
  });

  test('of which nobody told are made anew', async () => {
    const image = await images.imageOf('anew', 'VOLUME /data');
    const set = newSet();
    const { volumes } = await prepare(image, set);
    await say(volumes, 'echo half >/data/file');
    assert.deepEqual((await prepare(image, set)).volumes, volumes);
    assert.equal(await say(volumes, 'ls /data'), '');
  });

  test('are missed when they are gone, and not replaced by empty ones', async () => {
    const image = await images.imageOf('missed', 'VOLUME /data');
    const set = newSet();
    const { volumes } = await prepare(image, set);
    await api.getVolume(volumes[0]?.name ?? '').remove();
    const known = { ...set, engine: 'default', volumes };
    await assert.rejects(prepare(image, known), (error: Error) => {
      assert.ok(error instanceof LaunchFailure);
      assert.match(error.message, /is gone from the engine; put a snapshot back/);
      return true;
    });
    await assert.rejects(buffer(Readable.from(workspaces.pack(known, signal))), WorkspaceFailure);
    assert.equal((await workspaces.list()).filter(one => one.workspaceId === set.workspaceId).length, 0);
  });

  test('are for images that declare some, and for so many workspaces of an app', async () => {
    const none = await images.imageOf('none', 'RUN echo none');
    await assert.rejects(prepare(none, newSet()), /declares no VOLUME/);
    const image = await images.imageOf('some', 'VOLUME /data');
    const container = startRequest('l', image, { appId: 'crowded' });
    const set = newSet();
    await workspaces.prepare({ set, container, perAppMax: 1 });
    await workspaces.prepare({ set, container, perAppMax: 1 });
    const another = workspaces.prepare({ set: newSet(), container, perAppMax: 1 });
    await assert.rejects(another, /1 workspaces of the app have volumes already, and 1 may/);
  });

  test('come back as they were packed: owners, modes, links, times, and names of any kind', async () => {
    const image = await images.imageOf(
      'packed',
      'VOLUME /data/base',
      'VOLUME /data/base/inner',
      'VOLUME /a%b',
    );
    const set = newSet();
    const { volumes } = await prepare(image, set);
    const script = `cd /data/base && mkdir -p d && echo x >d/f && chown 5:6 d/f && chmod 4750 d/f && ln d/f hard &&
      ln -s /etc/passwd soft && mkfifo pipe && touch -d "2001-02-03 04:05" d/old && echo y >"-n
$(id)" && echo z >inner/z && echo p >/a%b/p && chmod 2770 /data/base && truncate -s 3M holes`;
    await say(volumes, script);
    const seen = `cd /data/base && find . /a%b | sort |
      while IFS= read -r f; do stat -c '%n %F %a %u:%g %h %s %Y' "$f"; done; readlink soft`;
    const before = await say(volumes, seen);
    assert.match(before, /hard regular file 4750 5:6 2 2 /);
    const known = { ...set, engine: 'default', volumes };
    const tar = await buffer(Readable.from(workspaces.pack(known, signal)));
    const names = execFileSync('tar', ['-t'], { input: tar }).toString();
    for (const folder of ['data%2Fbase', 'data%2Fbase%2Finner', 'a%25b'])
      assert.match(names, new RegExp(`^workspace/${folder}/$`, 'm'));
    const paths = volumes.map(one => one.path);
    const request = { set: { ...set, generation: 2 }, appId: 'hello', eventId: 'e2', paths, perAppMax: 50 };
    const made = await workspaces.unpack(request, Readable.from([tar]), signal);
    // What lies below a mount is hidden by it, so the folder that is mounted over is told by its own volume.
    assert.equal(await say(made.volumes, seen), before);
    assert.equal(await handsLeft(), 0);
    const labels = (await api.getVolume(made.volumes[0]?.name ?? '').inspect()).Labels;
    assert.deepEqual(
      [
        labels[labelOf.instance],
        labels[labelOf.workspace],
        labels[labelOf.generation],
        labels[labelOf.event],
      ],
      [instance, set.workspaceId, '2', 'e2'],
    );
  });

  test('hold nothing of an attempt that was cut off', async () => {
    const set = { ...newSet(), generation: 3 };
    const request = { set, appId: 'hello', eventId: 'e', paths: ['/data'], perAppMax: 50 };
    const stop = new AbortController();
    const endless = Readable.from(
      (async function* () {
        const tar = execFileSync('tar', ['-c', '-C', scratchOf('workspace/data/half', 'x'), 'workspace']);
        yield tar.subarray(0, 1_536);
        stop.abort(new Error('cut off'));
        await new Promise(() => undefined);
      })(),
    );
    await assert.rejects(workspaces.unpack(request, endless, stop.signal), /cut off/);
    assert.equal(await handsLeft(), 0);
    const tar = execFileSync('tar', ['-c', '-C', scratchOf('workspace/data/whole', 'y'), 'workspace']);
    const { volumes } = await workspaces.unpack(request, Readable.from([tar]), signal);
    assert.equal(await say(volumes, 'ls /data'), 'whole\n');
  });

  /** A folder in which there is this file. */
  function scratchOf(name: string, text: string): string {
    const folder = mkdtempSync(path.join(scratch, 'tree-'));
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
    return folder;
  }

  test('an archive that wants out reaches nothing but the container that goes with it', async () => {
    const mark = `apphub-${randomUUID()}`;
    const folder = scratchOf('workspace/data/fine', 'fine');
    symlinkSync('/', path.join(folder, 'workspace/data/root'));
    symlinkSync('/tmp', path.join(folder, 'workspace/data/tmp'));
    mkdirSync(path.join(folder, 'plain/tmp'), { recursive: true });
    writeFileSync(path.join(folder, 'plain/tmp', mark), 'out');
    writeFileSync(path.join(folder, 'outside'), 'out');
    const pack = (...args: string[]) =>
      execFileSync('tar', ['-c', '-C', folder, '-P', ...args], { stdio: 'pipe' });
    const hostile = [
      // Through a link that the archive itself brought.
      pack('workspace', '--transform', `s,^plain/tmp,workspace/data/tmp,`, `plain/tmp/${mark}`),
      pack('workspace', '--transform', `s,^plain,/,`, `plain/tmp/${mark}`),
      pack('workspace', '--transform', `s,^outside,workspace/../../../../tmp/${mark},`, 'outside'),
    ];
    for (const [at, tar] of hostile.entries()) {
      const set = { ...newSet(), generation: 4 + at };
      const request = { set, appId: 'hello', eventId: 'e', paths: ['/data'], perAppMax: 50 };
      await workspaces.unpack(request, Readable.from([tar]), signal).catch(error => {
        assert.ok(error instanceof WorkspaceFailure, String(error));
      });
      assert.throws(() => execFileSync('ls', [`/tmp/${mark}`], { stdio: 'pipe' }), `archive ${at}`);
      assert.equal(await handsLeft(), 0);
    }
    const none = Readable.from([Buffer.alloc(1_024, 'z')]);
    const request = { set: newSet(), appId: 'hello', eventId: 'e', paths: ['/data'], perAppMax: 50 };
    await assert.rejects(workspaces.unpack(request, none, signal), WorkspaceFailure);
  });

  test('are weighed, listed and removed by set, and by nobody else’s name', async () => {
    const image = await images.imageOf('weighed', 'VOLUME /data', 'VOLUME /more');
    const set = newSet();
    const { volumes } = await prepare(image, set);
    await say(volumes, 'dd if=/dev/zero of=/data/a bs=1M count=3 2>/dev/null; echo 12345 >/more/b');
    const weight = (await workspaces.weigh()).find(one => one.workspaceId === set.workspaceId);
    assert.equal(weight?.generation, 1);
    assert.ok(weight.bytes >= 3 * 1024 ** 2 + 6 && weight.bytes < 3.2 * 1024 ** 2, `${weight.bytes}`);
    const own = (await workspaces.list()).filter(one => one.workspaceId === set.workspaceId);
    assert.equal(own.length, 2);
    const others = openTestDocker();
    assert.deepEqual(await others.docker.workspaces.list(), []);
    assert.deepEqual(await others.docker.workspaces.weigh(), []);
    await workspaces.remove(own.slice(0, 1));
    await workspaces.remove(own.slice(0, 1));
    const left = (await workspaces.list()).filter(one => one.workspaceId === set.workspaceId);
    assert.deepEqual(left, own.slice(1));
  });

  test('a container that writes stands still, and goes on', async () => {
    const image = await images.imageOf('busy', 'USER 1000', 'CMD ["sleep", "600"]');
    const container = await api.createContainer({
      Image: image,
      Labels: { [labelOf.instance]: instance, [labelOf.launch]: 'still', [labelOf.deployment]: '2' },
    });
    assert.equal(await workspaces.stateOf('still', 1), 'none');
    assert.match(await workspaces.freeze('still', 2), / still /);
    await container.start();
    const frozen = await workspaces.freeze('still', 2);
    assert.match(frozen, / paused /);
    assert.equal(await workspaces.freeze('still', 2), frozen);
    assert.deepEqual(await workspaces.frozen(), [{ launchId: 'still', deployment: 2 }]);
    assert.equal((await docker.listLaunches()).find(one => one.launchId === 'still')?.state, 'running');
    await workspaces.thaw('still', 2);
    await workspaces.thaw('still', 2);
    await workspaces.thaw('still', 1);
    assert.match(await workspaces.stateOf('still', 2), / running /);
    assert.deepEqual(await workspaces.frozen(), []);
    // One that stands still can be removed all the same.
    await workspaces.freeze('still', 2);
    await docker.removeLaunch('still');
    assert.equal(await workspaces.stateOf('still', 2), 'none');
  });
});
