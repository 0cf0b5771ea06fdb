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

/** Whether the answer of its route is of another time when it is asked for. */
export function takesAsOf({ routeOptions }: FastifyRequest): boolean {
  return Object.hasOwn(schemaOf(routeOptions).querystring?.properties ?? {}, 'asOf');
}

export function refuseAsOf(app: FastifyInstance): void {
  app.addHook('preValidation', async request => {
    const isAsked = Object.hasOwn((request.query as object | null) ?? {}, 'asOf');
    if (!isAsked || request.is404 || takesAsOf(request)) return;
    const isRead = ['GET', 'HEAD'].includes(request.method);
    const { config } = request.routeOptions;
    // The page itself is no answer: it asks for what it shows.
    if (isRead && schemaOf(request.routeOptions).hide === true) return;
    throw new Problem(400, 'as-of-unsupported', 'There is no asking for an earlier time here', {
      detail:
        config.nowOnly ??
        (isRead ? 'It does not answer from what is kept by time.' : 'The past is read only.'),
    });
  });
}

type Schema = { readonly hide?: boolean; readonly querystring?: { readonly properties?: object } };

const schemaOf = ({ schema }: FastifyRequest['routeOptions']) => (schema ?? {}) as Schema;
