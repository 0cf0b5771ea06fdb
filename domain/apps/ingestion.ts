/**
 * The ingestions of one app: clone, inspect, describe. One at a time; each has a number (`run`) and may take several attempts.
 *
 *   idle ──► queued ──► processing ──► ready
 *              ▲ │          │ ├──► failed (last attempt)
 *              │ │          │ └──► cancelled
 *              │ └──────────┼────► cancelled
 *              └────────────┘ (attempt failed, another is due)
 *
 * What asks for another one meanwhile (a push, a changed address) is remembered and queued at the end: `IngestionDeferred`.
 * An attempt is fenced by its number: what a worker that was taken for dead reports later is refused as stale.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { ingestionAttemptsMax } from '../kernel/limits.ts';
import { Refusal } from '../kernel/refusal.ts';
import type { SourcedTag } from './tag.ts';

/** Why an ingestion was asked for. */
export type IngestionCause = 'registered' | 'changed' | 'retry' | 'webhook' | 'sync';

/** Milliseconds spent in each stage. */
export type StageDurations = { cloneMs: number; inspectMs: number; storeMs: number };

/** A picture (or an embeddable page) that shows the app. Bytes of the repository's own pictures are in the object store. */
export type Preview = {
  kind: 'image' | 'gif' | 'video' | 'embed';
  title: string | null;
  /** The address for what lies elsewhere; null for what was stored. */
  url: string | null;
  /** SHA-256 of the stored bytes, lower-case hex; null for what lies elsewhere. */
  sha256: string | null;
  mediaType: string | null;
  bytes: number | null;
};

/** What a look into the clone found out. */
export type Inspection = {
  dockerfilePath: string;
  /** The title and first paragraph of the README, or the package's own. */
  title: string | null;
  description: string | null;
  homepage: string | null;
  tags: SourcedTag[];
  previews: Preview[];
  /** TCP ports the Dockerfile exposes, in its order. */
  ports: number[];
  /** Whether the Dockerfile declares a HEALTHCHECK. */
  healthcheck: boolean;
};

/** What an attempt that failed has come to: the commit, once it was known, and the time spent in each stage, also the last. */
type FailedAttempt = {
  appId: string;
  run: number;
  attempt: number;
  reason: string;
  commit: string | null;
  durations: StageDurations;
  at: string;
};

export type IngestionEvent =
  | { type: 'IngestionQueued'; data: { appId: string; run: number; cause: IngestionCause; at: string } }
  | { type: 'IngestionDeferred'; data: { appId: string; cause: IngestionCause; at: string } }
  | { type: 'IngestionStarted'; data: { appId: string; run: number; attempt: number; at: string } }
  | { type: 'IngestionAttemptFailed'; data: FailedAttempt & { retryAt: string } }
  | { type: 'IngestionFailed'; data: FailedAttempt & { durationMs: number } }
  | {
      type: 'IngestionSucceeded';
      data: {
        appId: string;
        run: number;
        attempt: number;
        commit: string;
        branch: string | null;
        inspection: Inspection;
        durations: StageDurations;
        at: string;
      };
    }
  | { type: 'IngestionCancelled'; data: { appId: string; run: number; at: string } };

export type IngestionCommand =
  | {
      type: 'QueueIngestion';
      data: { appId: string; cause: IngestionCause; at: string; unlessCommit?: string };
    }
  | { type: 'StartIngestion'; data: { appId: string; run: number; at: string } }
  | {
      type: 'FailIngestion';
      data: FailedAttempt & {
        /** Null: another attempt would end the same way. */
        retryAt: string | null;
        durationMs: number;
      };
    }
  | {
      type: 'FinishIngestion';
      data: Extract<IngestionEvent, { type: 'IngestionSucceeded' }>['data'];
    }
  | { type: 'CancelIngestion'; data: { appId: string; at: string } };

