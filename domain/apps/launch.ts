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

export type LaunchEvent =
  | { type: 'LaunchRequested'; data: { launchId: string; at: string } & LaunchSpec }
  | { type: 'LaunchStarting'; data: { launchId: string; containerId: string; hostPort: number; at: string } }
  | { type: 'LaunchRunning'; data: { launchId: string; startedInMs: number; at: string } }
  | { type: 'LaunchStopping'; data: { launchId: string; reason: 'stopped' | 'expired'; at: string } }
  | { type: 'LaunchStopped'; data: { launchId: string; at: string } }
  | { type: 'LaunchExpired'; data: { launchId: string; at: string } }
  | {
      type: 'LaunchFailed';
      data: { launchId: string; reason: string; exitCode: number | null; lastLines: string[]; at: string };
    };

export type LaunchCommand =
  | { type: 'RequestLaunch'; data: Extract<LaunchEvent, { type: 'LaunchRequested' }>['data'] }
  | { type: 'StartLaunch'; data: Extract<LaunchEvent, { type: 'LaunchStarting' }>['data'] }
  | { type: 'MarkLaunchRunning'; data: Extract<LaunchEvent, { type: 'LaunchRunning' }>['data'] }
  | { type: 'StopLaunch'; data: { launchId: string; reason: 'stopped' | 'expired'; at: string } }
  | { type: 'ConfirmLaunchRemoved'; data: { launchId: string; at: string } }
  | { type: 'FailLaunch'; data: Extract<LaunchEvent, { type: 'LaunchFailed' }>['data'] };

export type LaunchState = {
  readonly status: 'absent' | 'requested' | 'starting' | 'running' | 'stopping' | 'ended';
  readonly containerId: string | null;
  readonly stopReason: 'stopped' | 'expired' | null;
};

export const launch: Decider<LaunchState, LaunchCommand, LaunchEvent> = {
  category: 'apps.launch',
  initialState: { status: 'absent', containerId: null, stopReason: null },

  evolve(state, event) {
    switch (event.type) {
      case 'LaunchRequested':
        return { ...state, status: 'requested' };
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
    if (state.status === 'absent') throw new Refusal('not-found', { launchId });

    switch (command.type) {
      case 'StartLaunch':
        // The container is found again by its label, so a second start reports the same one.
        if (state.status === 'starting' && state.containerId === command.data.containerId) return [];
        if (state.status === 'requested' || state.status === 'starting') {
          return [{ type: 'LaunchStarting', data: command.data }];
        }
        throw new Refusal('launch/not-starting', { launchId, status: state.status });
      case 'MarkLaunchRunning':
        if (state.status === 'running') return [];
        if (state.status !== 'starting')
          throw new Refusal('launch/not-starting', { launchId, status: state.status });
        return [{ type: 'LaunchRunning', data: command.data }];
      case 'StopLaunch':
        if (state.status === 'ended') throw new Refusal('launch/already-ended', { launchId });
        if (state.status === 'stopping') return [];
        return [{ type: 'LaunchStopping', data: { launchId, reason: command.data.reason, at } }];
      case 'ConfirmLaunchRemoved':
        if (state.status !== 'stopping') return [];
        return state.stopReason === 'expired'
          ? [{ type: 'LaunchExpired', data: { launchId, at } }]
          : [{ type: 'LaunchStopped', data: { launchId, at } }];
      case 'FailLaunch':
        return state.status === 'ended' || state.status === 'stopping'
          ? []
          : [{ type: 'LaunchFailed', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};
