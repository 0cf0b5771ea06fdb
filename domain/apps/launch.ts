/**
 * A launch is one run of an app's image as a sandboxed preview behind its own address. The address stays; the containers behind
 * it, its deployments, come and go.
 *
 *   requested ──► starting ──► running ⇄ asleep, waking, restarting ──► stopping ──► stopped | expired
 *       │             │           │
 *       └─────────────┴───────────┴──► failed
 *
 * While it runs another deployment may be coming: the one that serves goes on until that one answers.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { loopsMax, type ResourceProfile } from '../kernel/limits.ts';
import { Refusal } from '../kernel/refusal.ts';
import {
  type Deployment,
  type DeploymentCause,
  type DeploymentEnd,
  type DeploymentImage,
  type DeploymentPlace,
  endsInARow,
  isFailure,
  restartAt,
  type SleepReason,
} from './deployment.ts';
import type { Sandbox } from './sandbox.ts';
import type { LaunchWorkspace } from './workspace-state.ts';

/** A variable of the app's environment. It is plain configuration and readable in the history: never a secret. */
export type EnvVariable = { key: string; value: string };

export type LaunchSpec = DeploymentImage & {
  appId: string;
  env: EnvVariable[];
  resourceProfile: ResourceProfile;
  expiresAt: string;
  /** Who asked for it; what it uses counts as theirs. */
  owner: string;
  /** Who may see it: those whom the platform or a signed link lets in, or everybody who has the address. */
  access: 'private' | 'public';
  /** Whether a container that fails after it has answered is followed by another one. */
  restart: 'no' | 'on-failure';
  /** It sleeps when nobody has visited it for so long; null: never. */
  idleSeconds: number | null;
  /** Asked for by GET to see whether it is healthy; null: the image's HEALTHCHECK, else whether it answers at all. */
  healthPath: string | null;
  /** How it is confined, as its app said when it was launched. */
  sandbox: Sandbox;
  /** Where what it writes into its volumes is kept; null: nowhere. */
  workspace: LaunchWorkspace | null;
};

type StopReason = 'stopped' | 'expired';

type OfLaunch = { launchId: string; appId: string; at: string };
type OfDeployment = OfLaunch & { deployment: number };
/** A worker knows a launch by its id alone; the decider adds whose it is. */
type Unowned<T> = Omit<T, 'appId'>;
type Started = OfDeployment & DeploymentPlace & { port: number };
type Running = OfDeployment & { startedInMs: number };
/** What visitors reach from then on; null in launches of before there were deployments. */
type Serves = { replaced: number | null; serves: (DeploymentPlace & DeploymentImage) | null };
/** What the launch is then, for those who see one event and not the ones before. */
type Now = { status: LaunchStatus };
type Ended = OfDeployment & DeploymentEnd;
type Asked = DeploymentImage & { cause: DeploymentCause };
/** `superseded`: one that was coming and is not wanted any more. `notBefore`: a restart that waits. */
type Another = OfDeployment & Asked & Now & { notBefore: string | null; superseded: number | null };
type Slept = OfDeployment & { reason: SleepReason; because: string | null };
type Stopping = OfLaunch & { reason: StopReason; because: string | null };

export type LaunchEvent =
  | { type: 'LaunchRequested'; data: { launchId: string; at: string } & LaunchSpec }
  | { type: 'LaunchDeploymentRequested'; data: Another }
  | { type: 'LaunchStarting'; data: Started & Now }
  | { type: 'LaunchRunning'; data: Running & Serves }
  | { type: 'LaunchDeploymentFailed'; data: Ended & Now }
  | { type: 'LaunchCrashed'; data: Ended }
  | { type: 'LaunchSlept'; data: Slept }
  | { type: 'LaunchRetired'; data: OfDeployment }
  | { type: 'LaunchExtended'; data: OfLaunch & { expiresAt: string } }
  | { type: 'LaunchShared'; data: OfLaunch & { linkId: string; expiresAt: string } }
  | { type: 'LaunchLinksRevoked'; data: OfLaunch & { linkEpoch: number } }
  | { type: 'LaunchStopping'; data: Stopping & { coming: number | null } }
  | { type: 'LaunchStopped'; data: OfLaunch }
  | { type: 'LaunchExpired'; data: OfLaunch }
  | { type: 'LaunchFailed'; data: Ended & { isLoop: boolean } };

type Only<T extends LaunchCommand['type']> = Extract<LaunchCommand, { type: T }>['data'];

