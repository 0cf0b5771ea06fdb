/** The listening socket: whoever is too slow, opens too much, or has no business here. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { after, suite, test } from 'node:test';
import { hurry, openServer, type ServerOptions } from '../../platform/server.ts';

suite('the server', () => {
  const closings: (() => void)[] = [];
  after(() => {
    for (const close of closings) close();
  });
  const start = async (options: ServerOptions = {}) => {
    const seen: string[] = [];
    const server = openServer((request, response) => {
      seen.push(request.url ?? '');
      request.resume().on('end', () => response.end('done'));
    }, options);
    server.on('upgrade', (_request, socket) => socket.end('upgraded'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closings.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const open = (bytes: string) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
      let text = '';
      socket.on('error', () => undefined);
      socket.setEncoding('latin1').on('data', (part: string) => {
        text += part;
      });
      const closed = new Promise<string>(resolve => socket.once('close', () => resolve(text)));
      return { socket, closed, text: () => text };
    };
    return { open, seen };
  };

  test('lets go of whoever does not finish his head', async () => {
    const { open, seen } = await start({ headersMsMax: 100 });
    const { closed } = open('GET / HTTP/1.1\r\nhost: x\r\na: ');
    assert.match(await closed, /^HTTP\/1\.1 408 [\s\S]*too-slow/);
    assert.deepEqual(seen, []);
  });

  test('lets go of whoever does not finish his body, and asks for it where it is waited for', async () => {
    const { open } = await start({ bodyMsMax: 100 });
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n';
    assert.match(await open(`${head}\r\nhalf`).closed, /^HTTP\/1\.1 408 [\s\S]*too-slow/);
    const expecting = open(`${head}expect: 100-continue\r\nconnection: close\r\n\r\n`);
    while (!expecting.text().includes('100 Continue')) await once(expecting.socket, 'data');
    expecting.socket.write('0123456789');
    assert.match(await expecting.closed, /200 OK[\s\S]*done/);
  });

  test('waits no more for the body of somebody who was refused and is gone', async () => {
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
    const server = openServer((_request, response) => {
      response.writeHead(413, { connection: 'close' }).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const before = timers();
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nhalf'),
    );
    socket.resume();
    await once(socket, 'close');
    server.close();
    await once(server, 'close');
    assert.ok(timers() <= before, `${timers()} timers, and ${before} before`);
  });

  test('leaves bodies to whoever says so', async () => {
    const { open, seen } = await start({ seesToBodies: true, bodyMsMax: 20 });
    const { socket, text } = open(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n',
    );
    while (seen.length === 0) await new Promise(setImmediate);
    await new Promise(resolve => setTimeout(resolve, 60));
    assert.equal(text(), '');
    socket.write('body');
    while (!text().includes('done')) await once(socket, 'data');
    socket.destroy();
    assert.equal(hurry.length, 2, 'who sees to bodies says how long they may take, or nothing');
  });

  test('has so many connections of one address and no more, but for those that speak for many', async () => {
    const { open } = await start({ connectionsPerAddressMax: 2, isTrusted: () => false });
    const held = [open(''), open('')];
    for (const { socket } of held) await once(socket, 'connect');
    assert.equal(await open('GET / HTTP/1.1\r\nhost: x\r\n\r\n').closed, '');
    held[0]?.socket.destroy();
    await held[0]?.closed;
    const again = async () => {
      for (;;) {
        const text = await open('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n').closed;
        if (text !== '') return text;
      }
    };
    assert.match(await again(), /done/);
    held[1]?.socket.destroy();
    const trusted = await start({ connectionsPerAddressMax: 0, isTrusted: () => true });
    assert.match(await trusted.open('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n').closed, /done/);
    const local = await start({ connectionsPerAddressMax: 0 });
    assert.match(await local.open('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n').closed, /done/);
  });

  test('answers nobody in the network of a launch, whatever is asked', async () => {
    const { open, seen } = await start({ isShutOut: address => address === '127.0.0.1' });
    for (const bytes of [
      'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
      'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\nabc',
      'GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    ]) {
      const text = await open(bytes).closed;
      assert.match(text, /^HTTP\/1\.1 403 [\s\S]*"code":"launch-network"/);
      assert.doesNotMatch(text, /upgraded|100 Continue/);
    }
    assert.deepEqual(seen, []);
  });
});
