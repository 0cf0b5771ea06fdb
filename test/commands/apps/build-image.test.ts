/** Images of builds over HTTP: what was removed cannot be launched, and the answer says how to get it again. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { startApi } from '../../support/api.ts';
import { launchableApp, removeImage, reportImage } from '../../support/play.ts';
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
});
