import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type LaunchCommand,
  type LaunchEvent,
  type LaunchState,
  launch,
} from '../../../domain/apps/launch.ts';
import { confined } from '../../../domain/apps/sandbox.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const launchId = 'l1';
const appId = 'todo';
const image = (build = 'b1') => ({
  buildId: build,
  image: `apphub/todo:${build}`,
  imageId: `sha256:${build}`,
  port: 80,
});
const asked = {
  launchId,
  at,
  appId,
  ...image(),
  env: [{ key: 'A', value: 'b' }],
  resourceProfile: 'small' as const,
  owner: 'ann',
  access: 'private' as const,
  restart: 'no' as const,
  idleSeconds: 60,
  healthPath: null,
  sandbox: confined,
  workspace: null,
  expiresAt: '2026-01-02T04:04:05.000Z',
};
const place = (containerId: string) => ({ containerId, engine: 'default', host: '10.0.0.2', hostPort: 80 });
const container = (containerId: string, deployment = 1) => ({
  launchId,
  at,
  deployment,
  ...place(containerId),
  port: 80,
});
const end = {
  launchId,
  at,
  deployment: 1,
  reason: 'exited',
  exitCode: 1,
  oomKilled: false,
  lastLines: ['oh'],
};
const request: LaunchCommand = { type: 'RequestLaunch', data: asked };
const start = (id = 'k1', deployment = 1): LaunchCommand => ({
  type: 'StartLaunch',
  data: container(id, deployment),
});
const ready = (deployment = 1, later = at): LaunchCommand => ({
  type: 'MarkLaunchRunning',
  data: { launchId, at: later, deployment, startedInMs: 5 },
});
const stop = (reason: 'stopped' | 'expired' = 'stopped'): LaunchCommand => ({
  type: 'StopLaunch',
  data: { launchId, reason, because: null, at },
});
const confirm: LaunchCommand = { type: 'ConfirmLaunchRemoved', data: { launchId, at } };
const fail = (deployment = 1, more: Partial<typeof end> = {}): LaunchCommand => ({
  type: 'FailDeployment',
  data: { ...end, deployment, ...more },
});
const redeploy = (build = 'b2', cause: 'redeploy' | 'rollback' = 'redeploy'): LaunchCommand => ({
  type: 'Redeploy',
  data: { launchId, at, cause, ...image(build) },
});
const sleep = (deployment = 1): LaunchCommand => ({
  type: 'SleepLaunch',
  data: { launchId, at, deployment, reason: 'idle', because: null },
});
const wake: LaunchCommand = { type: 'WakeLaunch', data: { launchId, at } };
const retired = (deployment = 1): LaunchCommand => ({
  type: 'ConfirmRetired',
  data: { launchId, at, deployment },
});
const extend: LaunchCommand = {
  type: 'ExtendLaunch',
  data: { launchId, at, expiresAt: '2026-01-02T05:00:00.000Z' },
};
const share: LaunchCommand = { type: 'ShareLaunch', data: { launchId, at, linkId: 'x', expiresAt: at } };
const revoke: LaunchCommand = { type: 'RevokeLaunchLinks', data: { launchId, at } };

const requested: LaunchEvent = { type: 'LaunchRequested', data: asked };
const restarts: LaunchEvent = { type: 'LaunchRequested', data: { ...asked, restart: 'on-failure' } };
type Now = 'starting' | 'running' | 'waking' | 'restarting' | 'asleep';
const starting = (id = 'k1', deployment = 1, status: Now = 'starting'): LaunchEvent => ({
  type: 'LaunchStarting',
  data: { ...container(id, deployment), appId, status },
});
const running = (id = 'k1', deployment = 1, build = 'b1', replaced: number | null = null): LaunchEvent => ({
  type: 'LaunchRunning',
  data: {
    launchId,
    at,
    deployment,
    startedInMs: 5,
    appId,
    replaced,
    serves: { ...image(build), ...place(id) },
  },
});
const again = (
  deployment: number,
  cause: 'redeploy' | 'rollback' | 'wake' | 'restart',
  status: Now,
  more: { build?: string; superseded?: number; notBefore?: string } = {},
): LaunchEvent => ({
  type: 'LaunchDeploymentRequested',
  data: {
    launchId,
    appId,
    at,
    ...image(more.build),
    deployment,
    cause,
    status,
    notBefore: more.notBefore ?? null,
    superseded: more.superseded ?? null,
  },
});
const slept: LaunchEvent = {
  type: 'LaunchSlept',
  data: { launchId, appId, at, deployment: 1, reason: 'idle', because: null },
};
const stopping = (reason: 'stopped' | 'expired' = 'stopped', coming: number | null = null): LaunchEvent => ({
  type: 'LaunchStopping',
  data: { launchId, appId, reason, because: null, coming, at },
});
const stopped: LaunchEvent = { type: 'LaunchStopped', data: { launchId, appId, at } };
const expired: LaunchEvent = { type: 'LaunchExpired', data: { launchId, appId, at } };
const failed = (deployment = 1, isLoop = false): LaunchEvent => ({
  type: 'LaunchFailed',
  data: { ...end, appId, deployment, isLoop },
});
const failedDeployment = (deployment: number, status: Now): LaunchEvent => ({
  type: 'LaunchDeploymentFailed',
  data: { ...end, appId, deployment, status },
});
const crashed = (deployment = 1): LaunchEvent => ({
  type: 'LaunchCrashed',
  data: { ...end, appId, deployment },
});

