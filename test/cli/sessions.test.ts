import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { operatorToken, startApi } from '../support/api.ts';
import { runCli } from '../support/run-cli.ts';
import { signIn } from '../support/sign-in.ts';

const ann = 'token-of-ann-0123456789';

suite('apphub sessions', async () => {
  const api = await startApi({ operators: [{ subject: 'ann', token: ann, scopes: ['apps:read'] }] });
  after(() => api.close());
  const run = (token: string, ...args: string[]) =>
    runCli(['sessions', ...args], { APPHUB_URL: api.url, APPHUB_TOKEN: token });

  test('list shows one’s own, everybody’s for administrators; end ends one', async () => {
    assert.match((await run(ann, 'list')).stderr, /Nobody has signed in yet\./);
    const browser = await signIn(api, { token: ann, headers: { 'user-agent': 'Firefox\u009b2J of Ann' } });
    const other = await signIn(api);
    await api.read('/auth/sessions');
    const own = await run(ann, 'list');
    assert.equal(own.code, 0, own.stderr);
    assert.match(own.stdout, /^SESSION +WHO +STATUS +OPENED +LAST SEEN +FROM +BROWSER\n/);
    assert.match(
      own.stdout,
      new RegExp(`${browser.sessionId} +ann +open .* 127\\.0\\.0\\.1 +Firefox *of Ann\\n`),
    );
    assert.ok(!own.stdout.includes(other.sessionId));
    assert.equal((await run(ann, 'list', '--all')).code, 4);
    const all = JSON.parse((await run(operatorToken, 'list', '--all', '--json')).stdout).data;
    assert.deepEqual(
      all.map((one: { id: string }) => one.id).sort(),
      [browser.sessionId, other.sessionId].sort(),
    );
    assert.equal((await run(ann, 'end', other.sessionId)).code, 5);
    const ended = await run(operatorToken, 'end', browser.sessionId);
    assert.equal(ended.stdout, `Ended session ${browser.sessionId}.\n`);
    assert.equal((await browser.ask('GET', '/auth/identity')).status, 401);
  });
});
