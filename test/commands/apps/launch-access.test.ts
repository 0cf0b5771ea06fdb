/** Letting people in to private launches: grants for who is signed in, links for others, and their end. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import type { LaunchEvent } from '../../../domain/apps/launch.ts';
import { operatorToken, startApi } from '../../support/api.ts';
import { launchableApp, markRunning, startLaunch } from '../../support/play.ts';
import { grants } from '../../support/preview.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

suite('access to launches', async () => {
  let now = Date.parse('2026-01-01T00:00:00.400Z');
  const clock = { now: () => new Date(now).toISOString(), newId: () => randomUUID() };
  const api = await startApi({
    clock,
    tokens: { 'a-reader': ['apps:read'], 'a-stranger': ['audit:read'] },
    operators: [{ subject: 'team', token: 'the-token-of-the-team', scopes: ['*'], apps: ['team-*'] }],
  });
  after(() => api.close());
  await launchableApp(api, 'todo');
  const { id } = await api.write('POST', '/apps/todo/launches');
  await startLaunch(api, id, 41_234);
  await markRunning(api, id);
  const tokenOf = (url: string) => new URL(url).searchParams.get('__apphub_grant') ?? '';
  const events = async () =>
    (await api.store.load(`apps.launch-${id}`)).events as readonly unknown[] as readonly LaunchEvent[];

  test('a grant lets whoever may see the launch in for a quarter of an hour, and is in no log', async () => {
    const before = (await events()).length;
    const answer = await api.ask('POST', `/launches/${id}/grants`, { token: 'a-reader' });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    const { url, expiresAt } = answer.body.data;
    assert.equal(expiresAt, '2026-01-01T00:15:00.000Z');
    assert.ok(url.startsWith(`http://${id}.localhost/?__apphub_grant=`), url);
    const seconds = Date.parse(expiresAt) / 1_000;
    assert.deepEqual(grants.read(tokenOf(url)), {
      launchId: id,
      kind: 'session',
      expiresAtSeconds: seconds,
      linkEpoch: 0,
      linkId: '',
    });
    assert.equal((await events()).length, before);
    const deep = await api.ask('POST', `/launches/${id}/grants`, { body: { path: '/a//b?x=1' } });
    assert.ok(deep.body.data.url.startsWith(`http://${id}.localhost/a//b?x=1&__apphub_grant=`));
  });

  test('leads nowhere but to the launch, and is for those who may see it', async () => {
    for (const path of [
      '',
      'x',
      'https://evil.example/',
      '@evil.example',
      '/a b',
      '/ä',
      '/a\nb',
      '.evil.example/',
      '/#x',
    ]) {
      const answer = await api.ask('POST', `/launches/${id}/grants`, { body: { path } });
      assertInvalid(answer, 'path');
    }
    for (const path of ['//evil.example/', '/\\evil.example', '/@evil.example', '/?__apphub_grant=x']) {
      const answer = await api.ask('POST', `/launches/${id}/grants`, { body: { path } });
      assert.equal(new URL(answer.body.data.url).host, `${id}.localhost`, path);
    }
    const ask = (token: string, place = 'grants') => api.ask('POST', `/launches/${id}/${place}`, { token });
    assertProblem(await ask('a-stranger'), 403, 'forbidden');
    assertProblem(await ask('the-token-of-the-team'), 403, 'foreign-resource');
    assertProblem(await ask('a-reader', 'links'), 403, 'forbidden');
    assertProblem(await api.ask('DELETE', `/launches/${id}/links`, { token: 'a-reader' }), 403, 'forbidden');
    const nowhere = randomUUID();
    for (const [method, place] of [
      ['POST', 'grants'],
      ['POST', 'links'],
      ['DELETE', 'links'],
    ] as const) {
      assertProblem(await api.ask(method, `/launches/${nowhere}/${place}`), 404, 'not-found');
    }
  });

  test('a link is an event without the link, and the same again for the same key', async () => {
    const ask = (key: string, ttlSeconds = 3_600) =>
      api.ask('POST', `/launches/${id}/links`, { body: { ttlSeconds }, headers: { 'idempotency-key': key } });
    const made = await ask('one');
    assert.equal(made.status, 201, made.text);
    const { id: linkId, url, expiresAt } = made.body.data;
    assert.equal(expiresAt, '2026-01-01T01:00:00.400Z');
    const grant = grants.read(tokenOf(url));
    assert.deepEqual([grant?.kind, grant?.linkId, grant?.linkEpoch], ['link', linkId, 0]);
    assert.equal(grant?.expiresAtSeconds, Date.parse('2026-01-01T01:00:00Z') / 1_000, 'not a moment longer');
    const [shared] = (await events()).filter(({ type }) => type === 'LaunchShared');
    assert.deepEqual(shared?.data, { launchId: id, appId: 'todo', at: clock.now(), linkId, expiresAt });
    now += 60_000;
    assert.deepEqual((await ask('one')).body, made.body);
    assertProblem(await ask('one', 7_200), 422, 'idempotency/mismatch');
    assert.notEqual((await ask('two')).body.data.id, linkId);
    const text = JSON.stringify((await events()).map(({ data }) => data));
    assert.ok(!text.includes('apg1'), 'no grant in the log');
    assert.ok(!JSON.stringify(api.logged).includes('apg1'));
    for (const ttlSeconds of [59, 2_592_001, 1.5])
      assertInvalid(await api.ask('POST', `/launches/${id}/links`, { body: { ttlSeconds } }), 'ttlSeconds');
  });

  test('to revoke the links raises their number, for grants too', async () => {
    const before = await api.ask('POST', `/launches/${id}/grants`);
    await api.write('DELETE', `/launches/${id}/links`);
    const after = await api.ask('POST', `/launches/${id}/grants`);
    const epochs = [before, after].map(({ body }) => grants.read(tokenOf(body.data.url))?.linkEpoch);
    assert.deepEqual(epochs, [0, 1]);
    await api.read('/launches');
    const row = await api.sql('apps_launches').where({ launch_id: id }).first('link_epoch');
    assert.equal(row?.link_epoch, 1);
    const link = await api.ask('POST', `/launches/${id}/links`);
    assert.equal(grants.read(tokenOf(link.body.data.url))?.linkEpoch, 1);
  });

  suite('by way of the platform', () => {
    const visit = (place: string, headers: Record<string, string> = {}) =>
      fetch(`${api.url}/launches/${place}`, { redirect: 'manual', headers });
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

    test('whoever is signed in is led in at once', async () => {
      const answer = await visit(`${id}/open?to=${encodeURIComponent('/x?y=1&z=%2F')}`, bearer('a-reader'));
      assert.equal(answer.status, 303);
      const place = answer.headers.get('location') ?? '';
      assert.ok(place.startsWith(`http://${id}.localhost/x?y=1&z=%2F&__apphub_grant=apg1.s.`), place);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
    });

    test('others come once more as ones of the platform, and then to where they sign in and back', async () => {
      const first = await visit(`${id}/open?to=${encodeURIComponent('/x?a=1&b="><script>')}`);
      assert.equal(first.status, 200);
      const text = await first.text();
      const [, again = ''] = /http-equiv="refresh" content="0; url=([^"]+)"/.exec(text) ?? [];
      const place = again.replaceAll('&amp;', '&');
      assert.equal(place, `/launches/${id}/open?to=%2Fx%3Fa%3D1%26b%3D%22%3E%3Cscript%3E&again=1`);
      assert.doesNotMatch(text, /<script/);
      const second = await fetch(api.url + place, { redirect: 'manual' });
      assert.equal(second.status, 303);
      const signIn = second.headers.get('location') ?? '';
      assert.ok(signIn.startsWith(`/open/${id}?to=%2Fx%3Fa%3D1`), signIn);
      assert.equal((await fetch(api.url + signIn)).status, 200);
    });

    test('whoever may not see it, or asks for what is not there, is not told which', async () => {
      for (const [where, token] of [
        [id, 'the-token-of-the-team'],
        [id, 'a-stranger'],
        [randomUUID(), operatorToken],
      ] as const) {
        const { headers } = await visit(`${where}/open`, bearer(token));
        assert.equal(headers.get('location'), `/open/${where}?to=%2F`);
      }
    });

    test('leads to no other place, whatever is asked for', async () => {
      for (const to of ['//evil.example/', '/\\evil.example', '/@evil.example', '/.evil.example']) {
        const { headers } = await visit(`${id}/open?to=${encodeURIComponent(to)}`, bearer(operatorToken));
        assert.equal(new URL(headers.get('location') ?? '').host, `${id}.localhost`, to);
      }
      for (const to of ['https://evil.example', 'x', '', '@evil.example', '/a\r\nx: y', '/ä']) {
        const answer = await visit(`${id}/open?to=${encodeURIComponent(to)}`, bearer(operatorToken));
        assert.equal(answer.status, 400, to);
      }
      assert.equal((await visit(`x.evil.example/open`, bearer(operatorToken))).status, 400);
    });
  });

  test('a public launch needs no grant', async () => {
    const made = await api.write('POST', '/apps/todo/launches', { access: 'public' });
    await api.read('/launches');
    const answer = await api.ask('POST', `/launches/${made.id}/grants`);
    assert.deepEqual(answer.body.data, { url: `http://${made.id}.localhost/`, expiresAt: null });
    const opened = await fetch(`${api.url}/launches/${made.id}/open?to=/x`, {
      redirect: 'manual',
      headers: { authorization: `Bearer ${operatorToken}` },
    });
    assert.equal(opened.headers.get('location'), `http://${made.id}.localhost/x`);
  });

  test('what is over is shared no more', async () => {
    await api.write('POST', `/launches/${id}/stop`);
    assertProblem(await api.ask('POST', `/launches/${id}/links`), 409, 'launch/already-ended');
    assertProblem(await api.ask('DELETE', `/launches/${id}/links`), 409, 'launch/already-ended');
  });
});
