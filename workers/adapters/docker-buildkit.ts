/**
 * The BuildKit inside the engine, for Dockerfiles that only it understands. Its steps may run side by side: a line belongs to the
 * step that was named last, or begins with the number of its own.
 */
import { type BuilderAnswer, type BuilderRequest, cut, stepFailure } from './docker-builder.ts';
import { openCell } from './docker-cell.ts';
import { labelOf } from './docker-labels.ts';
import { readMessages, textOfAux } from './docker-messages.ts';
import { openSession } from './docker-session.ts';
import { readTrace, type Vertex } from './docker-trace.ts';
import { BuildFailure, type BuildPlan, type Engine, secretsArg } from './docker-types.ts';

const openLineCharsMax = 8_193;
const traceId = 'moby.buildkit.trace';
const imageId = 'moby.image.id';

export async function buildOnBuildKit(engine: Engine, request: BuilderRequest): Promise<BuilderAnswer> {
  const cell = await openCell(engine, request.limits);
  try {
    if (cell.uncapped !== null) {
      if (engine.builds.buildkit === 'capped') {
        throw new BuildFailure(
          `This Dockerfile needs BuildKit for ${request.plan.because}, and ${cell.uncapped}`,
        );
      }
      await request.onLine(`Its steps are held to no limit of memory and CPU: ${cell.uncapped}`);
    }
    return await buildWithSecrets(engine, request);
  } finally {
    await cell.close();
  }
}

async function buildWithSecrets(engine: Engine, request: BuilderRequest): Promise<BuilderAnswer> {
  const { stop, place } = request;
  const secrets = new Map([...(request.secrets ?? [])].map(([name, { value }]) => [name, value]));
  const session = await openSession(engine, { secrets, auth: engine.builds.auth });
  try {
    return await readOutput(await ask(engine, request, session.id), request);
  } catch (error) {
    const [missing] = session.missing;
    if (!stop.aborted && error instanceof BuildFailure && missing !== undefined) {
      throw new BuildFailure(cut(`The build secret "${missing}" is not set for this source of the app`), {
        ...place,
        cause: error,
      });
    }
    throw error;
  } finally {
    session.close();
  }
}

/** Not by the client's own call, which would open a session that gives nothing. */
function ask(
  { api, builds, instance }: Engine,
  request: BuilderRequest,
  session: string,
): Promise<NodeJS.ReadableStream> {
  const app = request.labels[labelOf.app] ?? '';
  const own = {
    // Folders that steps keep for each other are not shared with other apps, who could put anything in.
    BUILDKIT_CACHE_MOUNT_NS: `${instance}-${app}`,
    ...(builds.frontend === undefined ? {} : { BUILDKIT_SYNTAX: builds.frontend }),
    ...(request.plan.hasSecrets ? { [secretsArg]: secretsKeyOf(app, request.secrets) } : {}),
  };
  const call = {
    method: 'POST',
    path: '/build?',
    file: request.context,
    isStream: true,
    abortSignal: request.stop,
    statusCodes: { 200: true, 500: 'server error' },
    options: {
      version: '2',
      session,
      t: request.tag,
      dockerfile: request.dockerfilePath,
      labels: { ...request.labels },
      buildargs: { ...request.args, ...own },
    },
  };
  return new Promise((resolve, reject) => {
    api.modem.dial(call as never, (error: unknown, output: unknown) =>
      error ? reject(error) : resolve(output as NodeJS.ReadableStream),
    );
  });
}

/** Names and versions, by which a step with secrets is known in the cache. */
function secretsKeyOf(app: string, secrets: BuilderRequest['secrets']): string {
  const each = [...(secrets ?? [])].map(([name, { version }]) => `${name}:${version}`);
  return [app, ...each.sort()].join(' ');
}

type Step = {
  readonly number: number | null;
  readonly title: string;
  partial: string;
  decoder: { decode(bytes: Uint8Array, options: { stream: true }): string };
};

async function readOutput(output: NodeJS.ReadableStream, request: BuilderRequest): Promise<BuilderAnswer> {
  const { place, plan } = request;
  const told = new Teller(request);
  let built: string | undefined;
  for await (const { id, aux, error } of readMessages(output)) {
    if (id === imageId) built = textOfAux(aux, 'ID');
    if (id === traceId && typeof aux === 'string') await told.tell(readTrace(aux));
    if (error !== undefined) {
      await told.end();
      Object.assign(place, told.failed ?? {});
      const reason = error
        .replace(/^(?:failed to (?:solve|build)[^:]*: )+/, '')
        .replace(/^rpc error: code = \w+ desc = /, '');
      await request.onLine(reason);
      throw stepFailure(reason, place);
    }
  }
  await told.end();
  if (built === undefined) {
    throw new BuildFailure('The Docker engine went away during the build', { ...place, retryable: true });
  }
  return { imageId: built, steps: plan.instructions.length, digests: told.digests };
}

