/** Images of builds over HTTP: what was removed cannot be launched, and the answer says how to get it again. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { startApi } from '../../support/api.ts';
import { finishBuild, launchableApp, removeImage, reportImage, startBuild } from '../../support/play.ts';
import { assertProblem } from '../../support/problem.ts';

suite('an image that is wanted away', async () => {
  const api = await startApi();
  after(() => api.close());
  const buildId = await launchableApp(api, 'todo');
  const launch = () => api.ask('POST', '/apps/todo/launches', { body: { buildId } });

  test('is not launched, from the moment on that it is to go', async () => {
    await removeImage(api, buildId, 'disk');
    assertProblem(await launch(), 409, 'launch/image-removed');
    await reportImage(api, buildId, false);
    const answer = await launch();
    assertProblem(answer, 409, 'launch/image-removed');
    assert.equal(answer.body.reason, 'disk');
  });

  test('is shown with why it goes, and what nobody may remove is said to be released', async () => {
    const { data, meta } = await api.read('/images?app=todo');
    assert.deepEqual(
      data.map((one: Record<string, unknown>) => [
        one.buildId,
        one.place,
        one.reason,
        one.isReleased,
        one.isUsed,
      ]),
      [[buildId, 'removed', 'disk', true, false]],
    );
    assert.deepEqual([meta.nextCursor, meta.bytes, meta.full], [null, 0, null]);
    const released = await api.ask('POST', `/builds/${buildId}/remove-image`);
    assertProblem(released, 409, 'build/released');
  });
});

suite('an image that somebody wants away', async () => {
  const api = await startApi({ tokens: { 'a-reader': ['apps:read'] } });
  after(() => api.close());
  await launchableApp(api, 'shop');
  const built = async () => {
    const { id } = await api.write('POST', '/apps/shop/builds');
    await startBuild(api, id);
    await finishBuild(api, id);
    return id as string;
  };
  const remove = (id: string, token?: string) =>
    api.ask('POST', `/builds/${id}/remove-image`, token === undefined ? {} : { token });

  test('is to go; to want that is a right of its own', async () => {
    const id = await built();
    assertProblem(await remove(id, 'a-reader'), 403, 'forbidden');
    const answer = await remove(id);
    assert.equal(answer.status, 202, answer.text);
    api.wrote(BigInt(answer.body.data.position));
    assert.equal((await remove(id)).status, 202, 'asked for twice it goes once');
    const { data } = await api.read('/images?place=removing');
    assert.deepEqual(
      data.map((one: Record<string, unknown>) => [one.buildId, one.reason, one.bytes]),
      [[id, 'asked', 5]],
    );
    assertProblem(
      await api.ask('POST', '/apps/shop/launches', { body: { buildId: id } }),
      409,
      'launch/image-removed',
    );
  });

  test('is of a build that has one', async () => {
    assertProblem(await remove(randomUUID()), 404, 'not-found');
    const { id } = await api.write('POST', '/apps/shop/builds');
    assertProblem(await remove(id), 409, 'build/no-image');
  });

  test('is seen to be in use while a launch needs it, and pages together are the whole', async () => {
    const ids: string[] = [];
    for (let at = 0; at < 4; at += 1) ids.unshift(await built());
    const [newest = ''] = ids;
    await api.write('POST', '/apps/shop/launches', { buildId: newest });
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { data: { buildId: string; isUsed: boolean }[]; meta: { nextCursor: string | null } } =
        await api.read(`/images?app=shop&place=present&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      for (const { buildId, isUsed } of page.data) {
        pages.push(buildId);
        assert.equal(isUsed, buildId === newest);
      }
      cursor = page.meta.nextCursor;
    }
    assert.deepEqual(pages.slice(0, 4), ids);
    assert.equal(pages.length, 5);
    assert.equal((await api.read('/images?app=other-one')).data.length, 0);
  });
});