export type LaunchCommand =
  | { type: 'RequestLaunch'; data: { launchId: string; at: string } & LaunchSpec }
  | { type: 'Redeploy'; data: { launchId: string; at: string } & Asked }
  | { type: 'WakeLaunch'; data: { launchId: string; at: string } }
  | { type: 'SleepLaunch'; data: Unowned<Slept> }
  | { type: 'StartLaunch'; data: Unowned<Started> }
  | { type: 'MarkLaunchRunning'; data: Unowned<Running> }
  | { type: 'FailDeployment'; data: Unowned<Ended> }
  | { type: 'ConfirmRetired'; data: Unowned<OfDeployment> }
  | { type: 'ExtendLaunch'; data: { launchId: string; at: string; expiresAt: string } }
  | { type: 'ShareLaunch'; data: { launchId: string; at: string; linkId: string; expiresAt: string } }
  | { type: 'RevokeLaunchLinks'; data: { launchId: string; at: string } }
  | { type: 'StopLaunch'; data: Unowned<Stopping> }
  | { type: 'ConfirmLaunchRemoved'; data: { launchId: string; at: string } };

type LaunchStatus = 'requested' | 'starting' | 'running' | 'asleep' | 'waking' | 'restarting' | 'stopping';

export type LaunchState = {
  readonly status: 'absent' | LaunchStatus | 'ended';
  readonly appId: string | null;
  readonly spec: LaunchSpec | null;
  /** How many there have been: the number of the newest. */
  readonly deployments: number;
  readonly serving: Deployment | null;
  readonly coming: (Deployment & { readonly notBefore: string | null }) | null;
  /** Those that are over and whose containers may still be there. */
  readonly retiring: readonly number[];
  /** What last answered, or is to answer first: what a sleeping launch wakes with. */
  readonly image: DeploymentImage | null;
  readonly runningSince: string | null;
  readonly endsInARow: number;
  readonly expiresAt: string | null;
  /** Grants that were signed under another number are void. */
  readonly linkEpoch: number;
  readonly stopReason: StopReason | null;
};

const nothing: LaunchState = {
  status: 'absent',
  appId: null,
  spec: null,
  deployments: 0,
  serving: null,
  coming: null,
  retiring: [],
  image: null,
  runningSince: null,
  endsInARow: 0,
  expiresAt: null,
  linkEpoch: 0,
  stopReason: null,
};

const imageOf = ({ buildId, image, imageId, port }: DeploymentImage) => ({ buildId, image, imageId, port });
const without = (numbers: readonly number[], one: number) => numbers.filter(number => number !== one);
const and = (numbers: readonly number[], one: number | null | undefined) =>
  one == null ? numbers : [...without(numbers, one), one];

const statusWhileComing: Readonly<Record<DeploymentCause, LaunchStatus>> = {
  start: 'starting',
  redeploy: 'starting',
  rollback: 'starting',
  wake: 'waking',
  restart: 'restarting',
};

