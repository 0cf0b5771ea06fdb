/** The HTTP server every room's routes are registered on: validation, errors as problem documents, scopes, OpenAPI. */
import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerFactory,
  type FastifyServerOptions,
  LogController,
} from 'fastify';
import { Refusal } from '../domain/kernel/refusal.ts';
import { LogUnavailable, WrongRevision } from '../eventstore/store.ts';
import { refuseAsOf } from './as-of.ts';
import { type Credentials, requireScopes } from './auth.ts';
import { trusts } from './client-address.ts';
import { allowOrigins } from './cors.ts';
import { lazily, lazySerializers } from './lazy-schemas.ts';
import { describeEdge } from './openapi.ts';
import { isDatabaseAway } from './postgres.ts';
import { invalid, Problem } from './problem.ts';
import { edgeCodes, refusalCodes } from './problem-codes.ts';
import type { RateLimiter } from './rate-limit.ts';
import { isRefusal, type OnRefused, refusedAttempt } from './refused.ts';
import { type KnownRoutes, knowRoutes } from './routes.ts';
import { answerBroken } from './server.ts';
import { sessionCookie } from './session-cookie.ts';
import { fieldErrorsOf, unusableText, type Violation } from './violation.ts';

const bodyBytesMax = 1 << 20;
const urlCharsMax = 16 * 1_024;

export type HttpOptions = {
  readonly logger: FastifyServerOptions['loggerInstance'];
  readonly credentials: Credentials;
  /** Told of every request that was refused for who asked, or how often. */
  readonly onRefused?: OnRefused;
  /** Addresses of the proxies whose `X-Forwarded-*` fields are believed; by default nobody's. */
  readonly trustedProxies?: readonly string[];
  /** By default everybody may ask as often as he likes. */
  readonly limiter?: RateLimiter;
  /** Origins of other pages that may read answers, such as `https://board.example`. */
  readonly corsOrigins?: readonly string[];
  readonly version: string;
  readonly serverFactory?: FastifyServerFactory;
};

export async function httpServer(options: HttpOptions): Promise<FastifyInstance> {
  const answer = problemAnswers(options.onRefused);
  const app = Fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    ...(options.serverFactory === undefined ? {} : { serverFactory: options.serverFactory }),
    bodyLimit: bodyBytesMax,
    trustProxy: trusts(options.trustedProxies ?? []),
    routerOptions: { maxParamLength: urlCharsMax },
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    schemaController: { compilersFactory: { buildSerializer: lazySerializers } },
    clientErrorHandler: answerBroken,
    frameworkErrors: (error, request, reply) => {
      reply.headers(guards);
      return answer(error, request as never, reply as never);
    },
  }) as unknown as FastifyInstance;
  const complete = describeEdge(app);
  understandOnlyJson(app);
  guardAnswers(app);
  answerProblems(app, answer, knowRoutes(app));
  allowOrigins(app, options.corsOrigins ?? []);
  requireScopes(app, options.credentials, options.limiter);
  refuseAsOf(app);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'AppHub',
        version: options.version,
        description: 'Give it Git repositories, find them, build them, run them.',
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: sessionCookie },
        },
      },
      security: [{ token: [] }, { session: [] }],
    },
    transformObject: document =>
      complete('openapiObject' in document ? document.openapiObject : document.swaggerObject),
  });
  return app;
}

/** Bodies mean exactly what they say; query strings and paths are text, so numbers in them are read as numbers. */
function understandOnlyJson(app: FastifyInstance): void {
  const options = { allErrors: true, removeAdditional: false, useDefaults: true, strict: false } as const;
  const exact = addFormats.default(new Ajv.default({ ...options, coerceTypes: false }));
  const textual = addFormats.default(new Ajv.default({ ...options, coerceTypes: 'array' }));
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const checker = lazily(() => (httpPart === 'body' ? exact : textual).compile(schema as object));
    // A request without a body has null for one.
    const isOptional = httpPart === 'body' && '~optional' in (schema as object);
    return value => {
      if (isOptional && value === null) return { value };
      const check = checker();
      return check(value) ? { value } : { error: check.errors as never };
    };
  });
  // After the schema, which has seen to it that the body is not deep.
  app.addHook('preHandler', async ({ body }) => {
    const unusable = Buffer.isBuffer(body) ? undefined : unusableText(body);
    if (unusable !== undefined) throw invalid([unusable]);
  });
}

