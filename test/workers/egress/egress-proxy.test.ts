/** The way out as an app sees it. Addresses of the loopback stand for gateways and for hosts outside. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { after, afterEach, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from '../../../platform/free-port.ts';
import {
  type EgressOptions,
  type EgressProxy,
  openEgressProxy,
} from '../../../workers/egress/egress-proxy.ts';

const log = { info: () => undefined };
const gateway = '127.77.0.1';
const subnet = '127.77.0.0/29';

/** A host outside: says what it was asked. Its names are looked up in this table. */
const outside = http.createServer(async (request, response) => {
  const body: Buffer[] = [];
  for await (const part of request) body.push(part);
  response.setHeader('connection', 'x-secret');
  response.setHeader('x-secret', '1');
  response.setHeader('x-open', '2');
  response.end(
    JSON.stringify({ url: request.url, headers: request.headers, body: `${Buffer.concat(body)}` }),
  );
});
const echo = net.createServer(socket => void socket.pipe(socket));
let port = 0;
let hostPort = 0;
let echoPort = 0;
const names: Record<string, string[]> = {
  'api.example.org': ['127.0.0.1'],
  'two.example.org': ['127.0.0.9', '127.0.0.1'],
  'inner.example.org': ['10.0.0.1', '::1'],
  'mixed.example.org': ['10.0.0.1', '127.0.0.1'],
  'none.example.org': [],
};

const opened: EgressProxy[] = [];

async function proxyWith(hosts: readonly string[], options: Partial<EgressOptions> = {}) {
  const proxy = openEgressProxy({
    port,
    log,
    lookup: async host => names[host] ?? [],
    isAllowedAddress: address => address.startsWith('127.'),
    ...options,
  });
  opened.push(proxy);
  await proxy.open({ launchId: 'launch', gateway, subnet, hosts });
  return proxy;
}

type Answer = { status: number; body: string; headers: http.IncomingHttpHeaders };

async function get(url: string, options: http.RequestOptions & { body?: string } = {}): Promise<Answer> {
  const { body, ...rest } = options;
  const request = http.request({
    host: gateway,
    port,
    path: url,
    agent: false,
    localAddress: gateway,
    ...rest,
  });
  request.end(body);
  const [response]: [http.IncomingMessage] = (await once(request, 'response')) as never;
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  return { status: response.statusCode ?? 0, body: `${Buffer.concat(parts)}`, headers: response.headers };
}

/** A tunnel, or what was said instead. */
async function connect(authority: string): Promise<Socket | Answer> {
  const request = http
    .request({ host: gateway, port, method: 'CONNECT', path: authority, agent: false, localAddress: gateway })
    .end();
  const [response, socket, head]: [http.IncomingMessage, Socket, Buffer] = (await once(
    request,
    'connect',
  )) as never;
  if (response.statusCode === 200) return socket;
  const parts: Buffer[] = [head];
  for await (const part of socket) parts.push(part);
  return { status: response.statusCode ?? 0, body: `${Buffer.concat(parts)}`, headers: response.headers };
}

