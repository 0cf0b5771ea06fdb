/** Running previews: a container is started, waited for, watched, and removed without a trace. */
import { stateOf } from '../../commands/execute.ts';
import { launch } from '../../domain/apps/launch.ts';
import type { EventOf, Recorded } from '../../domain/events.ts';
import { messageCharsMax, resourceProfiles } from '../../domain/kernel/limits.ts';
import { LogUnavailable, WrongRevision } from '../../eventstore/store.ts';
import type { LogStore } from '../../platform/log-store.ts';
import { endOf } from '../adapters/docker-launch.ts';
import { type Docker, LaunchFailure } from '../adapters/docker-types.ts';
import { attempt, causedBy, type Effect, type Send, Shutdown, textOf } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import { cancel, type Reaction, run } from '../reaction.ts';

const readyMsMax = 60_000;
const launchesAtOnce = 8;
const removalsAtOnce = 8;
const keptLinesMax = 2_000;
const portDefault = 8_080;
/** How often the engine is asked to start a container before its no is final. */
const startsMax = 3;
const startAgainMs = 500;

export const launchReaction: Reaction = {
  on: {
    LaunchRequested: ({ data }) => [run('launch', data.launchId, { launchId: data.launchId })],
    LaunchStopping: ({ data }) => [
      cancel('launch', data.launchId),
      run('remove', data.launchId, { launchId: data.launchId }),
    ],
    LaunchFailed: ({ data }) => [run('remove', data.launchId, { launchId: data.launchId })],
  },
};

export type LaunchDeps = Send & { readonly docker: Docker; readonly logs: LogStore };

export function startLaunch(deps: LaunchDeps): Effect {
  return {
    name: 'launch',
    atOnce: launchesAtOnce,
    async run(data, signal) {
      const launchId = textOf(data, 'launchId');
      const found = await stateOf(deps.store, launch, launchId);
      const requested = found?.events[0] as Recorded<EventOf<'LaunchRequested'>> | undefined;
      if (found === null || requested === undefined) return;
      if (found.state.status !== 'requested' && found.state.status !== 'starting') return;
      // No engine: the launch waits, and the sweep asks again once there is one.
      if (!(await deps.docker.ping()).ok) return;
      try {
        await bringUpPatiently(deps, requested, signal);
      } catch (error) {
        if (signal.aborted && signal.reason instanceof Shutdown) throw error;
        if (signal.aborted) return;
        if (error instanceof LogUnavailable || error instanceof WrongRevision) throw error;
        if (!(error instanceof LaunchFailure) && (await deps.docker.ping()).ok === false) throw error;
        await fail(deps, requested, error);
      }
    },
  };
}

/** What the engine refuses now it may do a moment later: a port that is taken, a name that is not free yet. */
async function bringUpPatiently(
  deps: LaunchDeps,
  requested: Recorded<EventOf<'LaunchRequested'>>,
  signal: AbortSignal,
): Promise<void> {
  for (let number = 1; ; number += 1) {
    try {
      return await bringUp(deps, requested, signal);
    } catch (error) {
      const isWorthIt = error instanceof LaunchFailure && error.retryable && number < startsMax;
      if (signal.aborted || !isWorthIt) throw error;
      await pause(startAgainMs * number, signal);
      signal.throwIfAborted();
    }
  }
}

