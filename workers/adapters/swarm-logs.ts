/** What launches in a swarm say, and the news that they have ended. */
import { setTimeout as wait } from 'node:timers/promises';
import { deploymentOf, isStatus } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { demultiplex, lastLinesMax, readable, tailLinesMax } from './docker-logs.ts';
import type { ContainerDeath, LogsRequest } from './docker-types.ts';
import { deathOf, findService, findServices, stateOf } from './swarm-found.ts';
import type { Swarm } from './swarm-types.ts';

const lookEveryMs = 1_000;
const lookEveryMsMax = 5_000;
/** The manager asks the node, and waits for one that is away. */
const lastLinesMsMax = 3_000;

export async function* serviceLogs(
  swarm: Swarm,
  launchId: string,
  { deployment, tail, follow = false, signal }: LogsRequest = {},
): AsyncIterable<Uint8Array> {
  const given = signal ?? new AbortController().signal;
  if (given.aborted) return;
  const found = await findService(swarm, launchId, deployment);
  if (found?.task === undefined || given.aborted) return;
  const ended = new AbortController();
  const abortSignal = AbortSignal.any([given, ended.signal]);
  const lines = Math.min(tail ?? tailLinesMax, tailLinesMax);
  const options = { stdout: true, stderr: true, tail: lines, abortSignal };
  const service = swarm.engine.api.getService(found.service.ID);
  try {
    if (!follow) {
      yield* demultiplex([bytesOf(await service.logs({ ...options, follow: false }))]);
      return;
    }
    // The manager goes on for as long as there is the service.
    const ending = untilEnded(swarm, launchId, deploymentOf(found.service.Spec.Labels), abortSignal);
    void ending.then(() => ended.abort());
    yield* demultiplex((await service.logs({ ...options, follow: true })) as AsyncIterable<Buffer>);
  } catch (error) {
    if (!abortSignal.aborted && !isStatus(error, 404)) throw error;
  } finally {
    ended.abort();
  }
}

const bytesOf = (said: unknown): Buffer => (Buffer.isBuffer(said) ? said : Buffer.from(String(said)));

/** And for a moment more, in which its last words come. */
async function untilEnded(swarm: Swarm, launchId: string, deployment: number, signal: AbortSignal) {
  while (!signal.aborted) {
    await wait(lookEveryMs, undefined, { signal }).catch(() => undefined);
    const found = await findService(swarm, launchId, deployment).catch(() => null);
    if (found === null) continue;
    if (found !== undefined && stateOf(found) !== 'ended') continue;
    await wait(lookEveryMs, undefined, { signal }).catch(() => undefined);
    return;
  }
}

/** None where the node does not answer soon. */
export async function lastLinesOf(swarm: Swarm, launchId: string, deployment?: number): Promise<string[]> {
  const parts: Uint8Array[] = [];
  const signal = AbortSignal.timeout(lastLinesMsMax);
  const request = { tail: lastLinesMax, signal, ...(deployment === undefined ? {} : { deployment }) };
  try {
    for await (const part of serviceLogs(swarm, launchId, request)) parts.push(part);
  } catch {
    return [];
  }
  const lines = Buffer.concat(parts).toString('utf8').split('\n').map(readable);
  if (lines.at(-1) === '') lines.pop();
  return lines.slice(-lastLinesMax);
}

/** Asked for again and again: of tasks on other nodes a manager sends no news. */
export async function* watchDeaths(swarm: Swarm, signal: AbortSignal): AsyncIterable<ContainerDeath> {
  const reported = new Set<string>();
  let before = new Map<string, Omit<ContainerDeath, 'reason' | 'exitCode' | 'oomKilled'>>();
  let waitMs = lookEveryMs;
  while (!signal.aborted) {
    try {
      const found = await findServices(swarm);
      const now: typeof before = new Map();
      for (const one of found) {
        const { ID: containerId, Spec: spec } = one.service;
        const launchId = spec.Labels[labelOf.launch] ?? '';
        const who = { launchId, deployment: deploymentOf(spec.Labels), containerId };
        now.set(containerId, who);
        if (stateOf(one) !== 'ended' || reported.has(containerId)) continue;
        reported.add(containerId);
        yield { ...who, ...deathOf(one) };
      }
      for (const [id, who] of before) {
        if (now.has(id) || reported.has(id)) continue;
        yield { ...who, reason: 'The service of the app was removed', exitCode: -1, oomKilled: false };
      }
      for (const id of reported) if (!now.has(id)) reported.delete(id);
      before = now;
      waitMs = lookEveryMs;
    } catch (error) {
      if (waitMs === lookEveryMs) swarm.engine.log.warn({ err: error }, 'no news of the swarm comes');
      waitMs = Math.min(waitMs * 2, lookEveryMsMax);
    }
    await wait(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
