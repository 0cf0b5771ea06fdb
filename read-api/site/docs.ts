/** The API described: OpenAPI 3.1 for machines, and the same as a page for people. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { renderApi } from './render-api.ts';

const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/** `describe` answers the document; it is complete once every route is registered. */
export function docsReads(deps: { describe: () => object }): FastifyPluginAsyncTypebox {
  const config = { scope: 'public' } as const;
  const schema = { hide: true };
  return async app => {
    app.get('/openapi.json', { config, schema }, async (_request, reply) =>
      reply.type('application/json').send(JSON.stringify(deps.describe())),
    );
    app.get('/docs', { config, schema }, async (_request, reply) =>
      reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', policy)
        .send(renderApi(deps.describe() as never)),
    );
  };
}
