/** Objects in a folder and in S3: the same promises either way. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, suite, test } from 'node:test';
import S3rver from 's3rver';
import {
  type Objects,
  openFolderObjects,
  pictureKey,
  putPicture,
  requireKey,
} from '../../platform/objects.ts';
import { openObjects } from '../../workers/adapters/objects.ts';

function promises(name: string, open: () => Promise<Objects>): void {
  suite(name, async () => {
    const objects = await open();
    const read = async (key: string) => {
      const found = await objects.get(key);
      if (found === undefined) return undefined;
      const bytes = await buffer(found.stream);
      assert.equal(found.bytes, bytes.length);
      return { text: bytes.toString(), contentType: found.contentType };
    };

    test('what was put is there, with its type; what was not, is not', async () => {
      assert.deepEqual([await objects.has('a/b.txt'), await read('a/b.txt')], [false, undefined]);
      await objects.put('a/b.txt', Buffer.from('größe'), { contentType: 'text/plain; charset=utf-8' });
      assert.equal(await objects.has('a/b.txt'), true);
      assert.deepEqual(await read('a/b.txt'), { text: 'größe', contentType: 'text/plain; charset=utf-8' });
      await objects.put('a/b.txt', new Uint8Array(0), { contentType: 'image/png' });
      assert.deepEqual(await read('a/b.txt'), { text: '', contentType: 'image/png' });
      await objects.remove('a/b.txt');
      assert.deepEqual([await objects.has('a/b.txt'), await read('a/b.txt')], [false, undefined]);
      await objects.remove('a/b.txt');
    });

    test('many at once, and large ones, come back as they went', async () => {
      const large = Buffer.alloc(3_000_000, 'large');
      await Promise.all([
        ...Array.from({ length: 20 }, (_, at) =>
          objects.put(`many/${at}`, Buffer.from(`${at}`), { contentType: 'a/b' }),
        ),
        objects.put('large', large, { contentType: 'a/b' }),
        objects.put('same', Buffer.from('same'), { contentType: 'a/b' }),
        objects.put('same', Buffer.from('same'), { contentType: 'a/b' }),
      ]);
      for (let at = 0; at < 20; at += 1) assert.equal((await read(`many/${at}`))?.text, String(at));
      assert.equal((await read('large'))?.text, large.toString());
      assert.equal((await read('same'))?.text, 'same');
    });

    test('from a byte on, and nothing where it has not so many', async () => {
      await objects.put('part', Buffer.from('0123456789'), { contentType: 'a/b' });
      const from = async (byte: number) => {
        const found = await objects.get('part', byte);
        const bytes = found === undefined ? Buffer.alloc(0) : await buffer(found.stream);
        assert.equal(found?.bytes, bytes.length);
        return bytes.toString();
      };
      assert.deepEqual(
        [await from(0), await from(7), await from(9), await from(10), await from(99)],
        ['0123456789', '789', '9', '', ''],
      );
      assert.equal(await objects.get('not-there', 3), undefined);
    });

    test('all whose keys begin so are listed in order', async () => {
      const put = (key: string) => objects.put(key, Buffer.from(key), { contentType: 'a/b' });
      const names = Array.from({ length: 120 }, (_, at) => `list/b/${String(at).padStart(5, '0')}`);
      for (let at = 0; at < names.length; at += 50) await Promise.all(names.slice(at, at + 50).map(put));
      await Promise.all(['list/a', 'list/aa', 'list/b0', 'list/c/d/e', 'lis', 'listless'].map(put));
      const listed = async (prefix: string) => {
        const keys: string[] = [];
        for await (const { key, bytes, changedAt } of objects.list(prefix)) {
          keys.push(key);
          assert.equal(bytes, key.length);
          assert.ok(Math.abs(changedAt.getTime() - Date.now()) < 600_000);
        }
        return keys;
      };
      assert.deepEqual(await listed('list/'), ['list/a', 'list/aa', ...names, 'list/b0', 'list/c/d/e']);
      assert.deepEqual(await listed('list/b/0011'), names.slice(110));
      assert.deepEqual(await listed('list/c/d'), ['list/c/d/e']);
      assert.deepEqual(await listed('nothing/'), []);
    });

    test('a file of any size is put as its bytes would be, and nothing else is left of it', async () => {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-file-'));
      after(() => rm(folder, { recursive: true, force: true }));
      const file = path.join(folder, 'file');
      for (const bytes of [0, 1_000, 20_000_003]) {
        const content = Buffer.alloc(bytes, 'a file of some length ');
        await writeFile(file, content);
        await objects.putFile('files/one', file, { contentType: 'application/zstd' });
        const found = await objects.get('files/one');
        assert.ok(found !== undefined);
        assert.deepEqual([found.bytes, found.contentType], [bytes, 'application/zstd']);
        assert.ok(content.equals(await buffer(found.stream)));
        await objects.remove('files/one');
        assert.equal(await objects.has('files/one'), false);
      }
      await assert.rejects(objects.putFile('files/two', path.join(folder, 'none'), { contentType: 'a/b' }));
      assert.equal(await objects.has('files/two'), false);
    });

    test('a key is plain names with slashes between them, and leads nowhere else', async () => {
      const bad = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        '../a',
        'a/../../b',
        '.hidden',
        'a/.b',
        'a b',
        'ä',
        'a\0',
        'a\\b',
        'a~type',
        '~',
        'x'.repeat(513),
      ];
      for (const key of bad) {
        await assert.rejects(async () => objects.get(key), /not the key of an object/, key);
        await assert.rejects(
          async () => objects.put(key, Buffer.from(''), { contentType: 'a/b' }),
          /not the key/,
        );
        await assert.rejects(async () => objects.has(key), /not the key/);
        await assert.rejects(async () => objects.remove(key), /not the key/);
      }
      assert.equal(requireKey('a/B-1_2.x/y'), 'a/B-1_2.x/y');
    });

    test('a picture is stored under what it is, once', async () => {
      const bytes = Buffer.from('a picture');
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      assert.equal(await putPicture(objects, bytes, 'image/png'), sha256);
      assert.equal(await putPicture(objects, bytes, 'image/gif'), sha256);
      assert.deepEqual(await read(pictureKey(sha256)), { text: 'a picture', contentType: 'image/png' });
      for (const no of ['', 'x', sha256.toUpperCase(), `${sha256}0`]) assert.throws(() => pictureKey(no));
    });
  });
}

suite('objects', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-objects-'));
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
  const openS3 = (bucket: string, prefix = '') =>
    openObjects({
      s3: {
        bucket,
        prefix,
        endpoint: `http://127.0.0.1:${port}`,
        credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
      },
    });

  promises('in a folder', async () => openObjects({ folder: path.join(folder, 'files') }));
  promises('in S3', async () => openS3('bucket', 'apphub/'));

  test('in a folder: drafts are not seen, and what is beside an object is none', async () => {
    const root = path.join(folder, 'odd');
    const objects = openFolderObjects(root);
    await objects.put('dir/file', Buffer.from('x'), { contentType: 'a/b' });
    assert.deepEqual(
      (await readdir(path.join(root, 'dir'))).sort(),
      ['file', 'file~type'],
      'no draft is left',
    );
    assert.equal(await objects.get('dir'), undefined, 'a folder is no object');
    assert.equal(await objects.has('dir'), false);
    assert.equal(await objects.get('dir/file/deeper'), undefined);
    assert.equal(await objects.has('dir/file/deeper'), false);
    await writeFile(path.join(root, 'untyped'), 'y');
    const untyped = await objects.get('untyped');
    assert.equal(untyped?.contentType, 'application/octet-stream');
    untyped?.stream.destroy();
    for (const contentType of ['', 'a\nb', 'ä/b', 'x'.repeat(129)]) {
      await assert.rejects(objects.put('typed', Buffer.from(''), { contentType }), /not a content type/);
    }
    await mkdir(path.join(root, 'taken'));
    await assert.rejects(objects.put('taken', Buffer.from('x'), { contentType: 'a/b' }));
    assert.deepEqual(
      (await readdir(root)).filter(name => name.startsWith('.draft')),
      [],
    );
  });

  test('in S3: what does not fit in one answer is asked for page by page', async t => {
    const asked: (string | null)[] = [];
    const server = createServer((request, response) => {
      const token = new URL(request.url ?? '', 'http://x').searchParams.get('continuation-token');
      asked.push(token);
      const more = token === null ? '<NextContinuationToken>n/1</NextContinuationToken>' : '';
      const key = token === null ? 'logs/a/1' : 'logs/b/2';
      response
        .setHeader('content-type', 'application/xml')
        .end(`<?xml version="1.0"?><ListBucketResult>${more}
        <Contents><Key>apphub/${key}</Key><Size>7</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>
        </Contents></ListBucketResult>`);
    }).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
    const objects = openObjects({ s3: { bucket: 'bucket', prefix: 'apphub/', endpoint, credentials } });
    const found: unknown[] = [];
    for await (const one of objects.list('logs/')) found.push(one);
    const changedAt = new Date('2026-01-01T00:00:00.000Z');
    assert.deepEqual(found, [
      { key: 'logs/a/1', bytes: 7, changedAt },
      { key: 'logs/b/2', bytes: 7, changedAt },
    ]);
    assert.deepEqual(asked, [null, 'n/1']);
  });

  test('in S3: a bucket that is not there is an error, and not an absent object', async () => {
    const objects = openS3('nowhere');
    await assert.rejects(objects.get('a'), { name: 'NoSuchBucket' });
    await assert.rejects(objects.put('a', Buffer.from(''), { contentType: 'a/b' }));
  });
});
