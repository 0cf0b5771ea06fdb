/** A secured log: users and their passwords, what each may do, and TLS with a certificate of the operator's. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { AccessDeniedError, EventStoreDBClient, jsonEvent, START } from '@eventstore/db-client';
import { bool, int, message, nested, repeated, string } from '../../../eventstore/embedded/codec.ts';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { type LogServer, startLogServer } from '../../../eventstore/embedded/server.ts';
import type { Storage } from '../../../eventstore/embedded/storage.ts';
import { rawClient } from './raw-client.ts';

const passwords = { admin: 'of the admin', ops: 'of the ops' };
const user = message({
  options: nested(
    1,
    message({ loginName: string(1), password: string(2), fullName: string(3), groups: repeated(string(4)) }),
  ),
});
const changed = message({
  options: nested(1, message({ loginName: string(1), current: string(2), next: string(3) })),
});
const details = message({
  details: nested(
    1,
    message({
      loginName: string(1),
      fullName: string(2),
      groups: repeated(string(3)),
      updated: nested(4, message({ ticks: int(1) })),
      disabled: bool(5),
    }),
  ),
});

suite('users', () => {
  let storage: Storage;
  let server: LogServer;
  let client: ReturnType<typeof rawClient>;
  const start = async () => {
    server = await startLogServer({ storage, port: 0, users: passwords });
    client = rawClient(server.port);
  };
  before(async () => {
    storage = memoryStorage();
    await start();
  });
  after(async () => {
    client.close();
    await server.close();
  });

  const basic = (login: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`,
  });
  const admin = basic('admin', passwords.admin);
  const ask = (method: string, options: object, headers: Record<string, string> = admin) =>
    client.call(`/event_store.client.users.Users/${method}`, [user.frame({ options })], headers);
  const detailsOf = async (loginName: string, headers = admin) => {
    const answer = await ask('Details', { loginName }, headers);
    return { ...answer, found: answer.messages.map(bytes => details.decode(bytes).details) };
  };

  test('an administrator makes, changes and removes users', async () => {
    const anna = { loginName: 'anna', password: 'first', fullName: 'Anna A.', groups: ['readers'] };
    assert.equal((await ask('Create', anna)).status, 0);
    const twice = await ask('Create', anna);
    assert.deepEqual([twice.status, twice.trailers.exception], [6, 'user-conflict']);
    assert.equal(twice.trailers['login-name'], 'anna');
    const own = basic('anna', 'first');
    const { found } = await detailsOf('anna', own);
    assert.deepEqual(found[0]?.groups, ['readers']);
    assert.equal(found[0]?.fullName, 'Anna A.');
    assert.ok((found[0]?.updated?.ticks ?? 0) > 1.7e16);
    assert.equal((await detailsOf('admin', own)).status, 7);
    assert.equal((await ask('Create', { ...anna, loginName: 'other' }, own)).status, 7);
    const everybody = await detailsOf('');
    assert.deepEqual(
      everybody.found.map(one => one?.loginName),
      ['admin', 'ops', 'anna'],
    );

    await ask('Update', { loginName: 'anna', fullName: 'Anna B.', groups: ['writers'] });
    assert.deepEqual((await detailsOf('anna', own)).found[0]?.groups, ['writers']);
    await ask('Disable', { loginName: 'anna' });
    assert.equal((await detailsOf('anna', own)).status, 16);
    assert.equal((await detailsOf('anna')).found[0]?.disabled, true);
    await ask('Enable', { loginName: 'anna' });
    assert.equal((await detailsOf('anna', own)).status, 0);
    assert.equal((await ask('Delete', { loginName: 'anna' })).status, 0);
    assert.equal((await detailsOf('anna', own)).status, 16);
    const gone = await detailsOf('anna');
    assert.deepEqual([gone.status, gone.trailers.exception], [5, 'user-not-found']);
    assert.equal((await ask('Disable', { loginName: 'admin' })).status, 3);
    assert.equal((await ask('Create', { ...anna, loginName: 'a/b' })).status, 3);
    assert.equal((await ask('Create', { ...anna, password: '' })).status, 3);
    // The name is free again, and the old password is worth nothing.
    await ask('Create', { ...anna, password: 'second' });
    assert.equal((await detailsOf('anna', own)).status, 16);
    assert.equal((await detailsOf('anna', basic('anna', 'second'))).status, 0);
  });

  test('passwords are changed by who knows them, or by an administrator', async () => {
    await ask('Create', { loginName: 'ben', password: 'one', fullName: 'Ben', groups: [] });
    const change = (current: string, next: string) =>
      client.call('/event_store.client.users.Users/ChangePassword', [
        changed.frame({ options: { loginName: 'ben', current, next } }),
      ]);
    assert.equal((await change('wrong', 'two')).status, 7);
    assert.equal((await change('one', 'two')).status, 0);
    assert.equal((await detailsOf('ben', basic('ben', 'one'))).status, 16);
    assert.equal((await detailsOf('ben', basic('ben', 'two'))).status, 0);
    const reset = { loginName: 'ben', password: 'three' };
    assert.equal((await ask('ResetPassword', reset, basic('ben', 'two'))).status, 7);
    assert.equal((await ask('ResetPassword', reset)).status, 0);
    assert.equal((await detailsOf('ben', basic('ben', 'three'))).status, 0);
  });

  test('no password is in the log, and all is there after a restart', async () => {
    const records = await storage.readAll(0, 'forwards', 1_000);
    const text = Buffer.concat(records.map(({ wire }) => wire)).toString('latin1');
    assert.match(text, /\$user-admin/);
    for (const password of [passwords.admin, passwords.ops, 'second', 'three'])
      assert.ok(!text.includes(`"${password}"`) && !text.includes(`:${password}`), password);
    client.close();
    await server.close();
    await start();
    assert.equal((await detailsOf('ben', basic('ben', 'three'))).status, 0);
    assert.equal((await detailsOf('ops', basic('ops', passwords.ops))).status, 0);
  });

  test('what proves nothing is unauthenticated', async () => {
    for (const authorization of ['Basic', 'Basic !', 'Bearer abc', basic('', 'x').authorization])
      assert.equal((await detailsOf('admin', { authorization })).status, 16, authorization);
    assert.equal((await detailsOf('nobody', basic('nobody', 'x'))).status, 16);
    const { 'grpc-status': _, ...nothing } = {} as Record<string, string>;
    assert.equal((await detailsOf('admin', nothing as typeof admin)).status, 7);
  });
});

suite('a secured log over TLS', () => {
  let directory: string;
  let server: LogServer;
  let ca: Buffer;
  const clients: EventStoreDBClient[] = [];
  const as = (login?: string, password = '') => {
    const credentials = login === undefined ? '' : `${login}:${encodeURIComponent(password)}@`;
    const file = path.join(directory, 'cert.pem');
    const client = EventStoreDBClient.connectionString(
      `esdb://${credentials}localhost:${server.port}?tls=true&tlsCAFile=${file}`,
    );
    clients.push(client);
    return client;
  };
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'log-tls-'));
    const [cert, key] = ['cert.pem', 'key.pem'].map(file => path.join(directory, file)) as [string, string];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const kind = [
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    await promisify(execFile)('openssl', ['req', ...kind, '-keyout', key, '-out', cert, ...subject]);
    ca = await readFile(cert);
    const tls = { cert: ca, key: await readFile(key) };
    server = await startLogServer({ storage: memoryStorage(), port: 0, users: passwords, tls });
  });
  after(async () => {
    for (const client of clients) await client.dispose();
    await server.close();
    await rm(directory, { recursive: true });
  });

  const event = () => jsonEvent({ type: 'Tested', data: {} });
  const count = async (read: AsyncIterable<unknown>) => {
    let found = 0;
    for await (const _ of read) found += 1;
    return found;
  };

  test('who has a name may use streams, system streams and $all are for administrators', async () => {
    const [admin, ops, nobody, liar] = [
      as('admin', passwords.admin),
      as('ops', passwords.ops),
      as(),
      as('admin', 'wrong'),
    ];
    await ops.appendToStream('open', event());
    assert.equal(await count(ops.readStream('open')), 1);
    assert.ok((await count(admin.readAll({ fromPosition: START }))) > 4);
    await assert.rejects(count(ops.readAll()), AccessDeniedError);
    await assert.rejects(count(ops.readStream('$user-admin')), AccessDeniedError);
    await assert.rejects(ops.appendToStream('$system', event()), AccessDeniedError);
    for (const client of [nobody, liar]) {
      await assert.rejects(client.appendToStream('open', event()), AccessDeniedError);
      await assert.rejects(count(client.readStream('open')), AccessDeniedError);
    }
    const credentials = { username: 'ops', password: passwords.ops };
    assert.equal(await count(nobody.readStream('open', { credentials })), 1);
    await ops.setStreamMetadata('open', { maxCount: 10 });
  });

  test('a link is no way around', async () => {
    const [admin, ops] = [as('admin', passwords.admin), as('ops', passwords.ops)];
    await admin.appendToStream('secret', event());
    await admin.setStreamMetadata('secret', { acl: { readRoles: ['$admins'] } });
    for (const to of ['0@secret', '0@$user-admin', '0@open']) {
      const link = { type: '$>', contentType: 'application/octet-stream' as const, data: Buffer.from(to) };
      const more = { id: crypto.randomUUID(), metadata: undefined as never };
      await ops.appendToStream('linking', { ...link, ...more });
    }
    const targets = async (client: EventStoreDBClient) => {
      const found: unknown[] = [];
      for await (const { event: target } of client.readStream('linking', { resolveLinkTos: true }))
        found.push(target?.streamId);
      return found;
    };
    assert.deepEqual(await targets(ops), [undefined, undefined, 'open']);
    // Hashes of passwords are read by nobody in this way.
    assert.deepEqual(await targets(admin), ['secret', undefined, 'open']);
  });

  test('the ACL of a stream, and those that count by default', async () => {
    const [admin, ops] = [as('admin', passwords.admin), as('ops', passwords.ops)];
    await admin.appendToStream('closed', event());
    await admin.setStreamMetadata('closed', { acl: { readRoles: ['$ops'], writeRoles: ['$admins'] } });
    assert.equal(await count(ops.readStream('closed')), 1);
    await assert.rejects(ops.appendToStream('closed', event()), AccessDeniedError);
    await admin.setStreamMetadata('closed', { acl: { metaWriteRoles: ['$admins'], deleteRoles: ['ann'] } });
    await ops.appendToStream('closed', event());
    await assert.rejects(ops.setStreamMetadata('closed', {}), AccessDeniedError);
    await assert.rejects(ops.deleteStream('closed'), AccessDeniedError);
    const defaults = { $userStreamAcl: { $w: '$admins' }, $systemStreamAcl: { $r: ['$ops'] } };
    await admin.appendToStream('$settings', jsonEvent({ type: 'update-default-acl', data: defaults }));
    await assert.rejects(ops.appendToStream('anything', event()), AccessDeniedError);
    assert.equal(await count(ops.readStream('$settings')), 1);
  });

  test('persistent subscriptions are managed by operators', async () => {
    const [admin, ops] = [as('admin', passwords.admin), as('ops', passwords.ops)];
    await ops.restartPersistentSubscriptionSubsystem();
    await assert.rejects(as().listAllPersistentSubscriptions(), AccessDeniedError);
    assert.deepEqual(await admin.listAllPersistentSubscriptions(), []);
  });

  test('HTTP/1 answers behind the same certificate', async () => {
    const status = await new Promise((resolve, reject) => {
      const options = { ca, host: 'localhost', port: server.port, path: '/health/live', agent: false };
      request(options, response => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(status, 204);
  });
});
