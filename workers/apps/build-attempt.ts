/** One attempt at a build: a fresh clone at the commit, the engine's build, and what it says passed on line by line. */
import path from 'node:path';
import { stateOf } from '../../commands/execute.ts';
import type {
  BuildProvenance,
  BuildSpec,
  BuiltImage,
  BuildFailure as Failure,
  PushedImage,
} from '../../domain/apps/build.ts';
import { buildInput, secretsFor } from '../../domain/apps/build-input.ts';
import { messageCharsMax } from '../../domain/kernel/limits.ts';
import type { BuildConfig } from '../../platform/build-config.ts';
import type { BuildSecrets } from '../../platform/build-secrets.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { LogWriter } from '../../platform/log-store.ts';
import { maskSecrets } from '../../platform/mask.ts';
import { labelOf } from '../adapters/docker-labels.ts';
import type { Machine } from '../adapters/docker-store-types.ts';
import {
  BuildFailure,
  type BuildLimits,
  type BuildPlan,
  type BuildSecret,
  type Docker,
  type Papers,
} from '../adapters/docker-types.ts';
import type { Engines } from '../adapters/engine-types.ts';
import { cloneRepository, GitFailure } from '../adapters/git.ts';
import type { Send } from '../effect.ts';
import { withWorkFolder } from '../work-folder.ts';
import { endStepsOf } from './build-sweep.ts';
import type { DiskGuard } from './disk-guard.ts';
import { findContextFolder } from './inspect/build-context.ts';

/** How often a build may be begun: an engine that dies each time is perhaps killed by it. */
const startsMax = 5;
/** Of the engine's cores, and of its memory, that builds leave to everybody else without being told. */
const cpusPart = 0.75;
const memoryPart = 0.5;
const memoryBytesDefault = 2 * 1024 ** 3;
const cpusMin = 0.1;

export type AttemptDeps = Send & {
  readonly docker: Engines;
  readonly workDir: string;
  readonly allowLocalRepositories: boolean;
  readonly buildsAtOnce: number;
  readonly builds: BuildConfig;
  readonly buildSecrets: BuildSecrets;
  readonly guard: DiskGuard;
};

/** An attempt at one build. `say` is given each line as it may be read: secrets in it are masked. */
export type Attempt = {
  readonly buildId: string;
  readonly spec: BuildSpec;
  readonly number: number;
  readonly secrets: GivenSecrets;
  readonly say: LogWriter['write'];
  readonly signal: AbortSignal;
};

export type Made = BuiltImage & { provenance: BuildProvenance | null; pushed: PushedImage | null };

/** `values` by name; `missing` are set, but their values were lost. */
export type GivenSecrets = {
  readonly given: { name: string; version: number }[];
  readonly values: ReadonlyMap<string, BuildSecret>;
  readonly missing: readonly string[];
  mask(text: string): string;
};

/** The secrets of the app that a build of this address is given. */
export async function secretsOf(deps: AttemptDeps, { appId, repoUrl }: BuildSpec): Promise<GivenSecrets> {
  const input = await stateOf(deps.store, buildInput, appId);
  const given: GivenSecrets['given'] = [];
  const values = new Map<string, BuildSecret>();
  const missing: string[] = [];
  for (const { name, version, key } of input === null ? [] : secretsFor(input.state, repoUrl)) {
    const value = await deps.buildSecrets.read(key);
    if (value === undefined) missing.push(name);
    else {
      values.set(name, { value, version });
      given.push({ name, version });
    }
  }
  const mask = maskSecrets([...values.values()].map(({ value }) => value));
  return { given, values, missing, mask };
}

export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, messageCharsMax);
}

/** The image, or why there is none. Throws what is worth another attempt, and when it was aborted. */
export async function buildOrExplain(deps: AttemptDeps, attempt: Attempt): Promise<Made | Failure> {
  const { buildId, number, signal } = attempt;
  const { mask } = attempt.secrets;
  const nowhere = { step: null, instruction: null };
  try {
    const image = imageOf(attempt.spec);
    const found = await deps.docker.findImage({ [labelOf.build]: buildId }, image);
    if (found === undefined && number > startsMax) {
      return { reason: 'The build was interrupted too often.', ...nowhere };
    }
    if (number > 1) await endStepsOf(deps.docker, buildId);
    const built = found && { image, imageId: found.imageId, bytes: found.bytes, ports: found.ports };
    const place = {
      appId: attempt.spec.appId,
      imageId: found?.imageId,
      limitsOn: (machine: Machine) => limitsOn(machine, deps),
      signal,
    };
    return await deps.docker.onBuilder(place, async docker => {
      const there = { ...deps, docker };
      const work = (guarded: Attempt) =>
        withWorkFolder(deps.workDir, `build-${buildId}`, number, directory =>
          built === undefined
            ? makeImage(there, guarded, directory)
            : findPapers(there, guarded, directory, built),
        );
      const { papers, ...made } = await deps.guard.during(signal, guard =>
        work({ ...attempt, signal: guard }),
      );
      faultPoint('build.built');
      const pushed = await pushToRegistry(there, attempt, made);
      faultPoint('build.pushed');
      return { ...made, provenance: papers, pushed };
    });
  } catch (error) {
    if (signal.aborted) throw error;
    const isKnown = error instanceof BuildFailure || error instanceof GitFailure;
    const isFinal = isKnown ? !error.retryable : false;
    if (!isFinal && number < startsMax) throw error;
    if (!(error instanceof BuildFailure)) return { reason: mask(messageOf(error)), ...nowhere };
    const instruction = error.instruction === null ? null : mask(error.instruction);
    return { reason: mask(error.reason).slice(0, messageCharsMax), step: error.step, instruction };
  }
}

