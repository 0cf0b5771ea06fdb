/**
 * Requests made from the description of the API: what fits it, what nearly fits it, and what does not. None of them may be a
 * failure of ours, and every no is one of those on the page of errors.
 */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import { type Body, operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { assertProblem } from '../support/problem.ts';

const requestsMin = 20_000;
/** The same requests each time, so that a failure can be looked at. Another number makes others. */
const seed = Number(process.env.APPHUB_TEST_SEED ?? 1);

type Schema = Body;
type Request = { method: string; path: string; body: unknown; headers: Record<string, string> };

const odd = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    'null',
    'true',
    '..',
    '%',
    '\0',
    '\ud800',
    "'",
    '"',
    '[]',
    '{}',
    '1e999',
    '__proto__',
    'é',
    '😀',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.integer({ min: 1, max: 3_000 }).map(length => 'x'.repeat(length)),
);

/** What fits a schema, more or less; now and then something else altogether. */
function valueFor(schema: Schema, known: readonly string[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 24, arbitrary: fitting(schema, known) },
    { weight: 1, arbitrary: fc.oneof(odd, fc.jsonValue({ maxDepth: 3 })) },
  );
}

function fitting(schema: Schema, known: readonly string[]): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one: Schema) => valueFor(one, known)));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'object': {
      const fields = Object.entries<Schema>(schema.properties ?? {}).map(([name, inner]) => [
        name,
        valueFor(inner, known),
      ]);
      return fc.record(Object.fromEntries(fields), { requiredKeys: schema.required ?? [] });
    }
    case 'array':
      return fc.array(valueFor(schema.items, known), { maxLength: 4 });
    case 'integer':
    case 'number': {
      const min: number = schema.minimum ?? -5;
      return fc.oneof(fc.integer({ min, max: schema.maximum ?? Math.max(100, min * 2) }), fc.double());
    }
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return textOf(schema, known);
  }
}

function textOf({ pattern, format }: Schema, known: readonly string[]): fc.Arbitrary<unknown> {
  const own = fc.constantFrom(...known);
  if (pattern !== undefined) return fc.oneof(own, fc.stringMatching(new RegExp(pattern, 'u')));
  if (format === 'uuid') return fc.oneof(own, fc.uuid());
  if (format === 'date-time') {
    const times = fc.date({ noInvalidDate: true }).map(date => date.toISOString());
    return fc.oneof({ weight: 5, arbitrary: times }, odd);
  }
  return fc.oneof({ weight: 5, arbitrary: own }, odd);
}

/** Most times and cursors mean nothing, so most requests have none: there would be little else to find out. */
function parameterOf({ name, schema }: Schema, known: readonly string[]): fc.Arbitrary<unknown> {
  if (name !== 'asOf' && name !== 'cursor') return valueFor(schema, known);
  return fc.oneof(
    { weight: 9, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.oneof(fc.constantFrom('1', '3'), valueFor(schema, known)) },
  );
}

/** An address holds text only, and what is not well-formed cannot be sent at all. */
const inUrl = (value: unknown) =>
  encodeURIComponent((typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed());

function requestOf(
  path: string,
  verb: string,
  operation: Schema,
  known: readonly string[],
): fc.Arbitrary<Request> {
  const parameters: Schema[] = operation.parameters ?? [];
  const values = (where: string) =>
    fc.record(
      Object.fromEntries(
        parameters.filter(one => one.in === where).map(one => [one.name, parameterOf(one, known)]),
      ),
      where === 'path' ? {} : { requiredKeys: [] },
    );
  const [[type = '', { schema }] = ['', {}]] = Object.entries<Schema>(operation.requestBody?.content ?? {});
  const body = schema === undefined ? fc.constant(undefined) : valueFor(schema, known);
  return fc
    .tuple(values('path'), values('query'), body, fc.boolean())
    .map(([inPath, query, given, isKeyed]) => {
      const filled = path.replace(/\{(\w+)\}/g, (_, name) =>
        inUrl((inPath as Record<string, unknown>)[name]),
      );
      const search = Object.entries(query as object)
        // To wait for a position that never comes takes long, and is tried elsewhere.
        .filter(([name, value]) => name !== 'after' && name !== 'follow' && value !== undefined)
        .flatMap(([name, value]) => [value].flat().map(one => `${name}=${inUrl(one)}`));
      const key =
        isKeyed && verb !== 'get'
          ? { 'idempotency-key': `key-${inUrl(JSON.stringify(inPath)).slice(0, 60)}` }
          : {};
      return {
        method: verb.toUpperCase(),
        path: `${filled}?${search.join('&')}`,
        body: given === undefined ? undefined : written(type, given),
        headers: { ...key, ...(given === undefined ? {} : { 'content-type': type }) } as Record<
          string,
          string
        >,
      };
    });
}

/** A body as its media type has it. */
const written = (type: string, value: unknown): string =>
  type === 'application/x-www-form-urlencoded'
    ? new URLSearchParams(
        Object.entries(Object(value)).map(([name, one]): [string, string] => [name, String(one)]),
      ).toString()
    : JSON.stringify(value);

suite('any request', async () => {
  const api = await startApi({ allowLocalRepositories: true });
  after(() => api.close());
  const buildId = await launchableApp(api, 'known-app');
  const { id: launchId } = await api.write('POST', '/apps/known-app/launches');
  const known = [
    'known-app',
    buildId,
    launchId,
    'language',
    'main',
    'https://git.example/app.git',
    operatorToken,
  ];
  const { paths } = (await api.ask('GET', '/openapi.json')).body;

  const operations = Object.values<Schema>(paths).flatMap(item => Object.keys(item)).length;
  const runsMax = Math.ceil(requestsMin / operations);

  for (const [path, item] of Object.entries<Schema>(paths)) {
    for (const [verb, operation] of Object.entries<Schema>(item)) {
      test(`${verb.toUpperCase()} ${path}`, async () => {
        const statuses = new Set<number>();
        const property = fc.asyncProperty(
          requestOf(path, verb, operation, known),
          async ({ method, path: place, body, headers }) => {
            const answer = await api.ask(method, place, { headers, ...(body === undefined ? {} : { body }) });
            statuses.add(answer.status);
            if (answer.status < 400) return;
            // Without workers nothing is ever signed.
            const isBehind =
              place.startsWith('/audit/') && answer.status === 503 && answer.body.code === 'behind';
            assert.ok(
              answer.status < 500 || isBehind || place.startsWith('/readyz'),
              `${method} ${place} ${body}: ${answer.text}`,
            );
            assertProblem(answer, answer.status, answer.body.code);
          },
        );
        await fc.assert(property, { numRuns: runsMax, seed });
        assert.deepEqual(api.logged, []);
        const is = (least: number, most: number) =>
          [...statuses].some(status => status >= least && status <= most);
        if (path !== '/stream' && !path.startsWith('/webhooks') && !path.startsWith('/pictures')) {
          assert.ok(
            is(200, 399) || is(404, 409) || (path.startsWith('/audit/') && is(503, 503)),
            `nothing was understood: ${[...statuses]}`,
          );
        }
      });
    }
  }

  test('the projections have taken all of it', async () => {
    await api.write('POST', '/apps', { id: 'at-the-end', name: 'A', repoUrl: 'https://git.example/app.git' });
    assert.equal((await api.read('/apps/at-the-end')).data.id, 'at-the-end');
    assert.deepEqual(api.logged, []);
  });
});
