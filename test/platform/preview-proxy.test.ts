/** Running apps behind addresses of their own: what gets through, what does not, and what a visitor sees meanwhile. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { asBrowser, comingUp, isOver, startPreview, upAt } from '../support/preview.ts';

const token = 'apphub_token-of-the-operator';

suite('previews', async () => {
  const preview = await startPreview({ isPlatformToken: given => given === token });
  after(() => preview.close());
  /** Answers with what it was asked, as JSON. */
  await preview.app('echo', async (request, response) => {
    // A request that breaks off has no body to tell of.
    const parts = await Readable.from(request)
      .toArray()
      .catch(() => []);
    const body = Buffer.concat(parts).toString();
    const { method, url, rawHeaders } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, rawHeaders, headers: request.headers, body }));
  });
  const echo = async (path?: string, asked?: Parameters<typeof preview.visit>[2]) => {
    const { status, text } = await preview.visit('echo', path, asked);
    assert.equal(status, 200, text);
    return JSON.parse(text) as {
      method: string;
      url: string;
      rawHeaders: string[];
      headers: Record<string, string>;
      body: string;
    };
  };

  test('method, path, query and body get through as they are', async () => {
    for (const path of [
      '/',
      '/a/b?c=d&c=e',
      '/%2e%2e/%00?x=%zz',
      '/a//b/../c',
      '/?',
      `/${'x'.repeat(8_000)}`,
    ]) {
      assert.equal((await echo(path)).url, path);
    }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      const headers = { 'content-length': String(Buffer.byteLength('größe ✓')) };
      const seen = await echo('/', { method, body: 'größe ✓', headers });
      assert.deepEqual([seen.method, seen.body], [method, 'größe ✓']);
    }
    const chunked = await echo('/', {
      method: 'POST',
      body: 'in parts',
      headers: { 'transfer-encoding': 'chunked' },
    });
    assert.equal(chunked.body, 'in parts');
    const head = await preview.visit('echo', '/', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
  });

  test('a request that claims to end later, or twice, never becomes a second one', async () => {
    const start = 'POST / HTTP/1.1\r\nhost: echo.localhost\r\n';
    const smuggled = 'GET /smuggled HTTP/1.1\r\nhost: echo.localhost\r\n\r\n';
    const tricks = [
      `${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${start}content-length: 0\r\ncontent-length: 40\r\n\r\n${smuggled}`,
      `${start}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
      `${start}transfer-encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${start}x: y\rcontent-length: 40\r\n\r\n${smuggled}`,
      `${start}transfer-encoding: chunked\r\n\r\n5;x\ny\r\nhello\r\n0\r\n\r\n${smuggled}`,
    ];
    for (const trick of tricks) {
      const text = await preview.raw(trick);
      assert.match(text, /^HTTP\/1\.1 400 /, trick);
      assert.doesNotMatch(text, /smuggled/, trick);
    }
    // With GET, a length the proxy did not pass on would leave the body to be read as a request.
    const { body } = await echo('/', {
      method: 'GET',
      body: smuggled,
      headers: { 'content-length': String(smuggled.length) },
    });
    assert.equal(body, smuggled);
    const seen = await echo('/', {
      method: 'DELETE',
      body: smuggled,
      headers: { 'transfer-encoding': 'chunked' },
    });
    assert.equal(seen.body, smuggled);
  });

  test('what is for one hop ends here, also what the sender says is', async () => {
    const { headers } = await echo('/', {
      method: 'POST',
      body: 'x',
      headers: {
        'transfer-encoding': 'chunked',
        connection: 'close, x-secret-hop, Keep-Alive',
        'x-secret-hop': '1',
        'keep-alive': 'timeout=5',
        te: 'trailers',
        trailer: 'x-later',
        'proxy-authorization': 'Basic x',
        'proxy-connection': 'keep-alive',
        'x-mine': 'kept',
      },
    });
    for (const name of [
      'x-secret-hop',
      'keep-alive',
      'te',
      'trailer',
      'proxy-authorization',
      'proxy-connection',
      'upgrade',
    ]) {
      assert.equal(headers[name], undefined, name);
    }
    assert.equal(headers['x-mine'], 'kept');
  });

  test('who asked is said by the proxy alone', async () => {
    const { headers } = await echo('/', {
      headers: {
        'x-forwarded-for': '1.2.3.4',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        'x-forwarded-prefix': '/x',
        forwarded: 'for=1.2.3.4',
        'x-real-ip': '1.2.3.4',
        'x-apphub-actor': 'operator',
      },
    });
    const host = `echo.localhost:${preview.port}`;
    assert.deepEqual(
      [headers['x-forwarded-for'], headers['x-forwarded-host'], headers['x-forwarded-proto'], headers.host],
      ['127.0.0.1', host, 'http', host],
    );
    for (const name of ['forwarded', 'x-real-ip', 'x-apphub-actor', 'x-forwarded-prefix']) {
      assert.equal(headers[name], undefined, name);
    }
  });

  test('what opens the doors of the platform stays outside; what is the app’s own gets in', async () => {
    const asked = (headers: Record<string, string>) => echo('/', { headers });
    assert.equal((await asked({ authorization: `Bearer ${token}` })).headers.authorization, undefined);
    assert.equal((await asked({ authorization: `bearer   ${token} ` })).headers.authorization, undefined);
    assert.equal(
      (await asked({ authorization: 'Bearer of-the-app' })).headers.authorization,
      'Bearer of-the-app',
    );
    assert.equal((await asked({ authorization: 'Basic dTpw' })).headers.authorization, 'Basic dTpw');
    const cookies =
      'apphub=1; a=1; __Host-apphub_session=2; AppHub-x=3; b="x; y"; __Secure-apphub=4; my-apphub=5';
    assert.equal((await asked({ cookie: cookies })).headers.cookie, 'a=1; b="x; y"; my-apphub=5');
    assert.equal((await asked({ cookie: 'apphub=1' })).headers.cookie, undefined);
    const { headers } = await asked({ 'sec-websocket-protocol': `chat, bearer.${token}, bearer.own` });
    assert.equal(headers['sec-websocket-protocol'], 'chat, bearer.own');
  });

  test('the app’s answer comes through, but for what would reach beyond its own origin', async () => {
    await preview.app('answers', (_request, response) => {
      response.writeHead(
        418,
        'Short and stout',
        [
          ['Set-Cookie', 'a=1; Domain=localhost; Path=/; HttpOnly'],
          ['Set-Cookie', 'b=2; domain = .localhost'],
          ['Set-Cookie', 'domain=3; Secure'],
          ['Content-Security-Policy', "default-src 'self'; frame-ancestors 'none'; img-src *"],
          ['Content-Security-Policy', 'frame-ancestors https://evil.example, script-src x'],
          ['X-Frame-Options', 'DENY'],
          ['Alt-Svc', 'h3=":443"'],
          ['Connection', 'x-hop'],
          ['X-Hop', '1'],
          ['X-Forwarded-Host', 'x'],
          ['X-Mine', 'kept'],
          ['Vary', 'a'],
          ['Vary', 'b'],
        ].flat(),
      );
      response.end('tea');
    });
    const { status, headers, text } = await preview.visit('answers');
    assert.deepEqual([status, text], [418, 'tea']);
    assert.deepEqual(headers['set-cookie'], ['a=1; Path=/; HttpOnly', 'b=2', 'domain=3; Secure']);
    const policy = headers['content-security-policy'] ?? '';
    const framed = `frame-ancestors 'self' http://localhost:${preview.port} http://127.0.0.1:${preview.port}`;
    assert.equal(policy, `default-src 'self'; img-src *, script-src x, ${framed}`);
    for (const name of ['x-frame-options', 'alt-svc', 'x-hop', 'x-forwarded-host'])
      assert.equal(headers[name], undefined, name);
    assert.deepEqual([headers['x-mine'], headers.vary], ['kept', 'a, b']);
    assert.equal(headers['x-apphub-launch'], 'answers');
    assert.equal(headers['origin-agent-cluster'], '?1');
  });

  test('a browser keeps nothing past the next build, unless the app says so and can tell its files apart', async () => {
    const answers: Record<string, Record<string, string>> = {
      '/silent': {},
      '/said': {
        'Cache-Control': 'max-age=60',
        ETag: '"abc"',
        'Last-Modified': 'Tue, 06 Jan 2026 00:00:00 GMT',
      },
      '/expires': { Expires: 'Tue, 06 Jan 2026 00:00:00 GMT' },
      '/file': { ETag: '"0-1a"', 'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT' },
    };
    await preview.app('caches', ({ url = '' }, response) => response.writeHead(200, answers[url]).end('it'));
    const seen = async (place: string) => {
      const { headers } = await preview.visit('caches', place);
      return [headers['cache-control'], headers.etag, headers['last-modified']];
    };
    assert.deepEqual(await seen('/silent'), ['no-cache', undefined, undefined]);
    assert.deepEqual(await seen('/said'), ['max-age=60', '"abc"', 'Tue, 06 Jan 2026 00:00:00 GMT']);
    assert.deepEqual(await seen('/expires'), [undefined, undefined, undefined]);
    assert.deepEqual(await seen('/file'), ['no-cache', undefined, undefined]);
  });

  test('an answer is passed on as it comes, both ways at once', async () => {
    const parts = Promise.withResolvers<void>();
    await preview.app('streams', (request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      request.on('data', part => response.write(`got ${part}`));
      request.on('end', () => parts.promise.then(() => response.end('bye')));
    });
    const socket = connect(preview.port, '127.0.0.1');
    let text = '';
    let came = Promise.withResolvers<void>();
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      came.resolve();
      came = Promise.withResolvers<void>();
    });
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) await came.promise;
    };
    socket.write('POST / HTTP/1.1\r\nhost: streams.localhost\r\ntransfer-encoding: chunked\r\n\r\n');
    await until(/event-stream/);
    socket.write('3\r\none\r\n');
    await until(/got one/);
    socket.write('3\r\ntwo\r\n0\r\n\r\n');
    await until(/got two/);
    parts.resolve();
    await until(/bye/);
    socket.destroy();
  });

  test('a visitor who leaves is not worked for any longer; an app that breaks off is not made whole', async () => {
    const gone = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await preview.app('leaves', (_request, response) => {
      response.once('close', () => gone.resolve());
      response.write('begun');
      asked.resolve();
    });
    const socket = connect(preview.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: leaves.localhost\r\n\r\n');
    await asked.promise;
    socket.destroy();
    await gone.promise;

    await preview.app('breaks', (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    await assert.rejects(preview.visit('breaks'), /aborted|ECONNRESET|socket hang up/);
  });

  test('a connection that the app has closed meanwhile is not the visitor’s trouble', async () => {
    const used = new Set<unknown>();
    let refused = 0;
    await preview.app('sleepy', ({ socket }, response) => {
      // The proxy sends a second request on a connection just as the app gives it up.
      if (used.has(socket)) {
        refused += 1;
        return void socket.destroy();
      }
      used.add(socket);
      response.end('awake');
    });
    for (let turn = 0; turn < 5; turn += 1) assert.equal((await preview.visit('sleepy')).text, 'awake');
    assert.ok(refused > 0, 'no connection was used twice');
  });

  test('while there is no app, people get a page that says why and looks again, and programs a problem', async () => {
    const own = await startPreview({ limits: { holdMsMax: 50 } });
    own.play.set('coming', comingUp('coming', { title: 'State <1>', message: 'Be "patient" & wait' }));
    own.play.set('over', isOver('over'));
    const coming = await own.visit('coming', '/', { headers: asBrowser });
    assert.equal(coming.status, 503);
    assert.equal(coming.headers['retry-after'], '1');
    assert.equal(coming.headers['cache-control'], 'no-store');
    assert.match(coming.text, /<meta http-equiv="refresh" content="1">/);
    assert.match(coming.text, /State &#60;1&#62;.*Be &#34;patient&#34; &#38; wait/);
    assert.doesNotMatch(coming.text, /<script|State </);
    const policy = String(coming.headers['content-security-policy']);
    assert.match(
      policy,
      /^default-src 'none'; style-src 'unsafe-inline'; .*; frame-ancestors 'self' http:\/\/localhost/,
    );
    const program = await own.visit('coming');
    assert.deepEqual([program.status, program.headers['content-type']], [503, 'application/problem+json']);
    assert.deepEqual(
      { ...JSON.parse(program.text), detail: '' },
      {
        type: 'urn:apphub:problem:launch-not-up',
        title: 'State <1>',
        status: 503,
        code: 'launch-not-up',
        detail: '',
      },
    );
    const over = await own.visit('over', '/', { headers: asBrowser });
    assert.equal(over.status, 410);
    assert.doesNotMatch(over.text, /refresh/);
    const head = await own.visit('over', '/', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [410, '']);
    const posted = await own.visit('coming', '/', { method: 'POST', body: 'x'.repeat(100_000) });
    assert.deepEqual([posted.status, posted.headers.connection], [503, 'close']);
    await own.close();
  });

  test('nothing listens, nobody knows it, nobody can say', async () => {
    const { server } = await preview.app('silent', () => undefined);
    server.close();
    server.closeAllConnections();
    const silent = await preview.visit('silent');
    assert.deepEqual([silent.status, silent.headers['retry-after']], [502, '5']);
    for (const name of ['nobody', 'a.b', '-x', 'x-', '_', 'x'.repeat(64), "'", '..', 'echo.localhost.echo']) {
      const { status, text } = await preview.visit(name);
      assert.equal(status, 404, name);
      assert.match(text, /There is nothing here/);
    }
    const find = async () => Promise.reject(new Error('password=secret'));
    const lost = await startPreview({ finder: { find, look: find, moved: async () => undefined } });
    const answer = await lost.visit('any');
    assert.equal(answer.status, 503);
    assert.doesNotMatch(answer.text, /secret/);
    assert.deepEqual(lost.logged, ['cannot find a launch']);
    await lost.close();
  });

  test('an app that speaks no HTTP is an app that does not answer', async () => {
    for (const said of [
      'garbage\r\n\r\n',
      'HTTP/1.1 999999 x\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx',
      '',
    ]) {
      const app = createServer(socket => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.end(said));
      }).listen(0, '127.0.0.1');
      await once(app, 'listening');
      const { port } = app.address() as { port: number };
      preview.play.set('garbled', upAt('garbled', { host: '127.0.0.1', port }));
      assert.equal((await preview.visit('garbled')).status, 502, JSON.stringify(said));
      app.close();
    }
  });

  test('the host alone says which launch is meant, however it is written', async () => {
    const { port } = preview;
    for (const host of ['ECHO.LocalHost', `echo.localhost.:${port}`, 'echo.localhost']) {
      const { status } = await preview.visit('', '/', { headers: { host } });
      assert.equal(status, 200, host);
    }
    for (const host of [
      'localhost',
      'evillocalhost',
      'echo.localhost.evil.example',
      '127.0.0.1',
      'echo.localhost@x',
      'x#.localhost.y',
    ]) {
      assert.equal((await preview.visit('', '/', { headers: { host } })).text, 'the platform itself', host);
    }
    const absolute = await preview.raw(
      'GET http://other.localhost/path?q HTTP/1.1\r\nhost: echo.localhost\r\nconnection: close\r\n\r\n',
    );
    assert.match(absolute, /"url":"\/path\?q"/);
    const twice = await preview.raw(
      'GET / HTTP/1.1\r\nhost: echo.localhost\r\nhost: other.localhost\r\nconnection: close\r\n\r\n',
    );
    assert.doesNotMatch(twice, /other\.preview/);
    const star = await preview.raw('OPTIONS * HTTP/1.1\r\nhost: echo.localhost\r\nconnection: close\r\n\r\n');
    assert.match(star, /"url":"\*"/);
  });

  test('no field of a request breaks it or gets a claim through', async () => {
    const name = fc.oneof(
      fc.constantFrom(
        'connection',
        'te',
        'cookie',
        'authorization',
        'x-forwarded-for',
        'X-AppHub-X',
        'forwarded',
        'accept',
        'range',
        'origin',
      ),
      fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/),
    );
    const value = fc.stringMatching(/^[!-~]([ -~\x80-\xff]{0,40}[!-~])?$/);
    const taken = new Set(['content-length', 'transfer-encoding', 'host', 'expect', 'upgrade']);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 8 }), async pairs => {
        const headers = Object.fromEntries(pairs.filter(([key]) => !taken.has(key)));
        const seen = await echo('/', { headers });
        assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
        assert.ok(!Object.keys(seen.headers).some(key => key.startsWith('x-apphub')));
        assert.doesNotMatch(seen.headers.cookie ?? '', /(?:^|; )apphub/i);
      }),
      { numRuns: 60 },
    );
  });

  suite('WebSockets', () => {
    const sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: offered => [...offered][0] ?? false,
    });
    const open = (name: string, protocols: string[] = [], headers: Record<string, string> = {}) =>
      new WebSocket(`ws://127.0.0.1:${preview.port}/chat?a=b`, protocols, {
        headers: { host: `${name}.localhost`, ...headers },
      });

    test('go through both ways, with what was sent before the answer', async () => {
      const seen: IncomingMessage[] = [];
      await preview.app(
        'chat',
        (_request, response) => response.end(),
        (incoming, socket, head) => {
          seen.push(incoming as IncomingMessage);
          sockets.handleUpgrade(incoming as IncomingMessage, socket, head, client => {
            client.send('hello');
            client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
          });
        },
      );
      const client = open('chat', ['apphub', `bearer.${token}`, 'chat'], {
        cookie: 'apphub=1; a=1',
        authorization: `Bearer ${token}`,
      });
      const [first] = await once(client, 'message');
      assert.equal(String(first), 'hello');
      assert.equal(client.protocol, 'apphub');
      for (const message of ['größe', Buffer.alloc(300_000, 7)]) {
        client.send(message);
        const [back] = await once(client, 'message');
        assert.ok(Buffer.from(message as string).equals(back as Buffer));
      }
      const [{ url, headers }] = seen as [IncomingMessage];
      assert.deepEqual([url, headers.cookie, headers.authorization], ['/chat?a=b', 'a=1', undefined]);
      assert.equal(headers['sec-websocket-protocol'], 'apphub, chat');
      client.close(4_001, 'enough');
      const [code] = await once(client, 'close');
      assert.equal(code, 4_001);
    });

    test('end on both sides when one side is gone', async () => {
      const atApp = Promise.withResolvers<WebSocket>();
      await preview.app(
        'ends',
        (_request, response) => response.end(),
        (incoming, socket, head) =>
          sockets.handleUpgrade(incoming as IncomingMessage, socket, head, client => atApp.resolve(client)),
      );
      const client = open('ends');
      await once(client, 'open');
      const closed = once(await atApp.promise, 'close');
      client.terminate();
      assert.equal((await closed)[0], 1006);
    });

    test('that an app declines, or that there is no app for, are answered like any request', async () => {
      await preview.app('declines', (_request, response) =>
        response.writeHead(401, { 'x-mine': '1' }).end('no'),
      );
      preview.play.set('over', isOver('over'));
      const { server } = await preview.app('down', () => undefined);
      server.close();
      for (const [name, status] of [
        ['declines', 401],
        ['over', 410],
        ['nobody', 404],
        ['down', 502],
      ] as const) {
        const client = open(name);
        client.on('error', () => undefined);
        const [, answer] = await once(client, 'unexpected-response');
        assert.equal(answer.statusCode, status, name);
        answer.destroy();
      }
    });

    test('all go when the proxy is closed', async () => {
      const own = await startPreview();
      await own.app(
        'chat',
        (_request, response) => response.end(),
        (incoming, socket, head) =>
          sockets.handleUpgrade(incoming as IncomingMessage, socket, head, () => undefined),
      );
      const client = new WebSocket(`ws://127.0.0.1:${own.port}/`, {
        headers: { host: 'chat.localhost' },
      });
      await once(client, 'open');
      await own.close();
      assert.equal((await once(client, 'close'))[0], 1006);
    });
  });
});

