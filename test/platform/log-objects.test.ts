/** Logs as objects, in a folder and in S3: the same promises as in files, for readers on other machines. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, suite, test } from 'node:test';
import S3rver from 's3rver';
import { openObjectLogStore } from '../../platform/log-objects.ts';
import { type Objects, openFolderObjects } from '../../platform/objects.ts';
import { openObjects } from '../../workers/adapters/objects.ts';
import { logStorePromises } from './log-store-suite.ts';

const root = path.resolve(import.meta.dirname, '../..');
const never = new AbortController().signal;
const text = { contentType: 'text/plain' };

/** The last chunk, with this behind it. */
async function tear(objects: Objects, id: string, more: string): Promise<void> {
  const key = `logs/${id}/00000000`;
  const found = await objects.get(key);
  const before = found === undefined ? Buffer.alloc(0) : await buffer(found.stream);
  await objects.put(key, Buffer.concat([before, Buffer.from(more)]), text);
}

suite('logs as objects', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-log-objects-'));
  const s3 = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory: path.join(folder, 's3'),
    configureBuckets: [{ name: 'bucket', configs: [] }],
  });
  const { port } = await s3.run();
  after(async () => {
    await s3.close();
    await rm(folder, { recursive: true });
  });
  const options = {
    s3: {
      bucket: 'bucket',
      prefix: 'apphub/',
      endpoint: `http://127.0.0.1:${port}`,
      credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    },
  };
  const files = path.join(folder, 'files');
  const inFolder = openFolderObjects(files);
  const inS3 = openObjects(options);
  const imports = `import { openObjectLogStore } from ${JSON.stringify(path.join(root, 'platform/log-objects.ts'))};
    import { openObjects } from ${JSON.stringify(path.join(root, 'workers/adapters/objects.ts'))};`;
  const sourceOf = (where: object) =>
    `${imports} const store = openObjectLogStore(openObjects(${JSON.stringify(where)}));`;

  logStorePromises('in a folder', {
    open: limits => openObjectLogStore(inFolder, limits),
    source: sourceOf({ folder: files }),
    tear: (id, more) => tear(inFolder, id, more),
  });
  logStorePromises('in S3', {
    open: limits => openObjectLogStore(inS3, limits),
    source: sourceOf(options),
    tear: (id, more) => tear(inS3, id, more),
  });

  test('a store that is away for a moment costs a moment; one that stays away costs the rest of the log', async () => {
    let failures = 2;
    const flaky: Objects = {
      ...inFolder,
      async put(key, bytes, type) {
        if (failures-- > 0) throw new Error('the store is away');
        return inFolder.put(key, bytes, type);
      },
    };
    const logs = openObjectLogStore(flaky, {}, 1);
    const writer = await logs.writer('flaky');
    await writer.write('kept');
    assert.deepEqual(await writer.close(), { lines: 1, bytes: 5, truncated: false });
    assert.equal((await buffer(logs.follow('flaky', 0, never))).toString(), 'kept\n');

    const again = await logs.writer('flaky');
    failures = 5;
    await again.write('lost');
    assert.equal((await again.close()).truncated, true);
    const part = await logs.read('flaky', 5);
    assert.deepEqual([part?.bytes.length, part?.ended], [0, true], 'readers do not wait for what was lost');
  });

  test('what is followed is looked at more and more seldom while nothing comes', async () => {
    let looks = Number.NEGATIVE_INFINITY;
    const fourth = Promise.withResolvers<void>();
    const counted: Objects = {
      ...inFolder,
      get: (key, from) => {
        if (key.endsWith('/00000000') && ++looks === 4) fourth.resolve();
        return inFolder.get(key, from);
      },
    };
    const logs = openObjectLogStore(counted);
    const writer = await logs.writer('silent');
    await writer.write('x');
    const leave = new AbortController();
    const iterator = logs.follow('silent', 0, leave.signal)[Symbol.asyncIterator]();
    await iterator.next();
    await writer.close();
    await inFolder.remove('logs/silent/end');
    looks = 0;
    const begun = performance.now();
    const next = iterator.next();
    await fourth.promise;
    // After 0.5, 1, 1.75 and 2.9 s. No timer is early, whatever the machine does.
    const tookMs = performance.now() - begun;
    leave.abort();
    await next;
    assert.ok(tookMs > 2_500, `${tookMs} ms`);
  });
});
