/** What the record of refused attempts says of one: who asked for what, and how it was refused. Never what was sent. */
import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { RefusedAttempt } from '../domain/access/attempt.ts';
import { clean } from '../domain/apps/words.ts';
import { anonymous, type Identity } from './auth.ts';
import type { Problem } from './problem.ts';

const userAgentCharsMax = 256;
const targetCharsMax = 256;

export type OnRefused = (attempt: RefusedAttempt) => void;

/**
 * Whether it was refused for who asked or how often, not for what was asked. A key or a session of somebody else is said not
 * to be there, and so is one that was never made: both are worth a record.
 */
export const isRefusal = ({ status, code }: Pick<Problem, 'status' | 'code'>, route = ''): boolean =>
  [401, 403, 429].includes(status) ||
  code === 'token-in-address' ||
  (status === 404 && route.startsWith('/auth/'));

export function refusedAttempt(
  request: FastifyRequest,
  { code, status }: Pick<Problem, 'status' | 'code'>,
): RefusedAttempt {
  const route = request.routeOptions.url;
  return {
    ...asker(request.headers, request.ip, request.identity),
    outcome: code,
    status,
    method: request.method,
    route: route ?? '(no route)',
    target: targetOf(route, request.params),
    correlationId: request.id,
  };
}

/** Of a WebSocket, which comes by no route of its own. */
export function refusedUpgrade(
  request: IncomingMessage,
  problem: Problem,
  given: { ip: string; correlationId: string; identity?: Identity },
): RefusedAttempt {
  const { code: outcome, status } = problem;
  const what = { outcome, status, method: 'GET', route: pathOf(request.url ?? '/'), target: null };
  return { ...asker(request.headers, given.ip, given.identity), ...what, correlationId: given.correlationId };
}

const asker = (headers: IncomingMessage['headers'], ip: string, identity: Identity | undefined) => ({
  actor: (identity ?? anonymous).subject,
  ip,
  userAgent: userAgentOf(headers),
});

/** What a program calls itself: somebody's words, cut and cleaned. */
export const userAgentOf = (headers: IncomingMessage['headers']): string =>
  clean(headers['user-agent'] ?? '')
    .slice(0, userAgentCharsMax)
    .toWellFormed();

const nounOf: Readonly<Record<string, string>> = {
  appId: 'apps',
  buildId: 'builds',
  launchId: 'launches',
  keyId: 'api-keys',
  sessionId: 'sessions',
};

/** What the first parameter of the address names, in the words of the record: `apps/shop` for `/apps/:appId/tags/:key`. */
function targetOf(route: string | undefined, params: unknown): string | null {
  const [, noun = '', name = ''] = /([^/]+)\/:(\w+)/.exec(route ?? '') ?? [];
  const value = (params as Readonly<Record<string, unknown>> | null)?.[name];
  return typeof value === 'string' ? cut(`${nounOf[name] ?? noun}/${value}`) : null;
}

const pathOf = (url: string): string => cut(url.split('?', 1)[0] ?? '');

const cut = (text: string): string => clean(text).slice(0, targetCharsMax).toWellFormed();
