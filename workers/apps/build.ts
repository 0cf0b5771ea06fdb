/** Building images: a fresh clone at the commit, the engine's build, and the lines it says kept beside the log. */
import path from 'node:path';
import { deriveId } from '../../commands/derive-id.ts';
import { execute, stateOf } from '../../commands/execute.ts';
import {
  type BuildSpec,
  type BuiltImage,
  build,
  type BuildFailure as Failure,
} from '../../domain/apps/build.ts';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { repository } from '../../domain/apps/repository.ts';
import type { EventOf, Recorded } from '../../domain/events.ts';
import { messageCharsMax } from '../../domain/kernel/limits.ts';
import type { LogStore, LogWriter } from '../../platform/log-store.ts';
import { BuildFailure, type Docker, labelOf } from '../adapters/docker-types.ts';
import { cloneRepository, GitFailure } from '../adapters/git.ts';
import { attempt, causedBy, type Effect, type Send, Shutdown, textOf } from '../effect.ts';
import { cancel, type Reaction, run } from '../reaction.ts';
import { withWorkFolder } from '../work-folder.ts';
import { findContextFolder } from './inspect/build-context.ts';

const limits = {
  cpus: 2,
  memoryBytes: 2 * 1024 ** 3,
  timeMsMax: 30 * 60_000,
  contextBytesMax: 512 * 1024 ** 2,
};
/** How often a build may be begun: an engine that dies each time is perhaps killed by it. */
const startsMax = 5;

export const buildReaction: Reaction = {
  on: {
    IngestionSucceeded: event => [
      run('build-request', event.id, { appId: event.data.appId, eventId: event.id }),
    ],
    BuildRequested: ({ data }) => [run('build', data.buildId, { buildId: data.buildId })],
    BuildCancelled: ({ data }) => [cancel('build', data.buildId)],
    BuildSucceeded: ({ data }) => [run('release', data.buildId, { buildId: data.buildId })],
  },
};

export type BuildDeps = Send & {
  readonly docker: Docker;
  readonly logs: LogStore;
  readonly workDir: string;
  readonly allowLocalRepositories: boolean;
  readonly buildsAtOnce: number;
};

/** What was found in a repository is built. The id follows from the event, so it is one build however often this runs. */
export function requestBuild(deps: BuildDeps): Effect {
  return {
    name: 'build-request',
    atOnce: 'inOrder',
    async run(data) {
      const appId = textOf(data, 'appId');
      const ingested = await stateOf(deps.store, ingestion, appId);
      const described = await stateOf(deps.store, repository, appId);
      const event = ingested?.events.find(({ id }) => id === data.eventId) as
        | Recorded<EventOf<'IngestionSucceeded'>>
        | undefined;
      if (event === undefined || described?.state.status !== 'registered') return;
      const { repoUrl, ref } = described.state.description;
      const { commit, inspection } = event.data;
      const spec = { appId, repoUrl, ref, commit, dockerfilePath: inspection.dockerfilePath };
      const metadata = causedBy(event, deps.clock);
      const buildId = deriveId('build', event.id);
      const request = { buildId, cause: 'ingested', at: metadata.time, ...spec } as const;
      await execute(deps.store, build, buildId, { type: 'RequestBuild', data: request }, metadata);
    },
  };
}

/** A build that succeeded becomes what is launched, unless a newer one already is. */
export function releaseBuild(deps: BuildDeps): Effect {
  return {
    name: 'release',
    atOnce: 'inOrder',
    async run(data) {
      const buildId = textOf(data, 'buildId');
      const found = await stateOf(deps.store, build, buildId);
      const event = found?.events.at(-1);
      const { spec, built, requestedAt } = found?.state ?? {};
      if (event === undefined || spec == null || built == null || requestedAt == null) return;
      const { image, imageId, ports } = built;
      const release = { buildId, commit: spec.commit, image, imageId, ports, requestedAt };
      const metadata = causedBy(event, deps.clock);
      const command = {
        type: 'ReleaseRepository',
        data: { appId: spec.appId, at: metadata.time, release },
      } as const;
      await attempt(deps, repository, spec.appId, command, metadata, ['archived', 'not-found']);
    },
  };
}

