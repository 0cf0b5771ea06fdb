/** How much of a visitor and of an app the proxy puts up with: sizes, times, numbers, and what is not HTTP as it should be. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { after, suite, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { startPreview, upAt } from '../support/preview.ts';

const mb = 1 << 20;

suite('limits of previews', async () => {
  const limits = {
    answerMsMax: 200,
    sendMsMax: 200,
    bodyBytesMax: 100_000,
    urlCharsMax: 2_000,
    fieldsMax: 20,
    perLaunchMax: 8,
    perVisitorMax: 3,
  };
  const preview = await startPreview({ limits, trustedProxies: ['127.0.0.1'] });
  after(() => preview.close());
  let seen = 0;
  await preview.app('app', async (request, response) => {
    seen += 1;
    const parts = await Readable.from(request)
      .toArray()
      .catch(() => []);
    response.end(
      JSON.stringify({ url: request.url, headers: request.headers, body: Buffer.concat(parts).toString() }),
    );
  });
  const codeOf = (text: string) => JSON.parse(text).code;
  const host = 'host: app.localhost\r\n';
  /** A socket, and all that came on it until it was closed. */
  const open = (bytes = '') => {
    const socket = connect(preview.port, '127.0.0.1');
    let text = '';
    socket.on('error', () => undefined);
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    if (bytes !== '') socket.write(bytes, 'latin1');
    const closed = once(socket, 'close').then(() => text);
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) await Promise.race([once(socket, 'data'), closed]);
      return text;
    };
    return { socket, closed, until };
  };

  suite('sizes', () => {
    test('of an address, of its fields, of a body that says how large it is', async () => {
      const before = seen;
      const long = await preview.visit('app', `/${'x'.repeat(2_000)}`);
      assert.deepEqual([long.status, codeOf(long.text)], [414, 'too-large']);
      const fields = Object.fromEntries(Array.from({ length: 25 }, (_, at) => [`x-${at}`, 'y']));
      assert.equal((await preview.visit('app', '/', { headers: fields })).status, 431);
      const thousands = Array.from({ length: 1_500 }, (_, at) => `x-${at}: y\r\n`).join('');
      assert.match(await preview.raw(`GET / HTTP/1.1\r\n${host}${thousands}\r\n`), /^HTTP\/1\.1 431 /);
      assert.match(
        await preview.raw(`GET / HTTP/1.1\r\n${host}x: ${'y'.repeat(70_000)}\r\n\r\n`),
        /^HTTP\/1\.1 431 /,
      );
      const large = await preview
        .visit('app', '/', { method: 'POST', headers: { 'content-length': '100001' }, body: '' })
        .catch(() => undefined);
      assert.ok(large === undefined || large.status === 413);
      const said = `POST / HTTP/1.1\r\n${host}content-length: 100001\r\nexpect: 100-continue\r\n\r\n`;
      const refused = await preview.raw(said);
      assert.match(refused, /^HTTP\/1\.1 413 .*[\s\S]*"code":"too-large"/);
      assert.doesNotMatch(refused, /100 Continue/, 'nobody is asked to send it');
      assert.equal(seen, before);
    });

    test('of a body that does not say', async () => {
      const { socket, until } = open(`POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n`);
      const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
      for (let count = 0; count < 7; count += 1) socket.write(chunk);
      assert.match(await until(/too-large/), /^HTTP\/1\.1 413 /);
      socket.destroy();
    });
  });

  suite('times', () => {
    test('a visitor who stops sending is answered and let go', async () => {
      const { closed } = open(`POST / HTTP/1.1\r\n${host}content-length: 10\r\n\r\nhalf`);
      assert.match(await closed, /^HTTP\/1\.1 408 [\s\S]*"code":"too-slow"/);
    });

    test('an app that says nothing, or one byte now and then, is given up', async () => {
      const dribbling = createServer(socket => {
        socket.on('error', () => undefined);
        let at = 0;
        const text = 'HTTP/1.1 200 OK\r\nA: '.padEnd(1_000, 'x');
        const timer = setInterval(() => socket.write(text[at++] ?? 'x'), 20);
        socket.on('close', () => clearInterval(timer)).resume();
      }).listen(0, '127.0.0.1');
      await once(dribbling, 'listening');
      preview.play.set(
        'slow',
        upAt('slow', { host: '127.0.0.1', port: (dribbling.address() as { port: number }).port }),
      );
      for (const asked of [{}, { method: 'POST', body: 'x' }, { method: 'POST' }]) {
        const { status, text } = await preview.visit('slow', '/', asked);
        assert.deepEqual([status, codeOf(text)], [504, 'app-too-slow']);
      }
      dribbling.close();
    });

    test('an app that does not take what is sent to it is given up', async () => {
      const own = await startPreview({ limits: { answerMsMax: 200 } });
      const deaf = createServer({ pauseOnConnect: true }, socket =>
        socket.on('error', () => undefined),
      ).listen(0, '127.0.0.1');
      await once(deaf, 'listening');
      own.play.set(
        'deaf',
        upAt('deaf', { host: '127.0.0.1', port: (deaf.address() as { port: number }).port }),
      );
      const body = 'x'.repeat(30 * mb);
      const { status } = await own.visit('deaf', '/', { method: 'POST', body });
      assert.equal(status, 504);
      deaf.close();
      await own.close();
    });

    test('an app that begins and stops is cut off, and its answer is not made whole', async () => {
      const own = await startPreview({ limits: { idleMsMax: 1_000 } });
      await own.app('stops', (request, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('half');
        request.resume();
      });
      for (const asked of [{}, { method: 'POST', body: 'x' }])
        await assert.rejects(own.visit('stops', '/', asked), /aborted|ECONNRESET|hang up/);
      await own.close();
    });
  });

  test('numbers: of one visitor, and of one launch', async () => {
    const held: (() => void)[] = [];
    await preview.app('busy', (_request, response) => void held.push(() => response.end('done')));
    const ask = (address: string) => preview.visit('busy', '/', { headers: { 'x-forwarded-for': address } });
    const running = Array.from({ length: 3 }, () => ask('192.0.2.1'));
    while (held.length < 3) await new Promise(setImmediate);
    const over = await ask('192.0.2.1');
    assert.deepEqual([over.status, codeOf(over.text)], [429, 'rate-limited']);
    assert.equal(over.headers['retry-after'], '5');
    for (let count = 0; count < 3; count += 1) running.push(ask('2001:db8::1'));
    for (let count = 0; count < 2; count += 1) running.push(ask('127.0.0.1'));
    while (held.length < 8) await new Promise(setImmediate);
    const full = await ask('192.0.2.9');
    assert.deepEqual([full.status, codeOf(full.text)], [503, 'too-many-visitors']);
    for (const end of held.splice(0)) end();
    for (const { text } of await Promise.all(running)) assert.equal(text, 'done');
    const again = ask('192.0.2.1');
    while (held.length < 1) await new Promise(setImmediate);
    held[0]?.();
    assert.equal((await again).text, 'done', 'what has ended makes room');
  });

  suite('what is not HTTP as it should be', () => {
    const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`;
    const refused: Record<string, string> = {
      'CL.TE': `POST / HTTP/1.1\r\n${host}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'TE.CL': `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\n${smuggled}0\r\n\r\n`,
      'two lengths': `POST / HTTP/1.1\r\n${host}content-length: 0\r\ncontent-length: 44\r\n\r\n${smuggled}`,
      'one length twice': `POST / HTTP/1.1\r\n${host}content-length: 5\r\ncontent-length: 5\r\n\r\nhello${smuggled}`,
      'a list of lengths': `POST / HTTP/1.1\r\n${host}content-length: 5, 5\r\n\r\nhello${smuggled}`,
      'a signed length': `POST / HTTP/1.1\r\n${host}content-length: +5\r\n\r\nhello${smuggled}`,
      'a length in hex': `POST / HTTP/1.1\r\n${host}content-length: 0x5\r\n\r\nhello${smuggled}`,
      'a space before the colon': `POST / HTTP/1.1\r\n${host}content-length : 5\r\n\r\nhello${smuggled}`,
      'an unknown coding last': `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n${smuggled}`,
      'a coding with a tab': `POST / HTTP/1.1\r\n${host}transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'bare line feeds': `POST / HTTP/1.1\n${host}content-length: 0\n\n${smuggled}`,
      'a bare line feed in a field': `POST / HTTP/1.1\r\n${host}a: b\ncontent-length: 44\r\n\r\n${smuggled}`,
      'a bare carriage return': `POST / HTTP/1.1\r\n${host}a: b\rcontent-length: 44\r\n\r\n${smuggled}`,
      'a null': `POST / HTTP/1.1\r\n${host}a: b\0c\r\n\r\n${smuggled}`,
      'a chunk that is no number': `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n${smuggled}`,
      'a chunk that is longer': `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n1\r\nhello\r\n0\r\n\r\n${smuggled}`,
      'a chunk ended by a line feed': `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n${smuggled}`,
      'a line folded into the length': `POST / HTTP/1.1\r\n${host}content-length:\r\n 5\r\n\r\nhello${smuggled}`,
    };
    for (const [what, bytes] of Object.entries(refused)) {
      test(what, async () => {
        const text = await preview.raw(bytes);
        // A body may have begun before it turns out wrong: then there is no answer at all, or none that is good.
        assert.doesNotMatch(text, /smuggled/, text);
        assert.doesNotMatch(text, /^HTTP\/1\.1 [23]/, text);
      });
    }

    test('a field over two lines says one thing on both sides', async () => {
      const text = await preview.raw(
        `GET / HTTP/1.1\r\n${host}a: b\r\n x-forwarded-for: 6.6.6.6\r\nconnection: close\r\n\r\n`,
      );
      assert.ok(/^HTTP\/1\.1 400/.test(text) || !/"x-forwarded-for":"6/.test(text), text);
    });

    test('CONNECT and TRACE, for a launch and for the platform', async () => {
      const before = seen;
      for (const start of [
        `CONNECT app.localhost:80 HTTP/1.1\r\n${host}`,
        `CONNECT x:80 HTTP/1.1\r\nhost: localhost\r\n`,
      ]) {
        assert.match(await preview.raw(`${start}\r\n`), /^HTTP\/1\.1 405 [\s\S]*method-not-allowed/);
      }
      assert.match(
        await preview.raw(`TRACE / HTTP/1.1\r\n${host}cookie: a=1\r\nconnection: close\r\n\r\n`),
        /^HTTP\/1\.1 405 /,
      );
      assert.equal(seen, before);
    });

    test('an upgrade to HTTP/2, and its preface, are no way past', async () => {
      const upgrade =
        'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n';
      const { socket, until } = open(`GET /plain HTTP/1.1\r\n${host}${upgrade}\r\n`);
      const text = await until(/"body":""\}/);
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.doesNotMatch(text, /http2-settings|"upgrade"/);
      socket.destroy();
      const preface = await preview.raw('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      assert.doesNotMatch(preface, /^HTTP\/1\.1 2/);
    });

    test('no name of a field in Connection takes away what the proxy says', async () => {
      const names =
        'close, host, x-forwarded-for, x-forwarded-host, x-forwarded-proto, cookie, content-length, x-mine';
      const text = await preview.raw(
        `POST / HTTP/1.1\r\n${host}connection: ${names}\r\ncookie: a=1\r\nx-mine: 1\r\ncontent-length: 5\r\n\r\nhello`,
      );
      const { headers, body } = JSON.parse(/\{.*\}/s.exec(text)?.[0] ?? '');
      assert.deepEqual(
        [headers.host, headers['x-forwarded-for'], headers['x-mine'], body],
        ['app.localhost', '127.0.0.1', undefined, 'hello'],
      );
    });

    test('two requests in one go are two requests', async () => {
      const twice = `GET /1 HTTP/1.1\r\n${host}\r\nGET /2 HTTP/1.1\r\n${host}connection: close\r\n\r\n`;
      const text = await preview.raw(twice);
      assert.deepEqual(
        [...text.matchAll(/"url":"(\/\d)"/g)].map(([, url]) => url),
        ['/1', '/2'],
      );
    });
  });

  suite('answers', () => {
    test('without a body are without one, and leave the connection good', async () => {
      await preview.app('bare', (request, response) => {
        const status = Number(request.url?.slice(1));
        if (status === 304) response.writeHead(304, { etag: '"x"', 'content-length': '7' }).end();
        else if (status === 204) response.writeHead(204, { 'x-mine': '1' }).end();
        else response.writeHead(200, { 'content-length': '7', 'content-type': 'x/y' }).end('1234567');
      });
      const bare = 'host: bare.localhost\r\n';
      const all = await preview.raw(
        `HEAD /200 HTTP/1.1\r\n${bare}\r\nGET /204 HTTP/1.1\r\n${bare}\r\nGET /304 HTTP/1.1\r\n${bare}\r\n` +
          `GET /200 HTTP/1.1\r\n${bare}connection: close\r\n\r\n`,
      );
      const statuses = [...all.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
      assert.deepEqual(statuses, ['200', '204', '304', '200']);
      assert.equal([...all.matchAll(/1234567/g)].length, 1);
      assert.equal([...all.matchAll(/content-length: 7/gi)].length, 3);
      assert.equal([...all.matchAll(/x-apphub-launch: bare/g)].length, 4);
    });

    test('that are packed, in part, or end with trailers come through as they are', async () => {
      const packed = gzipSync('größe'.repeat(1_000));
      await preview.app('parts', (request, response) => {
        if (request.url === '/gzip') response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
        else if (request.url === '/trailers') {
          response.writeHead(200, { trailer: 'x-later', te: 'x' });
          response.write('body');
          response.addTrailers({ 'x-later': '1' });
          response.end();
        } else {
          assert.equal(request.headers.range, 'bytes=2-4');
          assert.equal(request.headers['if-range'], '"v1"');
          response.writeHead(206, { 'content-range': 'bytes 2-4/10', 'accept-ranges': 'bytes' }).end('234');
        }
      });
      const get = (path: string) => fetchRaw(preview.port, path);
      const zipped = await get('/gzip');
      assert.match(zipped.head, /content-encoding: gzip/i);
      assert.equal(gunzipSync(zipped.body).toString(), 'größe'.repeat(1_000));
      const trailed = await get('/trailers');
      assert.equal(trailed.body.toString(), 'body');
      assert.doesNotMatch(trailed.head, /trailer/i);
      const part = await preview.visit('parts', '/', { headers: { range: 'bytes=2-4', 'if-range': '"v1"' } });
      assert.deepEqual([part.status, part.text, part.headers['content-range']], [206, '234', 'bytes 2-4/10']);
    });

    test('of any size go no faster than they are read, both ways', async () => {
      let sent = 0;
      let got = 0;
      let isReading = false;
      await preview.app('big', (request, response) => {
        if (request.method === 'POST') {
          // Reads nothing until it is told to.
          const timer = setInterval(() => {
            if (!isReading) return;
            clearInterval(timer);
            request.on('data', part => {
              got += part.length;
            });
            request.on('end', () => response.end(String(got)));
          }, 5);
          return;
        }
        const part = Buffer.alloc(1 << 16, 'x');
        const write = () => {
          while (sent < 256 * mb) {
            sent += part.length;
            if (!response.write(part)) return void response.once('drain', write);
          }
          response.end();
        };
        write();
      });
      const before = process.memoryUsage().rss;
      const reader = connect(preview.port, '127.0.0.1');
      reader.pause().write('GET / HTTP/1.1\r\nhost: big.localhost\r\nconnection: close\r\n\r\n');
      let last = -1;
      // Until nothing more can be sent to somebody who reads nothing.
      while (sent !== last || sent === 0) {
        last = sent;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
      assert.ok(sent < 32 * mb, `${sent} bytes were taken for a visitor who reads nothing`);
      let read = 0;
      reader.on('data', part => {
        read += part.length;
      });
      reader.resume();
      await once(reader, 'close');
      assert.ok(read > 256 * mb);
      assert.ok(process.memoryUsage().rss - before < 200 * mb);

      const own = await startPreview({ limits: { bodyBytesMax: 1_000 * mb } });
      own.play.set('big', preview.play.targets.get('big')!);
      const sender = connect(own.port, '127.0.0.1');
      sender.write(
        `POST / HTTP/1.1\r\nhost: big.localhost\r\ncontent-length: ${64 * mb}\r\nconnection: close\r\n\r\n`,
      );
      let pushed = 0;
      const push = (socket: Socket) => {
        while (pushed < 64 * mb) {
          pushed += 1 << 16;
          if (!socket.write(Buffer.alloc(1 << 16))) return void socket.once('drain', () => push(socket));
        }
      };
      push(sender);
      let before2 = -1;
      while (pushed !== before2) {
        before2 = pushed;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
      assert.ok(pushed < 32 * mb, `${pushed} bytes were taken for an app that reads nothing`);
      isReading = true;
      let answer = '';
      for await (const part of sender.setEncoding('latin1')) answer += part;
      assert.match(answer, new RegExp(`${64 * mb}`));
      await own.close();
    });
  });
});

async function fetchRaw(port: number, path: string): Promise<{ head: string; body: Buffer }> {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `GET ${path} HTTP/1.1\r\nhost: parts.localhost\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n`,
  );
  const all = Buffer.concat((await socket.toArray()) as Buffer[]);
  const end = all.indexOf('\r\n\r\n');
  const head = all.subarray(0, end).toString('latin1');
  let rest = all.subarray(end + 4);
  if (!/transfer-encoding: chunked/i.test(head)) return { head, body: rest };
  const parts: Buffer[] = [];
  for (;;) {
    const line = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.subarray(0, line).toString(), 16);
    if (size === 0) {
      assert.equal(rest.subarray(line).toString(), '\r\n\r\n', 'nothing behind the last chunk');
      return { head, body: Buffer.concat(parts) };
    }
    parts.push(rest.subarray(line + 2, line + 2 + size));
    rest = rest.subarray(line + 4 + size);
  }
}
