import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, suite, test } from 'node:test';
import { setOwner, tarHeaders } from '../../../workers/adapters/tar-headers.ts';

const longName = 'n'.repeat(180);

/** In pieces of that size, as a socket may give them. */
function* pieces(bytes: Buffer, size: number): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

suite('a tar stream on its way', () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-tar-'));
  after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(path.join(root, 'data/a'), { recursive: true });
  writeFileSync(path.join(root, 'data/a/one'), 'x'.repeat(700));
  writeFileSync(path.join(root, 'data/a', longName), 'y');
  writeFileSync(path.join(root, 'data/empty'), '');
  writeFileSync(path.join(root, 'data/holes'), '');
  truncateSync(path.join(root, 'data/holes'), 5_000);
  symlinkSync('/etc/passwd', path.join(root, 'data/link'));
  const made = (...options: string[]) =>
    execFileSync('tar', ['-C', root, '-c', ...options, 'data'], { maxBuffer: 1024 * 1024 });
  const listed = (tar: Buffer) =>
    execFileSync('tar', ['-tv', '--numeric-owner'], { input: tar }).toString().trim().split('\n');

  for (const format of ['gnu', 'pax', 'ustar'] as const) {
    test(`of the format ${format} is passed on as it is, and its files are counted`, async () => {
      // A name of more than a hundred characters has a place in ustar only where it can be split.
      const tar =
        format === 'ustar' ? made(`--format=${format}`, `--exclude=${longName}`) : made(`--format=${format}`);
      const names = format === 'ustar' ? 6 : 7;
      for (const size of [1, 511, 512, 513, 10_240]) {
        let bytes = 0;
        let entries = 0;
        const scan = tarHeaders(header => {
          if (header.isExtra) return;
          bytes += header.size;
          entries += 1;
        });
        const out = await buffer(Readable.from(pieces(tar, size)).pipe(scan));
        assert.ok(out.equals(tar), `in pieces of ${size}`);
        assert.deepEqual([entries, bytes], [names, format === 'ustar' ? 5_700 : 5_701]);
      }
    });
  }

  test('is given to another owner', async () => {
    const tar = made('--format=gnu', '--owner=root:0', '--group=root:0', '--numeric-owner');
    for (const owner of [
      { uid: 65_534, gid: 1_000 },
      { uid: 3_000_000_000, gid: 7 },
    ]) {
      const change = tarHeaders(header => setOwner(header, owner));
      const lines = listed(await buffer(Readable.from(pieces(tar, 700)).pipe(change)));
      assert.equal(lines.length, 7);
      for (const line of lines) assert.match(line, new RegExp(` ${owner.uid}/${owner.gid} `));
    }
  });

  test('that breaks off, or is none, is an error', async () => {
    const tar = made();
    const short = Readable.from([tar.subarray(0, 2_600)]).pipe(tarHeaders(() => undefined));
    await assert.rejects(buffer(short), /ends in the middle/);
    const noise = Readable.from([Buffer.alloc(512, 'z')]).pipe(tarHeaders(() => undefined));
    await assert.rejects(buffer(noise), /no archive/);
  });
});
