/** Pages of other origins: only those that are named read anything, with a token, never by cookie. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { startApi } from '../support/api.ts';

suite('pages of other origins', async () => {
  const api = await startApi({ corsOrigins: ['https://board.example'] });
  after(() => api.close());
  const from = (origin: string, more: Record<string, string> = {}) => ({ headers: { origin, ...more } });
  const allowed = (headers: Headers) =>
    [...headers.keys()].filter(name => name.startsWith('access-control-'));

  test('that are named may ask and read', async () => {
    const asked = {
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'authorization',
    };
    const preflight = await api.ask('OPTIONS', '/apps/some-app', {
      ...from('https://board.example', asked),
      token: null,
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://board.example');
    assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /DELETE/);
    assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /authorization/);
    const answer = await api.ask('GET', '/apps', from('https://board.example'));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://board.example');
    assert.match(answer.headers.get('vary') ?? '', /origin/i);
    for (const headers of [preflight.headers, answer.headers]) {
      assert.equal(headers.get('access-control-allow-credentials'), null);
    }
  });

  for (const origin of [
    'https://board.example.evil',
    'http://board.example',
    'https://x.board.example',
    'null',
    '*',
  ]) {
    test(`that are not named read nothing: ${origin}`, async () => {
      const answer = await api.ask('GET', '/apps', from(origin));
      assert.deepEqual(allowed(answer.headers), []);
      const asked = { 'access-control-request-method': 'POST' };
      const preflight = await api.ask('OPTIONS', '/apps', { ...from(origin, asked), token: null });
      assert.deepEqual(allowed(preflight.headers), []);
      assert.notEqual(preflight.status, 204);
    });
  }
});
