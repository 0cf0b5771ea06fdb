/** The first event after which an answer was another one, by the command line, asked of the real API. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { firstOf, questionOf, valueAt } from '../../cli/bisect.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub bisect', { timeout: 120_000 }, async () => {
  const api = await startApi({ keepsPast: true });
  after(() => api.close());
  const run = (...args: string[]) => runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  const places: string[] = [];
  before(async () => {
    const app = (id: string) => ({ id, name: id, repoUrl: `https://git.example.org/${id}.git` });
    const write = async (method: string, path: string, body: object) =>
      places.push((await api.write(method, path, body)).position);
    await write('POST', '/apps', app('shop'));
    for (const name of ['One', 'Two', 'Three']) await write('PATCH', '/apps/shop', { name });
    await write('POST', '/apps', app('wiki'));
    await api.read('/apps');
  });

  test('a value that became this, with its event', async () => {
    const { code, stdout, stderr } = await run('bisect', 'apps/shop', 'name=Three', '--json');
    assert.equal(code, 0, stderr);
    const { data } = JSON.parse(stdout);
    assert.equal(data.position, places[3]);
    assert.deepEqual([data.before, data.since], ['Two', 'Three']);
    assert.deepEqual([data.event.type, data.event.stream], ['RepositoryChanged', 'apps.repository-shop']);
    assert.ok(data.looks < 12, `${data.looks} looks`);
  });

  test('what became another value, what was not there, and how many there were', async () => {
    const from = await run(
      'bisect',
      '/apps/shop',
      'name',
      '--from',
      places[1] ?? '',
      '--to',
      places[2] ?? '',
    );
    assert.match(from.stdout, new RegExp(`^${places[2]} .*RepositoryChanged.*\\n {2}name: One → Two\\n`));
    const made = await run('bisect', 'apps/wiki', 'id');
    assert.match(
      made.stdout,
      new RegExp(`^${places[4]} .*RepositoryRegistered.*\\n {2}id: nothing → wiki\\n`),
    );
    const count = JSON.parse((await run('bisect', 'apps', 'meta.total.count>1', '--json')).stdout).data;
    assert.deepEqual([count.position, count.before, count.since], [places[4], 1, 2]);
  });

  test('what never changed, and what is no question', async () => {
    const same = await run('bisect', 'apps/shop', 'name=Nobody');
    assert.equal(same.code, 1);
    assert.match(same.stderr, /at both ends/);
    assert.equal((await run('bisect', 'apps/shop', '=x')).code, 2);
    assert.equal((await run('bisect', 'apps/shop', 'name', '--from', '5', '--to', '5')).code, 2);
    assert.notEqual((await run('bisect', 'engines', 'data.length')).code, 0);
  });
});

test('the first of many is found in as many steps as halving takes', async () => {
  for (const [count, wanted] of [
    [1n, 1n],
    [10_000_000n, 1n],
    [10_000_000n, 10_000_000n],
    [10_000_000n, 6_473_121n],
  ] as const) {
    let steps = 0;
    const isSo = async (position: bigint) => {
      steps += 1;
      return position >= wanted;
    };
    assert.equal(await firstOf(0n, count, isSo), wanted);
    assert.ok(steps <= 24, `${steps} steps`);
  }
});

test('questions and places in answers', () => {
  assert.deepEqual(questionOf('build.commit').field, ['build', 'commit']);
  assert.equal(questionOf('a=1').holds?.(1), true);
  assert.equal(questionOf('a=1').holds?.('1'), true);
  assert.equal(questionOf('a!=x').holds?.(undefined), true);
  assert.equal(questionOf('a>=2').holds?.(2), true);
  assert.equal(questionOf('a<2').holds?.(null), false);
  assert.throws(() => questionOf('a>many'), /no number/);
  assert.equal(valueAt({ data: [1, 2], meta: { n: 3 } }, ['length']), 2);
  assert.equal(valueAt({ data: [], meta: { n: 3 } }, ['meta', 'n']), 3);
  assert.equal(valueAt({ data: { a: null } }, ['a', 'b']), undefined);
  assert.equal(valueAt(undefined, ['a']), undefined);
});
