/**
 * When launches were last visited: written at once after a while of silence, then now and then, and all the while something
 * is open.
 */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { openActivity } from '../../platform/preview-activity.ts';
import { testDatabase } from '../support/postgres.ts';

suite('visits', async () => {
  const database = await testDatabase();
  const { sql } = database;
  after(() => database.drop());
  const warnings: string[] = [];
  const log = { warn: (_detail: object, line: string) => void warnings.push(line) };
  const rows = async () =>
    (await sql('preview_activity').orderBy('launch_id').select('launch_id', 'visits', 'last_visit_at')) as {
      launch_id: string;
      visits: string;
      last_visit_at: string;
    }[];
  const countsOf = async () => (await rows()).map(one => `${one.launch_id} ${one.visits}`);

  test('the first one is written at once, the next ones together', async () => {
    const activity = await openActivity(sql, log);
    activity.visit('a');
    for (;;) if ((await countsOf()).length > 0) break;
    assert.deepEqual(await countsOf(), ['a 1']);
    const [before] = await rows();
    for (let count = 0; count < 100; count += 1) activity.visit('a');
    activity.visit('b');
    assert.deepEqual((await countsOf())[0], 'a 1', 'not written again at once');
    await activity.close();
    assert.deepEqual(await countsOf(), ['a 101', 'b 1']);
    const [later] = await rows();
    assert.ok((later?.last_visit_at ?? '') >= (before?.last_visit_at ?? 'x'));
  });

  test('what is open counts until it is over', async () => {
    const activity = await openActivity(sql, log);
    const ends = [activity.stay('open'), activity.stay('open'), activity.stay('shut')];
    ends[2]?.();
    ends[2]?.();
    ends[0]?.();
    await activity.close();
    assert.deepEqual(
      (await countsOf()).filter(one => !/^[ab] /.test(one)),
      ['open 0'],
    );
    ends[1]?.();
  });

  test('time never goes back, and a database that is away is no harm', async () => {
    await sql('preview_activity').where({ launch_id: 'a' }).update({ last_visit_at: '2999-01-01T00:00:00Z' });
    const activity = await openActivity(sql, log);
    activity.visit('a');
    await activity.close();
    assert.equal((await rows())[0]?.last_visit_at, '2999-01-01T00:00:00.000Z');
    const broken = await openActivity(sql, log);
    await sql.raw('alter table preview_activity rename to away');
    broken.visit('a');
    await broken.close();
    assert.deepEqual(warnings, ['visits were not noted']);
  });
});
