/** Removing what is over: one container that was replaced, sleeps or failed, or at the end of a launch all that it had. */
import type { Knex } from 'knex';
import { stateOf } from '../../commands/execute.ts';
import { launch } from '../../domain/apps/launch.ts';
import type { Recorded } from '../../domain/events.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { LogStore } from '../../platform/log-store.ts';
import type { Engines } from '../adapters/engine-types.ts';
import { attempt, causedBy, type Effect, type Send, textOf } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import type { QueueLog } from '../queue.ts';
import { deploymentOf } from './launch.ts';
import { readMeters } from './usage.ts';
import { closeWorkspace, isAlone, leaveWorkspace } from './workspace-use.ts';

const retirementsAtOnce = 16;
const removalsAtOnce = 8;
const keptLinesMax = 2_000;

export type RetireDeps = Send & {
  readonly sql: Knex;
  readonly docker: Engines;
  readonly logs: LogStore;
  readonly log: QueueLog;
  /** How long a container that was replaced still answers what it was asked before. */
  readonly drainMs: number;
};

/** Where what a deployment printed is kept once its container is gone. */
const logIdOf = (launchId: string, deployment: number): string => `${launchId}-${deployment}`;

export function retire(deps: RetireDeps): Effect {
  return {
    name: 'retire',
    atOnce: retirementsAtOnce,
    async run(data, signal) {
      const launchId = textOf(data, 'launchId');
      const deployment = deploymentOf(data);
      const found = await stateOf(deps.store, launch, launchId);
      if (!found?.state.retiring.includes(deployment)) return;
      if (!(await deps.docker.ping()).ok) return;
      const cause = endOf(found.events, deployment);
      if (cause === undefined) return;
      if (!isAlone(found.state)) await drain(deps, cause, signal);
      signal.throwIfAborted();
      faultPoint('retire.drained');
      await keepLogs(deps, launchId, deployment);
      await readMeters(deps, launchId, deps.log);
      faultPoint('retire.kept');
      await deps.docker.removeDeployment(launchId, deployment);
      faultPoint('retire.removed');
      await closeWorkspace(deps, found.state, { launchId, deployment }, cause);
      const confirm = { launchId, deployment, at: deps.clock.now() };
      const command = { type: 'ConfirmRetired', data: confirm } as const;
      await attempt(deps, launch, launchId, command, causedBy(cause, deps.clock), []);
      faultPoint('retire.told');
    },
  };
}

/** The event by which a deployment was over. */
function endOf(events: readonly Recorded[], deployment: number): Recorded | undefined {
  return events.findLast(({ type, data }) => {
    if (type === 'LaunchRunning') return data.replaced === deployment;
    if (type === 'LaunchDeploymentRequested') return data.superseded === deployment;
    const isEnd = type === 'LaunchDeploymentFailed' || type === 'LaunchCrashed' || type === 'LaunchSlept';
    return isEnd && data.deployment === deployment;
  });
}

/** One that has served ends what it was asked before its successor took over; nobody asks it anything new. */
async function drain({ clock, drainMs }: RetireDeps, end: Recorded, signal: AbortSignal): Promise<void> {
  if (end.type !== 'LaunchRunning' && end.type !== 'LaunchSlept') return;
  const leftMs = Date.parse(end.data.at) + drainMs - Date.parse(clock.now());
  if (leftMs > 0) await pause(Math.min(leftMs, drainMs), signal);
}

export function removeLaunch(deps: RetireDeps): Effect {
  return {
    name: 'remove',
    atOnce: removalsAtOnce,
    async run(data) {
      const launchId = textOf(data, 'launchId');
      const found = await stateOf(deps.store, launch, launchId);
      const cause = found?.events.at(-1);
      if (found === null || cause === undefined) return;
      if (!(await deps.docker.ping()).ok) return;
      for (const deployment of leftOf(found.events)) await keepLogs(deps, launchId, deployment);
      await readMeters(deps, launchId, deps.log);
      faultPoint('remove.kept');
      await deps.docker.removeLaunch(launchId);
      faultPoint('remove.removed');
      await leaveWorkspace(deps, found.state, launchId, cause);
      const command = { type: 'ConfirmLaunchRemoved', data: { launchId, at: deps.clock.now() } } as const;
      await attempt(deps, launch, launchId, command, causedBy(cause, deps.clock), []);
      faultPoint('remove.told');
    },
  };
}

/** Deployments that had a container of which nobody has said yet that it is gone. */
function leftOf(events: readonly Recorded[]): readonly number[] {
  const left = new Set<number>();
  for (const { type, data } of events) {
    if (type === 'LaunchStarting') left.add(data.deployment);
    if (type === 'LaunchRetired') left.delete(data.deployment);
  }
  return [...left];
}

/** What the app said goes with its container, so its last lines are kept. */
async function keepLogs({ docker, logs }: RetireDeps, launchId: string, deployment: number): Promise<void> {
  const id = logIdOf(launchId, deployment);
  const kept = await logs.read(id, Number.MAX_SAFE_INTEGER, 1);
  if (kept?.ended) return;
  // A process that was killed may have kept a part of them.
  if (kept !== undefined) await logs.remove(id);
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of docker.containerLogs(launchId, { deployment, tail: keptLinesMax })) {
    text += decoder.decode(part, { stream: true });
  }
  const writer = await logs.writer(id);
  for (const line of text.replace(/\n$/, '').split('\n')) if (text !== '') await writer.write(line);
  await writer.close();
}
