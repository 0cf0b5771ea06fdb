import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { clientAddress, trusts } from '../../platform/client-address.ts';
import { startApi } from '../support/api.ts';

const asked = (remoteAddress: string, forwarded?: string) =>
  ({ headers: { 'x-forwarded-for': forwarded }, socket: { remoteAddress } }) as unknown as IncomingMessage;

test('networks of both families, and addresses in both forms', () => {
  const isTrusted = trusts(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
  for (const yes of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8::1'])
    assert.ok(isTrusted(yes), yes);
  for (const no of ['11.0.0.1', '192.0.2.8', '::1', '', 'x', '2001:db9::1']) assert.ok(!isTrusted(no), no);
});

test('who comes by HTTPS is told to stay with it, if a proxy of ours says so', async () => {
  for (const [trustedProxies, expected] of [
    [['127.0.0.0/8', '::1'], 'max-age=31536000'],
    [[], null],
  ] as const) {
    const api = await startApi({ trustedProxies });
    const answer = await api.ask('GET', '/healthz', { headers: { 'x-forwarded-proto': 'https' } });
    assert.equal(answer.headers.get('strict-transport-security'), expected);
    assert.equal((await api.ask('GET', '/healthz')).headers.get('strict-transport-security'), null);
    await api.close();
  }
});

test('a request comes from the nearest address that is no proxy of ours', () => {
  const nobody = clientAddress([]);
  assert.equal(nobody(asked('198.51.100.1', '203.0.113.9')), '198.51.100.1');
  const ours = clientAddress(['10.0.0.0/8']);
  assert.equal(ours(asked('198.51.100.1', '203.0.113.9')), '198.51.100.1', 'who is no proxy is not believed');
  assert.equal(ours(asked('10.0.0.1', '203.0.113.9')), '203.0.113.9');
  assert.equal(ours(asked('::ffff:10.0.0.1', '6.6.6.6, 203.0.113.9, 10.0.0.2')), '203.0.113.9');
  assert.equal(ours(asked('10.0.0.1', 'nonsense')), '10.0.0.1');
  assert.equal(ours(asked('10.0.0.1')), '10.0.0.1');
});
