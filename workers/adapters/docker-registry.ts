/** Images on their way to a registry and from one: sent once they are built, fetched by their digest. */
import { inspect } from './docker-build.ts';
import { type Message, readMessages, textOfAux } from './docker-messages.ts';
import {
  BuildFailure,
  type Engine,
  type FoundImage,
  type PushedImage,
  type PushRequest,
} from './docker-types.ts';

const reasonCharsMax = 500;
/** Of pushing and pulling: nothing that a second try would change. */
const final = /denied|unauthorized|authentication required|credentials|not found|unknown|invalid/i;

export async function pushImage(engine: Engine, request: PushRequest): Promise<PushedImage> {
  const { imageId, repository, tag, signal, onLine } = request;
  const name = `${repository}:${tag}`;
  await engine.api.getImage(imageId).tag({ repo: repository, tag });
  let digest: string | undefined;
  const output = await engine.api
    .getImage(name)
    .push({ authconfig: authFor(engine, repository), abortSignal: signal })
    .catch(error => {
      throw failureOf(error, `The image was not pushed to ${repository}`, signal);
    });
  for await (const message of readMessages(output)) {
    digest = textOfAux(message.aux, 'Digest') ?? digest;
    if (message.error !== undefined)
      throw failureOf(message.error, `The image was not pushed to ${repository}`, signal);
    const line = lineOf(message);
    if (line !== undefined) await onLine(line);
  }
  signal.throwIfAborted();
  if (digest === undefined) {
    throw new BuildFailure(`The registry of ${repository} said no digest`, { retryable: true });
  }
  return { repository, digest };
}

export async function pullImage(
  engine: Engine,
  { repository, digest }: PushedImage,
  signal: AbortSignal,
): Promise<FoundImage> {
  const name = `${repository}@${digest}`;
  const present = await engine.api
    .getImage(name)
    .inspect()
    .catch(() => undefined);
  if (present !== undefined) return inspect(engine, present.Id);
  const what = `The image ${name} could not be pulled`;
  const output = await engine.api
    .createImage({
      fromImage: repository,
      tag: digest,
      authconfig: authFor(engine, repository),
      abortSignal: signal,
    })
    .catch(error => {
      throw failureOf(error, what, signal);
    });
  for await (const { error } of readMessages(output))
    if (error !== undefined) throw failureOf(error, what, signal);
  signal.throwIfAborted();
  return inspect(engine, name);
}

/** The name for this registry, and for no other. The engine wants to be told of none as well. */
function authFor({ builds: { auth } }: Engine, repository: string) {
  if (auth === undefined || !repository.startsWith(`${auth.host}/`)) return {};
  return { username: auth.username, password: auth.password, serveraddress: auth.host };
}

function failureOf(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const said = error instanceof Error ? error.message : String(error);
  const reason = `${what}: ${said}`.slice(0, reasonCharsMax);
  return new BuildFailure(reason, { retryable: !final.test(said), cause: error });
}

/** Without the bars that move. */
function lineOf({ status, progress, id }: Message): string | undefined {
  if (status === undefined || progress !== undefined || /^(Preparing|Waiting)$/.test(status))
    return undefined;
  return id === undefined ? status : `${id}: ${status}`;
}
