/** The HTTP server every room's routes are registered on: validation, errors as problem documents, scopes, OpenAPI. */
import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import Fastify, { type FastifyInstance, type FastifyServerFactory, type FastifyServerOptions } from 'fastify';
import { Refusal } from '../domain/kernel/refusal.ts';
import { LogUnavailable, WrongRevision } from '../eventstore/store.ts';
import { type KnownToken, requireScopes } from './auth.ts';
import { type FieldError, invalid, Problem } from './problem.ts';
import { refusalCodes } from './problem-codes.ts';

const bodyBytesMax = 1 << 20;
const requestMsMax = 30_000;
const urlCharsMax = 16 * 1_024;

export type HttpOptions = {
  readonly logger: FastifyServerOptions['loggerInstance'];
  readonly tokens: readonly KnownToken[];
  readonly version: string;
  readonly serverFactory?: FastifyServerFactory;
};

export async function httpServer(options: HttpOptions): Promise<FastifyInstance> {
  const app = Fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    ...(options.serverFactory === undefined ? {} : { serverFactory: options.serverFactory }),
    bodyLimit: bodyBytesMax,
    requestTimeout: requestMsMax,
    routerOptions: { maxParamLength: urlCharsMax },
    disableRequestLogging: true,
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
  }) as unknown as FastifyInstance;
  validateStrictly(app);
  answerProblems(app);
  requireScopes(app, options.tokens);
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('referrer-policy', 'same-origin');
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'AppHub',
        version: options.version,
        description: 'Give it Git repositories, find them, build them, run them.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
  });
  return app as unknown as FastifyInstance;
}

/** Bodies mean exactly what they say; query strings and paths are text, so numbers in them are read as numbers. */
function validateStrictly(app: FastifyInstance): void {
  const options = { allErrors: true, removeAdditional: false, useDefaults: true, strict: false } as const;
  const exact = addFormats.default(new Ajv.default({ ...options, coerceTypes: false }));
  const textual = addFormats.default(new Ajv.default({ ...options, coerceTypes: 'array' }));
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? exact : textual).compile(schema as object),
  );
}

function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500) request.log.error({ err: error, url: request.url }, problem.message);
    if (problem.status === 503) reply.header('retry-after', '1');
    return reply
      .code(problem.status)
      .type('application/problem+json')
      .serializer(JSON.stringify)
      .send({ ...problem.toDocument(), instance: `urn:apphub:request:${request.id}` } as never);
  });
  app.setNotFoundHandler((request, reply) => {
    const problem = new Problem(
      404,
      'not-found',
      `There is no ${request.method} ${request.url.split('?')[0]}`,
    );
    return reply.code(404).type('application/problem+json').send(problem.toDocument());
  });
}

type AnyError = Error & {
  statusCode?: number;
  code?: string;
  validation?: Violation[];
  validationContext?: string;
};
type Violation = { instancePath: string; message?: string; keyword: string; params: Record<string, unknown> };

function problemOf(thrown: unknown): Problem {
  const error = thrown as AnyError;
  if (error instanceof Problem) return error;
  if (error instanceof Refusal) {
    return new Problem(refusalCodes[error.code].status, error.code, error.message, { extra: error.detail });
  }
  if (error instanceof WrongRevision) return new Problem(409, 'busy', 'Somebody else wrote first; try again');
  if (error instanceof LogUnavailable) return new Problem(503, 'unavailable', error.message);
  if (Array.isArray(error.validation)) return invalid(error.validation.map(fieldErrorOf));
  const { statusCode } = error;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const code = statusCode === 413 ? 'too-large' : statusCode === 415 ? 'unsupported-media-type' : 'invalid';
    return new Problem(statusCode, code, error.message);
  }
  return new Problem(500, 'internal', 'Something broke on our side');
}

function fieldErrorOf({ instancePath, message, keyword, params }: Violation): FieldError {
  const missing = keyword === 'required' ? String(params.missingProperty) : undefined;
  const unknown = keyword === 'additionalProperties' ? String(params.additionalProperty) : undefined;
  const field = [instancePath.slice(1).replaceAll('/', '.'), missing ?? unknown]
    .filter(part => part !== undefined && part !== '')
    .join('.');
  if (missing !== undefined) return { field, message: 'is required' };
  if (unknown !== undefined) return { field, message: 'is not a known field' };
  if (keyword === 'enum') return { field, message: `must be one of ${JSON.stringify(params.allowedValues)}` };
  return { field, message: message ?? 'is not valid' };
}
