/** `--as-of` on the command line, asked of the real API; and that every verb that can look back does. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { whenOf } from '../../cli/as-of.ts';
import type { Verb } from '../../cli/verb.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub … --as-of', { timeout: 120_000 }, async () => {
  const api = await startApi({ keepsPast: true });
  after(() => api.close());
  const run = (...args: string[]) => runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  let before1 = '';
  let launchId = '';
  before(async () => {
    const { position } = await api.write('POST', '/apps', {
      id: 'first',
      name: 'First',
      repoUrl: 'https://git.example.org/first.git',
    });
    before1 = position;
    await launchableApp(api, 'shop');
    launchId = (await api.write('POST', '/apps/shop/launches')).id;
    await api.write('PATCH', '/apps/first', { name: 'Second' });
    await api.read('/apps');
  });

  test('shows what was, and says so to the person in front', async () => {
    const now = await run('apps', 'list', '--json');
    assert.equal(JSON.parse(now.stdout).data.length, 2);
    const { code, stdout, stderr } = await run('apps', 'list', '--json', '--as-of', before1);
    assert.equal(code, 0, stderr);
    const { data } = JSON.parse(stdout);
    assert.deepEqual(
      data.map(({ name }: { name: string }) => name),
      ['First'],
    );
    const shown = await run('apps', 'show', 'first', '--as-of', before1);
    assert.match(shown.stdout, /First/);
    assert.match(shown.stderr, /^As of \d+: what is now is shown without --as-of\.\n/);
    const words = await run('apps', 'search', 'first', '--as-of=0s', '--json');
    assert.equal(JSON.parse(words.stdout).data[0].name, 'Second');
  });

  test('of what was not there yet says that it is not there', async () => {
    assert.equal((await run('apps', 'show', 'shop', '--as-of', before1)).code, 5);
    assert.equal((await run('launches', 'show', launchId, '--as-of', before1)).code, 5);
    assert.equal((await run('launches', 'show', launchId, '--as-of', '0s')).code, 0);
  });

  test('of the future, of nonsense, and of what goes on, says what would be right', async () => {
    const future = await run('apps', 'list', '--as-of', '2999-01-01');
    assert.notEqual(future.code, 0);
    assert.match(future.stderr, /future/);
    const nonsense = await run('apps', 'list', '--as-of', 'yesterday');
    assert.equal(nonsense.code, 2);
    assert.match(nonsense.stderr, /2026-01-31T12:00/);
    const watched = await run('apps', 'show', 'first', '--watch', '--as-of', before1);
    assert.equal(watched.code, 2);
    const changed = await run('builds', 'args', 'first', 'A=b', '--as-of', before1);
    assert.equal(changed.code, 2);
    assert.match(changed.stderr, /cannot be changed/);
  });

  const shown: readonly string[][] = [
    ['apps', 'list'],
    ['apps', 'search', 'shop'],
    ['apps', 'show', 'shop'],
    ['apps', 'history', 'shop'],
    ['apps', 'sandbox', 'shop'],
    ['builds', 'list'],
    ['builds', 'list', 'shop'],
    ['builds', 'args', 'shop'],
    ['images', 'list'],
    ['secrets', 'list', 'shop'],
    ['launches', 'list'],
    ['hosts', 'list', 'shop'],
    ['workspaces', 'list'],
    ['usage', 'show'],
    ['audit', 'list'],
  ];
  for (const words of shown) {
    test(`apphub ${words.join(' ')}`, async () => {
      const { code, stderr } = await run(...words, '--as-of', '0s');
      assert.equal(code, 0, stderr);
    });
  }
  test('apphub launches deployments and usage', async () => {
    for (const verb of ['deployments', 'usage']) {
      const { code, stderr } = await run('launches', verb, launchId, '--as-of', '0s');
      assert.equal(code, 0, stderr);
    }
  });
});

/** Verbs of a noun that read what is of the present only, or look back by themselves. */
const nowOnly = ['bisect', 'log', 'dead-letters', 'keys', 'sessions', 'engines', 'projections', 'guard'];

test('every verb that shows or lists has it, but for those of what is not kept by time', async () => {
  const folder = path.resolve(import.meta.dirname, '../../cli');
  let seen = 0;
  for (const file of readdirSync(folder)) {
    const noun = file.replace(/\.ts$/, '');
    const source: { verbs?: Readonly<Record<string, Verb>> } = /^(?:apphub|log-serve|start)$/.test(noun)
      ? {}
      : await import(path.join(folder, file));
    for (const [name, verb] of Object.entries(source.verbs ?? {})) {
      if (!/^(?:list|show|search|history|deployments|snapshots|provenance)$/.test(name)) continue;
      seen += 1;
      assert.equal('as-of' in verb.options, !nowOnly.includes(noun), `${noun} ${name}`);
    }
  }
  assert.ok(seen > 15, `only ${seen}`);
});

test('a time is read as people write it', () => {
  const now = Date.parse('2026-05-05T12:00:00Z');
  assert.equal(whenOf('6473', now), '6473');
  assert.equal(whenOf('90m', now), '2026-05-05T10:30:00.000Z');
  assert.equal(whenOf('2d', now), '2026-05-03T12:00:00.000Z');
  assert.equal(whenOf('2026-01-31T12:00:00+01:00', now), '2026-01-31T11:00:00.000Z');
  assert.equal(whenOf('2026-01-31', now), new Date('2026-01-31T00:00').toISOString());
  assert.equal(whenOf('2026-01-31 12:00', now), new Date('2026-01-31T12:00').toISOString());
  for (const wrong of ['', 'now', '12:00', '2026-13-01', '-1', '1w'])
    assert.throws(() => whenOf(wrong, now), /--as-of/);
});
