/** Dead letters over HTTP and by the command line, with the real projections and an event that some of them cannot take. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { type Body, operatorToken, startApi } from '../../support/api.ts';
import { launchableApp } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';
import { runCli } from '../../support/run-cli.ts';

const waitMsMax = 60_000;
const name = 'apps_builds';

suite('dead letters over HTTP', async () => {
  const api = await startApi({ tokens: { 'a-writer': ['apps:*', 'metrics:read'] } });
  after(() => api.close());
  const run = (...args: string[]) => runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  const letters = async (): Promise<Body[]> => (await api.ask('GET', '/dead-letters')).body.data;
  const until = async (what: string, met: (found: Body[]) => boolean) => {
    for (const giveUp = Date.now() + waitMsMax; ; ) {
      const found = await letters();
      if (met(found)) return found;
      assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    }
  };
  const buildId = await launchableApp(api, 'todo');
  const stream = `apps.build-${randomUUID()}`;
  const append = async (data: object) => {
    const cause = randomUUID();
    const metadata = {
      actor: 'a-tool',
      correlationId: cause,
      causationId: cause,
      time: '2026-01-02T03:04:05.000Z',
    };
    const { revision } = await api.store.load(stream);
    const event = { id: randomUUID(), type: 'BuildRequested', data, metadata };
    return (await api.store.append(stream, [event as never], revision)).position;
  };
  // What a tool wrote that did not know what a build is.
  const position = `${await append({ buildId: null, at: 'whenever', args: {} })}`;
  await append({ buildId: null, at: 'later', args: {} });

  test('what cannot be applied is listed, and the rest goes on', async () => {
    const found = await until('the letters', all =>
      all.some(one => one.projection === name && one.waiting === 1),
    );
    const letter = found.find(one => one.projection === name);
    assert.deepEqual(
      { ...letter, error: '', firstAt: '', lastAt: '', nextTryAt: '' },
      {
        projection: name,
        generation: 1,
        isLive: true,
        position,
        stream,
        revision: '0',
        type: 'BuildRequested',
        error: '',
        attempts: 1,
        waiting: 1,
        lastPosition: letter.lastPosition,
        skipReason: null,
        needsRebuild: false,
        nextTryAt: '',
        firstAt: '',
        lastAt: '',
      },
    );
    assert.match(letter.error, /22007|23502/);
    assert.ok(found.every(one => one.stream === stream));
    const only = await api.ask('GET', `/dead-letters?projection=${name}`);
    assert.deepEqual(only.body.data, [letter]);
    const one = await api.ask('GET', `/projections/${name}/dead-letters/${position}`);
    assert.deepEqual(one.body.data, letter);
    assert.equal((await api.read(`/builds/${buildId}`)).data.status, 'succeeded');
  });

  test('one is tried again, and said to be so', async () => {
    const { code, stdout, stderr } = await run('dead-letters', 'replay', name, position);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`Dead letter ${position} of ${name} is tried again`));
    await until('an attempt', all => all.some(one => one.projection === name && one.attempts === 2));
    const listed = await run('dead-letters');
    assert.match(listed.stdout, /^PROJECTION +POSITION +TYPE +STREAM +WAITING +TRIED +NEXT +ERROR/);
    assert.match(listed.stdout, new RegExp(`${name} +${position} +BuildRequested`));
    const shown = await run('dead-letters', 'show', name, position);
    assert.match(shown.stdout, /1 later event of the stream waiting/);
    assert.notEqual((await run('dead-letters', 'replay', name, '999999')).code, 0);
    assert.notEqual((await run('dead-letters', 'skip', name, position)).code, 0);
  });

  test('one is left out for a reason that is kept, and then the next is in the way', async () => {
    const asked = await run('dead-letters', 'skip', name, position, '--reason', 'a tool wrote it');
    assert.equal(asked.code, 0, asked.stderr);
    const found = await until('the next', all =>
      all.some(one => one.projection === name && one.position !== position),
    );
    const next = found.find(one => one.projection === name);
    assert.deepEqual([next.waiting, next.skipReason, next.attempts], [0, null, 1]);
    const { data } = await api.read('/audit?action=DeadLetterSkipped');
    assert.deepEqual([data[0].actor, data[0].target], ['operator', `projections/${name}`]);
    await api.write('POST', `/projections/${name}/dead-letters/${next.position}/skip`, {
      reason: 'as above',
    });
    await until('the end', all => all.every(one => one.projection !== name));
  });

  test('is for administrators, of projections that there are, for a reason', async () => {
    const letter = `/projections/${name}/dead-letters/7`;
    assertProblem(await api.ask('POST', '/projections/no/dead-letters/7/replay'), 404, 'not-found');
    assertProblem(await api.ask('GET', letter), 404, 'not-found');
    assertInvalid(await api.ask('POST', `/projections/${name}/dead-letters/x/replay`), 'position');
    assertInvalid(await api.ask('POST', `${letter}/skip`, { body: {} }), 'reason');
    assertInvalid(await api.ask('POST', `/projections/${name}/show`, { body: { reason: '' } }), 'reason');
    for (const path of [`${letter}/replay`, `/projections/${name}/dead-letters/replay`]) {
      assertProblem(await api.ask('POST', path, { token: 'a-writer' }), 403, 'forbidden');
    }
  });
});