export const launch: Decider<LaunchState, LaunchCommand, LaunchEvent> = {
  category: 'apps.launch',
  initialState: nothing,

  evolve(state, event) {
    switch (event.type) {
      case 'LaunchRequested': {
        const { launchId: _launchId, at: _at, ...spec } = event.data;
        const image = imageOf(spec);
        const coming = { ...image, deployment: 1, cause: 'start', place: null, notBefore: null } as const;
        const { appId, expiresAt } = spec;
        return { ...nothing, status: 'requested', appId, spec, deployments: 1, coming, image, expiresAt };
      }
      case 'LaunchDeploymentRequested': {
        const { deployment, cause, notBefore, superseded, status } = event.data;
        const coming = { ...imageOf(event.data), deployment, cause, place: null, notBefore };
        const retiring = and(state.retiring, superseded);
        return { ...state, status, deployments: deployment, coming, retiring };
      }
      case 'LaunchStarting': {
        const { deployment, containerId, engine, host, hostPort, status } = event.data;
        if (state.coming?.deployment !== deployment) return state;
        return {
          ...state,
          status,
          coming: { ...state.coming, place: { containerId, engine, host, hostPort } },
        };
      }
      case 'LaunchRunning': {
        if (state.coming === null) return state;
        const { notBefore: _notBefore, ...serving } = state.coming;
        const retiring = and(state.retiring, event.data.replaced);
        const image = imageOf(serving);
        const runningSince = event.data.at;
        return { ...state, status: 'running', serving, coming: null, retiring, image, runningSince };
      }
      case 'LaunchDeploymentFailed': {
        const ends = endsInARow(state.endsInARow, null, event.data.at);
        const { deployment, status } = event.data;
        return {
          ...state,
          status,
          coming: null,
          retiring: and(state.retiring, deployment),
          endsInARow: ends,
        };
      }
      case 'LaunchCrashed': {
        const { deployment, at } = event.data;
        const ends = endsInARow(state.endsInARow, state.runningSince, at);
        const retiring = and(state.retiring, deployment);
        return {
          ...state,
          status: 'restarting',
          ...(state.serving?.deployment === deployment ? { serving: null } : { coming: null }),
          retiring,
          endsInARow: ends,
          runningSince: null,
        };
      }
      case 'LaunchSlept':
        return {
          ...state,
          status: 'asleep',
          serving: null,
          retiring: and(state.retiring, event.data.deployment),
        };
      case 'LaunchRetired':
        return { ...state, retiring: without(state.retiring, event.data.deployment) };
      case 'LaunchExtended':
        return { ...state, expiresAt: event.data.expiresAt };
      case 'LaunchShared':
        return state;
      case 'LaunchLinksRevoked':
        return { ...state, linkEpoch: event.data.linkEpoch };
      case 'LaunchStopping':
        return { ...state, status: 'stopping', stopReason: event.data.reason };
      case 'LaunchStopped':
      case 'LaunchExpired':
      case 'LaunchFailed':
        return { ...state, status: 'ended', serving: null, coming: null, retiring: [] };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { launchId } = command.data;
    if (command.type === 'RequestLaunch') {
      if (state.status !== 'absent') throw new Refusal('already-exists', { launchId });
      return [{ type: 'LaunchRequested', data: command.data }];
    }
    const { appId } = state;
    if (appId === null) throw new Refusal('not-found', { launchId });
    switch (command.type) {
      case 'Redeploy':
        return redeploy(command.data, state, appId);
      case 'WakeLaunch':
        return wake(command.data, state, appId);
      case 'SleepLaunch':
        return sleep(command.data, state, appId);
      case 'StartLaunch':
        return start(command.data, state, appId);
      case 'MarkLaunchRunning':
        return markRunning(command.data, state, appId);
      case 'FailDeployment':
        return fail(command.data, state, appId);
      case 'ConfirmRetired':
        if (!state.retiring.includes(command.data.deployment)) return [];
        return [{ type: 'LaunchRetired', data: { ...command.data, appId } }];
      case 'ExtendLaunch':
        refuseOver(state, launchId);
        if (state.expiresAt === command.data.expiresAt) return [];
        return [{ type: 'LaunchExtended', data: { ...command.data, appId } }];
      case 'ShareLaunch':
        refuseOver(state, launchId);
        return [{ type: 'LaunchShared', data: { ...command.data, appId } }];
      case 'RevokeLaunchLinks':
        refuseOver(state, launchId);
        return [
          { type: 'LaunchLinksRevoked', data: { ...command.data, appId, linkEpoch: state.linkEpoch + 1 } },
        ];
      case 'StopLaunch': {
        if (state.status === 'ended') throw new Refusal('launch/already-ended', { launchId });
        if (state.status === 'stopping') return [];
        const coming = state.coming?.deployment ?? null;
        return [{ type: 'LaunchStopping', data: { ...command.data, appId, coming } }];
      }
      case 'ConfirmLaunchRemoved': {
        if (state.status !== 'stopping') return [];
        const type = state.stopReason === 'expired' ? 'LaunchExpired' : 'LaunchStopped';
        return [{ type, data: { ...command.data, appId } }];
      }
      default:
        return unreachable(command);
    }
  },
};

function isOver({ status }: LaunchState): boolean {
  return status === 'stopping' || status === 'ended';
}

function refuseOver(state: LaunchState, launchId: string): void {
  if (isOver(state)) throw new Refusal('launch/already-ended', { launchId });
}

function redeploy(data: Only<'Redeploy'>, state: LaunchState, appId: string): LaunchEvent[] {
  refuseOver(state, data.launchId);
  const superseded = state.coming?.deployment ?? null;
  const asked = { ...data, appId, notBefore: null, superseded };
  const deployment = state.serving?.deployment;
  if (deployment === undefined || state.spec?.workspace?.overlap !== false) return [next(state, asked)];
  const { launchId, at } = data;
  const slept = { launchId, appId, at, deployment, reason: 'replaced', because: null } as const;
  return [{ type: 'LaunchSlept', data: slept }, next({ ...state, serving: null }, asked)];
}

function wake({ launchId, at }: Only<'WakeLaunch'>, state: LaunchState, appId: string): LaunchEvent[] {
  refuseOver(state, launchId);
  if (state.status !== 'asleep' || state.image === null) return [];
  const asked = { ...state.image, cause: 'wake', notBefore: null, superseded: null } as const;
  return [next(state, { launchId, appId, at, ...asked })];
}

function sleep(data: Only<'SleepLaunch'>, state: LaunchState, appId: string): LaunchEvent[] {
  refuseOver(state, data.launchId);
  const isServing = state.serving?.deployment === data.deployment && state.coming === null;
  return isServing ? [{ type: 'LaunchSlept', data: { ...data, appId } }] : [];
}

/** A container is found again by its label, so a second start reports the same one. */
function start(data: Only<'StartLaunch'>, state: LaunchState, appId: string): LaunchEvent[] {
  const { launchId, deployment, containerId } = data;
  if (!isOver(state)) {
    const known = [state.serving, state.coming].find(one => one?.deployment === deployment);
    if (known?.place?.containerId === containerId) return [];
    if (known != null && known === state.coming) {
      const status = state.status === 'requested' ? 'starting' : state.status;
      return [{ type: 'LaunchStarting', data: { ...data, appId, status: status as LaunchStatus } }];
    }
  }
  throw new Refusal('launch/not-starting', { launchId, status: state.status });
}

function markRunning(data: Only<'MarkLaunchRunning'>, state: LaunchState, appId: string): LaunchEvent[] {
  const { launchId, deployment } = data;
  if (!isOver(state)) {
    if (state.serving?.deployment === deployment) return [];
    if (state.coming?.deployment === deployment && state.coming.place !== null) {
      const replaced = state.serving?.deployment ?? null;
      const serves = { ...imageOf(state.coming), ...state.coming.place };
      return [{ type: 'LaunchRunning', data: { ...data, appId, replaced, serves } }];
    }
  }
  throw new Refusal('launch/not-starting', { launchId, status: state.status });
}

/** What follows the end of a container depends on what it was for. One that is over already, or of before, ends nothing. */
function fail(data: Only<'FailDeployment'>, state: LaunchState, appId: string): LaunchEvent[] {
  if (isOver(state)) return [];
  const ended = { ...data, appId };
  if (state.serving?.deployment === data.deployment) return crash(ended, state);
  if (state.coming?.deployment !== data.deployment) return [];
  // The one that serves is not touched by what was to replace it.
  if (state.serving !== null) {
    return [{ type: 'LaunchDeploymentFailed', data: { ...ended, status: 'running' } }];
  }
  if (state.coming.cause === 'restart') return crash(ended, state);
  const isNew = state.runningSince === null && state.endsInARow === 0 && state.deployments === 1;
  const isLoop = endsInARow(state.endsInARow, null, data.at) > loopsMax;
  if (isNew || isLoop) return [{ type: 'LaunchFailed', data: { ...ended, isLoop: !isNew } }];
  return [{ type: 'LaunchDeploymentFailed', data: { ...ended, status: 'asleep' } }];
}

function crash(ended: Ended, state: LaunchState): LaunchEvent[] {
  const { launchId, appId, at } = ended;
  // Another one is under way already.
  if (state.serving !== null && state.coming !== null) return [{ type: 'LaunchCrashed', data: ended }];
  const ends = endsInARow(state.endsInARow, state.runningSince, at);
  const isWanted = state.spec?.restart === 'on-failure' && isFailure(ended);
  const notBefore = isWanted ? restartAt(ends, at) : undefined;
  const again = state.serving ?? state.coming;
  if (notBefore === undefined || again === null) {
    return [{ type: 'LaunchFailed', data: { ...ended, isLoop: isWanted } }];
  }
  const asked = { ...imageOf(again), cause: 'restart', notBefore, superseded: null } as const;
  return [
    { type: 'LaunchCrashed', data: ended },
    next({ ...state, serving: null }, { launchId, appId, at, ...asked }),
  ];
}

type Next = Omit<Another, 'deployment' | 'status'>;

function next(state: LaunchState, asked: Next): LaunchEvent {
  const status = state.serving === null ? statusWhileComing[asked.cause] : 'running';
  return { type: 'LaunchDeploymentRequested', data: { ...asked, deployment: state.deployments + 1, status } };
}
