/** Bringing up deployments: room is made, a container is started and waited for, and its end is told. */
import type { Knex } from 'knex';
import { stateOf } from '../../commands/execute.ts';
import { build, type PushedImage } from '../../domain/apps/build.ts';
import type { Deployment } from '../../domain/apps/deployment.ts';
import { type LaunchSpec, type LaunchState, launch } from '../../domain/apps/launch.ts';
import type { Recorded } from '../../domain/events.ts';
import { messageCharsMax, type ResourceProfile } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { LogUnavailable, WrongRevision } from '../../eventstore/store.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { LogStore } from '../../platform/log-store.ts';
import type { Resources } from '../../platform/sandbox-config.ts';
import { LaunchFailure } from '../adapters/docker-types.ts';
import { NoEngine } from '../adapters/engine-types.ts';
import { attempt, causedBy, type Effect, type Send, Shutdown, textOf } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import { cancel, type JobData, type Reaction, run } from '../reaction.ts';
import { makeRoom, type Room } from './room.ts';
import { openWorkspace, type UseDeps, volumesFor } from './workspace-use.ts';

const readyMsMax = 60_000;
const deploymentsAtOnce = 8;
const portDefault = 8_080;
/** How often the engine is asked to start a container before its no is final. */
const startsMax = 3;
const startAgainMs = 500;

/** One job a deployment: each is brought up and removed once, whoever asks for it. */
export const deploymentJob = (effect: 'deploy' | 'retire', launchId: string, deployment: number) =>
  run(effect, `${launchId}.${deployment}`, { launchId, deployment });

export const launchReaction: Reaction = {
  on: {
    LaunchRequested: ({ data }) => [deploymentJob('deploy', data.launchId, 1)],
    LaunchDeploymentRequested: ({ data: { launchId, deployment, superseded, notBefore } }) => [
      ...(superseded === null
        ? []
        : [cancel('deploy', `${launchId}.${superseded}`), deploymentJob('retire', launchId, superseded)]),
      // A restart that waits is brought up when its time has come.
      ...(notBefore === null ? [deploymentJob('deploy', launchId, deployment)] : []),
    ],
    LaunchRunning: ({ data: { launchId, replaced } }) =>
      replaced === null ? [] : [deploymentJob('retire', launchId, replaced)],
    LaunchDeploymentFailed: ({ data }) => [deploymentJob('retire', data.launchId, data.deployment)],
    LaunchCrashed: ({ data }) => [deploymentJob('retire', data.launchId, data.deployment)],
    LaunchSlept: ({ data }) => [deploymentJob('retire', data.launchId, data.deployment)],
    LaunchStopping: ({ data: { launchId, coming } }) => [
      ...(coming === null ? [] : [cancel('deploy', `${launchId}.${coming}`)]),
      run('remove', launchId, { launchId }),
    ],
    LaunchFailed: ({ data }) => [run('remove', data.launchId, { launchId: data.launchId })],
  },
};

export type LaunchDeps = UseDeps & {
  readonly sql: Knex;
  readonly logs: LogStore;
  readonly room: Room;
  readonly profiles: Readonly<Record<ResourceProfile, Resources>>;
};

/** What is to be brought up, and the event that asked for it. */
type Coming = {
  readonly launchId: string;
  readonly spec: LaunchSpec;
  readonly deployment: Deployment;
  readonly intent: Recorded;
};

export const deploymentOf = (data: JobData): number => Number(data.deployment);

export function deploy(deps: LaunchDeps): Effect {
  return {
    name: 'deploy',
    atOnce: deploymentsAtOnce,
    async run(data, signal) {
      const launchId = textOf(data, 'launchId');
      const found = await stateOf(deps.store, launch, launchId);
      const coming = found && comingOf(launchId, found, deploymentOf(data), deps.clock.now());
      if (!coming) return;
      // No engine: the launch waits, and the sweep asks again once there is one.
      if (!(await deps.docker.ping()).ok) return;
      if (!(await mayBegin(deps, coming))) return;
      const leave = await makeRoom(deps, { launchId, ...coming.spec });
      try {
        await bringUpPatiently(deps, coming, signal);
      } catch (error) {
        if (signal.aborted && signal.reason instanceof Shutdown) throw error;
        if (signal.aborted) return;
        if (error instanceof LogUnavailable || error instanceof WrongRevision) throw error;
        // The engine it belongs to is away, or none has room: it waits, and is tried again.
        if (error instanceof NoEngine) throw error;
        if (!(error instanceof LaunchFailure) && (await deps.docker.ping()).ok === false) throw error;
        await failDeployment(deps, launchId, coming.deployment.deployment, error);
      } finally {
        leave();
      }
    },
  };
}

