import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type LaunchCommand, type LaunchEvent, launch } from '../../../domain/apps/launch.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const launchId = 'l1';
const appId = 'todo';
const asked = {
  launchId,
  at,
  appId,
  buildId: 'b1',
  image: 'apphub/todo:c1',
  imageId: 'sha256:1',
  env: [{ key: 'A', value: 'b' }],
  resourceProfile: 'small' as const,
  port: null,
  expiresAt: '2026-01-02T04:04:05.000Z',
};
const container = (containerId: string) => ({ launchId, at, containerId, hostPort: 40_000, port: 80 });
const end = { launchId, at, reason: 'exited', exitCode: 1, lastLines: ['oh'] };
const request: LaunchCommand = { type: 'RequestLaunch', data: asked };
const start = (id = 'k1'): LaunchCommand => ({ type: 'StartLaunch', data: container(id) });
const ready: LaunchCommand = { type: 'MarkLaunchRunning', data: { launchId, at, startedInMs: 5 } };
const stop = (reason: 'stopped' | 'expired' = 'stopped'): LaunchCommand => ({
  type: 'StopLaunch',
  data: { launchId, reason, at },
});
const confirm: LaunchCommand = { type: 'ConfirmLaunchRemoved', data: { launchId, at } };
const fail: LaunchCommand = { type: 'FailLaunch', data: end };

const requested: LaunchEvent = { type: 'LaunchRequested', data: asked };
const starting = (id = 'k1'): LaunchEvent => ({ type: 'LaunchStarting', data: { ...container(id), appId } });
const running: LaunchEvent = { type: 'LaunchRunning', data: { launchId, at, startedInMs: 5, appId } };
const stopping = (reason: 'stopped' | 'expired' = 'stopped'): LaunchEvent => ({
  type: 'LaunchStopping',
  data: { launchId, appId, reason, at },
});
const stopped: LaunchEvent = { type: 'LaunchStopped', data: { launchId, appId, at } };
const expired: LaunchEvent = { type: 'LaunchExpired', data: { launchId, appId, at } };
const failed: LaunchEvent = { type: 'LaunchFailed', data: { ...end, appId } };

/** One history for each state a launch may be in. */
const alive = [[requested], [requested, starting()], [requested, starting(), running]];
const closing = [requested, starting(), running, stopping()];
const over = [
  [...closing, stopped],
  [requested, stopping('expired'), expired],
  [requested, failed],
];

suite('a launch', () => {
  test('is requested once', () => {
    given(launch, []).when(request).gives([requested]);
    for (const events of [...alive, closing, ...over]) {
      given(launch, events).when(request).gives('already-exists');
    }
  });

  test('must be there for anything else', () => {
    for (const command of [start(), ready, stop(), confirm, fail]) {
      given(launch, []).when(command).gives('not-found');
    }
  });

  test('starts in a container; reporting the same one again does nothing', () => {
    given(launch, [requested]).when(start()).gives([starting()]);
    given(launch, [requested, starting()]).when(start()).gives([]);
    given(launch, [requested, starting(), running]).when(start()).gives([]);
  });

  test('takes another container only until it runs', () => {
    given(launch, [requested, starting()])
      .when(start('k2'))
      .gives([starting('k2')]);
    given(launch, [requested, starting(), starting('k2')])
      .when(start('k2'))
      .gives([]);
    given(launch, [requested, starting(), running]).when(start('k2')).gives('launch/not-starting');
    for (const events of [closing, ...over]) given(launch, events).when(start()).gives('launch/not-starting');
  });

  test('runs once it is starting', () => {
    given(launch, [requested]).when(ready).gives('launch/not-starting');
    given(launch, [requested, starting()]).when(ready).gives([running]);
    given(launch, [requested, starting(), running]).when(ready).gives([]);
    for (const events of [closing, ...over]) given(launch, events).when(ready).gives('launch/not-starting');
  });

  test('is stopped from wherever it is; the first reason counts', () => {
    for (const events of alive)
      given(launch, events)
        .when(stop('expired'))
        .gives([stopping('expired')]);
    given(launch, closing).when(stop('expired')).gives([]);
    for (const events of over) given(launch, events).when(stop()).gives('launch/already-ended');
  });

  test('ends as it was asked to once its container is gone', () => {
    given(launch, closing).when(confirm).gives([stopped]);
    given(launch, [requested, starting(), stopping('expired')])
      .when(confirm)
      .gives([expired]);
    for (const events of [...alive, ...over]) given(launch, events).when(confirm).gives([]);
  });

  test('fails while it is wanted; the end of what is being stopped is no failure', () => {
    for (const events of alive) given(launch, events).when(fail).gives([failed]);
    for (const events of [closing, ...over]) given(launch, events).when(fail).gives([]);
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const reached = holdsForAnyCommands(
      launch,
      fc.constantFrom(request, start(), start('k2'), ready, stop(), stop('expired'), confirm, fail),
    );
    assert.equal(reached.size, 7, [...reached].join());
  });
});
