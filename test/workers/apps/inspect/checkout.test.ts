import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import { foldersUpFrom, openCheckout } from '../../../../workers/apps/inspect/checkout.ts';
import { withFolder } from '../../../support/checkout-folder.ts';

suite('reading a checkout', () => {
  test('stays inside, whatever a link or a name says', async () => {
    const outside = mkdtempSync(path.join(os.tmpdir(), 'apphub-outside-'));
    writeFileSync(path.join(outside, 'secret'), 'secret');
    const files = {
      '.git/config': 'secret',
      absolute: { link: path.join(outside, 'secret') },
      folder: { link: outside },
      relative: { link: `../${path.basename(outside)}/secret` },
      chain: { link: 'folder/secret' },
      loop: { link: 'loop' },
      git: { link: '.git/config' },
      inside: { link: 'dir/plain' },
      'dir/plain': 'plain',
    };
    try {
      await withFolder(files, async folder => {
        const checkout = await openCheckout(folder);
        const names = [
          'absolute',
          'folder/secret',
          'relative',
          'chain',
          'loop',
          'git',
          '.git/config',
          'dir',
          'none',
          'a\0b',
        ];
        for (const name of [...names, `../${path.basename(outside)}/secret`, path.join(outside, 'secret')]) {
          assert.equal(await checkout.readText(name, 100), null, name);
          assert.equal(await checkout.hasFile(name), false, name);
        }
        assert.equal(await checkout.readText('inside', 100), 'plain');
        assert.deepEqual(await checkout.list('folder'), []);
        assert.ok(!(await checkout.list('')).some(({ name }) => name === '.git'));
      });
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test('reads nothing longer than told and does not wait at a pipe', async () => {
    await withFolder({ a: '12345' }, async folder => {
      execFileSync('env', ['mkfifo', path.join(folder, 'pipe')]);
      const checkout = await openCheckout(folder);
      assert.equal(await checkout.readText('a', 5), '12345');
      assert.equal(await checkout.readText('a', 4), null);
      assert.equal(await checkout.readText('pipe', 100), null);
    });
  });

  test('a folder that is not there is a failure', async () => {
    await assert.rejects(openCheckout('/nonexistent/checkout'), { code: 'not-a-checkout' });
  });

  test('folders are named from the nearest to the root', () => {
    assert.deepEqual(foldersUpFrom('a/b/Dockerfile'), ['a/b', 'a', '']);
    assert.deepEqual(foldersUpFrom('Dockerfile'), ['']);
  });
});
