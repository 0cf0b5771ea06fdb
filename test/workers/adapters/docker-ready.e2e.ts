/** When an app is well: by the HEALTHCHECK of its image, by a path it declares, or by any answer. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { LaunchFailure, type ReadyRequest } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';

const { docker, instance, imageOf, cleanUp } = openTestDocker();
const never = new AbortController().signal;
/** A page at `/ok`; `/later` after a while; and nothing else. */
const server = [
  'mkdir -p /tmp/www; echo ok >/tmp/www/ok; httpd -p 8080 -h /tmp/www',
  'sleep 0.7; echo ok >/tmp/www/later; exec sleep 1000',
].join('; ');
const serve = `CMD ${JSON.stringify(['sh', '-c', server])}`;

let count = 0;
async function waitFor(instructions: string[], changes: Partial<ReadyRequest> = {}): Promise<string> {
  count += 1;
  const launchId = `${instance}-${count}`;
  const image = await imageOf(`ready-${count}`, ...instructions, serve);
  const started = await docker.startContainer(startRequest(launchId, image));
  try {
    await docker.waitUntilReady({ ...started, timeoutMs: 20_000, signal: never, ...changes });
    return 'well';
  } catch (error) {
    if (!(error instanceof LaunchFailure)) throw error;
    return error.message;
  } finally {
    await docker.removeLaunch(launchId);
  }
}

suite('an app is well', () => {
  before(() => ensureTestImages());
  after(cleanUp);
  const later = 'HEALTHCHECK --interval=1h CMD test -e /tmp/www/later';

  test('when its HEALTHCHECK says so, which is not waited for by the interval', async () => {
    assert.equal(await waitFor([later]), 'well');
    assert.equal(await waitFor(['HEALTHCHECK CMD ["test", "-e", "/tmp/www/later"]']), 'well');
  });

  test('not before its HEALTHCHECK says so, and what that said last is told', async () => {
    const sick = 'HEALTHCHECK CMD echo "no database" >&2; exit 1';
    assert.equal(
      await waitFor([sick], { timeoutMs: 1_500 }),
      'The app was not healthy by its HEALTHCHECK (no database) within 1.5 s',
    );
    const hangs = 'HEALTHCHECK CMD sleep 1000';
    assert.equal(
      await waitFor([hangs], { timeoutMs: 1_500 }),
      'The app was not healthy by its HEALTHCHECK within 1.5 s',
    );
    const missing = 'HEALTHCHECK CMD ["no-such-program"]';
    assert.match(await waitFor([missing], { timeoutMs: 1_500 }), /by its HEALTHCHECK \(.*not found.*\)/);
  });

  test('by a HEALTHCHECK that is switched off again as if there were none', async () => {
    assert.equal(await waitFor(['HEALTHCHECK NONE']), 'well');
  });

  test('when the declared path answers with 2xx or 3xx, and not before', async () => {
    assert.equal(await waitFor([], { healthPath: '/ok' }), 'well');
    assert.equal(await waitFor([], { healthPath: '/later' }), 'well');
    assert.equal(
      await waitFor([], { healthPath: '/never', timeoutMs: 1_500 }),
      'The app answered 404 at /never, and not well, within 1.5 s',
    );
  });

  test('when both say so, where it has both', async () => {
    assert.equal(await waitFor([later], { healthPath: '/ok' }), 'well');
    assert.match(await waitFor([later], { healthPath: '/never', timeoutMs: 2_500 }), /answered 404 at/);
  });

  test('waiting can be given up at once', async () => {
    const signal = AbortSignal.timeout(300);
    await assert.rejects(waitFor(['HEALTHCHECK CMD sleep 1000'], { signal }), /The operation|aborted/);
  });
});
