/** The page's files as they are served: nothing else, and with a policy that lets nothing foreign run. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { httpServer } from '../../../platform/http.ts';
import { siteReads } from '../../../read-api/site/page.ts';

const app = await httpServer({
  logger: undefined,
  credentials: { identify: async () => undefined },
  version: '0',
});
await app.register(siteReads({ previewOrigins: 'http://*.localhost:4000' }));
after(() => app.close());

suite('the page', () => {
  test('is the same at every address of it', async () => {
    const [home, deep] = await Promise.all([app.inject('/'), app.inject('/a/some-app/builds/1')]);
    assert.equal(home.statusCode, 200);
    assert.equal(home.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(home.body, deep.body);
    for (const place of ['/access', '/access/audit', '/access/usage'])
      assert.equal((await app.inject(place)).body, home.body);
  });

  test('runs no script but its own files and what the document holds itself, and frames only previews', async () => {
    const { body, headers } = await app.inject('/');
    const policy = String(headers['content-security-policy']);
    const [early, map, ...more] = [...body.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)]
      .filter(([, attributes = '']) => !attributes.includes('src='))
      .map(([, attributes, text = '']) => ({
        attributes,
        hash: `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
      }));
    assert.deepEqual([early?.attributes, map?.attributes, more], ['', ' type="importmap"', []]);
    assert.match(policy, /default-src 'none'/);
    assert.ok(policy.includes(`script-src 'self' ${early?.hash} ${map?.hash};`), policy);
    assert.ok(policy.includes('frame-src http://*.localhost:4000'), policy);
    assert.doesNotMatch(policy, /unsafe/);
    assert.doesNotMatch(body, /\sstyle=|\son[a-z]+=/);
  });

  test('has everything that it names, and everything that its files import', async () => {
    const seen = new Set<string>();
    const visit = async (url: string): Promise<void> => {
      if (seen.has(url)) return;
      seen.add(url);
      const { statusCode, headers, body } = await app.inject(url);
      assert.equal(statusCode, 200, url);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      if (!url.endsWith('.js')) return;
      assert.match(String(headers['content-type']), /^text\/javascript/);
      const imports = [...body.matchAll(/^(?:import|export)[^;]*?from\s*['"](\.[^'"]+)['"]/gm)];
      await Promise.all(imports.map(([, from = '']) => visit(new URL(from, `http://x${url}`).pathname)));
    };
    const { body } = await app.inject('/');
    const named = [...body.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map(([, url = '']) => url);
    const mapped = [...body.matchAll(/: "(\/web\/[^"]+)"/g)].map(([, url = '']) => url);
    await Promise.all([...named, ...mapped].map(visit));
    assert.ok(seen.size > 40, `only ${seen.size} files seen`);
  });

  test('is asked for once: its files are of a version, and kept as long as it is this one', async () => {
    const { body, headers } = await app.inject('/');
    assert.equal(headers['cache-control'], 'no-cache');
    const named = [...body.matchAll(/"(\/web\/[^"]+)"/g)].map(([, url = '']) => url);
    const [version = ''] = new Set(named.map(url => url.split('/')[2]));
    assert.match(version, /^~[\w-]{16}$/);
    for (const url of named) {
      assert.ok(url.startsWith(`/web/${version}/`), url);
      assert.match(String((await app.inject(url)).headers['cache-control']), /max-age=31536000, immutable/);
    }
    for (const url of ['/web/main.js', '/web/~older/main.js']) {
      const first = await app.inject(url);
      assert.equal(first.headers['cache-control'], 'no-cache', url);
      assert.match(first.body, /startRouter/);
      const again = { url, headers: { 'if-none-match': String(first.headers.etag) } };
      const second = await app.inject(again);
      assert.deepEqual([second.statusCode, second.body], [304, '']);
    }
  });

  test('is packed for those who can unpack it', async () => {
    const plain = await app.inject('/web/main.js');
    const packed = await app.inject({ url: '/web/main.js', headers: { 'accept-encoding': 'br, gzip' } });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.deepEqual(gunzipSync(packed.rawPayload), plain.rawPayload);
    assert.equal(packed.headers.etag, plain.headers.etag);
  });

  for (const path of [
    '/web/../package.json',
    '/web/%2e%2e/package.json',
    '/web/..%2fpackage.json',
    '/web/tsconfig.json',
    '/web/lib/shapes.d.ts',
    '/web/none.js',
    '/web/vendor/knex.js',
    '/web/vendor/..%2f..%2fpackage.json',
    '/web/~x/~x/main.js',
    '/web/~x/..%2fmain.js',
    '/web/index.html',
  ]) {
    test(`nothing else is served: ${path}`, async () => {
      assert.equal((await app.inject(path)).statusCode, 404);
    });
  }
});
