/** When a credential was last used: to the moment in this process, to the minute in the table that others read. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { openLastSeen } from '../../platform/last-seen.ts';
import { testDatabase } from '../support/postgres.ts';
import { stillClock } from '../support/sign-in.ts';
import { eventually } from '../support/workers.ts';

suite('when a credential was last used', async () => {
  const { sql, drop } = await testDatabase();
  after(drop);
  const clock = stillClock();
  const warned: string[] = [];
  const open = () => openLastSeen(sql, clock, { warn: (_detail, line) => void warned.push(line) });
  const stored = async (id: string) => (await sql('access_last_seen').where({ id }).first('at'))?.at;

  test('nothing is known of one that was never used', async () => {
    assert.equal(await (await open()).get('never'), null);
  });

  test('each use counts at once, and is written once a minute', async () => {
    const seen = await open();
    const first = clock.now();
    seen.note('often', '192.0.2.1');
    await eventually(async () => assert.equal(await stored('often'), first));
    clock.pass(59);
    seen.note('often', '192.0.2.1');
    const second = clock.now();
    clock.pass(45);
    assert.equal(await seen.get('often'), second);
    assert.equal(await stored('often'), first);
    seen.note('often', '192.0.2.1');
    await eventually(async () => assert.equal(await stored('often'), clock.now()));
  });

  test('what another process heard later is believed', async () => {
    const [one, another] = [await open(), await open()];
    one.note('both', '192.0.2.1');
    await eventually(async () => assert.equal(await stored('both'), clock.now()));
    clock.pass(3_600);
    const late = clock.now();
    another.note('both', '192.0.2.1');
    await eventually(async () => assert.equal(await stored('both'), late));
    assert.equal(await one.get('both'), late);
  });

  test('a table that cannot be written to does no harm', async () => {
    const seen = await open();
    await sql.schema.renameTable('access_last_seen', 'elsewhere');
    seen.note('lost', '192.0.2.1');
    await eventually(() => assert.deepEqual(warned, ['the use of a credential was not noted']));
    assert.equal(await seen.get('lost'), clock.now());
    await sql.schema.renameTable('elsewhere', 'access_last_seen');
  });
});
