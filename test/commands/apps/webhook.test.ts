/** A Git host tells of pushes: who may, what counts, and what a push sets off. */
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { webhookSecretOf } from '../../../commands/apps/webhook.ts';
import { startApi, webhookSecret } from '../../support/api.ts';
import { commit, finishIngestion, queueIngestion, startIngestion } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';
const other = 'f'.repeat(40);
const sign = (secret: string, body: string | Uint8Array) =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

suite('webhook', async () => {
  const api = await startApi();
  after(() => api.close());

  type Sent = { event?: string; delivery?: string; signature?: string | null; type?: string };
  const send = (appId: string, body: string | Uint8Array, sent: Sent = {}) => {
    const signature =
      sent.signature === undefined ? sign(webhookSecretOf(webhookSecret, appId), body) : sent.signature;
    return api.ask('POST', `/webhooks/git/${appId}`, {
      token: null,
      body,
      headers: {
        'content-type': sent.type ?? 'application/json',
        'x-github-event': sent.event ?? 'push',
        'x-github-delivery': sent.delivery ?? randomUUID(),
        ...(signature === null ? {} : { 'x-hub-signature-256': signature }),
      },
    });
  };
  const push = (branch = 'main', after = other, more: object = {}) =>
    JSON.stringify({ ref: `refs/heads/${branch}`, after, repository: { default_branch: 'main' }, ...more });
  const app = (id: string, ref: string | null = null) =>
    api.write('POST', '/apps', { id, name: 'A', repoUrl, ref });
  const runsOf = async (id: string) => (await api.read(`/apps/${id}/ingestions`)).data;
  const ignoredOf = async (answer: ReturnType<typeof send>) => {
    const { status, body, text } = await answer;
    assert.equal(status, 202, text);
    if (body.data.position !== null) api.wrote(BigInt(body.data.position));
    return body.data.ignored as string | null;
  };

  test('a signed push queues an ingestion that says so', async () => {
    await app('signed');
    assert.equal(await ignoredOf(send('signed', push())), null);
    const [run] = await runsOf('signed');
    assert.deepEqual([run.cause, run.status], ['webhook', 'queued']);
    const [event] = (await api.read('/apps/signed/history')).data;
    assert.deepEqual([event.type, event.actor], ['IngestionQueued', 'webhook:git']);
  });

  test('without the signature of this app over these bytes it is refused, also for an app that is not there', async () => {
    await app('strict');
    const right = sign(webhookSecretOf(webhookSecret, 'strict'), push());
    const wrong = [
      null,
      '',
      'sha256=',
      right.replace('sha256=', ''),
      right.replace('sha256=', 'sha1='),
      right.toUpperCase(),
      `${right}0`,
      right.slice(0, -1),
      sign(webhookSecret, push()),
      sign(webhookSecretOf(webhookSecret, 'signed'), push()),
      sign(webhookSecretOf(webhookSecret, 'strict'), `${push()} `),
    ];
    for (const signature of wrong) {
      const answer = await send('strict', push(), { signature });
      assertProblem(answer, 401, 'unauthorized');
    }
    assertProblem(await send('nobody', push(), { signature: right }), 401, 'unauthorized');
    assertProblem(await send('nobody', push()), 404, 'not-found');
    assert.deepEqual(await runsOf('strict'), []);
    const bearer = await api.ask('POST', '/webhooks/git/strict', { body: push() });
    assertProblem(bearer, 401, 'unauthorized');
  });

  test('a delivery that is sent again is heard once; another one of the same push sets nothing off either', async () => {
    await app('replayed');
    const delivery = randomUUID();
    const first = await send('replayed', push(), { delivery });
    const again = await send('replayed', push(), { delivery });
    assert.equal(again.body.data.position, first.body.data.position);
    assert.match((await ignoredOf(send('replayed', push()))) ?? '', /due anyway/);
    assert.equal((await runsOf('replayed')).length, 1);
    const atOnce = await Promise.all(
      Array.from({ length: 6 }, () => send('replayed', push('main', 'a'.repeat(40)))),
    );
    assert.deepEqual([...new Set(atOnce.map(({ status }) => status))], [202]);
    assert.equal((await runsOf('replayed')).length, 1);
  });

  test('a push of the commit that is known is nothing new; one during an ingestion is remembered', async () => {
    await app('known');
    await queueIngestion(api, 'known');
    await startIngestion(api, 'known');
    assert.equal(await ignoredOf(send('known', push())), null, 'deferred');
    assert.match((await ignoredOf(send('known', push('main', 'b'.repeat(40))))) ?? '', /due anyway/);
    await finishIngestion(api, 'known', 1);
    assert.deepEqual(
      (await runsOf('known')).map((run: { status: string; cause: string }) => `${run.status} ${run.cause}`),
      ['queued webhook', 'ready registered'],
    );
    assert.match((await ignoredOf(send('known', push('main', commit)))) ?? '', /known/);
  });

  test('only the branch that the app follows counts', async () => {
    await app('default-branch');
    await app('own-branch', 'release/1');
    await app('full-ref', 'refs/heads/release/1');
    assert.match((await ignoredOf(send('default-branch', push('dev')))) ?? '', /not the default branch/);
    assert.match((await ignoredOf(send('own-branch', push('main')))) ?? '', /follows release\/1/);
    assert.equal(await ignoredOf(send('own-branch', push('release/1'))), null);
    assert.equal(await ignoredOf(send('full-ref', push('release/1'))), null);
    assert.deepEqual(await runsOf('default-branch'), []);
  });

  test('what is no push to a branch is heard and left alone', async () => {
    await app('others');
    const payloads: [string, string][] = [
      ['ping', '{"zen":"x"}'],
      ['pull_request', push()],
      ['push', JSON.stringify({ ref: 'refs/tags/v1', after: other })],
      ['push', push('main', other, { deleted: true })],
      ['push', push('main', '0'.repeat(39))],
      ['push', '{}'],
      ['push', 'null'],
      ['push', '[]'],
      ['push', '7'],
      ['push', '{"ref":{"toString":1},"after":["x"],"repository":null}'],
      ['push', '{"__proto__":{"ref":"refs/heads/main"},"constructor":1}'],
    ];
    for (const [event, body] of payloads) {
      assert.equal(await ignoredOf(send('others', body, { event })), 'not a push to a branch', body);
    }
    assertInvalid(
      await send('others', 'payload=%7B%7D', { type: 'application/x-www-form-urlencoded' }),
      'body',
    );
    assertInvalid(await send('others', new Uint8Array([0xff, 0xfe, 0])), 'body');
    assertInvalid(await send('others', ''), 'body');
    assert.deepEqual(await runsOf('others'), []);
  });

  test('a body of a mebibyte is taken as it is, a larger one is refused before it is read', async () => {
    await app('large');
    const padded = (bytes: number) => {
      const start = push('main', other, { pad: '' });
      return push('main', other, { pad: 'x'.repeat(bytes - start.length) });
    };
    assert.equal(await ignoredOf(send('large', padded(1 << 20), { type: 'text/plain' })), null);
    assertProblem(await send('large', padded((1 << 20) + 1)), 413, 'too-large');
  });

  test('what to enter at the Git host is told to those who may change the app', async () => {
    await app('told');
    const { body } = await api.ask('GET', '/webhooks/git/told');
    assert.deepEqual(body.data, {
      path: '/webhooks/git/told',
      contentType: 'application/json',
      secret: webhookSecretOf(webhookSecret, 'told'),
    });
    assert.match(body.data.secret, /^[0-9a-f]{64}$/);
    assertProblem(await api.ask('GET', '/webhooks/git/told', { token: null }), 401, 'unauthorized');
    assertProblem(await api.ask('GET', '/webhooks/git/nobody'), 404, 'not-found');
    assert.deepEqual(api.logged, []);
  });
});
