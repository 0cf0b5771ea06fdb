/** Cloning and looking: what an app's repository says of itself becomes an event. */
import { execute, stateOf } from '../../commands/execute.ts';
import { type Inspection, ingestion, type StageDurations } from '../../domain/apps/ingestion.ts';
import { repository } from '../../domain/apps/repository.ts';
import { ingestionAttemptsMax, messageCharsMax } from '../../domain/kernel/limits.ts';
import { type Objects, putPicture } from '../../platform/objects.ts';
import { cloneRepository, GitFailure } from '../adapters/git.ts';
import { attempt, causedBy, type Effect, type Send, Shutdown, textOf } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import { cancel, type Reaction, run } from '../reaction.ts';
import { withWorkFolder } from '../work-folder.ts';
import { inspectCheckout } from './inspect/inspect.ts';
import { InspectionFailure } from './inspect/inspection-failure.ts';

/** Waits before the second and the third attempt. */
const backoffMs = [2_000, 10_000] as const;
const waitMsMax = 10_000;
/** How often a run may be begun: its attempts, and as many starts after a crash. More means that it is what crashes us. */
const startsMax = ingestionAttemptsMax * 2;

export const ingestionReaction: Reaction = {
  on: {
    RepositoryRegistered: event => [
      run('ingestion-queue', event.id, { appId: event.data.appId, eventId: event.id }),
    ],
    RepositoryChanged: event =>
      ['repoUrl', 'ref', 'dockerfilePath'].some(field => field in event.data.changes)
        ? [run('ingestion-queue', event.id, { appId: event.data.appId, eventId: event.id })]
        : [],
    IngestionQueued: ({ data }) => [
      run('ingest', `${data.appId}.${data.run}`, { appId: data.appId, run: data.run }),
    ],
    IngestionCancelled: ({ data }) => [cancel('ingest', `${data.appId}.${data.run}`)],
  },
};

export type IngestionDeps = Send & {
  readonly objects: Objects;
  /** Clones live here while they are looked at. */
  readonly workDir: string;
  readonly allowLocalRepositories: boolean;
  readonly ingestionsAtOnce: number;
};

/** A described source is to be looked at: the event that described it is the cause, and causes one run only. */
export function queueIngestion(deps: IngestionDeps): Effect {
  return {
    name: 'ingestion-queue',
    atOnce: 'inOrder',
    async run(data) {
      const appId = textOf(data, 'appId');
      const described = await stateOf(deps.store, repository, appId);
      const event = described?.events.find(({ id }) => id === data.eventId);
      if (event === undefined || described?.state.status !== 'registered') return;
      const cause = event.type === 'RepositoryRegistered' ? 'registered' : 'changed';
      const metadata = causedBy(event, deps.clock);
      const command = { type: 'QueueIngestion', data: { appId, cause, at: metadata.time } } as const;
      await execute(deps.store, ingestion, appId, command, metadata, { once: true });
    },
  };
}

/** One run with all its attempts. The waits between them are short, so the place is kept. */
export function ingest(deps: IngestionDeps): Effect {
  return {
    name: 'ingest',
    atOnce: deps.ingestionsAtOnce,
    async run(data, signal) {
      const appId = textOf(data, 'appId');
      const run = Number(data.run);
      let dueAt: string | null = await dueAtOf(deps, appId, run);
      while (dueAt !== null) {
        const waitMs = Date.parse(dueAt) - Date.parse(deps.clock.now());
        // A timer can be a millisecond early by the clock on the wall.
        if (waitMs > 0) await pause(Math.min(waitMs + 1, waitMsMax), signal);
        if (signal.aborted && signal.reason instanceof Shutdown) throw signal.reason;
        if (signal.aborted) return;
        dueAt = await attemptIngestion(deps, appId, run, signal);
      }
    },
  };
}

/** Now, or when the attempt before this start of the process said that the next is due. */
async function dueAtOf({ store, clock }: IngestionDeps, appId: string, run: number): Promise<string> {
  const last = (await stateOf(store, ingestion, appId))?.events.at(-1);
  const isWaiting = last?.type === 'IngestionAttemptFailed' && last.data.run === run;
  return isWaiting ? last.data.retryAt : clock.now();
}

