/** The API as it describes itself: OpenAPI 3.1 for machines, a page for people. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describeApi } from '../../../cli/openapi.ts';
import { isScope } from '../../../domain/access/scope.ts';
import { renderApi } from '../../../read-api/site/render-api.ts';
import { type Body, startApi } from '../../support/api.ts';

const verbs = ['get', 'post', 'patch', 'delete', 'put'];

suite('the API described', async () => {
  const api = await startApi();
  after(() => api.close());
  const document = (await api.ask('GET', '/openapi.json', { token: null })).body;
  const operations: { path: string; verb: string; operation: Body }[] = Object.entries<Body>(
    document.paths,
  ).flatMap(([path, item]) =>
    Object.entries<Body>(item).map(([verb, operation]) => ({ path, verb, operation })),
  );

  test('is OpenAPI 3.1, for everybody, and the same whichever process is asked', async () => {
    const answer = await api.ask('GET', '/openapi.json', { token: null });
    assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.equal(document.openapi, '3.1.0');
    assert.deepEqual(Object.keys(document.info).sort(), ['description', 'title', 'version']);
    const { token, session } = document.components.securitySchemes;
    assert.deepEqual(token, { type: 'http', scheme: 'bearer' });
    assert.deepEqual(session, { type: 'apiKey', in: 'cookie', name: '__Host-apphub-session' });
    assert.deepEqual(document.security, [{ token: [] }, { session: [] }]);
    const alone = (await describeApi('0.0.0')) as Body;
    assert.deepEqual(Object.keys(alone.paths).sort(), Object.keys(document.paths).sort());
    assert.deepEqual(JSON.parse(JSON.stringify(alone.paths)), document.paths);
  });

  test('names every route there is', () => {
    const hidden = [
      '/',
      '/a/{appId}',
      '/a/{appId}/*',
      '/access',
      '/access/audit',
      '/access/usage',
      '/tables',
      '/open/{launchId}',
      '/web/*',
      '/openapi.json',
      '/docs',
    ];
    // printRoutes leaves no way to miss one: it is the router itself.
    const routes = api.app.printRoutes({ commonPrefix: false });
    const count = [...routes.matchAll(/\((?:[A-Z]+(?:, )?)+\)/g)].length;
    assert.equal(Object.keys(document.paths).length + hidden.length, count, routes);
  });

  const signIn = ['login', 'callback', 'options', 'backchannel-logout'].map(name => `/auth/${name}`);
  const proofs = ['checkpoint', 'checkpoints', 'keys', 'proof/inclusion', 'proof/consistency', 'tile/{*}'];
  const publicPaths = [
    ...proofs.map(name => `/audit/${name}`),
    '/healthz',
    '/readyz',
    '/pictures/{sha256}',
    '/launches/{launchId}/open',
    '/preview/hosts/check',
    '/preview/hosts/{host}/check',
    ...signIn,
  ];
  /** They are not read from the tables that follow the log, or wait for what they are asked about. */
  const withoutAfter = [
    '/stream',
    '/metrics',
    '/auth/identity',
    '/launches/options',
    '/webhooks/git/{appId}',
    '/audit/witnesses',
    '/audit/export',
    '/audit/receipt',
  ];
  for (const { path, verb, operation } of operations) {
    test(`${verb.toUpperCase()} ${path} says what it does, takes and answers, and how it says no`, () => {
      assert.ok(verbs.includes(verb));
      assert.match(operation.summary, /^[A-Z].{5,120}[^.]$/);
      assert.equal(operation.tags.length, 1);
      assert.match(operation.operationId, /^[a-z]+[A-Za-z0-9]*$/);
      const isPublic =
        publicPaths.includes(path) ||
        (path.startsWith('/webhooks') && verb === 'post') ||
        (path === '/auth/sessions' && verb === 'post');
      if (isPublic) assert.deepEqual(operation.security, []);
      else if (operation['x-apphub-scope'] === 'identified')
        assert.match(operation.description, /any scope\.$/);
      else {
        assert.equal(operation.description, `Needs the scope ${operation['x-apphub-scope']}.`);
        assert.ok(isScope(operation['x-apphub-scope']));
      }
      const { default: no, ...yes } = operation.responses;
      assert.deepEqual(no.content, {
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      });
      assert.ok(Object.keys(yes).length > 0);
      for (const [status, response] of Object.entries<Body>(yes)) {
        assert.match(status, /^(?:101|20[01246]|303|503)$/);
        assert.ok(response.description.length > 1 && response.description !== 'Default Response');
        if (verb !== 'get' && !isPublic) assert.ok(response.headers.Location, 'a write says where to read');
      }
      const named = [...path.matchAll(/\{(\w+|\*)\}/g)].map(([, name]) => name);
      const parameters: Body[] = operation.parameters ?? [];
      const inPath = parameters.filter(one => one.in === 'path');
      assert.deepEqual(
        inPath.map(one => one.name),
        named,
      );
      for (const one of inPath) assert.equal(one.required, true);
      // The answer to these is kept nowhere, so it cannot be given twice; or nothing of their body may be noted.
      const isShownOnce = verb === 'post' && /^\/auth\/api-keys|\/grants$/.test(path);
      const isSecret = verb === 'put' && path.includes('/build-secrets/');
      const isWrite = verb !== 'get' && !isPublic && !isShownOnce && !isSecret;
      assert.equal(
        parameters.some(one => one.name === 'Idempotency-Key'),
        isWrite,
      );
      if (verb === 'get' && !isPublic && !withoutAfter.includes(path)) {
        assert.ok(
          parameters.some(one => one.name === 'after'),
          'a read can demand a position',
        );
      }
    });
  }

  test('every operation has a name of its own', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.ok(ids.length > 25);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('every schema is one, and what is answered fits what is said', async () => {
    const ajv = addFormats.default(
      new Ajv2020({ strict: true, strictTypes: false, allowUnionTypes: true }) as never,
    );
    ajv.addSchema(document.components.schemas.Problem, '#/components/schemas/Problem');
    let compiled = 0;
    const visit = (node: Body): void => {
      if (typeof node !== 'object' || node === null) return;
      if (typeof node.schema === 'object') {
        ajv.compile(node.schema);
        compiled += 1;
        return;
      }
      for (const inner of Object.values(node)) visit(inner);
    };
    visit(document.paths);
    assert.ok(compiled > 80, `only ${compiled}`);
    await api.write('POST', '/apps', {
      id: 'fits',
      name: 'A',
      repoUrl: 'https://git.example/a.git',
      tags: [{ key: 'k', value: 'v' }],
    });
    await api.write('POST', '/apps/fits/retry');
    for (const place of [
      '/apps',
      '/apps/fits',
      '/apps/fits/history',
      '/apps/fits/ingestions',
      '/suggest?q=k',
      '/builds',
      '/launches',
    ]) {
      const path = place.split('?')[0]?.replace('fits', '{appId}') ?? '';
      const fits = ajv.compile(document.paths[path].get.responses['200'].content['application/json'].schema);
      assert.ok(fits(await api.read(place)), `${place}: ${JSON.stringify(fits.errors)}`);
    }
    const fits = ajv.compile(document.components.schemas.Problem);
    for (const place of ['/apps/nobody', '/apps?limit=0']) {
      assert.ok(fits((await api.ask('GET', place)).body), place);
    }
  });

  test('the page needs nothing from anywhere, and may do nothing', async () => {
    const { headers, text, status } = await api.ask('GET', '/docs', { token: null });
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
    const policy = headers.get('content-security-policy') ?? '';
    assert.match(policy, /^default-src 'none'; style-src 'unsafe-inline';/);
    assert.doesNotMatch(policy, /script|https?:|\*/);
    assert.doesNotMatch(text, /<script|<link|<img|<iframe|\son\w+=|url\(|@import|javascript:/i);
    for (const [, target = ''] of text.matchAll(/(?:href|src)="([^"]*)"/g))
      assert.match(target, /^[#/](?!\/)/);
    for (const { path, verb, operation } of operations) {
      assert.ok(
        text.includes(`<b class="${verb.toUpperCase()}">${verb.toUpperCase()}</b> <code>${path}</code>`),
        path,
      );
      assert.ok(text.includes(operation.summary.replaceAll('&', '&amp;')), operation.summary);
      assert.ok(text.includes(`<p>${operation.description ?? 'For everybody.'}</p>`), path);
    }
    for (const [, id] of text.matchAll(/href="#([^"]*)"/g)) assert.ok(text.includes(`id="${id}"`), id);
  });

  test('what a description says is shown as text', () => {
    const evil = `"><script>alert('&')</script>`;
    const html = renderApi({
      info: { title: evil, version: evil, description: evil },
      paths: {
        [`/${evil}`]: {
          get: {
            summary: evil,
            tags: [evil],
            parameters: [
              { name: evil, in: 'query', description: evil, schema: { type: 'string', pattern: evil } },
            ],
            responses: { [evil]: { content: { x: { schema: { enum: [evil] } } } } },
          },
        },
      },
    });
    assert.doesNotMatch(html, /<script|"><s/);
  });
});
