/**
 * Waits until an app answers on its published port. The engine's own proxy accepts every connection and drops
 * it when nobody listens inside, so a connection alone proves nothing: an answer does, or one held open.
 */
import http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { endOf } from './docker-launch.ts';
import { isStatus, lastLinesOf } from './docker-logs.ts';
import { type Engine, LaunchFailure, labelOf, type ReadyRequest } from './docker-types.ts';

const host = '127.0.0.1';
const probeMsMax = 5_000;
/** A connection that is kept for so long without a word has somebody behind it. */
const heldMsMin = 1_000;
const pauseMsMin = 50;
const pauseMsMax = 1_000;
/** An app that only ever answers 5xx is up, if not well, after this long. */
const unwellMsMax = 5_000;

type Answer = 'well' | 'unwell' | 'none';

export async function waitUntilReady(engine: Engine, request: ReadyRequest): Promise<void> {
  const { containerId, hostPort, timeoutMs, signal } = request;
  const until = performance.now() + timeoutMs;
  let unwellSince: number | undefined;
  for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 1.5, pauseMsMax)) {
    signal.throwIfAborted();
    const answer = await probe(
      hostPort,
      Math.min(probeMsMax, Math.max(until - performance.now(), 1)),
      signal,
    );
    if (answer === 'well') return;
    if (answer === 'unwell') {
      unwellSince ??= performance.now();
      if (performance.now() - unwellSince >= Math.min(unwellMsMax, timeoutMs / 2)) return;
    }
    const launchId = await requireAlive(engine, containerId);
    if (performance.now() >= until) {
      const reason = `The app did not answer on its port within ${timeoutMs / 1000} s`;
      throw new LaunchFailure(reason, { lastLines: await lastLinesOf(engine, launchId) });
    }
    await wait(pauseMs, undefined, { signal });
  }
}

async function requireAlive(engine: Engine, containerId: string): Promise<string> {
  try {
    const { State: state, Config: config } = await engine.api.getContainer(containerId).inspect();
    const launchId = config.Labels[labelOf.launch] ?? '';
    if (state.Running) return launchId;
    const lastLines = await lastLinesOf(engine, launchId);
    throw new LaunchFailure(endOf(state), { exitCode: state.ExitCode, lastLines });
  } catch (error) {
    if (isStatus(error, 404)) throw new LaunchFailure('The container was removed', { cause: error });
    throw error;
  }
}

/** One GET. Words that are not HTTP, or a connection held open to the end, come from a listener too. */
function probe(port: number, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
  return new Promise(resolve => {
    const request = http.get({
      host,
      port,
      path: '/',
      agent: false,
      headers: { connection: 'close' },
      signal,
    });
    const timer = setTimeout(() => {
      const held = timeoutMs >= heldMsMin && request.socket?.connecting === false;
      resolve(held ? 'well' : 'none');
      request.destroy();
    }, timeoutMs);
    request.on('response', response => {
      resolve((response.statusCode ?? 500) < 500 ? 'well' : 'unwell');
      request.destroy();
    });
    request.on('error', error => {
      resolve('code' in error && String(error.code).startsWith('HPE_') ? 'well' : 'none');
    });
    request.on('close', () => {
      clearTimeout(timer);
      resolve('none');
    });
  });
}
