/** What an engine is answered over the session of a build, asked as an engine asks: gRPC, over a connection that it holds. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { openSession } from '../../../workers/adapters/docker-session.ts';
import { fieldOf, fieldsIn } from '../../../workers/adapters/docker-trace.ts';
import type { Engine } from '../../../workers/adapters/docker-types.ts';

const text = (value: string) => fieldOf(1, Buffer.from(value));
const texts = (message: Uint8Array) =>
  [...fieldsIn(message)].map(([field, value]) => [
    field,
    typeof value === 'object' ? Buffer.from(value).toString() : value,
  ]);

suite('the session of a build', () => {
  const server = createServer();
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());

  /** An engine that keeps the other end of the connection. */
  async function openWith(secrets: Record<string, string>) {
    const asked: Record<string, unknown>[] = [];
    const accepted = once(server, 'connection');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [other] = (await accepted) as [Socket];
    const dial = (options: Record<string, unknown>, callback: (error: unknown, socket: unknown) => void) => {
      asked.push(options);
      callback(null, socket);
    };
    const session = await openSession({ api: { modem: { dial } } } as unknown as Engine, {
      secrets: new Map(Object.entries(secrets)),
      auth: { host: 'registry.example:5000', username: 'ann', password: 'pässword' },
    });
    const client = http2.connect('http://engine', { createConnection: () => other });
    client.on('error', () => undefined);
    const ask = async (method: string, message: Uint8Array) => {
      const stream = client.request({
        ':method': 'POST',
        ':path': method,
        'content-type': 'application/grpc',
      });
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([head, message]));
      let status: unknown;
      stream.on('response', headers => {
        status = headers['grpc-status'] ?? status;
      });
      stream.on('trailers', headers => {
        status = headers['grpc-status'];
      });
      const parts: Buffer[] = [];
      for await (const part of stream) parts.push(part);
      return { status, message: Buffer.concat(parts).subarray(5) };
    };
    return { asked, session, ask, client };
  }

  test('tells that it is well, gives secrets by name, and a password to its own registry only', async () => {
    const { asked, session, ask, client } = await openWith({ token: 'värt' });
    const [{ path, headers } = { path: '', headers: {} }] = asked as {
      path: string;
      headers: Record<string, unknown>;
    }[];
    assert.equal(path, '/session');
    assert.equal(headers['X-Docker-Expose-Session-Uuid'], session.id);
    const offered = headers['X-Docker-Expose-Session-Grpc-Method'] as string[];

    const health = await ask('/grpc.health.v1.Health/Check', new Uint8Array());
    assert.deepEqual([health.status, [...health.message]], ['0', [8, 1]]);
    const secrets = '/moby.buildkit.secrets.v1.Secrets/GetSecret';
    const given = await ask(secrets, text('token'));
    assert.deepEqual([given.status, texts(given.message)], ['0', [[1, 'värt']]]);
    assert.deepEqual([...session.missing], []);
    assert.equal((await ask(secrets, text('other'))).status, '5');
    assert.deepEqual([...session.missing], ['other']);

    const credentials = '/moby.filesync.v1.Auth/Credentials';
    const own = await ask(credentials, text('registry.example:5000'));
    assert.deepEqual(texts(own.message), [
      [1, 'ann'],
      [2, 'pässword'],
    ]);
    const foreign = await ask(credentials, text('evil.example'));
    assert.deepEqual([foreign.status, texts(foreign.message)], ['0', []]);
    assert.ok([secrets, credentials].every(method => offered.includes(method)));

    assert.equal((await ask('/moby.filesync.v1.FileSync/DiffCopy', text('x'))).status, '12');
    assert.equal((await ask(secrets, Buffer.alloc(70_000))).status, '13');
    session.close();
    await once(client, 'close');
  });

  test('ends with the build, also while something is asked', async () => {
    const { session, ask, client } = await openWith({});
    const asking = ask('/grpc.health.v1.Health/Check', new Uint8Array()).catch(() => undefined);
    session.close();
    await once(client, 'close');
    await asking;
  });
});
