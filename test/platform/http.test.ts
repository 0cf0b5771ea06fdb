/** What holds at the edge for every route: how no is said, what is understood, who may ask, what a browser may do. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { memoryStore } from '../../eventstore/memory.ts';
import { LogUnavailable, WrongRevision } from '../../eventstore/store.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { assertInvalid, assertProblem } from '../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('the edge of the API', async () => {
  let failing: Error | undefined;
  const memory = memoryStore();
  const store = {
    ...memory,
    load: async (stream: string) => (failing === undefined ? memory.load(stream) : Promise.reject(failing)),
  };
  const api = await startApi({ store, tokens: { reader: ['apps:read'], nothing: [] } });
  after(() => api.close());
  const post = (body: string | Uint8Array, type = 'application/json') =>
    api.ask('POST', '/apps', { body, headers: { 'content-type': type } });

  test('an address that is not known, and a method that is not', async () => {
    for (const place of ['/nothing', '/apps/todo/nothing', '/api/apps', '/.env', '/web/../../package.json']) {
      assertProblem(await api.ask('GET', place), 404, 'not-found');
      assertProblem(await api.ask('POST', place, { token: null, body: {} }), 404, 'not-found');
    }
    const methods: [string, string, string][] = [
      ['DELETE', '/apps', 'GET, HEAD, POST'],
      ['PUT', '/apps/todo', 'DELETE, GET, HEAD, PATCH'],
      ['OPTIONS', '/apps/todo?x=1', 'DELETE, GET, HEAD, PATCH'],
      ['GET', '/apps/todo/tags/a/b', 'DELETE'],
      ['GET', '/builds/1/retry', 'POST'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['POST', '/', 'GET, HEAD'],
      ['PROPFIND', '/launches', 'GET, HEAD'],
    ];
    for (const [method, place, allow] of methods) {
      const answer = await api.ask(method, place);
      assertProblem(answer, 405, 'method-not-allowed');
      assert.equal(answer.headers.get('allow'), allow, place);
    }
  });

  test('an address that is no text', async () => {
    for (const place of ['/apps/%', '/apps/%zz', '/apps/%ff%fe', '/builds/%c0%ae%c0%ae/logs', '/%e0%a4%a']) {
      assertInvalid(await api.ask('GET', place), 'url');
    }
  });

  test('a body that is not JSON, is of another type, or is too large', async () => {
    for (const text of ['{', '{"id":}', "{'id':1}", 'null]', '{"a":1}{"b":2}', 'NaN', '']) {
      assert.match(assertInvalid(await post(text), 'body'), /JSON/, text);
    }
    assertInvalid(await post(new Uint8Array([0x7b, 0xff, 0xfe, 0x7d])), 'body');
    for (const text of ['null', '[]', '"text"', '7', 'true']) assertInvalid(await post(text), 'body');
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/xml',
      'x',
    ]) {
      assertProblem(await post('{}', type), 415, 'unsupported-media-type');
    }
    assertProblem(await post(`{"name":"${'x'.repeat(1 << 20)}"}`), 413, 'too-large');
    const taken = await post(
      JSON.stringify({ id: 'charset', name: 'A', repoUrl }),
      'application/json; charset=utf-8',
    );
    assert.equal(taken.status, 201, taken.text);
  });

  test('a body that means to change more than itself', async () => {
    const named = (more: string) => `{"id":"proto","name":"A","repoUrl":"${repoUrl}"${more}}`;
    assertInvalid(await post(named(',"__proto__":{"isAdmin":true}')), 'body');
    assertInvalid(await post(named(',"constructor":{"prototype":{"isAdmin":true}}')), 'body');
    assertInvalid(await post(named(',"tags":[{"key":"k","value":"v","__proto__":{"x":1}}]')), 'body');
    assertInvalid(await post(named(',"\\u005f_proto__":{}')), 'body');
    assertInvalid(await post(named(',"toString":1')), 'toString');
    assert.equal(
      (await post(named(',"name":"B"'))).status,
      201,
      'of a name said twice the last counts, as in RFC 8259',
    );
    assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
    for (const place of ['/apps?__proto__[x]=1', '/apps?constructor=1', '/apps?toString=1&__proto__=2']) {
      assert.equal((await api.ask('GET', place)).status, 200, place);
    }
  });

  test('a body that is as deep as it is long is refused like any other', async () => {
    const deep = (start: string, end: string) => start.repeat(200_000) + end.repeat(200_000);
    assertInvalid(await post(deep('[', ']')), 'body');
    assertInvalid(await post(`{"name":${deep('[', ']')}}`.replace('}', '')), 'body');
    const named = await post(`{"id":"deep","repoUrl":"${repoUrl}","name":${deep('[', ']')}}`);
    assertInvalid(named, 'name');
    const nobody = await api.ask('POST', '/apps/todo/retry', {
      body: `{"a":${deep('[', ']')}}`,
      headers: { 'content-type': 'application/json', 'idempotency-key': 'deep' },
    });
    assertInvalid(nobody, 'a');
  });

  test('of many mistakes some are named', async () => {
    const tags = Array.from({ length: 20_000 }, () => ({ key: 'A' }));
    const errors = assertProblem(await api.ask('POST', '/apps', { body: { id: 'x', tags } }), 400, 'invalid');
    assert.ok(errors.length <= 20);
  });

  test('what is no HTTP, is too long or is a trick between two readers', async () => {
    assert.match(await api.raw('GET /healthz HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /, 'no Host');
    const cases: [string, RegExp][] = [
      ['GARBAGE\r\n\r\n', /^HTTP\/1\.1 400 .*"code":"invalid"/s],
      ['GET /healthz HTTP/1.1\r\nhost: x\r\nbad field: 1\r\nconnection: close\r\n\r\n', /^HTTP\/1\.1 400 /],
      [
        `GET /healthz?${'a'.repeat(70_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
        /^HTTP\/1\.1 431 .*"code":"too-large"/s,
      ],
      [
        'POST /apps HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
        /^HTTP\/1\.1 400 /,
      ],
      [
        'POST /apps HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd',
        /^HTTP\/1\.1 400 /,
      ],
      ['POST /apps HTTP/1.1\r\nhost: x\r\ncontent-length: +4\r\n\r\nabcd', /^HTTP\/1\.1 400 /],
      ['POST /apps HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n', /^HTTP\/1\.1 400 /],
      ['GET /healthz HTTP/1.1\nhost: x\n\n', /^HTTP\/1\.1 400 /],
    ];
    for (const [bytes, expected] of cases) {
      const answer = await api.raw(bytes);
      assert.match(answer, expected, bytes.slice(0, 80));
      assert.match(answer, /application\/problem\+json/, bytes.slice(0, 80));
      assert.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1, 'one answer only');
    }
  });

  test('a wish for another protocol than WebSocket is left alone', async () => {
    const answer = await api.raw(
      'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, HTTP2-Settings, close\r\n' +
        'upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 200 OK.*\{"status":"ok"\}$/s);
  });

  test('ten thousand bytes of anything fit into an address', async () => {
    for (const text of ['%'.repeat(10_000), 'é'.repeat(5_000), '😀'.repeat(2_500)]) {
      const answer = await api.ask('GET', `/apps?q=${encodeURIComponent(text)}`);
      assert.equal(answer.status, 200, answer.text.slice(0, 200));
    }
  });

  test('failures of others have codes of their own, and no more is said than that', async () => {
    const ask = () => api.ask('DELETE', '/apps/charset');
    failing = new LogUnavailable('The event log does not answer');
    const away = await ask();
    assertProblem(away, 503, 'unavailable');
    assert.equal(away.headers.get('retry-after'), '1');
    failing = new WrongRevision('apps.repository-charset');
    assertProblem(await ask(), 409, 'busy');
    failing = new TypeError('secret detail of /etc/passwd');
    const broken = await ask();
    failing = undefined;
    assertProblem(broken, 500, 'internal');
    assert.doesNotMatch(broken.text, /secret|TypeError|\.ts/);
    assert.equal(api.logged.length, 1);
    api.logged.length = 0;
  });

  test('without a token, with a wrong one, with one that may too little', async () => {
    const routes: [string, string][] = [
      ['GET', '/apps'],
      ['GET', '/apps/todo'],
      ['GET', '/builds'],
      ['GET', '/suggest'],
      ['GET', '/stream'],
      ['GET', '/metrics'],
      ['GET', '/auth/identity'],
      ['GET', '/webhooks/git/todo'],
      ['POST', '/apps'],
      ['DELETE', '/apps/todo'],
    ];
    for (const [method, place] of routes) {
      const none = await api.ask(method, place, { token: null });
      assertProblem(none, 401, 'unauthorized');
      assert.equal(none.headers.get('www-authenticate'), 'Bearer realm="apphub"');
      const wrong = await api.ask(method, place, { token: `${operatorToken}x` });
      assertProblem(wrong, 401, 'unauthorized');
      assert.equal(wrong.headers.get('www-authenticate'), 'Bearer realm="apphub", error="invalid_token"');
    }
    for (const authorization of [
      'Bearer',
      'Bearer ',
      `Basic ${btoa(`operator:${operatorToken}`)}`,
      operatorToken,
      `Bearer "${operatorToken}"`,
      `Token ${operatorToken}`,
    ]) {
      assertProblem(
        await api.ask('GET', '/apps', { token: null, headers: { authorization } }),
        401,
        'unauthorized',
      );
    }
    const inUrl = `/apps?access_token=${operatorToken}&token=${operatorToken}&authorization=Bearer%20${operatorToken}`;
    assertProblem(await api.ask('GET', inUrl, { token: null }), 400, 'token-in-address');
    assertProblem(await api.ask('GET', `/apps?token=x`), 400, 'token-in-address');
    const cookie = { cookie: `token=${operatorToken}; authorization=Bearer ${operatorToken}` };
    assertProblem(await api.ask('GET', '/apps', { token: null, headers: cookie }), 401, 'unauthorized');
    assert.equal(
      (await api.ask('GET', '/apps', { token: null, headers: { authorization: `bearer ${operatorToken}` } }))
        .status,
      200,
    );

    const forbidden = await api.ask('POST', '/apps', { token: 'reader', body: { id: 'x' } });
    assertProblem(forbidden, 403, 'forbidden');
    assert.equal(forbidden.body.scope, 'apps:write');
    assertProblem(await api.ask('GET', '/apps', { token: 'nothing' }), 403, 'forbidden');
    assert.deepEqual((await api.ask('GET', '/auth/identity', { token: 'reader' })).body.data, {
      subject: 'somebody with reader',
      name: null,
      kind: 'operator',
      scopes: ['apps:read'],
      apps: null,
      expires: null,
      credentialId: null,
      csrfToken: null,
    });
    for (const place of ['/healthz', '/openapi.json', '/docs']) {
      assert.equal(
        (await api.ask('GET', place, { token: 'nobody-has-this' })).status,
        200,
        'public is public',
      );
    }
  });

  test('who may not is refused before what was sent is looked at', async () => {
    const large = { body: 'x'.repeat(2 << 20), headers: { 'content-type': 'application/json' } };
    assertProblem(await api.ask('POST', '/apps', { ...large, token: null }), 401, 'unauthorized');
    assertProblem(await api.ask('POST', '/apps', { body: '{', token: null }), 401, 'unauthorized');
  });

  test('an answer does nothing in a browser, and pages of other origins cannot read it', async () => {
    const asked: [string, string][] = [
      ['GET', '/apps'],
      ['GET', '/healthz'],
      ['GET', '/nothing'],
      ['GET', '/apps/%zz'],
      ['POST', '/apps'],
      ['OPTIONS', '/apps'],
    ];
    for (const [method, place] of asked) {
      const { headers } = await api.ask(method, place, {
        headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
      });
      assert.equal(headers.get('x-content-type-options'), 'nosniff', place);
      assert.equal(
        headers.get('content-security-policy'),
        "default-src 'none'; frame-ancestors 'none'",
        place,
      );
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', place);
      assert.equal(headers.get('cross-origin-opener-policy'), 'same-origin', place);
      assert.equal(headers.get('referrer-policy'), 'same-origin', place);
      assert.equal(headers.get('cache-control'), 'no-store', place);
      assert.equal(headers.get('access-control-allow-origin'), null, place);
      assert.equal(headers.get('access-control-allow-methods'), null, place);
      assert.equal(headers.get('server'), null);
      assert.equal(headers.get('x-powered-by'), null);
    }
    const page = await api.ask('GET', '/', { token: null });
    assert.match(
      page.headers.get('content-security-policy') ?? '',
      /script-src 'self'.*frame-ancestors 'none'/,
    );
    assert.equal(page.headers.get('cache-control'), 'no-cache');
  });

  test('HEAD is GET without a body', async () => {
    for (const place of ['/apps', '/healthz', '/']) {
      const [get, head] = [await api.ask('GET', place), await api.ask('HEAD', place)];
      assert.deepEqual([head.status, head.text], [get.status, '']);
      assert.equal(head.headers.get('content-type'), get.headers.get('content-type'));
    }
  });

  test('starting a server warns of nothing', async () => {
    const source = await readFile(path.join(import.meta.dirname, '../../platform/http.ts'), 'utf8');
    assert.doesNotMatch(source, /^\s*disableRequestLogging:/m);
    assert.deepEqual(api.logged, []);
  });
});