/** One history for each state a launch may be in. */
const up = [requested, starting(), running()];
const asleep = [...up, slept];
const waking = [...asleep, again(2, 'wake', 'waking')];
const replacing = [...up, again(2, 'redeploy', 'running', { build: 'b2' })];
const alive = [[requested], [requested, starting()], up, asleep, waking, replacing];
const closing = [...up, stopping()];
const over = [
  [...closing, stopped],
  [requested, stopping('expired', 1), expired],
  [requested, failed()],
];

suite('a launch', () => {
  test('is requested once', () => {
    given(launch, []).when(request).gives([requested]);
    for (const events of [...alive, closing, ...over]) {
      given(launch, events).when(request).gives('already-exists');
    }
  });

  test('must be there for anything else', () => {
    const others = [start(), ready(), stop(), confirm, fail(), redeploy(), sleep(), wake, retired(), extend];
    for (const command of [...others, share, revoke]) given(launch, []).when(command).gives('not-found');
  });

  test('starts in a container; reporting the same one again does nothing', () => {
    given(launch, [requested]).when(start()).gives([starting()]);
    given(launch, [requested, starting()]).when(start()).gives([]);
    given(launch, up).when(start()).gives([]);
  });

  test('takes another container only until it runs, and only for what is coming', () => {
    given(launch, [requested, starting()])
      .when(start('k2'))
      .gives([starting('k2')]);
    given(launch, up).when(start('k2')).gives('launch/not-starting');
    given(launch, [requested]).when(start('k1', 2)).gives('launch/not-starting');
    for (const events of [closing, ...over]) given(launch, events).when(start()).gives('launch/not-starting');
  });

  test('runs once it is starting', () => {
    given(launch, [requested]).when(ready()).gives('launch/not-starting');
    given(launch, [requested, starting()]).when(ready()).gives([running()]);
    given(launch, up).when(ready()).gives([]);
    for (const events of [closing, ...over]) given(launch, events).when(ready()).gives('launch/not-starting');
  });

  test('is stopped from wherever it is; the first reason counts', () => {
    const coming = [1, 1, null, null, 2, 2];
    for (const [place, events] of alive.entries()) {
      given(launch, events)
        .when(stop('expired'))
        .gives([stopping('expired', coming[place])]);
    }
    given(launch, closing).when(stop('expired')).gives([]);
    for (const events of over) given(launch, events).when(stop()).gives('launch/already-ended');
  });

  test('ends as it was asked to once its containers are gone', () => {
    given(launch, closing).when(confirm).gives([stopped]);
    given(launch, [requested, starting(), stopping('expired', 1)])
      .when(confirm)
      .gives([expired]);
    for (const events of [...alive, ...over]) given(launch, events).when(confirm).gives([]);
  });

  test('fails while it is wanted; the end of what is being stopped is no failure', () => {
    for (const events of alive.slice(0, 3)) given(launch, events).when(fail()).gives([failed()]);
    for (const events of [asleep, closing, ...over]) given(launch, events).when(fail()).gives([]);
  });

  test('may be given more time, shared, and its links made void, until it is over', () => {
    const extended: LaunchEvent = { type: 'LaunchExtended', data: { ...extend.data, appId } as never };
    given(launch, up).when(extend).gives([extended]);
    given(launch, [...up, extended])
      .when(extend)
      .gives([]);
    given(launch, up)
      .when(share)
      .gives([{ type: 'LaunchShared', data: { ...share.data, appId } as never }]);
    const revoked = (linkEpoch: number): LaunchEvent => ({
      type: 'LaunchLinksRevoked',
      data: { launchId, appId, at, linkEpoch },
    });
    given(launch, up)
      .when(revoke)
      .gives([revoked(1)]);
    given(launch, [...up, revoked(1)])
      .when(revoke)
      .gives([revoked(2)]);
    for (const command of [extend, share, revoke]) {
      for (const events of [closing, ...over])
        given(launch, events).when(command).gives('launch/already-ended');
    }
  });
});

