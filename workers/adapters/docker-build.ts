/** Images from Dockerfiles by the builder they need, within limits, and the output as it comes. */
import { portsMax } from '../../domain/kernel/limits.ts';
import { cut, type Place } from './docker-builder.ts';
import { buildOnBuildKit } from './docker-buildkit.ts';
import { buildOnClassic } from './docker-classic.ts';
import { packContext, readDockerfileText } from './docker-context.ts';
import { type Labels, labelOf } from './docker-labels.ts';
import {
  BuildFailure,
  type BuildImageRequest,
  type BuildPlan,
  type BuiltImage,
  type Engine,
  type FoundImage,
  type Papers,
} from './docker-types.ts';
import { planOf } from './dockerfile-plan.ts';

const lineCharsMax = 8_192;
/**
 * Sends the context, passes on every line of output and answers with the image. When `signal` aborts or the
 * time is up the connection is closed, on which the engine kills the step it is in.
 */
export async function buildImage(engine: Engine, request: BuildImageRequest): Promise<BuiltImage> {
  const { limits, signal } = request;
  const labels = { ...request.labels, [labelOf.instance]: engine.instance };
  const timeUp = new AbortController();
  const timer = setTimeout(() => timeUp.abort(), limits.timeMsMax);
  const stop = AbortSignal.any([signal, timeUp.signal]);
  const place: Place = { step: null, instruction: null };
  const onLine = (line: string) =>
    request.onLine(line.length > lineCharsMax ? `${line.slice(0, lineCharsMax)} …` : line);
  let context: Awaited<ReturnType<typeof packContext>> | undefined;
  try {
    stop.throwIfAborted();
    const plan = request.plan ?? (await planBuild(engine, request));
    context = await packContext(request, plan, stop);
    const build = plan.builder === 'classic' ? buildOnClassic : buildOnBuildKit;
    const { imageId, steps, digests } = await build(engine, {
      ...request,
      onLine,
      plan,
      labels,
      context,
      place,
      stop,
    });
    const found = await inspect(engine, imageId);
    return { ...found, steps, papers: await papersOf(engine, plan, digests) };
  } catch (error) {
    // The caller's own cancellation is not a failure of the build.
    if (signal.aborted) throw signal.reason;
    if (error instanceof BuildFailure) throw error;
    if (timeUp.signal.aborted) {
      throw new BuildFailure(`The build took longer than ${limits.timeMsMax / 1000} s`, { ...place });
    }
    throw failureOf(error, place);
  } finally {
    clearTimeout(timer);
    context?.destroy();
  }
}

export async function planBuild(
  engine: Engine,
  { directory, dockerfilePath, args = {} }: Pick<BuildImageRequest, 'directory' | 'dockerfilePath' | 'args'>,
): Promise<BuildPlan> {
  const text = await readDockerfileText(directory, dockerfilePath);
  const { buildkit, frontend } = engine.builds;
  const { Version } = await engine.api.version();
  return planOf(text, { args, buildkit, frontend, engineMajor: Number.parseInt(Version, 10) });
}

/** `digests`: what the builder has said of base images, which goes before what the engine has now. */
export async function papersOf(
  engine: Engine,
  plan: BuildPlan,
  digests: ReadonlyMap<string, string> = new Map(),
): Promise<Papers> {
  const [version, bases] = await Promise.all([
    engine.api.version(),
    Promise.all(plan.bases.map(ref => baseOf(engine, ref, digests.get(ref)))),
  ]);
  const { Version, Os, Arch } = version;
  return { bases, builder: { kind: plan.builder, engine: Version, platform: `${Os}/${Arch}` } };
}

async function baseOf(engine: Engine, ref: string, told: string | undefined) {
  const image = await engine.api
    .getImage(ref)
    .inspect()
    .catch(() => undefined);
  const digest = told ?? /@(sha256:[0-9a-f]{64})$/.exec(ref)?.[1] ?? image?.RepoDigests?.[0]?.split('@')[1];
  return { ref, imageId: image?.Id ?? null, digest: digest ?? null };
}

/** An error of the call itself: 4xx is about the Dockerfile, anything else about the engine. */
function failureOf(error: unknown, place: Place): BuildFailure {
  const message = error instanceof Error ? error.message : String(error);
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined;
  const parse = /dockerfile parse error.*|unknown instruction.*|the Dockerfile.*cannot be empty.*/i.exec(
    message,
  );
  const retryable = parse === null && (status === undefined || status >= 500);
  return new BuildFailure(cut(parse?.[0].trim() ?? message.trim()), { ...place, retryable, cause: error });
}

/** The newest image of this installation that carries all the labels. It is tagged anew where the tag was lost. */
export async function findImage(
  engine: Engine,
  labels: Labels,
  tag?: string,
): Promise<FoundImage | undefined> {
  const label = Object.entries({ ...labels, [labelOf.instance]: engine.instance }).map(
    ([key, value]) => `${key}=${value}`,
  );
  const images = await engine.api.listImages({ filters: { label } });
  const newest = images.sort((a, b) => b.Created - a.Created)[0];
  if (newest === undefined) return undefined;
  if (tag !== undefined && !newest.RepoTags?.includes(tag)) {
    const [repo, version] = splitTag(tag);
    await engine.api.getImage(newest.Id).tag({ repo, tag: version });
  }
  return inspect(engine, newest.Id);
}

function splitTag(tag: string): [string, string] {
  const colon = tag.lastIndexOf(':');
  return colon > tag.lastIndexOf('/') ? [tag.slice(0, colon), tag.slice(colon + 1)] : [tag, 'latest'];
}

/** By id or name. */
export async function inspect(engine: Engine, id: string): Promise<FoundImage> {
  const image = await engine.api.getImage(id).inspect();
  const ports = Object.keys(image.Config.ExposedPorts ?? {})
    .filter(port => port.endsWith('/tcp') || !port.includes('/'))
    .map(port => Number.parseInt(port, 10))
    .filter(port => port > 0 && port < 65_536)
    .sort((a, b) => a - b)
    .slice(0, portsMax);
  const digest = image.RepoDigests?.[0]?.split('@')[1];
  return { imageId: image.Id, bytes: image.Size, ports, ...(digest === undefined ? {} : { digest }) };
}