suite('the way out', () => {
  before(async () => {
    outside.listen(0, '127.0.0.1');
    echo.listen(0, '127.0.0.1');
    await Promise.all([once(outside, 'listening'), once(echo, 'listening')]);
    hostPort = (outside.address() as AddressInfo).port;
    echoPort = (echo.address() as AddressInfo).port;
    port = await freePort(gateway);
  });
  afterEach(async () => {
    for (const proxy of opened.splice(0)) await proxy.end();
  });
  after(() => {
    outside.close();
    echo.close();
  });

  test('lets requests by HTTP through to what is allowed, without what was for the proxy', async () => {
    const proxy = await proxyWith([`api.example.org:${hostPort}`]);
    const headers = {
      host: 'inner.example.org',
      connection: 'x-mine',
      'x-mine': '1',
      'proxy-authorization': 'Basic x',
      'x-kept': 'yes',
      'content-type': 'text/plain',
    };
    const url = `http://api.example.org:${hostPort}/a/b?c=d`;
    const answer = await get(url, { method: 'POST', headers, body: 'hello' });
    assert.equal(answer.status, 200);
    const seen = JSON.parse(answer.body);
    assert.deepEqual([seen.url, seen.body], ['/a/b?c=d', 'hello']);
    assert.equal(seen.headers.host, `api.example.org:${hostPort}`);
    assert.equal(seen.headers['x-kept'], 'yes');
    assert.deepEqual([seen.headers['x-mine'], seen.headers['proxy-authorization']], [undefined, undefined]);
    assert.deepEqual([answer.headers['x-secret'], answer.headers['x-open']], [undefined, '2']);
    assert.deepEqual(proxy.takeDenials(), []);
  });

  test('lets bytes through by CONNECT, both ways, and ends with either', async () => {
    await proxyWith([`*.example.org:${echoPort}`]);
    const socket = await connect(`two.example.org:${echoPort}`);
    assert.ok(socket instanceof net.Socket);
    const sent = Buffer.alloc(300_000, 'x');
    socket.end(sent);
    let bytes = 0;
    for await (const part of socket) bytes += part.length;
    assert.equal(bytes, sent.length);
  });

  test('refuses what is not on the list, and counts it', async () => {
    const proxy = await proxyWith([`api.example.org:${hostPort}`]);
    const refused = await connect('evil.example.org:443');
    assert.ok(!(refused instanceof net.Socket));
    assert.equal(refused.status, 403);
    assert.equal(refused.body, 'This app may not reach evil.example.org:443. Its owner has to allow it.\n');
    const byPort = await get('http://api.example.org/');
    assert.equal(byPort.status, 403);
    await connect('evil.example.org:443');
    const tried = { launchId: 'launch', reason: 'not-allowed' };
    assert.deepEqual(proxy.takeDenials(), [
      { ...tried, host: 'evil.example.org', port: 443, count: 2 },
      { ...tried, host: 'api.example.org', port: 80, count: 1 },
    ]);
  });

  test('leads to no address that is closed, whatever name it has', async () => {
    const proxy = await proxyWith([`*.example.org:${hostPort}`]);
    const inner = await connect(`inner.example.org:${hostPort}`);
    assert.ok(!(inner instanceof net.Socket));
    assert.equal(inner.body, 'inner.example.org has no public address, and no other may be reached.\n');
    const mixed = await get(`http://mixed.example.org:${hostPort}/`);
    assert.equal(mixed.status, 200);
    assert.deepEqual(
      proxy.takeDenials().map(({ reason }) => reason),
      ['private-address'],
    );
  });

  test('connects to the address that was looked at, and asks for it once', async () => {
    let asked = 0;
    const lookup = async () => {
      asked += 1;
      // Another answer each time, as a name of somebody who wants to get in.
      return asked === 1 ? ['127.0.0.1'] : ['10.0.0.1'];
    };
    await proxyWith([`rebind.example.org:${hostPort}`], { lookup });
    assert.equal((await get(`http://rebind.example.org:${hostPort}/`)).status, 200);
    assert.equal(asked, 1);
    assert.equal((await get(`http://rebind.example.org:${hostPort}/`)).status, 403);
  });

  test('is for its own network: others are not even heard', async () => {
    await proxyWith([`api.example.org:${hostPort}`]);
    const url = `http://api.example.org:${hostPort}/`;
    assert.equal((await get(url, { localAddress: '127.77.0.6' })).status, 200);
    for (const localAddress of ['127.77.0.8', '127.0.0.1']) {
      await assert.rejects(get(url, { localAddress }), /ECONNRESET|socket hang up/);
    }
  });

  test('says what else is wrong', async () => {
    await proxyWith([`*.example.org:${hostPort}`, '*.example.org:1']);
    assert.equal((await get(`http://none.example.org:${hostPort}/`)).status, 502);
    assert.equal((await get('http://api.example.org:1/')).body, 'api.example.org:1 does not answer.\n');
    assert.equal((await get('/')).status, 400);
    assert.equal((await get(`https://api.example.org:${hostPort}/`)).status, 400);
    assert.equal((await get(`http://[::1]:${hostPort}/`)).status, 400);
    for (const wrong of ['api.example.org', `[::1]:${hostPort}`, `user@api.example.org:${hostPort}`]) {
      const answer = await connect(wrong);
      assert.ok(!(answer instanceof net.Socket));
      assert.equal(answer.status, 400, wrong);
    }
    // An address is a name that nobody has allowed.
    const address = await connect(`127.0.0.1:${hostPort}`);
    assert.ok(!(address instanceof net.Socket) && address.status === 403);
  });

  test('is closed by force to whoever has moved enough', async () => {
    await proxyWith([`api.example.org:${echoPort}`], { bytesPerHourMax: 100_000 });
    const socket = await connect(`api.example.org:${echoPort}`);
    assert.ok(socket instanceof net.Socket);
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(Buffer.alloc(200_000));
    await once(socket, 'close');
    const more = await connect(`api.example.org:${echoPort}`);
    assert.ok(!(more instanceof net.Socket) && more.status === 403);
    assert.match(more.body, /as much as it may in an hour/);
  });

  test('opens once, closes with what is connected, and is left open for what needs it', async () => {
    const proxy = await proxyWith([`api.example.org:${echoPort}`]);
    await proxy.open({ launchId: 'launch', gateway, subnet, hosts: [] });
    const socket = await connect(`api.example.org:${echoPort}`);
    assert.ok(socket instanceof net.Socket);
    socket.on('error', () => undefined).resume();
    await proxy.keep(new Set());
    await proxy.keep(new Set(['launch']), 0);
    assert.equal((await get('/')).status, 400);
    await proxy.keep(new Set(), 0);
    if (!socket.closed) await once(socket, 'close');
    await assert.rejects(get('/'), /ECONNREFUSED/);
  });

  test('of another process is left to it, and taken over when that is gone; a stranger is told of', async () => {
    const first = await proxyWith([`api.example.org:${hostPort}`]);
    const second = await proxyWith([`api.example.org:${hostPort}`]);
    await first.end();
    await assert.rejects(get('/'), /ECONNREFUSED/);
    await second.open({ launchId: 'launch', gateway, subnet, hosts: [] });
    assert.equal((await get('/')).status, 400);
    await second.end();
    const stranger = http.createServer((_, response) => response.end()).listen(port, gateway);
    await once(stranger, 'listening');
    await assert.rejects(proxyWith([]), /EADDRINUSE/);
    stranger.close();
  });

  test('goes on when those it connects break off', async () => {
    const rude = net.createServer(socket => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    rude.listen(0, '127.0.0.1');
    await once(rude, 'listening');
    const rudePort = (rude.address() as AddressInfo).port;
    await proxyWith([`api.example.org:${rudePort}`]);
    assert.equal((await get(`http://api.example.org:${rudePort}/`)).status, 502);
    const socket = await connect(`api.example.org:${rudePort}`);
    assert.ok(socket instanceof net.Socket);
    socket.on('error', () => undefined).resume();
    socket.write('x');
    await once(socket, 'close');
    const gone = net.connect({ host: gateway, port, localAddress: gateway });
    gone.write(`CONNECT api.example.org:${rudePort} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await wait(20);
    gone.resetAndDestroy();
    assert.equal((await get('/')).status, 400);
    rude.close();
  });
});