/** Answers when another attempt is due, or null when the run has ended. */
async function attemptIngestion(
  deps: IngestionDeps,
  appId: string,
  run: number,
  signal: AbortSignal,
): Promise<string | null> {
  const { store, clock } = deps;
  const described = await stateOf(store, repository, appId);
  const before = await stateOf(store, ingestion, appId);
  const queued = before?.events.findLast(({ type }) => type === 'IngestionQueued');
  if (described === null || described.state.status === 'absent' || queued === undefined) return null;
  const send = (command: Parameters<typeof ingestion.decide>[0]) =>
    attempt(deps, ingestion, appId, command, causedBy(queued, clock), [
      'ingestion/stale-attempt',
      'ingestion/not-in-progress',
    ]);
  if (described.state.status === 'archived') {
    await send({ type: 'CancelIngestion', data: { appId, at: clock.now() } });
    return null;
  }
  const started = await send({ type: 'StartIngestion', data: { appId, run, at: clock.now() } });
  if (started === undefined) return null;
  const number = started.state.attempt;
  const { repoUrl, ref, dockerfilePath } = described.state.description;
  const progress = beginProgress();
  try {
    if (number > startsMax)
      throw new InspectionFailure('not-a-checkout', 'The ingestion was interrupted too often.');
    const { inspection, checkout } = await withWorkFolder(
      deps.workDir,
      `ingest-${appId}-${run}`,
      number,
      directory => lookInto({ repoUrl, ref, dockerfilePath, directory }, deps, progress, signal),
    );
    const found = { appId, run, attempt: number, ...checkout, inspection, durations: progress.durations };
    await send({ type: 'FinishIngestion', data: { ...found, at: clock.now() } });
    return null;
  } catch (error) {
    if (signal.aborted && signal.reason instanceof Shutdown) throw error;
    if (signal.aborted) return null;
    progress.enter(null);
    const { reason, isFinal } = explain(error);
    const now = clock.now();
    const wait = isFinal ? undefined : backoffMs[number - 1];
    const retryAt = wait === undefined ? null : new Date(Date.parse(now) + wait).toISOString();
    const { commit, durations } = progress;
    const failed = { appId, run, attempt: number, reason, commit, durations, at: now };
    const durationMs = progress.totalMs();
    const ended = await send({ type: 'FailIngestion', data: { ...failed, retryAt, durationMs } });
    return ended?.state.status === 'queued' && ended.state.run === run ? retryAt : null;
  }
}

type Look = { repoUrl: string; ref: string | null; dockerfilePath: string | null; directory: string };

async function lookInto(
  { repoUrl, ref, dockerfilePath, directory }: Look,
  deps: IngestionDeps,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ inspection: Inspection; checkout: { commit: string; branch: string | null } }> {
  progress.enter('cloneMs');
  const checkout = await cloneRepository({
    url: repoUrl,
    ...(ref === null ? {} : { ref }),
    into: directory,
    allowLocal: deps.allowLocalRepositories,
    signal,
  });
  progress.commit = checkout.commit;
  progress.enter('inspectMs');
  const { inspection, pictures } = await inspectCheckout({ directory, dockerfilePath, signal });
  progress.enter('storeMs');
  for (const picture of pictures) await putPicture(deps.objects, picture.content, picture.mediaType);
  progress.enter(null);
  return { inspection, checkout };
}

/** How far an attempt has come. */
type Progress = {
  commit: string | null;
  readonly durations: StageDurations;
  /** Ends the stage it is in, and begins another. */
  enter(stage: keyof StageDurations | null): void;
  totalMs(): number;
};

function beginProgress(): Progress {
  const durations: StageDurations = { cloneMs: 0, inspectMs: 0, storeMs: 0 };
  const begun = performance.now();
  let stage: keyof StageDurations | null = null;
  let since = begun;
  return {
    commit: null,
    durations,
    enter(next) {
      const now = performance.now();
      if (stage !== null) durations[stage] = Math.round(now - since);
      stage = next;
      since = now;
    },
    totalMs: () => Math.round(performance.now() - begun),
  };
}

/** What the owner is told, and whether asking again could change it. */
function explain(error: unknown): { reason: string; isFinal: boolean } {
  const reason = (error instanceof Error ? error.message : String(error)).slice(0, messageCharsMax);
  if (error instanceof InspectionFailure) return { reason, isFinal: true };
  if (error instanceof GitFailure) return { reason, isFinal: !error.retryable };
  return { reason, isFinal: false };
}
