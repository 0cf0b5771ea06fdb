/** What lies on the engine: images and what failed builds leave, what room they take, and how they go. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { BuildFailure } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker } from '../../support/docker.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';

const { api, docker, instance, folderOf, cleanUp } = openTestDocker();
const limits = { cpus: 1, memoryBytes: 256 * 1024 * 1024, timeMsMax: 60_000, contextBytesMax: 1024 * 1024 };
const mib = 1024 * 1024;
before(() => ensureTestImages());
after(cleanUp);

async function build(buildId: string, ...instructions: string[]) {
  const lines: string[] = [];
  const directory = await folderOf({ Dockerfile: `FROM ${busyboxImage}\n${instructions.join('\n')}\n` });
  const { imageId } = await docker.buildImage({
    directory,
    dockerfilePath: 'Dockerfile',
    tag: `apphub/${instance}:${buildId}`,
    labels: { [labelOf.app]: 'hello', [labelOf.build]: buildId },
    limits,
    signal: new AbortController().signal,
    onLine: line => void lines.push(line),
  });
  return imageId;
}
const fails = (buildId: string, ...instructions: string[]) =>
  assert.rejects(build(buildId, ...instructions), BuildFailure);
/** Another step for each test, so that none is found in the cache of another. */
const fill = (name: string, count: number) =>
  `RUN echo ${instance}-${name} && dd if=/dev/zero of=/${name} bs=1048576 count=${count} 2>/dev/null`;
const mine = async () => (await docker.listImages()).map(({ kind, buildId }) => `${kind} ${buildId}`).sort();
const isThere = (image: string) =>
  api
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );
const roomOf = async () => {
  const [room] = await docker.rooms({ withCache: false });
  assert.ok(room !== undefined);
  return room;
};

suite('images on the engine', () => {
  test('of builds are listed, each with its build; layers that they share count once', async () => {
    const before = await roomOf();
    assert.equal(before.imageBytes, 0);
    const first = await build('one', fill('shared', 3), fill('first', 2));
    const second = await build('two', fill('shared', 3), fill('second', 1));
    assert.deepEqual(await mine(), ['image one', 'image two']);
    const images = await docker.listImages();
    assert.deepEqual(images.map(({ imageId }) => imageId).sort(), [first, second].sort());
    const base = (await api.getImage(busyboxImage).inspect()).Size;
    for (const { bytes, engine, createdAt } of images) {
      assert.ok(bytes > base + 3 * mib && engine === 'default');
      assert.ok(Math.abs(createdAt.getTime() - Date.now()) < 600_000);
    }
    const { imageBytes, ownBytes, disk, cacheBytes } = await roomOf();
    assert.equal(imageBytes, base + 6 * mib);
    assert.deepEqual([ownBytes.get(first), ownBytes.get(second)], [2 * mib, mib]);
    assert.ok(disk !== null && disk.freeBytes > 0 && path.isAbsolute(disk.folder));
    assert.equal(cacheBytes, null);
    for (const image of images) assert.equal(await docker.removeImage(image), 'removed');
    assert.deepEqual(await mine(), []);
    assert.deepEqual([await isThere(first), await isThere(second)], [false, false]);
    assert.equal((await roomOf()).imageBytes, 0);
  });

  test('that a container is made of stay, also when it does not run', async () => {
    const imageId = await build('used', fill('used', 1));
    const image = { engine: 'default', imageId };
    const labels = { [labelOf.instance]: instance };
    const container = await api.createContainer({ Image: imageId, Cmd: ['sleep', '60'], Labels: labels });
    assert.equal(await docker.removeImage(image), 'used');
    await container.start();
    assert.equal(await docker.removeImage(image), 'used');
    assert.equal(await isThere(`apphub/${instance}:used`), true, 'it has its name still');
    await container.remove({ force: true });
    assert.equal(await docker.removeImage(image), 'removed');
    assert.equal(await isThere(imageId), false);
    assert.equal(await docker.removeImage(image), 'removed', 'a second time does nothing');
  });

  test('with several names, and one that others stand on, are gone as images', async () => {
    const imageId = await build('base', fill('base', 1));
    await api.getImage(imageId).tag({ repo: `apphub/${instance}`, tag: 'other' });
    await api.getImage(imageId).tag({ repo: `apphub/${instance}-other`, tag: 'name' });
    const directory = await folderOf({ Dockerfile: `FROM apphub/${instance}:base\n${fill('top', 1)}\n` });
    const child = await docker.buildImage({
      directory,
      dockerfilePath: 'Dockerfile',
      tag: `apphub/${instance}:child`,
      labels: { [labelOf.app]: 'hello', [labelOf.build]: 'child' },
      limits,
      signal: new AbortController().signal,
      onLine: () => {},
    });
    assert.equal(await docker.removeImage({ engine: 'default', imageId }), 'removed');
    assert.deepEqual(await mine(), ['image child']);
    assert.equal(await docker.removeImage({ engine: 'default', imageId: child.imageId }), 'removed');
    assert.deepEqual([await isThere(child.imageId), await isThere(imageId)], [false, false]);
  });

  test('of failed builds are what their last good step made, and the next attempt goes on there', async () => {
    await fails('failed', fill('kept', 2), 'RUN exit 3');
    assert.deepEqual(await mine(), ['leftover failed']);
    const [left] = await docker.listImages();
    assert.ok(left !== undefined && (await roomOf()).imageBytes > 2 * mib);
    const imageId = await build('mended', fill('kept', 2), 'RUN exit 0');
    const history = await api.getImage(imageId).history();
    assert.ok(
      (await api.getImage(left.imageId).history()).every(({ Id }: { Id: string }) =>
        Id === '<missing>' ? true : history.some((one: { Id: string }) => one.Id === Id),
      ),
      'the step was not made again',
    );
    assert.deepEqual(await mine(), ['image mended', 'leftover failed']);
    assert.equal(await docker.removeImage(left), 'removed');
    assert.deepEqual(await mine(), ['image mended']);
    assert.equal(await docker.removeImage({ engine: 'default', imageId }), 'removed');
    assert.equal(await isThere(left.imageId), false, 'with the last that stood on it the step is gone, too');
  });

  test('of a build that succeeded leave nothing beside it', async () => {
    await build('whole', fill('whole', 1), 'RUN true', 'RUN true');
    assert.deepEqual(await mine(), ['image whole']);
    await fails('alone', fill('alone', 1), 'RUN false');
    const left = (await docker.listImages()).find(({ kind }) => kind === 'leftover');
    assert.equal(await docker.removeImage(left ?? { engine: '', imageId: '' }), 'removed');
    assert.equal(await isThere(left?.imageId ?? ''), false);
  });

  test('that a step only names are not taken for what it has made', async () => {
    const other = await build('other', fill('other', 1));
    await fails('liar', `RUN echo; echo ' ---> ${other.slice(7, 19)}'; exit 3`);
    const images = await docker.listImages();
    assert.deepEqual(
      images.filter(({ kind }) => kind === 'leftover'),
      [],
    );
    assert.equal(
      images.some(({ imageId }) => imageId === other),
      true,
    );
  });
});

suite("BuildKit's cache", () => {
  test('is measured where it is asked for, and taken until so much is left', async () => {
    const [before] = await docker.rooms({ withCache: true });
    assert.ok(before !== undefined && typeof before.cacheBytes === 'number');
    // Others build on this engine, too: nothing is taken of what is there.
    assert.equal(await docker.pruneCache('default', 2 ** 45), 0);
  });
});
