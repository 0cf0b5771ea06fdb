/** What containers say while they live, and the news that they have died. */
import { setTimeout as wait } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { endOf, inspectSettled } from './docker-end.ts';
import { deploymentOf, findContainer, isOfSwarm, isStatus } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import type { ContainerDeath, Engine, LogsRequest } from './docker-types.ts';

export const tailLinesMax = 10_000;
export const lastLinesMax = 20;
const lineCharsMax = 500;
const reconnectMsMin = 250;
const reconnectMsMax = 5_000;
const reportedMax = 1_000;
const messageCharsMax = 1024 * 1024;
const headerBytes = 8;

export async function* containerLogs(
  engine: Engine,
  launchId: string,
  { deployment, tail, follow = false, signal }: LogsRequest = {},
): AsyncIterable<Uint8Array> {
  const abort = signal ?? new AbortController().signal;
  if (abort.aborted) return;
  const found = await findContainer(engine, launchId, deployment);
  if (found === undefined || abort.aborted) return;
  const container = engine.api.getContainer(found.containerId);
  const lines = Math.min(tail ?? tailLinesMax, tailLinesMax);
  const options = { stdout: true, stderr: true, tail: lines, abortSignal: abort };
  try {
    if (follow) yield* demultiplex(await container.logs({ ...options, follow: true }));
    else yield* demultiplex([await container.logs({ ...options, follow: false })]);
  } catch (error) {
    // 409: it is being removed.
    if (!abort.aborted && !isStatus(error, 404, 409)) throw error;
  }
}

/**
 * Takes the engine's frames apart: 8 bytes of header whose last four are the length, then as much payload.
 * Nothing is kept back: a part of a payload is passed on as it comes.
 */
export async function* demultiplex(
  chunks: AsyncIterable<string | Buffer> | Iterable<Buffer>,
): AsyncIterable<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  let payloadLeft = 0;
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length > 0) {
      if (payloadLeft === 0) {
        if (rest.length < headerBytes) break;
        payloadLeft = new DataView(rest.buffer, rest.byteOffset).getUint32(4);
        rest = rest.subarray(headerBytes);
      } else {
        const part = rest.subarray(0, payloadLeft);
        payloadLeft -= part.length;
        rest = rest.subarray(part.length);
        yield part;
      }
    }
  }
}

/** The last lines for people: without colours and control characters, and none of them endless. */
export async function lastLinesOf(engine: Engine, launchId: string, deployment?: number): Promise<string[]> {
  const parts: Uint8Array[] = [];
  const request = { tail: lastLinesMax, ...(deployment === undefined ? {} : { deployment }) };
  for await (const part of containerLogs(engine, launchId, request)) parts.push(part);
  const lines = Buffer.concat(parts).toString('utf8').split('\n').map(readable);
  if (lines.at(-1) === '') lines.pop();
  return lines.slice(-lastLinesMax);
}

export function readable(line: string): string {
  const plain = stripVTControlCharacters(line).replace(/(?!\t)\p{Cc}/gu, '');
  return plain.length > lineCharsMax ? `${plain.slice(0, lineCharsMax - 1)}…` : plain;
}

export async function* watchDeaths(engine: Engine, signal: AbortSignal): AsyncIterable<ContainerDeath> {
  const reported = new Set<string>();
  let waitMs = reconnectMsMin;
  let isAway = false;
  const onConnected = () => {
    isAway = false;
    waitMs = reconnectMsMin;
  };
  while (!signal.aborted) {
    try {
      for await (const death of deathsOfOneConnection(engine, signal, onConnected)) {
        if (reported.has(death.containerId)) continue;
        reported.add(death.containerId);
        for (const oldest of reported) {
          if (reported.size <= reportedMax) break;
          reported.delete(oldest);
        }
        yield death;
      }
    } catch (error) {
      // A machine without an engine would fill its log.
      if (!signal.aborted && !isAway) engine.log.warn({ err: error }, 'no events of the Docker engine come');
      isAway = true;
    }
    await wait(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, reconnectMsMax);
  }
}

async function* deathsOfOneConnection(
  engine: Engine,
  signal: AbortSignal,
  onConnected: () => void,
): AsyncIterable<ContainerDeath> {
  const label = [`${labelOf.instance}=${engine.instance}`, labelOf.launch];
  // A string, because dockerode's types know neither a list of types nor the signal.
  const options = {
    filters: JSON.stringify({ type: ['container'], event: ['die'], label }),
    abortSignal: signal,
  };
  const events = await engine.api.getEvents(options);
  onConnected();
  // Whoever died before is read once events flow, so that nobody falls in between.
  for (const dead of await engine.api.listContainers({
    all: true,
    filters: { label, status: ['exited', 'dead'] },
  })) {
    const death = await deathOf(engine, dead.Id, dead.Labels);
    if (death !== undefined) yield death;
  }
  let rest = '';
  for await (const chunk of events) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > messageCharsMax) throw new Error('an event of the engine is too long');
    for (const line of lines) {
      if (line.trim() === '') continue;
      const { Actor: actor } = JSON.parse(line) as {
        Actor: { ID: string; Attributes: Record<string, string> };
      };
      const death = await deathOf(engine, actor.ID, actor.Attributes);
      if (death !== undefined) yield death;
    }
  }
}

/** Its attributes are the labels and, from an event, the exit code; the rest is asked for while it is there. */
async function deathOf(
  engine: Engine,
  containerId: string,
  attributes: Record<string, string>,
): Promise<ContainerDeath | undefined> {
  const launchId = attributes[labelOf.launch];
  if (launchId === undefined || isOfSwarm(attributes)) return undefined;
  const who = { launchId, deployment: deploymentOf(attributes), containerId };
  try {
    const { State: state, Config: config } = await inspectSettled(engine.api.getContainer(containerId));
    if (state.Running) return undefined;
    const reason = endOf(state, config.Labels);
    return { ...who, reason, exitCode: state.ExitCode, oomKilled: state.OOMKilled };
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    const exitCode = Number(attributes.exitCode ?? -1);
    const reason = endOf({ ExitCode: exitCode, OOMKilled: false }, attributes);
    return { ...who, reason, exitCode, oomKilled: false };
  }
}
