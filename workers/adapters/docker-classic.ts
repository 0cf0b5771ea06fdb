/** The engine's classic builder: each step is a container, which the engine holds to the limits. */

import { type BuilderAnswer, type BuilderRequest, cut, stepFailure } from './docker-builder.ts';
import { packText } from './docker-context.ts';
import { labelOf } from './docker-labels.ts';
import { type Leftover, openLeftover } from './docker-leftovers.ts';
import { type Message, readMessages, textOfAux } from './docker-messages.ts';
import { markOf } from './docker-steps.ts';
import { BuildFailure, cpuSharesDefault, type Engine } from './docker-types.ts';

const cpuPeriodUs = 100_000;
const openLineCharsMax = 8_193;

const engineWords = /^(?:Step \d|Removing intermediate container | ---> |Successfully )/;

export async function buildOnClassic(engine: Engine, request: BuilderRequest): Promise<BuilderAnswer> {
  const { limits, place, stop, labels, tag } = request;
  const build = labels[labelOf.build];
  // What is done whenever the image is built on, would be done by labelling it.
  const isTrigger = request.plan.instructions.some(each => /^ONBUILD\b/i.test(each));
  const options = {
    dockerfile: request.dockerfilePath,
    ...(isTrigger ? { labels: { ...labels }, t: tag } : {}),
    buildargs: { ...request.args },
    memory: limits.memoryBytes,
    // As much as the memory: no swap at all.
    memswap: limits.memoryBytes,
    cpuperiod: cpuPeriodUs,
    cpuquota: Math.round(limits.cpus * cpuPeriodUs),
    cpushares: limits.cpuShares ?? cpuSharesDefault,
    ...(build === undefined ? {} : { extrahosts: markOf(build) }),
    rm: true,
    forcerm: true,
    abortSignal: stop,
    ...registryConfig(engine),
  };
  const leftover = openLeftover(engine, build);
  const output = await engine.api.buildImage(request.context, options);
  const { imageId, said } = await readOutput(output, request, leftover);
  if (imageId === undefined) {
    throw new BuildFailure('The Docker engine went away during the build', { ...place, retryable: true });
  }
  const steps = (place.step ?? 0) - (isTrigger ? Object.keys(labels).length : 0);
  const labelled = isTrigger ? imageId : await labelImage(engine, imageId, request);
  await leftover.forget();
  return { imageId: labelled, steps, digests: digestsIn(said) };
}

/**
 * Given in the call, each label would be a step of its own. Here all of them are one, on top of the image that `docker build`
 * would have made.
 */
async function labelImage(
  engine: Engine,
  imageId: string,
  { labels, tag, stop }: BuilderRequest,
): Promise<string> {
  const pairs = Object.entries(labels).map(pair =>
    pair.map(text => JSON.stringify(text).replaceAll('$', '\\$')).join('='),
  );
  const dockerfile = `FROM ${imageId.replace(/^sha256:/, '')}\nLABEL ${pairs.join(' ')}\n`;
  const options = { t: tag, rm: true, forcerm: true, abortSignal: stop };
  const output = await engine.api.buildImage(packText({ Dockerfile: dockerfile }), options);
  let labelled: string | undefined;
  for await (const { aux, error } of readMessages(output)) {
    if (error !== undefined) throw new BuildFailure(cut(error), { retryable: true });
    labelled = textOfAux(aux, 'ID') ?? labelled;
  }
  if (labelled !== undefined) return labelled;
  throw new BuildFailure('The Docker engine went away during the build', { retryable: true });
}

/** The name that base images are pulled under, where there is one. */
function registryConfig({ builds: { auth } }: Engine) {
  if (auth === undefined) return {};
  return { registryconfig: { [auth.host]: { username: auth.username, password: auth.password } } };
}

type Said = { readonly ref: string | null; readonly digest: string };

async function readOutput(
  output: NodeJS.ReadableStream,
  { onLine, place }: BuilderRequest,
  leftover: Leftover,
) {
  let imageId: string | undefined;
  let partial = '';
  const said: Said[] = [];
  const say = async (line: string) => {
    const step = /^Step (\d+)\/\d+ : (.*)$/.exec(line);
    if (step !== null) Object.assign(place, { step: Number(step[1]), instruction: cut(step[2] ?? '') });
    leftover.heard(line);
    await onLine(line);
  };
  const endLine = async () => {
    const line = partial;
    partial = '';
    if (line !== '') await say(line);
  };
  for await (const message of readMessages(output)) {
    imageId = textOfAux(message.aux, 'ID') ?? imageId;
    const status = statusOf(message);
    if (status !== undefined) {
      const digest = /^Digest: (sha256:[0-9a-f]{64})$/.exec(status)?.[1];
      if (digest !== undefined) said.push({ ref: refOf(place.instruction), digest });
      await say(status);
    }
    if (message.stream !== undefined) {
      // A step may end without a line end; the engine's own words begin a new line all the same.
      if (engineWords.test(message.stream)) await endLine();
      const lines = (partial + message.stream).split('\n');
      // Of a line without end, no more is kept than is shown.
      partial = (lines.pop() ?? '').slice(0, openLineCharsMax);
      for (const line of lines) await say(line.replace(/\r$/, ''));
    }
    if (message.error !== undefined) {
      await endLine();
      await say(message.error);
      throw stepFailure(message.error, place);
    }
  }
  await endLine();
  return { imageId, said };
}

/** Without the bars that move. */
function statusOf({ status, progress, id }: Message): string | undefined {
  if (status === undefined || progress !== undefined) return undefined;
  return id === undefined ? status : `${id}: ${status}`;
}

const refOf = (instruction: string | null) => /^FROM (?:--\S+ )*(\S+)/i.exec(instruction ?? '')?.[1] ?? null;

function digestsIn(said: readonly Said[]): ReadonlyMap<string, string> {
  return new Map(said.flatMap(({ ref, digest }) => (ref === null ? [] : [[ref, digest] as const])));
}