export function runBuild(deps: BuildDeps): Effect {
  return {
    name: 'build',
    atOnce: deps.buildsAtOnce,
    async run(data, signal) {
      const buildId = textOf(data, 'buildId');
      const found = await stateOf(deps.store, build, buildId);
      if (found === null || found.state.spec === null || found.state.status === 'finished') return;
      // No engine: the build stays queued, and the sweep asks again once there is one.
      if (!(await deps.docker.ping()).ok) return;
      const requested = found.events[0];
      if (requested === undefined) return;
      const send = (command: Parameters<typeof build.decide>[0]) =>
        attempt(deps, build, buildId, command, causedBy(requested, deps.clock), [
          'build/already-finished',
          'build/stale-attempt',
        ]);
      const started = await send({ type: 'StartBuild', data: { buildId, at: deps.clock.now() } });
      if (started === undefined) return;
      const number = started.state.attempt;
      const begun = performance.now();
      const writer = await deps.logs.writer(buildId);
      if (number > 1) await writer.write(`--- attempt ${number} ---`);
      let result: BuiltImage | Failure;
      try {
        result = await buildOrExplain(deps, buildId, found.state.spec, number, writer, signal);
      } catch (error) {
        const isCancelled = signal.aborted && !(signal.reason instanceof Shutdown);
        await writer.write(isCancelled ? 'CANCELLED' : `INTERRUPTED ${interruption(error, signal)}`);
        await writer.close();
        if (isCancelled) return;
        throw error;
      }
      if ('reason' in result) await writer.write(`FAILED ${result.reason}`);
      const log = await writer.close();
      const durationMs = Math.round(performance.now() - begun);
      const at = deps.clock.now();
      await send({ type: 'FinishBuild', data: { buildId, attempt: number, durationMs, log, at, result } });
    },
  };
}

function interruption(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'AppHub is going down; the next start tries again';
  return `${messageOf(error)}; it is tried again`;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, messageCharsMax);
}

/** The image, or why there is none. Throws what is worth another attempt, and when it was aborted. */
async function buildOrExplain(
  deps: BuildDeps,
  buildId: string,
  spec: BuildSpec,
  number: number,
  writer: LogWriter,
  signal: AbortSignal,
): Promise<BuiltImage | Failure> {
  const nowhere = { step: null, instruction: null };
  try {
    const made = await findMade(deps, buildId, spec);
    if (made !== undefined) return made;
    if (number > startsMax) return { reason: 'The build was interrupted too often.', ...nowhere };
    return await withWorkFolder(deps.workDir, `build-${buildId}`, number, directory =>
      buildImage(deps, buildId, spec, directory, writer, signal),
    );
  } catch (error) {
    if (signal.aborted) throw error;
    const isKnown = error instanceof BuildFailure || error instanceof GitFailure;
    const isFinal = isKnown ? !error.retryable : false;
    if (!isFinal && number < startsMax) throw error;
    return error instanceof BuildFailure
      ? { reason: error.reason.slice(0, messageCharsMax), step: error.step, instruction: error.instruction }
      : { reason: messageOf(error), ...nowhere };
  }
}

const imageOf = ({ appId, commit }: BuildSpec) => `apphub/${appId}:${commit.slice(0, 12)}`;

/** What an attempt before this one has made, when it ended between the engine and the log. */
async function findMade(deps: BuildDeps, buildId: string, spec: BuildSpec): Promise<BuiltImage | undefined> {
  const image = imageOf(spec);
  const made = await deps.docker.findImage({ [labelOf.build]: buildId }, image);
  return made && { image, imageId: made.imageId, bytes: made.bytes, ports: made.ports };
}

async function buildImage(
  deps: BuildDeps,
  buildId: string,
  spec: BuildSpec,
  directory: string,
  writer: LogWriter,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const { appId, repoUrl, ref, commit, dockerfilePath } = spec;
  const image = imageOf(spec);
  const labels = { [labelOf.app]: appId, [labelOf.build]: buildId, [labelOf.commit]: commit };
  await writer.write(`Cloning ${repoUrl} at ${commit}`);
  await cloneRepository({
    url: repoUrl,
    ...(ref === null ? {} : { ref }),
    commit,
    into: directory,
    allowLocal: deps.allowLocalRepositories,
    signal,
  });
  const context = await findContextFolder(directory, dockerfilePath);
  const within = context === '' ? '' : `, with the folder ${context} as its context`;
  await writer.write(`Building ${image} from ${dockerfilePath}${within}`);
  const { imageId, bytes, ports } = await deps.docker.buildImage({
    directory: path.join(directory, context),
    dockerfilePath: path.posix.relative(context, path.posix.normalize(dockerfilePath)),
    tag: image,
    labels,
    limits,
    signal,
    onLine: line => writer.write(line),
  });
  return { image, imageId, bytes, ports };
}
