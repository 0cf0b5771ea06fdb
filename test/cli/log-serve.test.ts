/** The log served alone: through the command, a client beside it, and a second start on the same folder. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { runCli, startCli } from '../support/run-cli.ts';

suite('apphub log serve', () => {
  let data: string;
  before(async () => {
    data = await mkdtemp(path.join(tmpdir(), 'log-serve-'));
  });
  after(() => rm(data, { recursive: true }));

  const served = async (args: readonly string[] = []) => {
    const running = startCli(['log', 'serve', '--data', data, '--port', '0', ...args]);
    let text = '';
    running.child.stdout?.on('data', chunk => {
      text += chunk;
    });
    await running.seen(/esdb:\/\/\S+\n/);
    return { running, url: /esdb:\/\/\S+/.exec(text)?.[0] ?? '' };
  };

  test('serves what it holds until it is told to end, and again after', async () => {
    for (const [round, signal] of (['SIGTERM', 'SIGINT'] as const).entries()) {
      const { running, url } = await served(['--durability', round === 0 ? 'always' : 'none']);
      const client = EventStoreDBClient.connectionString(url);
      const appended = await client.appendToStream('served', jsonEvent({ type: 'Tested', data: {} }));
      assert.equal(appended.nextExpectedRevision, BigInt(round));
      const second = await runCli(['log', 'serve', '--data', data, '--port', '0']);
      assert.equal(second.code, 1);
      assert.match(second.stderr, /in use|locked|belongs/i);
      await client.dispose();
      running.child.kill(signal);
      assert.equal((await running.ended).code, 0);
    }
    const verified = await runCli(['log', 'verify', '--data', data]);
    assert.match(verified.stdout, /sound/);
  });

  test('says what is wrong with its options', async () => {
    const refused = async (args: readonly string[], env: Record<string, string>, say: RegExp) => {
      const { code, stderr } = await runCli(['log', 'serve', '--data', data, '--port', '0', ...args], env);
      assert.equal(code, 2, stderr);
      assert.match(stderr, say);
    };
    const passwords = { APPHUB_LOG_ADMIN_PASSWORD: 'a', APPHUB_LOG_OPS_PASSWORD: 'b' };
    await Promise.all([
      refused(['--durability', 'sometimes'], {}, /--durability is "sometimes"/),
      refused(['--tls-cert', 'x'], {}, /go together/),
      refused(['--tls-cert', '/nothing', '--tls-key', '/nothing'], {}, /cannot be read/),
      refused([], passwords, /need --tls-cert/),
      refused([], { APPHUB_LOG_OPS_PASSWORD: 'b' }, /go together/),
    ]);
  });
});
