import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { locate } from '../../cli/locate.ts';
import { type ApiServer, appRow, startApiServer } from '../support/api-server.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub', () => {
  let server: ApiServer;
  let folder: string;
  before(async () => {
    server = await startApiServer();
    server.apps.set('shop', appRow('shop'));
    folder = await mkdtemp(path.join(tmpdir(), 'apphub-cli-'));
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test('help at each level says how it is used, with examples', async () => {
    for (const [args, wanted] of [
      [['--help'], /Usage: apphub <noun> <verb>[\s\S]*launches[\s\S]*Examples:/],
      [['apps', '--help'], /Usage: apphub apps <verb>[\s\S]*untag <app> <key:value>\.\.\.[\s\S]*Examples:/],
      [['help', 'builds', 'logs'], /Usage: apphub builds logs <build>[\s\S]*-f, --follow[\s\S]*Examples:/],
      [['launches', 'start', 'x', '-h'], /--ttl <time>[\s\S]*Examples:/],
    ] as const) {
      const { code, stdout, stderr } = await runCli(args);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, wanted);
    }
  });

  test('what is misspelled is suggested, and exits 2', async () => {
    for (const [args, hint] of [
      [['aps'], /no command "aps"\.\nDid you mean: apphub apps/],
      [['apps', 'serach', 'x'], /no verb "serach" of apps\.\nDid you mean: apphub apps search/],
      [['builds', 'xyzzy'], /no verb "xyzzy" of builds\.\nKnown: list, start/],
      [['apps', 'list', '--stauts', 'ready'], /no option --stauts; did you mean --status\?/],
      [['apps', 'show'], /<app> is missing/],
      [['apps', 'show', 'a', 'b'], /"b" is one word too many/],
      [['apps', 'toString'], /no verb "toString"/],
      [['apps', 'list', '--limit', '0'], /--limit is "0"; it must be a whole number from 1 to 1000/],
    ] as const) {
      const { code, stdout, stderr } = await runCli(args, server.env);
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
      assert.match(stderr, hint);
    }
  });

  test('--version is the one of the package', async () => {
    assert.match((await runCli(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('nobody listening is 3, and so is a folder without a server', async () => {
    const gone = await startApiServer();
    await gone.close();
    const refused = await runCli(['apps', 'list'], gone.env);
    assert.equal(refused.code, 3);
    assert.match(
      refused.stderr,
      /No answer from http:\/\/127\.0\.0\.1:\d+: nothing listens there; is AppHub running\?/,
    );
    assert.equal((await runCli(['log', 'tail'], gone.env)).code, 3);
    const none = await runCli(['apps', 'list'], {}, folder);
    assert.equal(none.code, 3);
    assert.match(none.stderr, /No AppHub is known here/);
  });

  test('the data folder tells the server and the token of this machine', async () => {
    await writeFile(path.join(folder, 'url'), `${server.url}\n`);
    await writeFile(path.join(folder, 'operator-token'), `${server.token}\n`);
    const found = await runCli(['apps', 'list', '--json'], { APPHUB_DATA_DIR: folder });
    assert.equal(found.code, 0, found.stderr);
    const wrong = await runCli(['apps', 'list'], { APPHUB_DATA_DIR: folder, APPHUB_TOKEN: 'wrong' });
    assert.equal(wrong.code, 4);
    assert.match(wrong.stderr, /Nobody has this token \(unauthorized\)\n {2}Set APPHUB_TOKEN/);
  });

  test('the operator token of this machine stays on this machine', async () => {
    await writeFile(path.join(folder, 'operator-token'), 'secret');
    const tokenFor = async (url: string) =>
      (await locate({ APPHUB_URL: url, APPHUB_DATA_DIR: folder })).token;
    assert.equal(await tokenFor('http://localhost:4000'), 'secret');
    assert.equal(await tokenFor('http://[::1]:4000'), 'secret');
    for (const host of ['apphub.example.org', '127.0.0.1.example.org', 'localhost.example.org', '10.0.0.1']) {
      assert.equal(await tokenFor(`https://${host}`), undefined, host);
    }
  });

  test('a server that is behind is waited for; one that stays behind is 3, with its lag', async () => {
    const behind = { status: 503, code: 'behind', title: 'The tables are behind the log', lagEvents: 12 };
    server.faults.push(behind);
    assert.equal((await runCli(['apps', 'show', 'shop'], server.env)).code, 0);
    server.faults.push(behind, behind, behind, behind);
    const { code, stderr } = await runCli(['apps', 'show', 'shop'], server.env);
    assert.equal(code, 3);
    assert.match(stderr, /behind the log \(behind\)\n {2}lagEvents: 12/);
  });

  test('an address that is none is said', async () => {
    const { code, stderr } = await runCli(['apps', 'list', '--json'], {
      ...server.env,
      APPHUB_URL: 'ftp://x/',
    });
    assert.equal(code, 2);
    assert.match(stderr, /"ftp:\/\/x\/" is not an http or https URL/);
  });
});
