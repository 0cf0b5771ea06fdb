/** The page at each of its addresses, its files, and the policy they run under. */
import { createHash } from 'node:crypto';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyPluginAsync, FastifyReply as Reply, FastifyRequest as Request } from 'fastify';
import { Problem } from '../../platform/problem.ts';
import { type SiteFile, siteFiles } from './files.ts';

const fileCharsMax = 200;
/** A year, in which nobody asks again, not even by reloading (RFC 8246). */
const forever = 'public, max-age=31536000, immutable';

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
  const site = siteFiles();
  return async app => {
    // A file that is missing is told at the start.
    await site();
    for (const url of pagePaths) {
      app.get(url, { config, schema }, async (_request, reply) => {
        const { page } = await site();
        return reply
          .type('text/html; charset=utf-8')
          .header('cache-control', 'no-cache')
          .header('content-security-policy', policyFor(page, deps.previewOrigins))
          .send(page);
      });
    }
    app.get<{ Params: { '*': string } }>(
      '/web/*',
      {
        config,
        schema: { ...schema, params: Type.Object({ '*': Type.String({ maxLength: fileCharsMax }) }) },
      },
      async (request, reply) => {
        const { version, files } = await site();
        const [, asked, name = ''] = /^(?:~([^/]*)\/)?(.*)$/.exec(request.params['*']) ?? [];
        const file = files.get(name);
        if (file === undefined) throw new Problem(404, 'not-found', 'The page has no such file');
        // Of another version there is no promise: a process beside this one, of an older or newer program, has named it.
        return send(request, reply, file, asked === version);
      },
    );
  };
}

/** What is kept for ever is asked for once; of the rest the browser asks whether it has changed. */
function send({ headers }: Request, reply: Reply, file: SiteFile, isForever: boolean) {
  const { etag, type, bytes } = file;
  reply.headers({ 'cache-control': isForever ? forever : 'no-cache', vary: 'accept-encoding', etag });
  if (headers['if-none-match'] === etag) return reply.code(304).send();
  reply.type(type);
  const isPacked = type !== 'image/png' && /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''));
  return isPacked ? reply.header('content-encoding', 'gzip').send(file.packed()) : reply.send(bytes);
}

/** Nothing from elsewhere runs in the page; of its own only files, and what stands in the document itself by its hash (CSP 3). */
function policyFor(page: string, previewOrigins: string): string {
  const inline = [...page.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
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
