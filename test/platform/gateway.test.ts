/** One port before several processes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { suite, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { openGateway } from '../../platform/gateway.ts';
import { openServer } from '../../platform/server.ts';

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function open(listener?: RequestListener) {
  const say =
    (name: string): RequestListener =>
    async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      response.setHeader('x-host', request.headers.host ?? '');
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response
        .writeHead(name === 'commands' ? 202 : 200)
        .end(`${name} ${request.method} ${request.url} ${body}`);
    };
  const commands = createServer(listener ?? say('commands'));
  const reads = createServer(listener ?? say('reads'));
  const gateway = openGateway({
    trustedProxies: [],
    commandsUrl: `http://127.0.0.1:${await listen(commands)}`,
    readUrl: `http://127.0.0.1:${await listen(reads)}`,
  });
  const server = openServer(gateway.handleRequest);
  server.on('upgrade', gateway.handleUpgrade);
  const port = await listen(server);
  return {
    port,
    commands,
    reads,
    url: `http://127.0.0.1:${port}`,
    close() {
      gateway.close();
      for (const one of [server, commands, reads]) {
        one.closeAllConnections();
        one.close();
      }
    },
  };
}

suite('gateway', () => {
  test('what changes something goes one way, what reads the other; webhooks are changes', async () => {
    const { url, port, close } = await open();
    const ask = async (method: string, place: string, body?: string) => {
      const answer = await fetch(url + place, { method, ...(body === undefined ? {} : { body }) });
      assert.equal(answer.headers.get('x-host'), `127.0.0.1:${port}`);
      assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2']);
      return `${answer.status} ${await answer.text()}`;
    };
    assert.equal(await ask('GET', '/apps?q=%20'), '200 reads GET /apps?q=%20 ');
    assert.equal(await ask('OPTIONS', '/apps'), '200 reads OPTIONS /apps ');
    for (const method of ['POST', 'PATCH', 'DELETE', 'PUT']) {
      assert.equal(await ask(method, '/apps', 'größe'), `202 commands ${method} /apps größe`);
    }
    assert.equal(await ask('GET', '/webhooks/git/todo'), '202 commands GET /webhooks/git/todo ');
    assert.equal(await ask('GET', '/webhooksgit'), '200 reads GET /webhooksgit ');
    close();
  });

  test('answers come as they come, and who leaves is not worked for', async () => {
    const left = Promise.withResolvers<void>();
    const { port, close } = await open((_request, response) => {
      response.write('first');
      response.once('close', () => left.resolve());
    });
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    let text = '';
    for await (const part of socket) {
      text += part;
      if (text.includes('first')) break;
    }
    socket.destroy();
    await left.promise;
    close();
  });

  test('a process that is down is said to be, as a problem; one that has closed an idle connection is asked again', async () => {
    const used = new Set<unknown>();
    let refused = 0;
    const { url, commands, close } = await open(({ socket }, response) => {
      if (used.has(socket)) {
        refused += 1;
        return void socket.destroy();
      }
      used.add(socket);
      response.end('here');
    });
    for (let turn = 0; turn < 5; turn += 1) {
      const answer = await fetch(`${url}/apps`);
      assert.deepEqual([answer.status, await answer.text()], [200, 'here']);
    }
    assert.ok(refused > 0, 'no connection was used twice');
    commands.close();
    commands.closeAllConnections();
    const answer = await fetch(`${url}/apps`, { method: 'POST', body: 'x' });
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1']);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    assert.equal(((await answer.json()) as { code: string }).code, 'unavailable');
    close();
  });

  test('WebSockets go through, are refused through, and end on both sides', async () => {
    const { port, reads, close } = await open();
    const sockets = new WebSocketServer({ noServer: true });
    const served = Promise.withResolvers<WebSocket>();
    reads.on('upgrade', (request, socket, head) => {
      if (request.url === '/no')
        return void socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno');
      sockets.handleUpgrade(request, socket, head, client => {
        client.send(`hello ${request.url}`);
        client.on('message', data => client.send(data));
        served.resolve(client);
      });
    });
    const client = new WebSocket(`ws://127.0.0.1:${port}/stream?from=start`);
    assert.equal(String((await once(client, 'message'))[0]), 'hello /stream?from=start');
    client.send('x'.repeat(200_000));
    assert.equal(String((await once(client, 'message'))[0]).length, 200_000);
    const gone = once(await served.promise, 'close');
    client.terminate();
    await gone;
    const refused = new WebSocket(`ws://127.0.0.1:${port}/no`);
    refused.on('error', () => undefined);
    const [, answer] = await once(refused, 'unexpected-response');
    assert.equal(answer.statusCode, 403);
    reads.close();
    reads.closeAllConnections();
    const lost = new WebSocket(`ws://127.0.0.1:${port}/stream`);
    lost.on('error', () => undefined);
    const [, away] = await once(lost, 'unexpected-response');
    assert.equal(away.statusCode, 503);
    close();
  });
});
