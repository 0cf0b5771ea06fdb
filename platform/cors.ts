/**
 * Which pages of other origins may read answers (CORS, Fetch standard): those that are named, whole, and no other. They come
 * with a token of their own; a cookie is never let through, as answers to them do not allow credentials.
 */
import type { FastifyInstance } from 'fastify';

const preflightSecondsMax = 600;
const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const requestFields = 'authorization, content-type, idempotency-key';
const answerFields = 'location, retry-after, ratelimit, ratelimit-policy, x-apphub-next-offset';

export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'origin');
    const { origin, 'access-control-request-method': asked } = request.headers;
    if (origin === undefined || !origins.includes(origin)) return;
    reply.header('access-control-allow-origin', origin);
    reply.header('access-control-expose-headers', answerFields);
    reply.header('cross-origin-resource-policy', 'cross-origin');
    if (request.method !== 'OPTIONS' || asked === undefined) return;
    reply.header('access-control-allow-methods', methods);
    reply.header('access-control-allow-headers', requestFields);
    reply.header('access-control-max-age', preflightSecondsMax);
    return reply.code(204).send();
  });
}