const imageOf = ({ appId, commit }: BuildSpec) => `apphub/${appId}:${commit.slice(0, 12)}`;

/** What works on one engine from its beginning to its end. */
type OnEngine = Omit<AttemptDeps, 'docker'> & { readonly docker: Docker };

type WithPapers = BuiltImage & { papers: BuildProvenance | null };

async function makeImage(deps: OnEngine, attempt: Attempt, directory: string): Promise<WithPapers> {
  const { buildId, spec, secrets, say, signal } = attempt;
  const { appId, commit, args } = spec;
  const image = imageOf(spec);
  const place = await cloneAndPlan(deps, attempt, directory);
  const { plan, context, dockerfilePath } = place;
  const within = context === '' ? '' : `, with the folder ${context} as its context`;
  const by = plan.because === null ? '' : `, by BuildKit because of ${plan.because}`;
  await say(`Building ${image} from ${spec.dockerfilePath}${within}${by}`);
  for (const name of secrets.missing) {
    await say(`The value of the build secret ${name} is no longer there: set it again`);
  }
  const { imageId, bytes, ports, papers } = await deps.docker.buildImage({
    directory: path.join(directory, context),
    dockerfilePath,
    tag: image,
    labels: { [labelOf.app]: appId, [labelOf.build]: buildId, [labelOf.commit]: commit },
    limits: limitsOn(await deps.docker.machine(), deps),
    args,
    secrets: secrets.values,
    plan,
    signal,
    onLine: say,
  });
  return { image, imageId, bytes, ports, papers: provenanceOf(attempt, place, papers) };
}

/** What an attempt before this one has made, when it ended between the engine and the log: only its papers have to be found. */
async function findPapers(
  deps: OnEngine,
  attempt: Attempt,
  directory: string,
  built: BuiltImage,
): Promise<WithPapers> {
  try {
    const place = await cloneAndPlan(deps, attempt, directory);
    return { ...built, papers: provenanceOf(attempt, place, await deps.docker.papersOf(place.plan)) };
  } catch (error) {
    if (attempt.signal.aborted) throw error;
    // The image is there, which is what was wanted.
    await attempt.say(`It is not known any more what ${built.image} was made of: ${messageOf(error)}`);
    return { ...built, papers: null };
  }
}

type Planned = { readonly plan: BuildPlan; readonly context: string; readonly dockerfilePath: string };

async function cloneAndPlan(deps: OnEngine, attempt: Attempt, directory: string): Promise<Planned> {
  const { spec, say, signal } = attempt;
  const { repoUrl, ref, commit, args } = spec;
  await say(`Cloning ${repoUrl} at ${commit}`);
  await cloneRepository({
    url: repoUrl,
    ...(ref === null ? {} : { ref }),
    commit,
    into: directory,
    allowLocal: deps.allowLocalRepositories,
    signal,
  });
  const context = await findContextFolder(directory, spec.dockerfilePath);
  const dockerfilePath = path.posix.relative(context, path.posix.normalize(spec.dockerfilePath));
  const plan = await deps.docker.planBuild({
    directory: path.join(directory, context),
    dockerfilePath,
    args,
  });
  return { plan, context, dockerfilePath };
}

function provenanceOf(
  { spec, secrets }: Attempt,
  { plan, context }: Planned,
  papers: Papers,
): BuildProvenance {
  const { bases, builder } = papers;
  const given = plan.builder === 'buildkit' ? secrets.given : [];
  return {
    dockerfile: { path: spec.dockerfilePath, sha256: plan.sha256 },
    context,
    bases,
    builder,
    secrets: given,
  };
}

async function pushToRegistry(
  deps: OnEngine,
  attempt: Attempt,
  { imageId }: BuiltImage,
): Promise<PushedImage | null> {
  const { registry } = deps.builds;
  if (registry === undefined) return null;
  const { buildId, spec, say, signal } = attempt;
  const repository = `${registry.host}/${registry.prefix}${spec.appId}`;
  await say(`Pushing to ${repository}`);
  // Each build keeps a tag of its own, so that none is collected as untagged while it may be gone back to.
  const tag = `${spec.commit.slice(0, 12)}-${buildId.slice(0, 8)}`;
  return deps.docker.pushImage({ imageId, repository, tag, signal, onLine: say });
}

/** What one build may use on this machine, by the settings or by what leaves room for everybody else. */
export function limitsOn(
  machine: Pick<Machine, 'cpus' | 'memoryBytes'>,
  { builds, buildsAtOnce }: Pick<AttemptDeps, 'builds' | 'buildsAtOnce'>,
): BuildLimits {
  const { cpuShares, pidsMax, timeMsMax, contextBytesMax } = builds;
  const cpus = builds.cpus ?? Math.max(cpusMin, (machine.cpus * cpusPart) / buildsAtOnce);
  const share = Math.floor((machine.memoryBytes * memoryPart) / buildsAtOnce);
  const memoryBytes = builds.memoryBytes ?? Math.min(memoryBytesDefault, share);
  return { cpus, cpuShares, memoryBytes, pidsMax, timeMsMax, contextBytesMax };
}