suite('host names of somebody’s own', async () => {
  const preview = await startPreview({
    domain: 'preview.example.net',
    ownHosts: ['apphub.example.org', 'localhost'],
  });
  after(() => preview.close());
  const { port } = await preview.app('launch-1', (request, response) =>
    response.end(JSON.stringify(request.headers)),
  );
  const at = (host: string, headers: Record<string, string> = {}) =>
    preview.visit('', '/x', { headers: { host, ...headers } });

  test('lead to a launch while they are claimed, and to the platform otherwise', async () => {
    assert.equal((await at('shop.example.org')).text, 'the platform itself');
    preview.play.set('shop.example.org', upAt('launch-1', { host: '127.0.0.1', port }));
    for (const host of ['shop.example.org', 'SHOP.example.org:8080', 'shop.example.org.']) {
      const { headers, text } = await at(host);
      assert.equal(headers['x-apphub-launch'], 'launch-1');
      assert.equal(JSON.parse(text)['x-forwarded-host'], host);
    }
    for (const host of ['apphub.example.org', 'localhost', 'x.shop.example.org', '127.0.0.1', 'myserver'])
      assert.equal((await at(host)).text, 'the platform itself', host);
    // Nobody can claim what means the platform.
    preview.play.set('apphub.example.org', upAt('launch-1', { host: '127.0.0.1', port }));
    assert.equal((await at('apphub.example.org')).text, 'the platform itself');
    preview.play.targets.delete('shop.example.org');
    assert.equal((await at('shop.example.org')).text, 'the platform itself');
  });

  test('of a private launch lead over the platform and back to themselves', async () => {
    const target = upAt('launch-1', { host: '127.0.0.1', port });
    preview.play.set('shop.example.org', { ...target, access: 'private' });
    const page = await at('shop.example.org', asBrowser);
    assert.equal(page.status, 401);
    assert.match(page.text, /\/launches\/launch-1\/open\?to=%2Fx&#38;host=shop\.example\.org"/);
    const grant = preview.grant('launch-1');
    assert.equal((await at('shop.example.org', { 'x-apphub-grant': grant })).status, 200);
    assert.equal((await at('shop.example.org', { 'x-apphub-grant': preview.grant('launch-2') })).status, 401);
  });

  test('where nobody can say, the platform is there under its other names', async () => {
    const find = async () => Promise.reject(new Error('no database'));
    const lost = await startPreview({ finder: { find, look: find, moved: async () => undefined } });
    const { text } = await lost.visit('', '/', { headers: { host: 'apphub.lan' } });
    assert.equal(text, 'the platform itself');
    await lost.close();
  });

  test('that show a launch that is over are not gone for ever', async () => {
    preview.play.set('shop.example.org', { ...isOver('launch-1'), isPassing: true } as never);
    const { status, headers } = await at('shop.example.org', asBrowser);
    assert.deepEqual([status, headers['retry-after']], [503, '10']);
  });
});
