/** Cloning and looking: what an app's repository says of itself becomes an event. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { stateOf } from '../../commands/execute.ts';
import { type Inspection, ingestion, type StageDurations } from '../../domain/apps/ingestion.ts';
import { repository } from '../../domain/apps/repository.ts';
import { ingestionAttemptsMax, messageCharsMax } from '../../domain/kernel/limits.ts';
import { type Objects, putPicture } from '../../platform/objects.ts';
import { cloneRepository, GitFailure } from '../adapters/git.ts';
import { attempt, causedBy, type Effect, type Send, Shutdown, textOf } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import { cancel, type Reaction, run } from '../reaction.ts';
import { inspectCheckout } from './inspect/inspect.ts';
import { InspectionFailure } from './inspect/inspection-failure.ts';

/** Waits before the second and the third attempt. */
const backoffMs = [2_000, 10_000] as const;
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
      if (event === undefined) return;
      const queued = await stateOf(deps.store, ingestion, appId);
      if (queued?.events.some(({ metadata }) => metadata.causationId === event.id)) return;
      const cause = event.type === 'RepositoryRegistered' ? 'registered' : 'changed';
      const metadata = causedBy(event, deps.clock);
      const command = { type: 'QueueIngestion', data: { appId, cause, at: metadata.time } } as const;
      await attempt(deps, ingestion, appId, command, metadata, []);
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
      for (;;) {
        const retryAt = await attemptIngestion(deps, appId, Number(data.run), signal);
        if (retryAt === null) return;
        await pause(Date.parse(retryAt) - Date.parse(deps.clock.now()), signal);
        if (signal.aborted) throw signal.reason;
      }
    },
  };
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
  const directory = path.join(deps.workDir, `ingest-${appId}-${run}-${number}`);
  const { repoUrl, ref, dockerfilePath } = described.state.description;
  const watch = stopwatch();
  try {
    if (number > startsMax)
      throw new InspectionFailure('not-a-checkout', 'The ingestion was interrupted too often.');
    const look = { repoUrl, ref, dockerfilePath, directory };
    const { inspection, checkout } = await lookInto(look, deps, watch, signal);
    const found = { appId, run, attempt: number, ...checkout, inspection, durations: watch.durations };
    await send({ type: 'FinishIngestion', data: { ...found, at: clock.now() } });
    return null;
  } catch (error) {
    if (signal.aborted && signal.reason instanceof Shutdown) throw error;
    if (signal.aborted) return null;
    const { reason, isFinal } = explain(error);
    const now = clock.now();
    const wait = isFinal ? undefined : backoffMs[number - 1];
    const retryAt = wait === undefined ? null : new Date(Date.parse(now) + wait).toISOString();
    const failed = { appId, run, attempt: number, reason, retryAt, durationMs: watch.totalMs(), at: now };
    const ended = await send({ type: 'FailIngestion', data: failed });
    return ended?.state.status === 'queued' && ended.state.run === run ? retryAt : null;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Look = { repoUrl: string; ref: string | null; dockerfilePath: string | null; directory: string };

async function lookInto(
  { repoUrl, ref, dockerfilePath, directory }: Look,
  deps: IngestionDeps,
  watch: ReturnType<typeof stopwatch>,
  signal: AbortSignal,
): Promise<{ inspection: Inspection; checkout: { commit: string; branch: string | null } }> {
  await rm(directory, { recursive: true, force: true });
  const checkout = await cloneRepository({
    url: repoUrl,
    ...(ref === null ? {} : { ref }),
    into: directory,
    allowLocal: deps.allowLocalRepositories,
    signal,
  });
  watch.lap('cloneMs');
  const { inspection, pictures } = await inspectCheckout({ directory, dockerfilePath, signal });
  watch.lap('inspectMs');
  for (const picture of pictures) await putPicture(deps.objects, picture.content, picture.mediaType);
  watch.lap('storeMs');
  return { inspection, checkout };
}

function stopwatch() {
  const durations: StageDurations = { cloneMs: 0, inspectMs: 0, storeMs: 0 };
  const begun = performance.now();
  let last = begun;
  return {
    durations,
    lap(stage: keyof StageDurations) {
      const now = performance.now();
      durations[stage] = Math.round(now - last);
      last = now;
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
