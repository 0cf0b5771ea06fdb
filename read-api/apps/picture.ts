/** Pictures that were found in repositories, by the checksum of their bytes: what is there never changes. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type Objects, pictureKey } from '../../platform/objects.ts';

export function pictureReads(deps: { objects: Objects }): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/pictures/:sha256',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['apps'],
          summary: 'A picture of an app',
          params: Type.Object({ sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) }),
        },
      },
      async (request, reply) => {
        const { sha256 } = request.params;
        const found = await deps.objects.get(pictureKey(sha256));
        if (found === undefined) throw new Refusal('not-found', { sha256 });
        return reply
          .type(found.contentType)
          .header('content-length', found.bytes)
          .header('cache-control', 'public, max-age=31536000, immutable')
          .header('etag', `"${sha256}"`)
          .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
          .header('cross-origin-resource-policy', 'same-origin')
          .send(found.stream);
      },
    );
  };
}
