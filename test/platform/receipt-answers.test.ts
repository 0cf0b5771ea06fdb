/** Receipts in the answers of commands, verified by nothing but the answer and the key. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import Fastify from 'fastify';
import { openNearHeads } from '../../platform/proof/near-head.ts';
import { readVerifier } from '../../platform/proof/note.ts';
import { problemsOf, readReceipt } from '../../platform/proof/receipt-file.ts';
import { answerReceipts } from '../../platform/receipt-answers.ts';
import { startAudited } from '../support/audit-tree.ts';
import { assertInvalid, assertProblem } from '../support/problem.ts';

const app = (n: number) => ({
  id: `shop-${n}`,
  name: 'Shop',
  repoUrl: 'https://git.example.org/team/shop.git',
});

for (const nearHeads of [undefined, openNearHeads()]) {
  const by = nearHeads === undefined ? 'the tables' : 'the process that keeps the tree';
  suite(`receipts in answers, by ${by}`, async () => {
    const narrow = 'token-that-reads-apps-only';
    const audited = await startAudited({
      tokens: { [narrow]: ['apps:read'] },
      ...(nearHeads && { nearHeads }),
    });
    const { api } = audited;
    after(() => audited.close());
    let key: string;
    before(async () => {
      [key = ''] = await audited.keys();
    });

    test('are there for who prefers one', async () => {
      for (const prefer of ['receipt', 'respond-async, Receipt; wait=5']) {
        const body = app(prefer.length);
        const answer = await api.ask('POST', '/apps', { body, headers: { prefer } });
        assert.equal(answer.status, 201);
        assert.equal(answer.headers.get('preference-applied'), 'receipt');
        const receipt = readReceipt(answer.body.receipt);
        assert.equal(`${receipt.position}`, answer.body.data.position);
        assert.deepEqual(problemsOf(receipt, [readVerifier(key)]), []);
        const { data } = (await api.ask('GET', `/audit/receipt?position=${receipt.position}`)).body;
        const withEvent = readReceipt(data);
        assert.deepEqual(problemsOf(withEvent, [readVerifier(key)]), []);
        assert.deepEqual(withEvent.leafHash, receipt.leafHash);
        const { id, data: content } = JSON.parse(data.leaf);
        assert.equal(content.appId, body.id);
        assert.equal((await api.ask('GET', `/audit/receipt?id=${id}`)).body.data.position, data.position);
      }
    });

    test('are the same when a request is repeated, and of many at once', async () => {
      const headers = { prefer: 'receipt', 'idempotency-key': 'once' };
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          api.ask('POST', '/apps', {
            body: app(n < 10 ? 100 : 100 + n),
            headers: n < 10 ? headers : { prefer: 'receipt' },
          }),
        ),
      );
      for (const { body } of answers)
        assert.deepEqual(problemsOf(readReceipt(body.receipt), [readVerifier(key)]), []);
      const hashes = answers.slice(0, 10).map(({ body }) => body.receipt.leafHash);
      assert.equal(new Set(hashes).size, 1);
    });

    test('are of the head nearby where there is one', async () => {
      const { body } = await api.ask('POST', '/apps', { body: app(150), headers: { prefer: 'receipt' } });
      const proved = nearHeads?.newest?.prove(BigInt(body.data.position));
      assert.equal(proved?.leafHash.toString('base64'), nearHeads && body.receipt.leafHash);
    });

    test('are not there for who does not, nor for what was refused', async () => {
      const plain = await api.ask('POST', '/apps', { body: app(200), headers: { prefer: 'return=minimal' } });
      assert.deepEqual([plain.status, plain.body.receipt], [201, undefined]);
      const refused = await api.ask('POST', '/apps', { body: {}, headers: { prefer: 'receipt' } });
      assert.deepEqual([refused.status, refused.headers.get('preference-applied')], [400, null]);
    });

    test('of an event are for who may read it, and what is not there is not told apart', async () => {
      const receiptOf = (place: string) => api.ask('GET', `/audit/receipt?${place}`, { token: narrow });
      const { position } = await api.write('POST', '/apps', app(300));
      assert.equal((await receiptOf(`position=${position}`)).status, 200);
      const secret = await api.write('POST', '/auth/api-keys', { name: 'k', scopes: ['apps:read'] });
      assertProblem(await receiptOf(`position=${secret.position}`), 404, 'not-found');
      assertProblem(await receiptOf('position=999999999'), 404, 'not-found');
      assertProblem(await receiptOf('id=00000000-0000-4000-8000-000000000000'), 404, 'not-found');
      assertInvalid(await receiptOf(''), 'position');
    });
  });
}

test('a change that cannot be proved in time is answered all the same', async () => {
  const server = Fastify();
  let answer: () => Promise<undefined> = async () => undefined;
  answerReceipts(server, { of: () => answer() });
  server.post('/things', async () => ({ data: { id: 'a', position: '7' } }));
  const ask = () => server.inject({ method: 'POST', url: '/things', headers: { prefer: 'receipt' } });
  assert.deepEqual((await ask()).json(), { data: { id: 'a', position: '7' } });
  answer = () => Promise.reject(new Error('the database is away'));
  const { statusCode, headers } = await ask();
  assert.deepEqual([statusCode, headers['preference-applied']], [200, undefined]);
  await server.close();
});