export type IngestionState = {
  readonly status: 'idle' | 'queued' | 'processing';
  /** Number of the newest ingestion; 0 before the first. */
  readonly run: number;
  readonly attempt: number;
  /** The commit of the newest success. */
  readonly commit: string | null;
  /** Why another ingestion is due once this one ends; null: none is. */
  readonly deferred: IngestionCause | null;
};

export const ingestion: Decider<IngestionState, IngestionCommand, IngestionEvent> = {
  category: 'apps.ingestion',
  initialState: { status: 'idle', run: 0, attempt: 0, commit: null, deferred: null },

  evolve(state, event) {
    switch (event.type) {
      case 'IngestionQueued':
        return { ...state, status: 'queued', run: event.data.run, attempt: 0, deferred: null };
      case 'IngestionDeferred':
        return { ...state, deferred: event.data.cause };
      case 'IngestionStarted':
        return { ...state, status: 'processing', attempt: event.data.attempt };
      case 'IngestionAttemptFailed':
        return { ...state, status: 'queued' };
      case 'IngestionSucceeded':
        return { ...state, status: 'idle', commit: event.data.commit };
      case 'IngestionFailed':
        return { ...state, status: 'idle' };
      case 'IngestionCancelled':
        return { ...state, status: 'idle', deferred: null };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { appId, at } = command.data;
    switch (command.type) {
      case 'QueueIngestion':
        return queue(command.data, state);
      case 'CancelIngestion':
        if (state.status === 'idle') throw new Refusal('ingestion/not-in-progress', { appId });
        return [{ type: 'IngestionCancelled', data: { appId, run: state.run, at } }];
      case 'StartIngestion': {
        const { run } = command.data;
        if (run !== state.run || state.status === 'idle')
          throw new Refusal('ingestion/stale-attempt', { appId, run });
        // Already processing: its worker was lost. The new attempt's number fences the old one off.
        return [{ type: 'IngestionStarted', data: { appId, run, attempt: state.attempt + 1, at } }];
      }
      case 'FailIngestion':
      case 'FinishIngestion':
        return report(command, state);
      default:
        return unreachable(command);
    }
  },
};

function queue(
  { appId, cause, at, unlessCommit }: Extract<IngestionCommand, { type: 'QueueIngestion' }>['data'],
  state: IngestionState,
): readonly IngestionEvent[] {
  if (unlessCommit !== undefined && unlessCommit === state.commit) return [];
  if (state.status === 'idle')
    return [{ type: 'IngestionQueued', data: { appId, run: state.run + 1, cause, at } }];
  if (cause === 'retry') throw new Refusal('ingestion/in-progress', { appId, run: state.run });
  // One that has not begun will see the newest source anyway.
  const willSeeIt = state.status === 'queued' && state.attempt === 0;
  return willSeeIt || state.deferred !== null
    ? []
    : [{ type: 'IngestionDeferred', data: { appId, cause, at } }];
}

/** The end of an attempt, as its worker reports it. */
function report(
  command: Extract<IngestionCommand, { type: 'FailIngestion' | 'FinishIngestion' }>,
  state: IngestionState,
): readonly IngestionEvent[] {
  const { appId, run, attempt, at } = command.data;
  if (run !== state.run || attempt !== state.attempt || state.status !== 'processing') {
    throw new Refusal('ingestion/stale-attempt', { appId, run, attempt });
  }
  const next: IngestionEvent[] =
    state.deferred === null
      ? []
      : [{ type: 'IngestionQueued', data: { appId, run: run + 1, cause: state.deferred, at } }];
  if (command.type === 'FinishIngestion')
    return [{ type: 'IngestionSucceeded', data: command.data }, ...next];
  const { retryAt, durationMs, ...failed } = command.data;
  if (retryAt !== null && attempt < ingestionAttemptsMax) {
    return [{ type: 'IngestionAttemptFailed', data: { ...failed, retryAt } }];
  }
  return [{ type: 'IngestionFailed', data: { ...failed, durationMs } }, ...next];
}
