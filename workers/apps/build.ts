/** Building images: a fresh clone at the commit, the engine's build, and the lines it says kept beside the log. */
import { rm } from 'node:fs/promises';
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
      if (number > 1) await writer.write(`--- attempt ${number}: the one before was interrupted ---`);
      try {
        const result = await buildOrExplain(deps, buildId, found.state.spec, number, writer, signal);
        if ('reason' in result) await writer.write(`FAILED ${result.reason}`);
        const log = await writer.close();
        const durationMs = Math.round(performance.now() - begun);
        const at = deps.clock.now();
        await send({ type: 'FinishBuild', data: { buildId, attempt: number, durationMs, log, at, result } });
      } catch (error) {
        if (!(signal.reason instanceof Shutdown)) await writer.write('CANCELLED');
        await writer.close();
        if (signal.aborted && !(signal.reason instanceof Shutdown)) return;
        throw error;
      }
    },
  };
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
  const directory = path.join(deps.workDir, `build-${buildId}-${number}`);
  try {
    return await buildImage(deps, buildId, spec, directory, writer, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    const isKnown = error instanceof BuildFailure || error instanceof GitFailure;
    const isFinal = isKnown ? !error.retryable : false;
    if (!isFinal && number < startsMax) throw error;
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, messageCharsMax);
    return error instanceof BuildFailure
      ? { reason: error.reason.slice(0, messageCharsMax), step: error.step, instruction: error.instruction }
      : { reason, step: null, instruction: null };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function buildImage(
  deps: BuildDeps,
  buildId: string,
  { appId, repoUrl, ref, commit, dockerfilePath }: BuildSpec,
  directory: string,
  writer: LogWriter,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const image = `apphub/${appId}:${commit.slice(0, 12)}`;
  const labels = { [labelOf.app]: appId, [labelOf.build]: buildId, [labelOf.commit]: commit };
  // An attempt before this one may have ended between the engine and the log.
  const made = await deps.docker.findImage({ [labelOf.build]: buildId }, image);
  if (made !== undefined) return { image, imageId: made.imageId, bytes: made.bytes, ports: made.ports };
  await writer.write(`Cloning ${repoUrl} at ${commit}`);
  await rm(directory, { recursive: true, force: true });
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
