import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { suite, test } from 'node:test';
import { type TarEntry, untar } from '../../../workers/adapters/docker-archive.ts';

/** One entry as a tar program writes it. */
function entry(name: string, type: string, content = '', link = ''): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'utf8');
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write(type, 156);
  header.write(link, 157);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([header, body]);
}

async function entriesOf(stream: AsyncIterable<unknown>, bytesMax = 1_000): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  for await (const one of untar(stream, bytesMax)) entries.push(one);
  return entries;
}

/** The same bytes in pieces of any size. */
const inPieces = (bytes: Buffer, size: number) =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    ),
  );

suite('an archive', () => {
  const archive = Buffer.concat([
    entry('etc/', '5'),
    entry('pax', 'x', '30 path=a long name that counts for nothing'),
    entry('etc/passwd', '0', 'root:x:0:0\n'),
    entry('etc/mtab', '2', '', '../proc/mounts'),
    entry('etc/long', '0', 'x'.repeat(1_500)),
    entry('etc/last', '0', 'end'),
    Buffer.alloc(1024),
  ]);
  const file = (text: string) => ({ kind: 'file', content: Buffer.from(text) });

  test('is read entry by entry, however its bytes come', async () => {
    for (const size of [1, 7, 511, 512, 513, archive.length]) {
      assert.deepEqual(await entriesOf(inPieces(archive, size)), [
        { kind: 'other' },
        file('root:x:0:0\n'),
        { kind: 'link', link: '../proc/mounts' },
        file('x'.repeat(1_000)),
        file('end'),
      ]);
    }
  });

  test('that is cut off ends there', async () => {
    assert.deepEqual(await entriesOf(inPieces(archive.subarray(0, 700), 100)), [{ kind: 'other' }]);
    assert.deepEqual(await entriesOf(Readable.from([])), []);
  });

  test('is left when enough was seen', async () => {
    const endless = new PassThrough();
    endless.write(archive.subarray(0, 512));
    for await (const one of untar(endless, 10)) {
      assert.deepEqual(one, { kind: 'other' });
      break;
    }
    if (!endless.closed) await once(endless, 'close');
    assert.ok(endless.destroyed);
  });
});