/**
 * What an answer may do in a browser that is made to show it: nothing. A route that shows something says so itself.
 * Pages of other origins cannot read an answer, unless they are named (cors.ts).
 */
const guards = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

function guardAnswers(app: FastifyInstance): void {
  app.addHook('onSend', async ({ protocol }, reply) => {
    for (const [name, value] of Object.entries(guards)) if (!reply.hasHeader(name)) reply.header(name, value);
    // Whoever came by HTTPS once comes no other way for a year (RFC 6797).
    if (protocol === 'https') reply.header('strict-transport-security', 'max-age=31536000');
  });
}

type Answer = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

function answerProblems(app: FastifyInstance, answer: Answer, routes: KnownRoutes): void {
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) => {
    const [path = '/'] = request.url.split('?');
    const methods = routes.methodsOf(path);
    if (methods.length === 0) throw new Problem(404, 'not-found', `There is no ${request.method} ${path}`);
    reply.header('allow', methods.join(', '));
    throw new Problem(405, 'method-not-allowed', `There is no ${request.method} ${path}`, {
      detail: `Here is ${methods.join(', ')}.`,
    });
  });
}

const problemAnswers =
  (onRefused: OnRefused | undefined): Answer =>
  (error, request, reply) => {
    const problem = problemOf(error);
    if (onRefused !== undefined && isRefusal(problem, request.routeOptions.url))
      onRefused(refusedAttempt(request, problem));
    return sendProblem(problem, error, request, reply);
  };

function sendProblem(problem: Problem, error: unknown, request: FastifyRequest, reply: FastifyReply) {
  if (problem.status >= 500) request.log.error({ err: error, url: request.url }, problem.message);
  if (problem.status === 503) reply.header('retry-after', '1');
  if (problem.status === 429) reply.header('retry-after', String(problem.extra.retryAfter ?? 1));
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send({ ...problem.toDocument(), instance: `urn:apphub:request:${request.id}` } as never);
}

type AnyError = Error & {
  statusCode?: number;
  code?: string;
  validation?: Violation[];
  validationContext?: string;
};

function problemOf(thrown: unknown): Problem {
  const error = thrown as AnyError;
  if (error instanceof Problem) return error;
  if (error instanceof Refusal) {
    return new Problem(refusalCodes[error.code].status, error.code, error.message, { extra: error.detail });
  }
  if (error instanceof WrongRevision) return new Problem(409, 'busy', 'Somebody else wrote first; try again');
  if (error instanceof LogUnavailable) return new Problem(503, 'unavailable', error.message);
  if (Array.isArray(error.validation)) {
    return invalid(fieldErrorsOf(error.validation, error.validationContext ?? 'request'));
  }
  if (isDatabaseAway(error)) return new Problem(503, 'unavailable', 'The database does not answer');
  const { statusCode } = error;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return ofFramework(error, statusCode);
  return new Problem(500, 'internal', 'Something broke on our side');
}

/** What Fastify itself refuses, before a route has seen it. */
function ofFramework({ code, message }: AnyError, status: number): Problem {
  const known = { 413: 'too-large', 414: 'too-large', 415: 'unsupported-media-type' }[status];
  if (known !== undefined) {
    const { title = message, advice } = edgeCodes[known] ?? {};
    return new Problem(status, known, title, advice === undefined ? {} : { detail: advice });
  }
  const isUrl = code === 'FST_ERR_BAD_URL';
  if (isUrl) return invalid([{ field: 'url', message: 'must be text in UTF-8, percent-encoded (RFC 3986)' }]);
  const isEmpty = code === 'FST_ERR_CTP_EMPTY_JSON_BODY';
  return invalid([
    {
      field: 'body',
      message: isEmpty ? 'is empty: send JSON, or no Content-Type' : `must be JSON (${message})`,
    },
  ]);
}
