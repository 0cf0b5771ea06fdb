/** What every operation of the API has in common, written into its description: who may ask, and how no is said. */
import { STATUS_CODES } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { allows, anonymous, type Needed } from './auth.ts';

const problemType = 'application/problem+json';

/** RFC 9457 with the members of our own. */
const problemSchema = {
  type: 'object',
  description:
    'Problem details (RFC 9457). `code` keeps its meaning for ever; docs/errors.md lists them all.',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string', description: 'urn:apphub:problem:<code>' },
    title: { type: 'string' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    code: { type: 'string' },
    detail: { type: 'string' },
    instance: { type: 'string', description: 'Names the request in the log of the process' },
    errors: {
      type: 'array',
      description: 'What is wrong with each field, and what would be right',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
  additionalProperties: true,
};

type Response = { description?: string; headers?: object; content?: object };
type Operation = {
  operationId?: string;
  description?: string;
  security?: object[];
  parameters?: object[];
  requestBody?: { required?: boolean };
  responses?: Record<string, Response>;
  'x-apphub-scope'?: string;
};
type Document = { components?: { schemas?: object }; paths?: Record<string, Record<string, Operation>> };
type Known = {
  readonly scope: Needed;
  readonly body: object | undefined;
  readonly isRepeatable: boolean;
};

/** Call before the first route is registered. Answers the function that completes a document once all of them are. */
export function describeEdge(app: FastifyInstance): <D extends object>(document: D) => D {
  const known = new Map<string, Known>();
  app.addHook('onRoute', ({ url, method, config, schema }) => {
    const body = schema?.body as object | undefined;
    for (const verb of [method].flat()) {
      const isRepeatable = config?.isRepeatable ?? true;
      const scope = config?.scope ?? 'admin';
      known.set(`${verb} ${url.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{*}')}`, {
        scope,
        body,
        isRepeatable,
      });
    }
  });
  return document => {
    const { paths = {}, components } = document as Document;
    for (const [path, verbs] of Object.entries(paths)) {
      for (const [verb, operation] of Object.entries(verbs)) {
        const route = known.get(`${verb.toUpperCase()} ${path}`);
        operation.operationId = nameOf(verb, path);
        complete(operation, verb.toUpperCase(), route ?? unknownRoute);
      }
    }
    const schemas = { ...components?.schemas, Problem: problemSchema };
    return { ...document, components: { ...components, schemas } };
  };
}

const unknownRoute: Known = { scope: 'admin', body: undefined, isRepeatable: true };

function complete(operation: Operation, verb: string, { scope, body, isRepeatable }: Known): void {
  const isPublic = allows(anonymous, scope);
  operation['x-apphub-scope'] = scope;
  if (isPublic) operation.security = [];
  else if (scope === 'identified') operation.description = 'Needs a token or a session of any scope.';
  else operation.description = `Needs the scope ${scope}.`;
  const responses: [string, Response][] = Object.entries(operation.responses ?? {}).map(
    ([status, response]) => [
      status,
      {
        ...response,
        ...(response.description === 'Default Response'
          ? { description: STATUS_CODES[status] ?? status }
          : {}),
        ...(isPublic || verb === 'GET' ? {} : { headers: { Location: location } }),
      },
    ],
  );
  const problem = { [problemType]: { schema: { $ref: '#/components/schemas/Problem' } } };
  operation.responses = {
    ...Object.fromEntries(responses),
    default: { description: 'Why not', content: problem },
  };
  if (verb !== 'GET' && !isPublic && isRepeatable)
    operation.parameters = [...(operation.parameters ?? []), idempotencyKey];
  if (JSON.stringify(operation.responses).includes('"receipt"'))
    operation.parameters = [...(operation.parameters ?? []), prefer];
  if (operation.requestBody === undefined || body === undefined || !('~optional' in body)) return;
  const isEmpty = 'properties' in body && Object.keys(body.properties as object).length === 0;
  if (isEmpty) delete operation.requestBody;
  else operation.requestBody.required = false;
}

const location = { description: 'Where what was written is read', schema: { type: 'string' } };

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same request with the same key is done once, and every repeat gets the first answer',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

const prefer = {
  name: 'Prefer',
  in: 'header',
  required: false,
  description: '`receipt`: answer with what proves the change, once it is signed (RFC 7240)',
  schema: { type: 'string' },
};

/** `GET /apps/{appId}/builds` is `getAppsByAppIdBuilds`. */
function nameOf(verb: string, path: string): string {
  const words = path.split('/').filter(part => part !== '');
  const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1).replace(/\W/g, '');
  return (
    verb.toLowerCase() +
    words
      .map(word =>
        word === '{*}' ? 'ByPath' : word.startsWith('{') ? `By${capital(word.slice(1, -1))}` : capital(word),
      )
      .join('')
  );
}
