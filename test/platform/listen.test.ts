/** Hearing what the database announces, over broken connections. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { listenTo } from '../../platform/listen.ts';
import { openBetween } from '../support/between.ts';
import { testDatabase } from '../support/postgres.ts';

suite('listen', async () => {
  const { sql, connectionString, drop } = await testDatabase();
  after(() => drop());
  let heard = 0;
  let more = Promise.withResolvers<void>();
  const onHeard = () => {
    heard += 1;
    more.resolve();
    more = Promise.withResolvers<void>();
  };
  const until = async (count: number) => {
    while (heard < count) await more.promise;
  };
  const notify = (channel: string) => sql.raw('select pg_notify(?, ?)', [channel, 'x']);

  test('announcements of the channel are heard, also one with an odd name, and no others', async () => {
    const channel = 'Odd "channel"; drop';
    heard = 0;
    const close = await listenTo(connectionString, channel, onHeard);
    assert.equal(heard, 1, 'something may have been missed before');
    await notify('another');
    await notify(channel);
    await until(2);
    await close();
    await notify(channel);
    assert.equal(heard, 2);
  });

  test('a connection that breaks is opened again, and what was missed is made up for', async () => {
    heard = 0;
    const close = await listenTo(connectionString, 'broken', onHeard);
    for (let turn = 1; turn <= 2; turn += 1) {
      const before = heard;
      await sql.raw(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'apphub-listen'`,
      );
      await until(before + 1);
      await notify('broken');
      await until(before + 2);
    }
    await close();
  });

  test('a database that is away for longer is waited for', async () => {
    const between = await openBetween(connectionString);
    heard = 0;
    const close = await listenTo(between.url, 'away', onHeard);
    between.cut();
    while (between.refused() < 2) await new Promise(resolve => setTimeout(resolve, 20));
    between.mend();
    await until(2);
    await notify('away');
    await until(3);
    between.cut();
    await close();
    between.close();
  });

  test('a database that was never there is said so, and nobody goes on trying', async () => {
    const nowhere = new URL(connectionString);
    nowhere.pathname = '/there-is-no-such-database';
    await assert.rejects(listenTo(nowhere.href, 'x', onHeard), /does not exist/);
    nowhere.port = '1';
    await assert.rejects(listenTo(nowhere.href, 'x', onHeard), /ECONNREFUSED/);
  });
});
