/** Images from Dockerfiles by the engine's classic builder, within limits, and the output as it comes. */
import type { Readable } from 'node:stream';
import { portsMax } from '../../domain/kernel/limits.ts';
import { packContext } from './docker-context.ts';
import {
  BuildFailure,
  type BuildImageRequest,
  type BuiltImage,
  type Engine,
  type FoundImage,
  type Labels,
  labelOf,
} from './docker-types.ts';

const lineCharsMax = 8_192;
const messageBytesMax = 1024 * 1024;
const reasonCharsMax = 500;
const cpuPeriodUs = 100_000;
/** What the engine says when it, its network or its registry was at fault. */
const weather =
  /dial tcp|i\/o timeout|connection (refused|reset)|TLS handshake|no such host|toomanyrequests|temporarily|EOF$/i;

const engineWords = /^(?:Step \d|Removing intermediate container | ---> |Successfully )/;

/** One message of the stream that answers POST /build (Engine API 1.41). */
type Message = {
  stream?: string;
  status?: string;
  id?: string;
  progress?: string;
  error?: string;
  aux?: { ID?: string };
};
type Place = { step: number | null; instruction: string | null };

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
  let context: Readable | undefined;
  try {
    stop.throwIfAborted();
    context = await packContext(request.directory, request.dockerfilePath, limits.contextBytesMax, stop);
    const output = await engine.api.buildImage(context, buildOptions(request, labels, stop));
    const { imageId, stepsRun } = await readOutput(output, request.onLine, place);
    const found = await inspect(engine, imageId);
    // The engine puts each label on by a step of its own after the last one of the Dockerfile.
    return { ...found, steps: stepsRun - Object.keys(labels).length };
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

function buildOptions({ limits, ...request }: BuildImageRequest, labels: Labels, abortSignal: AbortSignal) {
  return {
    t: request.tag,
    dockerfile: request.dockerfilePath,
    labels: { ...labels },
    memory: limits.memoryBytes,
    // As much as the memory: no swap at all.
    memswap: limits.memoryBytes,
    cpuperiod: cpuPeriodUs,
    cpuquota: Math.round(limits.cpus * cpuPeriodUs),
    rm: true,
    forcerm: true,
    abortSignal,
  };
}

async function readOutput(
  output: NodeJS.ReadableStream,
  onLine: BuildImageRequest['onLine'],
  place: Place,
): Promise<{ imageId: string; stepsRun: number }> {
  let imageId: string | undefined;
  let partial = '';
  const say = async (line: string) => {
    const step = /^Step (\d+)\/\d+ : (.*)$/.exec(line);
    if (step !== null) Object.assign(place, { step: Number(step[1]), instruction: cut(step[2] ?? '') });
    await onLine(line.length > lineCharsMax ? `${line.slice(0, lineCharsMax)} …` : line);
  };
  const endLine = async () => {
    const line = partial;
    partial = '';
    if (line !== '') await say(line);
  };
  for await (const message of readMessages(output)) {
    if (message.aux?.ID !== undefined) imageId = message.aux.ID;
    if (message.status !== undefined && message.progress === undefined) {
      await say(message.id === undefined ? message.status : `${message.id}: ${message.status}`);
    }
    if (message.stream !== undefined) {
      // A step may end without a line end; the engine's own words begin a new line all the same.
      if (engineWords.test(message.stream)) await endLine();
      const lines = (partial + message.stream).split('\n');
      // Of a line without end, no more is kept than is shown.
      partial = (lines.pop() ?? '').slice(0, lineCharsMax + 1);
      for (const line of lines) await say(line.replace(/\r$/, ''));
    }
    if (message.error !== undefined) {
      await endLine();
      await say(message.error);
      throw new BuildFailure(reasonOf(message.error), { ...place, retryable: weather.test(message.error) });
    }
  }
  await endLine();
  if (imageId === undefined) {
    throw new BuildFailure('The Docker engine went away during the build', { ...place, retryable: true });
  }
  return { imageId, stepsRun: place.step ?? 0 };
}

/** JSON values one after the other, each on a line of its own. */
async function* readMessages(output: NodeJS.ReadableStream): AsyncIterable<Message> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of output) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Message;
    if (rest.length > messageBytesMax) throw new Error('a message of the engine is too long');
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as Message;
}

function reasonOf(error: string): string {
  const killed = /returned a non-zero code: 137$/.test(error);
  return cut(killed ? `${error}: killed, most likely for want of memory` : error);
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

function cut(text: string): string {
  return text.length > reasonCharsMax ? `${text.slice(0, reasonCharsMax - 1)}…` : text;
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

async function inspect(engine: Engine, id: string): Promise<FoundImage> {
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