/** Makes lines of what BuildKit tells. */
class Teller {
  readonly digests = new Map<string, string>();
  failed: { step: number | null; instruction: string | null } | undefined;
  readonly #steps = new Map<string, Step>();
  readonly #done = new Set<string>();
  readonly #request: BuilderRequest;
  #last: Step | undefined;

  constructor(request: BuilderRequest) {
    this.#request = request;
  }

  async tell({ vertexes, logs, warnings }: ReturnType<typeof readTrace>): Promise<void> {
    for (const vertex of vertexes) if (vertex.isStarted || vertex.isCached) await this.#begin(vertex);
    for (const { vertex, bytes } of logs) {
      const step = this.#steps.get(vertex);
      if (step !== undefined) await this.#write(step, step.decoder.decode(bytes, { stream: true }));
    }
    for (const vertex of vertexes) if (vertex.isCompleted) await this.#complete(vertex);
    for (const warning of warnings) await this.#request.onLine(`Warning: ${warning}`);
  }

  async end(): Promise<void> {
    for (const step of this.#steps.values()) await this.#flush(step);
  }

  async #begin({ digest, name }: Vertex): Promise<void> {
    if (this.#steps.has(digest) || name === '') return;
    const { plan, place } = this.#request;
    this.#noteBase(name);
    const number = stepOf(name, plan);
    const instruction = number === null ? null : (plan.instructions[number - 1] ?? null);
    const title = instruction === null ? name : `Step ${number}/${plan.instructions.length} : ${instruction}`;
    const step: Step = { number, title, partial: '', decoder: new TextDecoder() };
    this.#steps.set(digest, step);
    if (number !== null) Object.assign(place, { step: number, instruction: cut(instruction ?? '') });
    if (number === null && !/^\[internal\]|^resolve |^\[auth\]/.test(name)) return;
    await this.#say(step, title, true);
  }

  async #complete({ digest, isCached, error }: Vertex): Promise<void> {
    const step = this.#steps.get(digest);
    if (step === undefined || this.#done.has(digest)) return;
    await this.#flush(step);
    // A step that has several parts is told as completed once for each of them.
    if (error === '' && !isCached) return;
    this.#done.add(digest);
    if (isCached && step.number !== null) await this.#say(step, ' ---> Using cache');
    if (error !== '' && !/context canceled/.test(error)) {
      const instruction =
        step.number === null ? null : (this.#request.plan.instructions[step.number - 1] ?? null);
      this.failed ??= { step: step.number, instruction: instruction === null ? null : cut(instruction) };
    }
  }

  async #write(step: Step, text: string): Promise<void> {
    const lines = (step.partial + text).split('\n');
    step.partial = (lines.pop() ?? '').slice(0, openLineCharsMax);
    for (const line of lines) await this.#say(step, line.replace(/\r$/, ''));
  }

  async #flush(step: Step): Promise<void> {
    const line = step.partial;
    step.partial = '';
    if (line !== '') await this.#say(step, line);
  }

  async #say(step: Step, line: string, isTitle = false): Promise<void> {
    if (isTitle) this.#last = step;
    const isOthers = step !== this.#last && step.number !== null;
    await this.#request.onLine(isOthers ? `#${step.number} ${line}` : line);
  }

  /** `[1/3] FROM docker.io/library/node:24@sha256:…` */
  #noteBase(name: string): void {
    const [, image = '', digest = ''] = /\bFROM (\S+?)@(sha256:[0-9a-f]{64})/.exec(name) ?? [];
    if (digest === '') return;
    for (const ref of this.#request.plan.bases) if (isSameImage(ref, image)) this.digests.set(ref, digest);
  }
}

/** Which instruction of the Dockerfile `[build 2/4] RUN …` is; null for what BuildKit does beside them. */
export function stepOf(name: string, { stages }: Pick<BuildPlan, 'stages'>): number | null {
  const [, where = '', at = ''] = /^\[(?:\w+\/\S+ )?(?:(\S+) )?\s*(\d+)\/\d+\] /.exec(name) ?? [];
  if (at === '') return null;
  const stage =
    where === '' ? stages.at(-1) : stages.find(each => each.name.toLowerCase() === where.toLowerCase());
  return stage?.steps[Number(at) - 1] ?? null;
}

/** `node:24` and `docker.io/library/node:24` are the same. */
function isSameImage(ref: string, full: string): boolean {
  const [name = ''] = ref.split('@');
  const tagged = name.lastIndexOf(':') > name.lastIndexOf('/') ? name : `${name}:latest`;
  return [tagged, `docker.io/${tagged}`, `docker.io/library/${tagged}`].includes(full);
}
