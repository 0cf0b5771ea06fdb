/**
 * A build turns one commit of a repository into a container image.
 *
 *   queued ──► running ──► succeeded | failed
 *      ├──────────┴──────► cancelled
 *      └─────────────────► superseded
 *
 * A worker that died is replaced by a new attempt; the number of the attempt fences the old one off. A build that waits is
 * superseded by one of a newer commit; one that runs goes on, because its image is nearly there and may be gone back to.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';
import type { BuildArgs } from './build-args.ts';
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
  args: BuildArgs;
};

/** An image a Dockerfile starts from, as its engine had it. `digest` is that of the registry it came from. */
type BaseImage = { ref: string; imageId: string | null; digest: string | null };

/** What an image was made of and by, beside what was asked for. */
export type BuildProvenance = {
  dockerfile: { path: string; sha256: string };
  /** The folder of the repository that was the context; '' is all of it. */
  context: string;
  bases: BaseImage[];
  builder: { kind: 'classic' | 'buildkit'; engine: string; platform: string };
  /** The secrets its steps could ask for; never what they are. */
  secrets: { name: string; version: number }[];
};

/** Where the image is besides its engine: it is pulled as `<repository>@<digest>`. */
export type PushedImage = { repository: string; digest: string };

/** The image that came out. `imageId` is the engine's content digest, `sha256:…`. */
export type BuiltImage = { image: string; imageId: string; bytes: number; ports: number[] };

/** What is kept with the image: null where it was not kept, and where there is no registry. */
type Papers = { provenance: BuildProvenance | null; pushed: PushedImage | null };

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

/** The build that is made instead of one that waited. */
type NewerBuild = { buildId: string; commit: string };

export type BuildEvent =
  | {
      type: 'BuildRequested';
      data: {
        buildId: string;
        cause: 'ingested' | 'retry' | 'manual';
        /** This very commit is wanted: a newer one does not take its place. */
        pinned: boolean;
        at: string;
      } & BuildSpec;
    }
  | { type: 'BuildStarted'; data: { buildId: string; appId: string; attempt: number; at: string } }
  | {
      type: 'BuildSucceeded';
      data: Ended & BuiltImage & Papers;
    }
  | {
      type: 'BuildFailed';
      data: Ended & BuildFailure;
    }
  | { type: 'BuildCancelled'; data: { buildId: string; appId: string; at: string } }
  | { type: 'BuildSuperseded'; data: { buildId: string; appId: string; by: NewerBuild; at: string } }
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
        result: (BuiltImage & Partial<Papers>) | BuildFailure;
      };
    }
  | { type: 'CancelBuild'; data: { buildId: string; at: string } }
  | { type: 'SupersedeBuild'; data: { buildId: string; by: NewerBuild; at: string } }
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
        const { appId, repoUrl, ref, commit, dockerfilePath, args, at } = event.data;
        const spec = { appId, repoUrl, ref, commit, dockerfilePath, args };
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
      case 'BuildSuperseded':
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
        const papers = { provenance: null, pushed: null };
        return 'image' in result
          ? [{ type: 'BuildSucceeded', data: { ...common, ...papers, ...result } }]
          : [{ type: 'BuildFailed', data: { ...common, ...result } }];
      }
      case 'CancelBuild':
        if (state.status === 'finished') throw new Refusal('build/already-finished', { buildId });
        return [{ type: 'BuildCancelled', data: { buildId, appId, at } }];
      case 'SupersedeBuild':
        // Who has begun or ended meanwhile is left alone.
        return state.status === 'queued'
          ? [{ type: 'BuildSuperseded', data: { buildId, appId, by: command.data.by, at } }]
          : [];
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