/** Undefined: it is no longer wanted, or not yet. */
function comingOf(
  launchId: string,
  { state, events }: { state: LaunchState; events: readonly Recorded[] },
  deployment: number,
  now: string,
): Coming | undefined {
  const { coming, spec } = state;
  if (spec === null || coming?.deployment !== deployment || state.status === 'stopping') return undefined;
  if (coming.notBefore !== null && coming.notBefore > now) return undefined;
  const intent = events.find(
    ({ type, data }) =>
      (type === 'LaunchRequested' && deployment === 1) ||
      (type === 'LaunchDeploymentRequested' && data.deployment === deployment),
  );
  return intent && { launchId, spec, deployment: coming, intent };
}

/** False: it waits for its workspace, or cannot have it and has failed. */
async function mayBegin(deps: LaunchDeps, coming: Coming): Promise<boolean> {
  try {
    return await openWorkspace(deps, coming);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    await failDeployment(deps, coming.launchId, coming.deployment.deployment, error);
    return false;
  }
}

/** What the engine refuses now it may do a moment later: a port that is taken, a name that is not free yet. */
async function bringUpPatiently(deps: LaunchDeps, coming: Coming, signal: AbortSignal): Promise<void> {
  for (let number = 1; ; number += 1) {
    try {
      return await bringUp(deps, coming, signal);
    } catch (error) {
      const isWorthIt = error instanceof LaunchFailure && error.retryable && number < startsMax;
      if (signal.aborted || !isWorthIt) throw error;
      await pause(startAgainMs * number, signal);
      signal.throwIfAborted();
    }
  }
}

async function bringUp(deps: LaunchDeps, coming: Coming, signal: AbortSignal): Promise<void> {
  const { launchId, spec, intent } = coming;
  const { deployment, ...of } = coming.deployment;
  const { clock, docker } = deps;
  const begun = performance.now();
  const port = of.port ?? portDefault;
  faultPoint('deploy.begun');
  const container = {
    launchId,
    deployment,
    appId: spec.appId,
    buildId: of.buildId,
    eventId: intent.id,
    image: of.imageId,
    env: spec.env,
    ...deps.profiles[spec.resourceProfile],
    ...spec.sandbox,
    port,
    inRegistry: () => pushedBy(deps, of.buildId),
  };
  const kept = await volumesFor(deps, coming, container);
  const started = await docker.startContainer({ ...container, ...kept });
  faultPoint('deploy.started');
  const place = { ...started, port, at: clock.now() };
  const cause = causedBy(intent, clock);
  const starting = { type: 'StartLaunch', data: { launchId, deployment, ...place } } as const;
  const told = await attempt(deps, launch, launchId, starting, cause, ['launch/not-starting']);
  // Not wanted any more while it was being started: whoever said so may have found nothing to remove yet.
  if (told === undefined) return docker.removeDeployment(launchId, deployment);
  faultPoint('deploy.told');
  await docker.waitUntilReady({ ...started, healthPath: spec.healthPath, timeoutMs: readyMsMax, signal });
  faultPoint('deploy.ready');
  const startedInMs = Math.round(performance.now() - begun);
  const data = { launchId, deployment, startedInMs, at: clock.now() };
  await attempt(deps, launch, launchId, { type: 'MarkLaunchRunning', data }, causedBy(intent, clock), [
    'launch/not-starting',
  ]);
  faultPoint('deploy.running');
}

/** Where the image of a build is in a registry. */
async function pushedBy({ store }: Send, buildId: string): Promise<PushedImage | undefined> {
  const found = await stateOf(store, build, buildId);
  for (const { type, data } of found?.events ?? [])
    if (type === 'BuildSucceeded') return data.pushed ?? undefined;
  return undefined;
}

/** A container died, was never there, or is gone: what follows the decider says. */
export async function failDeployment(
  deps: Send,
  launchId: string,
  deployment: number,
  error: unknown,
): Promise<void> {
  const found = await stateOf(deps.store, launch, launchId);
  const cause = found?.events.at(-1);
  if (cause === undefined) return;
  const reason = error instanceof Error ? error.message : String(error);
  const known = error instanceof LaunchFailure ? error : { exitCode: null, oomKilled: false, lastLines: [] };
  const { exitCode, oomKilled, lastLines } = known;
  const ended = { reason: reason.slice(0, messageCharsMax), exitCode, oomKilled, lastLines };
  const data = { launchId, deployment, ...ended, at: deps.clock.now() };
  await attempt(deps, launch, launchId, { type: 'FailDeployment', data }, causedBy(cause, deps.clock), []);
  faultPoint('deploy.failed');
}

/** Containers that die by themselves end their deployments. Runs until the signal aborts. */
export async function watchLaunches(deps: LaunchDeps, signal: AbortSignal): Promise<void> {
  for await (const death of deps.docker.watchDeaths(signal)) {
    const { launchId, deployment, reason, exitCode, oomKilled } = death;
    const lastLines = await deps.docker.lastLines(launchId, deployment).catch(() => []);
    const failure = new LaunchFailure(reason, { exitCode, oomKilled, lastLines });
    await failDeployment(deps, launchId, deployment, failure);
  }
}
