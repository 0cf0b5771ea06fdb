/** The client for kept connections: plain answers in any pieces, and nothing that could be read in two ways. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type Listener,
  OddAnswer,
  openUpstreams,
  type Running,
  type Upstream,
} from '../../platform/preview-upstream.ts';

type Seen = { status: number; fields: readonly string[]; body: string } | { error: string };

suite('kept connections', async () => {
  /** What the app says to each request: pieces, written one after the other. */
  let says: (socket: Socket, request: string, count: number) => unknown = () => undefined;
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, socket => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let count = 0;
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
      if (!text.includes('\r\n\r\n')) return;
      count += 1;
      says(socket, text, count);
      text = '';
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  after(() => server.close());
  const opened: { close(): void }[] = [];
  after(() => opened.map(one => one.close()));
  /** One that has heard nothing of the app yet. */
  const anew = (at = port): Upstream => {
    const made = openUpstreams({ answerIdleMsMax: 2_000 });
    opened.push(made);
    return made.at({ host: '127.0.0.1', port: at });
  };
  /** Connections of tests before are over. */
  const quiet = async () => {
    for (const one of opened) one.close();
    while (sockets.size > 0) await new Promise(setImmediate);
  };
  const ask = (upstream: Upstream, method = 'GET', running: (one: Running) => void = () => undefined) =>
    new Promise<Seen>(resolve => {
      let seen = { status: 0, fields: [] as readonly string[], body: '' };
      const listener: Listener = {
        begin: (status, _said, fields) => {
          seen = { status, fields, body: '' };
        },
        whole: (status, _said, fields, body) => resolve({ status, fields, body: body.toString('latin1') }),
        data: part => {
          seen.body += part.toString('latin1');
          return true;
        },
        end: () => resolve(seen),
        fail: error => resolve({ error: error.constructor.name }),
      };
      running(upstream.ask({ method, path: '/x?y', fields: ['host', 'h', 'a', 'b'] }, listener));
    });
  const write = async (socket: Socket, pieces: readonly string[]) => {
    for (const piece of pieces) {
      if (piece !== '') socket.write(piece, 'latin1');
      await new Promise(setImmediate);
    }
  };
  /** Cut at these places. */
  const cut = (text: string, places: readonly number[]) => {
    const at = [0, ...places.map(place => place % (text.length + 1)).sort((a, b) => a - b), text.length];
    return at.slice(1).map((end, index) => text.slice(at[index], end));
  };

  const name = fc
    .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/)
    .filter(one => !/^(content|transfer|connection|keep)/i.test(one));
  const value = fc.stringMatching(/^([!-~\x80-\xff]([ -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/);
  const fields = fc.array(fc.tuple(name, value), { maxLength: 6 });
  const body = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)),
    maxLength: 400,
  });
  const chunked = (text: string, sizes: readonly number[]) => {
    const parts = cut(text, sizes).filter(part => part !== '');
    return `${parts.map(part => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`;
  };

  test('an answer comes through as it is, in whatever pieces, again and again on one connection', async () => {
    const upstream = anew();
    const before = connections;
    await fc.assert(
      fc.asyncProperty(
        fields,
        body,
        fc.integer({ min: 200, max: 599 }).filter(status => status !== 204 && status !== 304),
        fc.option(fc.array(fc.nat(400), { maxLength: 4 }), { nil: undefined }),
        fc.array(fc.nat(2_000), { maxLength: 5 }),
        async (pairs, text, status, chunks, places) => {
          const lines = pairs.map(([key, one]) => `${key}: ${one}\r\n`).join('');
          const framed =
            chunks === undefined
              ? `Content-Length: ${text.length}\r\n\r\n${text}`
              : `Transfer-Encoding: Chunked\r\n\r\n${chunked(text, chunks)}`;
          says = socket => write(socket, cut(`HTTP/1.1 ${status} Fine\r\n${lines}${framed}`, places));
          const seen = await ask(upstream);
          assert.ok('status' in seen, JSON.stringify(seen));
          assert.deepEqual([seen.status, seen.body], [status, text]);
          assert.deepEqual(
            seen.fields.slice(0, -2),
            pairs.flat().map(one => one.trim()),
          );
        },
      ),
      { numRuns: 300 },
    );
    assert.equal(connections, before + 1);
  });

  test('is what Node’s own client makes of it, or left to that one', async () => {
    const odd = [
      'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\n\r\nuntil the end',
      'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
      'HTTP/1.1 200 OK\r\nA: b\nContent-Length: 9\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nno field\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
      'HTTP/2 200\r\nContent-Length: 2\r\n\r\nok',
      'garbage\r\n\r\n',
    ];
    for (const answer of odd) {
      const upstream = anew();
      says = socket => socket.end(answer, 'latin1');
      assert.deepEqual(await ask(upstream), { error: 'OddAnswer' }, answer);
      assert.equal(upstream.isOdd, true);
    }
  });

  test('bodies that end in no way that was said are not made whole', async () => {
    for (const [answer, error] of [
      ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok', 'HungUp'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n', 'HungUp'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n', 'OddAnswer'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n', 'OddAnswer'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 2\r\nok\r\n0\r\n\r\n', 'OddAnswer'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n', 'OddAnswer'],
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\nok\r\n0\r\n\r\n', 'OddAnswer'],
      [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(2_000)}`, 'OddAnswer'],
      [`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}`, 'OddAnswer'],
    ] as const) {
      says = socket => socket.end(answer, 'latin1');
      assert.deepEqual(await ask(anew()), { error }, answer.slice(0, 80));
    }
  });

  test('what is said behind an answer, or without being asked, goes to nobody', async () => {
    await quiet();
    const upstream = anew();
    const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
    for (const first of [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nTrailer: x\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n',
    ]) {
      says = socket => socket.write(first + poison);
      const seen = await ask(upstream);
      assert.ok('body' in seen && ['ok', ''].includes(seen.body), JSON.stringify(seen));
      says = socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine');
      const next = await ask(upstream);
      assert.equal('body' in next && next.body, 'mine');
    }
    // Nobody has asked anything on this connection.
    const before = connections;
    for (const socket of sockets) socket.write(poison);
    while (sockets.size > 0) await new Promise(setImmediate);
    const later = await ask(upstream);
    assert.equal('body' in later && later.body, 'mine');
    assert.equal(connections, before + 1);
  });

  test('HEAD has no body, whatever its fields say, and leaves the connection good', async () => {
    const upstream = anew();
    says = (socket, request) =>
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n${request.startsWith('HEAD') ? '' : '123456789'}`,
      );
    const before = connections;
    assert.deepEqual(await ask(upstream, 'HEAD'), { status: 200, fields: ['Content-Length', '9'], body: '' });
    assert.deepEqual(await ask(upstream), {
      status: 200,
      fields: ['Content-Length', '9'],
      body: '123456789',
    });
    assert.ok(connections <= before + 1);
  });

  test('an app that says it closes, or closes, is connected to anew', async () => {
    await quiet();
    const upstream = anew();
    says = socket => socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
    const before = connections;
    for (let turn = 0; turn < 3; turn += 1) await ask(upstream);
    assert.ok(connections >= before + 2);
    says = socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await ask(upstream);
    while (sockets.size > 0) await new Promise(setImmediate);
    says = socket => socket.destroy();
    assert.deepEqual(await ask(upstream), { error: 'HungUp' });
  });

  test('a request is sent as it is, in one piece', async () => {
    let sent = '';
    says = (socket, request) => {
      sent = request;
      socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    };
    await ask(anew(), 'OPTIONS');
    assert.equal(sent, 'OPTIONS /x?y HTTP/1.1\r\nhost: h\r\na: b\r\n\r\n');
  });

  test('one that is given up is closed, and an app that pauses for too long is left', async () => {
    await quiet();
    const upstream = anew();
    says = () => undefined;
    const gone = await ask(upstream, 'GET', running => running.abort(new OddAnswer()));
    assert.deepEqual(gone, { error: 'OddAnswer' });
    says = socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    const waiting = ask(upstream);
    const seen = Promise.race([waiting, new Promise(resolve => setTimeout(resolve, 50, 'waits'))]);
    assert.equal(await seen, 'waits');
    for (let look = 0; look < 3; look += 1) upstream.lookAround();
    assert.deepEqual(await waiting, { error: 'AppTooSlow' });
    says = socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await ask(upstream);
    assert.equal(upstream.lookAround(), false);
    for (let look = 0; look < 4; look += 1) upstream.lookAround();
    while (sockets.size > 0) await new Promise(setImmediate);
    for (let look = 0; look < 60; look += 1) upstream.lookAround();
    assert.equal(upstream.lookAround(), true, 'nothing is left of it');
  });

  test('nothing listens', async () => {
    const free = http.createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port: none } = free.address() as AddressInfo;
    free.close();
    assert.deepEqual(await ask(anew(none)), { error: 'Error' });
  });
});
