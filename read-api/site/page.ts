/** The page's files, as they are: there is no build. Libraries come out of node_modules, from a fixed list only. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyPluginAsync, FastifyReply as Reply, FastifyRequest as Request } from 'fastify';
import { Problem } from '../../platform/problem.ts';

const webDir = path.resolve(import.meta.dirname, '../../web');
const fileCharsMax = 200;
const filePattern = /^(?:[a-z0-9][a-z0-9-]*\/)*[a-z0-9][a-z0-9.-]*\.(?:js|css|svg|png|ico|webmanifest)$/;

const mediaTypes: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
};

/** What the import map of index.html names. */
const vendored: Readonly<Record<string, string>> = {
  'preact.js': 'preact/dist/preact.mjs',
  'preact-hooks.js': 'preact/hooks/dist/hooks.mjs',
  'htm.js': 'htm/dist/htm.mjs',
};

/** Paths of the page itself; everything else under the root is the API. */
const pagePaths = [
  '/',
  '/a/:appId',
  '/a/:appId/*',
  '/access',
  '/access/audit',
  '/access/usage',
  '/tables',
  '/open/:launchId',
];

export type SiteDeps = { readonly previewOrigins: string };

export function siteReads(deps: SiteDeps): FastifyPluginAsync {
  const config = { scope: 'public' } as const;
  const schema = { hide: true };
  return async app => {
    const require = createRequire(import.meta.url);
    const vendorFiles = new Map<string, Buffer>();
    for (const [name, file] of Object.entries(vendored)) {
      const [pack = '', ...rest] = file.split('/');
      // Not every package lets its package.json be resolved; its entry lies somewhere below its folder.
      const entry = require.resolve(pack);
      const folder = path.join('node_modules', pack);
      const root = entry.slice(0, entry.lastIndexOf(folder) + folder.length);
      vendorFiles.set(name, await readFile(path.join(root, ...rest)));
    }
    for (const url of pagePaths) {
      app.get(url, { config, schema }, async (_request, reply) => {
        const page = await readFile(path.join(webDir, 'index.html'), 'utf8');
        return reply
          .type('text/html; charset=utf-8')
          .header('cache-control', 'no-cache')
          .header('content-security-policy', policyFor(page, deps.previewOrigins))
          .send(page);
      });
    }
    app.get<{ Params: { name: string } }>(
      '/vendor/:name',
      {
        config,
        schema: { ...schema, params: Type.Object({ name: Type.String({ maxLength: fileCharsMax }) }) },
      },
      async (request, reply) => {
        const bytes = vendorFiles.get(request.params.name);
        if (bytes === undefined) throw new Problem(404, 'not-found', 'There is no such library');
        return send(request, reply, '.js', bytes);
      },
    );
    app.get<{ Params: { '*': string } }>(
      '/web/*',
      {
        config,
        schema: { ...schema, params: Type.Object({ '*': Type.String({ maxLength: fileCharsMax }) }) },
      },
      async (request, reply) => {
        const name = request.params['*'];
        if (!filePattern.test(name) || name.includes('..')) throw notThere();
        const bytes = await readFile(path.join(webDir, name)).catch(() => undefined);
        if (bytes === undefined) throw notThere();
        return send(request, reply, path.extname(name), bytes);
      },
    );
  };
}

const notThere = () => new Problem(404, 'not-found', 'The page has no such file');

/** Files are small and asked for once a visit; the browser keeps them and asks whether they have changed. */
function send({ headers }: Request, reply: Reply, extension: string, bytes: Buffer) {
  // Weak: the same file is one file, packed or not (RFC 9110 8.8.1).
  const etag = `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`;
  reply.headers({ 'cache-control': 'no-cache', vary: 'accept-encoding', etag });
  if (headers['if-none-match'] === etag) return reply.code(304).send();
  reply.type(mediaTypes[extension] ?? 'application/octet-stream');
  const isPacked = extension !== '.png' && /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''));
  return isPacked ? reply.header('content-encoding', 'gzip').send(gzipSync(bytes)) : reply.send(bytes);
}

/** Nothing from elsewhere runs in the page; of its own only files, and the inline import map by its hash (CSP 3). */
function policyFor(page: string, previewOrigins: string): string {
  const inline = [...page.matchAll(/<script[^>]*type="importmap"[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
  );
  return [
    "default-src 'none'",
    `script-src 'self' ${inline.join(' ')}`.trim(),
    "style-src 'self'",
    "img-src 'self' https: data:",
    "media-src 'self' https:",
    `connect-src 'self' ${previewOrigins}`,
    `frame-src ${previewOrigins} https:`,
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
