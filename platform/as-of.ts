/**
 * Which requests may ask for an earlier time with `?asOf=`. A route says so by having it in its query string; everything else is
 * refused, since an answer of the present that is taken for one of the past is worse than none.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Why this is answered for the present only; a sentence. */
    nowOnly?: string;
  }
}

export function refuseAsOf(app: FastifyInstance): void {
  app.addHook('preValidation', async request => {
    if (!asksForPast(request) || request.is404) return;
    const { config, schema } = request.routeOptions;
    const query = (schema as { querystring?: { properties?: object } } | undefined)?.querystring;
    if (Object.hasOwn(query?.properties ?? {}, 'asOf')) return;
    const isRead = ['GET', 'HEAD'].includes(request.method);
    throw new Problem(400, 'as-of-unsupported', 'There is no asking for an earlier time here', {
      detail:
        config.nowOnly ??
        (isRead ? 'It does not answer from what is kept by time.' : 'The past is read only.'),
    });
  });
}

const asksForPast = ({ query }: FastifyRequest) => Object.hasOwn((query as object | null) ?? {}, 'asOf');