suite('another deployment', () => {
  test('comes while the one before serves, and replaces it once it answers', () => {
    given(launch, up)
      .when(redeploy())
      .gives([again(2, 'redeploy', 'running', { build: 'b2' })]);
    given(launch, replacing)
      .when(start('k2', 2))
      .gives([starting('k2', 2, 'running')]);
    const ready2 = [...replacing, starting('k2', 2, 'running')];
    given(launch, ready2)
      .when(ready(2))
      .gives([running('k2', 2, 'b2', 1)]);
    const replaced = [...ready2, running('k2', 2, 'b2', 1)];
    given(launch, replaced).when(ready(2)).gives([]);
    given(launch, replaced)
      .when(retired())
      .gives([{ type: 'LaunchRetired', data: { launchId, appId, at, deployment: 1 } }]);
    given(launch, replaced).when(fail(1)).gives([]);
  });

  test('that does not come up leaves the one that serves alone', () => {
    given(launch, replacing)
      .when(fail(2))
      .gives([failedDeployment(2, 'running')]);
    const left = [...replacing, failedDeployment(2, 'running')];
    given(launch, left).when(ready(2)).gives('launch/not-starting');
    given(launch, left)
      .when(redeploy('b3'))
      .gives([again(3, 'redeploy', 'running', { build: 'b3' })]);
  });

  test('supersedes one that is coming', () => {
    given(launch, replacing)
      .when(redeploy('b1', 'rollback'))
      .gives([again(3, 'rollback', 'running', { superseded: 2 })]);
    given(launch, [requested, starting()])
      .when(redeploy())
      .gives([again(2, 'redeploy', 'starting', { build: 'b2', superseded: 1 })]);
    given(launch, [...replacing, again(3, 'rollback', 'running', { superseded: 2 })])
      .when(ready(2))
      .gives('launch/not-starting');
  });

  test('goes on when the one that serves dies meanwhile', () => {
    given(launch, replacing)
      .when(fail(1))
      .gives([crashed(1)]);
    const left = [...replacing, crashed(1), starting('k2', 2, 'restarting')];
    given(launch, left)
      .when(ready(2))
      .gives([running('k2', 2, 'b2')]);
  });

  test('waits until the one before is gone, where both would write to a workspace', () => {
    const workspace = { workspaceId: 'w1', overlap: false };
    const kept: LaunchEvent = { type: 'LaunchRequested', data: { ...asked, workspace } };
    const up = [kept, starting(), running()];
    const replaced: LaunchEvent = { ...slept, data: { ...slept.data, reason: 'replaced' } } as LaunchEvent;
    const change = [replaced, again(2, 'redeploy', 'starting', { build: 'b2' })];
    given(launch, up).when(redeploy()).gives(change);
    given(launch, [...up, ...change])
      .when(redeploy('b3'))
      .gives([again(3, 'redeploy', 'starting', { build: 'b3', superseded: 2 })]);
    // The next visitor wakes what ran before.
    given(launch, [...up, ...change])
      .when(fail(2))
      .gives([failedDeployment(2, 'asleep')]);
    given(launch, [...up, ...change, failedDeployment(2, 'asleep')])
      .when(wake)
      .gives([again(3, 'wake', 'waking')]);
    const shared: LaunchEvent = {
      type: 'LaunchRequested',
      data: { ...asked, workspace: { ...workspace, overlap: true } },
    };
    given(launch, [shared, starting(), running()])
      .when(redeploy())
      .gives([again(2, 'redeploy', 'running', { build: 'b2' })]);
  });

  test('is not for a launch that is over', () => {
    for (const command of [redeploy(), sleep(), wake]) {
      for (const events of [closing, ...over])
        given(launch, events).when(command).gives('launch/already-ended');
    }
  });
});

