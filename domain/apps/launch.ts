/**
 * A launch is one run of an app's image as a sandboxed preview behind its own address.
 *
 *   requested ──► starting ──► running ──► stopping ──► stopped | expired
 *       │             │           │            ▲
 *       │             ├───────────┼── stop, expiry
 *       └─────────────┴───────────┴──► failed
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import type { ResourceProfile } from '../kernel/limits.ts';
import { Refusal } from '../kernel/refusal.ts';

/** A variable of the app's environment. It is plain configuration and readable in the history: never a secret. */
export type EnvVariable = { key: string; value: string };

export type LaunchSpec = {
  appId: string;
  buildId: string;
  /** The image by tag, for people, and by content digest, for the engine. */
  image: string;
  imageId: string;
  env: EnvVariable[];
  resourceProfile: ResourceProfile;
  /** The port inside the container; null: PORT of the environment, else the lowest exposed one, else 8080. */
  port: number | null;
  expiresAt: string;
};

type OfLaunch = { launchId: string; appId: string; at: string };
/** A worker knows a launch by its id alone; the decider adds whose it is. */
type Unowned<T> = Omit<T, 'appId'>;
type Started = OfLaunch & { containerId: string; hostPort: number; port: number };
type Running = OfLaunch & { startedInMs: number };
type Failed = OfLaunch & { reason: string; exitCode: number | null; lastLines: string[] };

export type LaunchEvent =
  | { type: 'LaunchRequested'; data: { launchId: string; at: string } & LaunchSpec }
  | { type: 'LaunchStarting'; data: Started }
  | { type: 'LaunchRunning'; data: Running }
  | { type: 'LaunchStopping'; data: OfLaunch & { reason: 'stopped' | 'expired' } }
  | { type: 'LaunchStopped'; data: OfLaunch }
  | { type: 'LaunchExpired'; data: OfLaunch }
  | { type: 'LaunchFailed'; data: Failed };

export type LaunchCommand =
  | { type: 'RequestLaunch'; data: { launchId: string; at: string } & LaunchSpec }
  | { type: 'StartLaunch'; data: Unowned<Started> }
  | { type: 'MarkLaunchRunning'; data: Unowned<Running> }
  | { type: 'StopLaunch'; data: { launchId: string; reason: 'stopped' | 'expired'; at: string } }
  | { type: 'ConfirmLaunchRemoved'; data: { launchId: string; at: string } }
  | { type: 'FailLaunch'; data: Unowned<Failed> };

export type LaunchState = {
  readonly status: 'absent' | 'requested' | 'starting' | 'running' | 'stopping' | 'ended';
  readonly appId: string | null;
  readonly containerId: string | null;
  readonly stopReason: 'stopped' | 'expired' | null;
};

export const launch: Decider<LaunchState, LaunchCommand, LaunchEvent> = {
  category: 'apps.launch',
  initialState: { status: 'absent', appId: null, containerId: null, stopReason: null },

  evolve(state, event) {
    switch (event.type) {
      case 'LaunchRequested':
        return { ...state, status: 'requested', appId: event.data.appId };
      case 'LaunchStarting':
        return { ...state, status: 'starting', containerId: event.data.containerId };
      case 'LaunchRunning':
        return { ...state, status: 'running' };
      case 'LaunchStopping':
        return { ...state, status: 'stopping', stopReason: event.data.reason };
      case 'LaunchStopped':
      case 'LaunchExpired':
      case 'LaunchFailed':
        return { ...state, status: 'ended' };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { launchId, at } = command.data;
    if (command.type === 'RequestLaunch') {
      if (state.status !== 'absent') throw new Refusal('already-exists', { launchId });
      return [{ type: 'LaunchRequested', data: command.data }];
    }
    const { appId } = state;
    if (appId === null) throw new Refusal('not-found', { launchId });

    switch (command.type) {
      case 'StartLaunch':
        // The container is found again by its label, so a second start reports the same one.
        if (isUp(state) && state.containerId === command.data.containerId) return [];
        if (state.status === 'requested' || state.status === 'starting') {
          return [{ type: 'LaunchStarting', data: { ...command.data, appId } }];
        }
        throw new Refusal('launch/not-starting', { launchId, status: state.status });
      case 'MarkLaunchRunning':
        if (state.status === 'running') return [];
        if (state.status !== 'starting')
          throw new Refusal('launch/not-starting', { launchId, status: state.status });
        return [{ type: 'LaunchRunning', data: { ...command.data, appId } }];
      case 'StopLaunch':
        if (state.status === 'ended') throw new Refusal('launch/already-ended', { launchId });
        if (state.status === 'stopping') return [];
        return [{ type: 'LaunchStopping', data: { launchId, appId, reason: command.data.reason, at } }];
      case 'ConfirmLaunchRemoved':
        if (state.status !== 'stopping') return [];
        return state.stopReason === 'expired'
          ? [{ type: 'LaunchExpired', data: { launchId, appId, at } }]
          : [{ type: 'LaunchStopped', data: { launchId, appId, at } }];
      case 'FailLaunch':
        return state.status === 'ended' || state.status === 'stopping'
          ? []
          : [{ type: 'LaunchFailed', data: { ...command.data, appId } }];
      default:
        return unreachable(command);
    }
  },
};

function isUp({ status }: LaunchState): boolean {
  return status === 'starting' || status === 'running';
}
