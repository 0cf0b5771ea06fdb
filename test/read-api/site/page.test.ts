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

  test('runs no script but its own files and its import map, and frames only previews', async () => {
    const { body, headers } = await app.inject('/');
    const policy = String(headers['content-security-policy']);
    const map = /<script type="importmap">([\s\S]*?)<\/script>/.exec(body)?.[1] ?? '';
    const hash = createHash('sha256').update(map).digest('base64');
    assert.match(policy, /default-src 'none'/);
    assert.ok(policy.includes(`script-src 'self' 'sha256-${hash}'`), policy);
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
    const mapped = [...body.matchAll(/: "(\/vendor\/[^"]+)"/g)].map(([, url = '']) => url);
    await Promise.all([...named, ...mapped].map(visit));
    assert.ok(seen.size > 40, `only ${seen.size} files seen`);
  });

  test('is asked for once: a file that has not changed is not sent again', async () => {
    const first = await app.inject('/web/main.js');
    const etag = String(first.headers.etag);
    const second = await app.inject({ url: '/web/main.js', headers: { 'if-none-match': etag } });
    assert.equal(second.statusCode, 304);
    assert.equal(second.body, '');
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
    '/vendor/knex.js',
    '/vendor/..%2f..%2fpackage.json',
  ]) {
    test(`nothing else is served: ${path}`, async () => {
      assert.equal((await app.inject(path)).statusCode, 404);
    });
  }
});
