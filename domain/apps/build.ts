/**
 * A build turns one commit of a repository into a container image.
 *
 *   queued ──► running ──► succeeded | failed
 *      └──────────┴──────► cancelled
 *
 * A worker that died is replaced by a new attempt; the number of the attempt fences the old one off.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';
import {
  type BuildImageCommand,
  type BuildImageEvent,
  type BuildImageState,
  decideImage,
  evolveImage,
  noImage,
  presentImage,
} from './build-image.ts';

/** Everything a builder needs to know; nothing is looked up elsewhere, so a build means the same for ever. */
export type BuildSpec = {
  appId: string;
  repoUrl: string;
  ref: string | null;
  commit: string;
  dockerfilePath: string;
};

/** The image that came out. `imageId` is the engine's content digest, `sha256:…`. */
export type BuiltImage = { image: string; imageId: string; bytes: number; ports: number[] };

/** What went wrong. `step` is the number of the Dockerfile instruction, where it was one. */
export type BuildFailure = { reason: string; step: number | null; instruction: string | null };

/** How much was logged. The lines themselves are in the log store under the build's id. */
type LogSize = { lines: number; bytes: number; truncated: boolean };

type Ended = {
  buildId: string;
  appId: string;
  attempt: number;
  durationMs: number;
  log: LogSize;
  at: string;
};

export type BuildEvent =
  | {
      type: 'BuildRequested';
      data: { buildId: string; cause: 'ingested' | 'retry' | 'manual'; at: string } & BuildSpec;
    }
  | { type: 'BuildStarted'; data: { buildId: string; appId: string; attempt: number; at: string } }
  | {
      type: 'BuildSucceeded';
      data: Ended & BuiltImage;
    }
  | {
      type: 'BuildFailed';
      data: Ended & BuildFailure;
    }
  | { type: 'BuildCancelled'; data: { buildId: string; appId: string; at: string } }
  | BuildImageEvent;

export type BuildCommand =
  | { type: 'RequestBuild'; data: Extract<BuildEvent, { type: 'BuildRequested' }>['data'] }
  | { type: 'StartBuild'; data: { buildId: string; at: string } }
  | {
      type: 'FinishBuild';
      data: {
        buildId: string;
        attempt: number;
        durationMs: number;
        log: LogSize;
        at: string;
        result: BuiltImage | BuildFailure;
      };
    }
  | { type: 'CancelBuild'; data: { buildId: string; at: string } }
  | BuildImageCommand;

export type BuildState = {
  readonly status: 'absent' | 'queued' | 'running' | 'finished';
  readonly attempt: number;
  readonly spec: BuildSpec | null;
  readonly requestedAt: string | null;
  /** Set once it has succeeded. */
  readonly built: BuiltImage | null;
  /** Whether what was built is still there. */
  readonly image: BuildImageState;
};

export const build: Decider<BuildState, BuildCommand, BuildEvent> = {
  category: 'apps.build',
  initialState: { status: 'absent', attempt: 0, spec: null, requestedAt: null, built: null, image: noImage },

  evolve(state, event) {
    switch (event.type) {
      case 'BuildRequested': {
        const { appId, repoUrl, ref, commit, dockerfilePath, at } = event.data;
        const spec = { appId, repoUrl, ref, commit, dockerfilePath };
        return { status: 'queued', attempt: 0, spec, requestedAt: at, built: null, image: noImage };
      }
      case 'BuildStarted':
        return { ...state, status: 'running', attempt: event.data.attempt };
      case 'BuildSucceeded': {
        const { image, imageId, bytes, ports } = event.data;
        return { ...state, status: 'finished', built: { image, imageId, bytes, ports }, image: presentImage };
      }
      case 'BuildFailed':
      case 'BuildCancelled':
        return { ...state, status: 'finished' };
      case 'BuildImageRemoving':
      case 'BuildImageRemoved':
      case 'BuildImageKept':
        return { ...state, image: evolveImage(event) };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { buildId, at } = command.data;
    if (command.type === 'RequestBuild') {
      // The id is derived from its cause, so a second request is the same one, delivered twice.
      return state.status === 'absent' ? [{ type: 'BuildRequested', data: command.data }] : [];
    }
    if (state.spec === null) throw new Refusal('not-found', { buildId });
    const { appId } = state.spec;

    switch (command.type) {
      case 'StartBuild':
        if (state.status === 'finished') throw new Refusal('build/already-finished', { buildId });
        return [{ type: 'BuildStarted', data: { buildId, appId, attempt: state.attempt + 1, at } }];
      case 'FinishBuild': {
        const { attempt, durationMs, log, result } = command.data;
        if (state.status === 'finished') throw new Refusal('build/already-finished', { buildId });
        if (state.status === 'queued') throw new Refusal('build/not-started', { buildId });
        if (attempt !== state.attempt) throw new Refusal('build/stale-attempt', { buildId, attempt });
        const common = { buildId, appId, attempt, durationMs, log, at };
        return 'image' in result
          ? [{ type: 'BuildSucceeded', data: { ...common, ...result } }]
          : [{ type: 'BuildFailed', data: { ...common, ...result } }];
      }
      case 'CancelBuild':
        if (state.status === 'finished') throw new Refusal('build/already-finished', { buildId });
        return [{ type: 'BuildCancelled', data: { buildId, appId, at } }];
      case 'RemoveBuildImage':
      case 'ReportBuildImage': {
        const { built } = state;
        const image = built && { image: built.image, imageId: built.imageId, bytes: built.bytes };
        return decideImage(command, image && { buildId, appId, ...image }, state.image);
      }
      default:
        return unreachable(command);
    }
  },
};
