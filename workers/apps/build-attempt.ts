/** One attempt at a build: a fresh clone at the commit, the engine's build, and what it says passed on line by line. */
import path from 'node:path';
import type { BuildSpec, BuiltImage, BuildFailure as Failure } from '../../domain/apps/build.ts';
import { messageCharsMax } from '../../domain/kernel/limits.ts';
import type { LogWriter } from '../../platform/log-store.ts';
import { BuildFailure, type Docker, labelOf } from '../adapters/docker-types.ts';
import { cloneRepository, GitFailure } from '../adapters/git.ts';
import type { Send } from '../effect.ts';
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

export type AttemptDeps = Send & {
  readonly docker: Docker;
  readonly workDir: string;
  readonly allowLocalRepositories: boolean;
};

export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, messageCharsMax);
}

/** The image, or why there is none. Throws what is worth another attempt, and when it was aborted. */
export async function buildOrExplain(
  deps: AttemptDeps,
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
async function findMade(
  deps: AttemptDeps,
  buildId: string,
  spec: BuildSpec,
): Promise<BuiltImage | undefined> {
  const image = imageOf(spec);
  const made = await deps.docker.findImage({ [labelOf.build]: buildId }, image);
  return made && { image, imageId: made.imageId, bytes: made.bytes, ports: made.ports };
}

async function buildImage(
  deps: AttemptDeps,
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