suite('a launch that nobody visits', () => {
  test('sleeps, if it is the one that serves and no other is coming', () => {
    given(launch, up).when(sleep()).gives([slept]);
    for (const events of [[requested], [requested, starting()], asleep, waking, replacing]) {
      given(launch, events).when(sleep()).gives([]);
    }
    given(launch, up).when(sleep(2)).gives([]);
  });

  test('wakes once, with what it ran', () => {
    given(launch, asleep)
      .when(wake)
      .gives([again(2, 'wake', 'waking')]);
    for (const events of [[requested], up, waking, replacing]) given(launch, events).when(wake).gives([]);
    const second = [...replacing, starting('k2', 2, 'running'), running('k2', 2, 'b2', 1)];
    given(launch, [...second, { ...slept, data: { ...slept.data, deployment: 2 } } as LaunchEvent])
      .when(wake)
      .gives([again(3, 'wake', 'waking', { build: 'b2' })]);
  });

  test('sleeps on when it cannot be woken, and fails when that goes on', () => {
    given(launch, waking)
      .when(fail(2))
      .gives([failedDeployment(2, 'asleep')]);
    const tries = [2, 3, 4, 5, 6].flatMap(deployment => [
      again(deployment, 'wake', 'waking'),
      failedDeployment(deployment, 'asleep'),
    ]);
    given(launch, [...asleep, ...tries, again(7, 'wake', 'waking')])
      .when(fail(7))
      .gives([failed(7, true)]);
  });
});

suite('a launch whose container fails', () => {
  const first = [restarts, starting(), running()];
  const soon = (ms: number) => new Date(Date.parse(at) + ms).toISOString();

  test('is started again, later each time, and at last not any more', () => {
    given(launch, first)
      .when(fail())
      .gives([crashed(), again(2, 'restart', 'restarting', { notBefore: soon(1_000) })]);
    const history = [...first];
    for (const [deployment, waitMs] of [
      [1, 1_000],
      [2, 2_000],
      [3, 4_000],
      [4, 8_000],
      [5, 16_000],
    ] as const) {
      const next = again(deployment + 1, 'restart', 'restarting', { notBefore: soon(waitMs) });
      given(launch, history)
        .when(fail(deployment))
        .gives([crashed(deployment), next]);
      history.push(crashed(deployment), next);
    }
    given(launch, history)
      .when(fail(6))
      .gives([failed(6, true)]);
  });

  test('counts anew once it has run for ten minutes', () => {
    const later = '2026-01-02T03:14:05.000Z';
    const history = [
      ...first,
      crashed(),
      again(2, 'restart', 'restarting', { notBefore: soon(1_000) }),
      starting('k2', 2, 'restarting'),
      running('k2', 2),
    ];
    const restart = { notBefore: '2026-01-02T03:14:06.000Z' };
    const next = again(3, 'restart', 'restarting', restart);
    given(launch, history)
      .when(fail(2, { at: later }))
      .gives([
        { type: 'LaunchCrashed', data: { ...end, at: later, appId, deployment: 2 } },
        { ...next, data: { ...next.data, at: later } } as LaunchEvent,
      ]);
  });

  test('is not started again when it ended well, or when that is not wanted', () => {
    given(launch, first)
      .when(fail(1, { exitCode: 0 }))
      .gives([{ type: 'LaunchFailed', data: { ...end, exitCode: 0, appId, isLoop: false } }]);
    given(launch, up).when(fail()).gives([failed()]);
    given(launch, first)
      .when(fail(1, { exitCode: 0, oomKilled: true }))
      .gives([
        { type: 'LaunchCrashed', data: { ...end, exitCode: 0, oomKilled: true, appId } },
        again(2, 'restart', 'restarting', { notBefore: soon(1_000) }),
      ]);
  });
});

test('whatever is asked of a launch, what is decided can be replayed', () => {
  const number = fc.integer({ min: 1, max: 4 });
  const again: LaunchCommand = { type: 'RequestLaunch', data: { ...asked, restart: 'on-failure' } };
  const reached = holdsForAnyCommands<LaunchState, LaunchCommand, LaunchEvent>(
    launch,
    fc.oneof(
      fc.constantFrom(request, stop(), stop('expired'), confirm, extend, share, revoke),
      fc.constantFrom(redeploy(), redeploy('b3', 'rollback'), wake),
      number.map(one => start(`k${one}`, one)),
      number.map(one => ready(one)),
      number.map(one => fail(one)),
      number.map(sleep),
      number.map(retired),
    ),
    [
      [],
      [request],
      [request, start(), ready()],
      [again, start(), ready()],
      [again, start(), ready(), sleep(), wake],
      [again, start(), ready(), redeploy(), start('k2', 2), ready(2)],
      [again, start(), ready(), redeploy(), fail(2)],
      [again, start(), stop()],
      [again, start(), stop('expired')],
    ],
  );
  assert.equal(reached.size, 15, [...reached].join());
});
