/** Rebuilding over HTTP, with the real projector: what is asked for is done, and is seen. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { projections } from '../../../projections/index.ts';
import { type Body, startApi } from '../../support/api.ts';
import { launchableApp } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const waitMsMax = 60_000;

suite('projections over HTTP', async () => {
  const api = await startApi({ tokens: { 'a-writer': ['apps:*'] } });
  after(() => api.close());
  const all = async () => (await api.read('/projections')).data as Body[];
  const until = async (what: string, met: (one: Body) => boolean, name: string) => {
    for (const giveUp = Date.now() + waitMsMax; ; ) {
      const found = (await all()).find(one => one.name === name);
      if (met(found)) return found;
      assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    }
  };

  test('each says which generation is read', async () => {
    await launchableApp(api, 'todo');
    const found = await all();
    assert.deepEqual(found.map(one => one.name).sort(), projections.map(({ name }) => name).sort());
    assert.ok(found.every(one => one.generation === 1 && one.beside.length === 0));
  });

  for (const { name } of projections) {
    test(`${name} is rebuilt, with the same rows, and rolled back`, async () => {
      await api.write('POST', `/projections/${name}/rebuild`);
      const rebuilt = await until('the rebuild', one => one.generation === 2, name);
      assert.deepEqual(
        rebuilt.beside.map((one: Body) => [one.generation, one.role, one.problem]),
        [[1, 'kept', null]],
      );
      await api.write('POST', `/projections/${name}/rollback`);
      await until('the rollback', one => one.generation === 1, name);
    });
  }

  test('is for administrators, of projections that there are', async () => {
    for (const verb of ['rebuild', 'rollback']) {
      assertProblem(await api.ask('POST', `/projections/nothing/${verb}`), 404, 'not-found');
      assertInvalid(await api.ask('POST', `/projections/A!/${verb}`), 'projection');
      const asked = await api.ask('POST', `/projections/apps_builds/${verb}`, { token: 'a-writer' });
      assertProblem(asked, 403, 'forbidden');
    }
  });
});
