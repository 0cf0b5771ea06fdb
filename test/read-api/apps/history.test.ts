/** Everything that happened to an app, who did it and why; and the timelines of its ingestions. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { type Body, startApi } from '../../support/api.ts';
import {
  commit,
  confirmRemoved,
  failIngestion,
  finishIngestion,
  launchableApp,
  markRunning,
  queueIngestion,
  startIngestion,
  startLaunch,
} from '../../support/play.ts';
import { assertInvalid } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('history', async () => {
  const api = await startApi();
  after(() => api.close());

  test('every event of the app, its ingestions, builds and launches, newest first, with actor and cause', async () => {
    const buildId = await launchableApp(api, 'whole');
    await launchableApp(api, 'other');
    const { id: launchId } = await api.write('POST', '/apps/whole/launches');
    await startLaunch(api, launchId);
    await markRunning(api, launchId);
    await api.write('POST', `/launches/${launchId}/stop`);
    await confirmRemoved(api, launchId);
    await api.write('DELETE', '/apps/whole');
    const { data, meta } = await api.read('/apps/whole/history');
    assert.deepEqual(data.map((event: Body) => `${event.actor} ${event.type} ${event.stream}`).reverse(), [
      'operator RepositoryRegistered apps.repository-whole',
      'worker:played IngestionQueued apps.ingestion-whole',
      'worker:played IngestionStarted apps.ingestion-whole',
      'worker:played IngestionSucceeded apps.ingestion-whole',
      `operator BuildRequested apps.build-${buildId}`,
      `worker:played BuildStarted apps.build-${buildId}`,
      `worker:played BuildSucceeded apps.build-${buildId}`,
      'worker:played RepositoryReleased apps.repository-whole',
      `operator LaunchRequested apps.launch-${launchId}`,
      `worker:played LaunchStarting apps.launch-${launchId}`,
      `worker:played LaunchRunning apps.launch-${launchId}`,
      `operator LaunchStopping apps.launch-${launchId}`,
      `worker:played LaunchStopped apps.launch-${launchId}`,
      'operator RepositoryArchived apps.repository-whole',
    ]);
    assert.equal(meta.nextCursor, null);
    for (const event of data) {
      for (const field of ['correlationId', 'causationId', 'eventId'])
        assert.ok(event[field].length > 5, field);
      assert.equal(event.data.appId, 'whole');
      assert.ok(!Number.isNaN(Date.parse(event.at)));
    }
    const positions = data.map((event: Body) => BigInt(event.position));
    assert.deepEqual(
      positions,
      [...positions].sort((a, b) => (a > b ? -1 : 1)),
    );
    const stored = data.find((event: Body) => event.type === 'LaunchRequested');
    assert.equal(stored.data.resourceProfile, 'small', 'the data is whole');
  });

  test('the pages together are the whole, while more happens', async () => {
    await api.write('POST', '/apps', { id: 'pages', name: 'A', repoUrl });
    for (let at = 0; at < 8; at += 1)
      await api.write('POST', '/apps/pages/tags', { key: 'k', value: `v${at}` });
    const whole = (await api.read('/apps/pages/history')).data.map((event: Body) => event.position);
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Body = await api.read(
        `/apps/pages/history?limit=4${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      pages.push(...page.data.map((event: Body) => event.position));
      cursor = page.meta.nextCursor;
      await api.write('POST', '/apps/pages/tags', { key: 'k', value: `late${pages.length}` });
    }
    assert.deepEqual(pages, whole);
  });

  test('a cursor that nobody was given is refused, however well it is made', async () => {
    await api.write('POST', '/apps', { id: 'forged', name: 'A', repoUrl });
    await api.write('PATCH', '/apps/forged', { name: 'B' });
    const { meta } = await api.read('/apps/forged/history?limit=1');
    const [sum] = JSON.parse(Buffer.from(meta.nextCursor, 'base64url').toString());
    const forge = (...parts: unknown[]) => Buffer.from(JSON.stringify([sum, ...parts])).toString('base64url');
    const forged = [
      forge(0, '9'.repeat(19), ''),
      forge(0, '-1', ''),
      forge(0, '1e3', ''),
      forge(0, 1, ''),
      forge(-1e300, '1', ''),
      forge(-1, '1', ''),
      forge(0.5, '1', ''),
      forge(1e9, '1', ''),
      forge(0, '1'),
      forge(0, '1', 'a\0'),
      Buffer.from('null').toString('base64url'),
      Buffer.from('{"length":4}').toString('base64url'),
      Buffer.from('[').toString('base64url'),
      '=',
      '%00',
      'x'.repeat(512),
    ];
    for (const cursor of forged) {
      assertInvalid(await api.ask('GET', `/apps/forged/history?cursor=${cursor}`), 'cursor');
    }
    assertInvalid(await api.ask('GET', `/apps/forged/ingestions?cursor=${forge(0, '1', '')}`), 'cursor');
    // The sum is no secret, so whoever makes one for another list must meet the same wall.
    const sumOf = (query: unknown) =>
      createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 12);
    const times = [
      '2026-02-30T00:00:00.000Z',
      '2026-13-01T00:00:00.000Z',
      '2026-01-01T24:00:00.000Z',
      '0000-01-01T00:00:00.000Z',
      '2026-01-01T1:1Z',
      'now',
      'infinity',
    ];
    for (const time of times) {
      for (const [place, query] of [
        ['/builds', ['apps_builds', undefined, undefined]],
        ['/launches', ['apps_launches', undefined, undefined]],
        ['/apps', { tiers: [], tags: [], statuses: [], owner: undefined, sort: 'updated' }],
      ] as const) {
        const cursor = Buffer.from(JSON.stringify([sumOf(query), 0, time, 'x'])).toString('base64url');
        assertInvalid(await api.ask('GET', `${place}?cursor=${cursor}`), 'cursor');
      }
    }
    const fine = Buffer.from(
      JSON.stringify([sumOf(['apps_builds', undefined, undefined]), 0, '2026-01-01T00:00:00.000Z', 'x']),
    );
    assert.equal(
      (await api.ask('GET', `/builds?cursor=${fine.toString('base64url')}`)).status,
      200,
      'the sums are made right here',
    );
    assert.deepEqual(api.logged, []);
  });

  test('one ingestion with every step of it: attempts, reasons, durations and commit', async () => {
    await api.write('POST', '/apps', { id: 'steps', name: 'A', repoUrl });
    await queueIngestion(api, 'steps');
    await startIngestion(api, 'steps');
    const retryAt = new Date(Date.now() + 60_000).toISOString();
    await failIngestion(api, 'steps', 1, retryAt);
    const [waiting] = (await api.read('/apps/steps/ingestions')).data;
    assert.deepEqual(
      [waiting.status, waiting.attempt, waiting.attemptsMax, waiting.retryAt, waiting.message],
      ['queued', 1, 3, retryAt, 'no route to host'],
    );
    await startIngestion(api, 'steps');
    await api.write('POST', '/apps/steps/tags', { key: 'not', value: 'a-step' });
    await finishIngestion(api, 'steps', 2);
    await api.write('POST', '/apps/steps/retry');
    const { data } = await api.read('/apps/steps/ingestions');
    assert.deepEqual(
      data.map((one: Body) => [one.run, one.cause, one.status]),
      [
        [2, 'retry', 'queued'],
        [1, 'registered', 'ready'],
      ],
    );
    const { timeline, ...first } = data[1];
    assert.deepEqual(
      [first.commit, first.branch, first.durations, first.message],
      [commit, 'main', { cloneMs: 10, inspectMs: 20, storeMs: 30 }, null],
    );
    assert.ok(first.finishedAt >= first.startedAt && first.startedAt >= first.queuedAt);
    const step = (status: string, attempt: number | null, more: object = {}) => ({
      status,
      attempt,
      message: null,
      commit: null,
      durationMs: null,
      ...more,
    });
    assert.deepEqual(
      timeline.map(({ at: _at, ...one }: Body) => one),
      [
        step('queued', null),
        step('processing', 1),
        step('failed-attempt', 1, { message: 'no route to host', durationMs: 12 }),
        step('processing', 2),
        step('ready', 2, { commit, durationMs: 60 }),
      ],
    );
    assert.deepEqual(
      data[0].timeline.map((one: Body) => one.status),
      ['queued'],
    );
    const last = (await api.read('/apps/steps/ingestions?limit=1')).meta.nextCursor;
    assert.deepEqual((await api.read(`/apps/steps/ingestions?limit=1&cursor=${last}`)).data[0].run, 1);
  });
});