async function bringUp(
  deps: LaunchDeps,
  { data, ...event }: Recorded<EventOf<'LaunchRequested'>>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, docker } = deps;
  const { launchId } = data;
  const begun = performance.now();
  const port = data.port ?? portDefault;
  const started = await docker.startContainer({
    launchId,
    deployment: 1,
    appId: data.appId,
    buildId: data.buildId,
    eventId: event.id,
    image: data.imageId,
    env: data.env,
    ...resourceProfiles[data.resourceProfile],
    tmpfsBytes: 64 * 1024 * 1024,
    runtime: 'default',
    egress: [],
    allowRoot: false,
    port,
  });
  const told = await attempt(
    deps,
    launch,
    launchId,
    {
      type: 'StartLaunch',
      data: { launchId, deployment: 1, ...started, port, at: clock.now() },
    },
    causedBy(event, clock),
    ['launch/not-starting'],
  );
  // Stopped while it was being started: whoever stopped it may have found nothing to remove yet.
  if (told === undefined) return docker.removeLaunch(launchId);
  await docker.waitUntilReady({ ...started, timeoutMs: readyMsMax, signal });
  const startedInMs = Math.round(performance.now() - begun);
  const command = {
    type: 'MarkLaunchRunning',
    data: { launchId, deployment: 1, startedInMs, at: clock.now() },
  } as const;
  await attempt(deps, launch, launchId, command, causedBy(event, clock), ['launch/not-starting']);
}

/** The launch is over by itself: the container died, or never came up. */
async function fail(
  deps: LaunchDeps,
  event: Pick<Recorded<EventOf<'LaunchRequested'>>, 'id' | 'metadata' | 'data'>,
  error: unknown,
): Promise<void> {
  const { launchId } = event.data;
  const reason = error instanceof Error ? error.message : String(error);
  const known = error instanceof LaunchFailure ? error : { exitCode: null, lastLines: [] };
  const failure = {
    reason: reason.slice(0, messageCharsMax),
    exitCode: known.exitCode,
    lastLines: known.lastLines,
  };
  const command = {
    type: 'FailDeployment',
    data: { launchId, deployment: 1, ...failure, oomKilled: false, at: deps.clock.now() },
  } as const;
  await attempt(deps, launch, launchId, command, causedBy(event, deps.clock), []);
}

/** Fails a launch by its id, for what was seen from outside: a death, a container that is gone. */
export async function failLaunch(deps: LaunchDeps, launchId: string, failure: LaunchFailure): Promise<void> {
  const found = await stateOf(deps.store, launch, launchId);
  const requested = found?.events[0] as Recorded<EventOf<'LaunchRequested'>> | undefined;
  if (requested !== undefined) await fail(deps, requested, failure);
}

export function removeLaunch(deps: LaunchDeps): Effect {
  return {
    name: 'remove',
    atOnce: removalsAtOnce,
    async run(data) {
      const launchId = textOf(data, 'launchId');
      const found = await stateOf(deps.store, launch, launchId);
      const cause = found?.events.at(-1);
      if (found === null || cause === undefined) return;
      if (!(await deps.docker.ping()).ok) return;
      await keepLogs(deps, launchId);
      await deps.docker.removeLaunch(launchId);
      const command = { type: 'ConfirmLaunchRemoved', data: { launchId, at: deps.clock.now() } } as const;
      await attempt(deps, launch, launchId, command, causedBy(cause, deps.clock), []);
    },
  };
}

/** What the app said goes with its container, so its last lines are kept. */
async function keepLogs({ docker, logs }: LaunchDeps, launchId: string): Promise<void> {
  const kept = await logs.read(launchId, Number.MAX_SAFE_INTEGER, 1);
  if (kept?.ended) return;
  // A process that was killed may have kept a part of them.
  if (kept !== undefined) await logs.remove(launchId);
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of docker.containerLogs(launchId, { tail: keptLinesMax })) {
    text += decoder.decode(part, { stream: true });
  }
  const writer = await logs.writer(launchId);
  for (const line of text.replace(/\n$/, '').split('\n')) if (text !== '') await writer.write(line);
  await writer.close();
}

/** Containers that die by themselves end their launches. Runs until the signal aborts. */
export async function watchLaunches(deps: LaunchDeps, signal: AbortSignal): Promise<void> {
  for await (const { launchId, exitCode, oomKilled } of deps.docker.watchDeaths(signal)) {
    const lastLines = await deps.docker.lastLines(launchId).catch(() => []);
    const reason = endOf({ ExitCode: exitCode, OOMKilled: oomKilled });
    await failLaunch(deps, launchId, new LaunchFailure(reason, { exitCode, lastLines }));
  }
}
