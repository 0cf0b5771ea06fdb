/**
 * Waits until an app is well. What it declares counts: the HEALTHCHECK of its image, and a path that answers. An app that
 * declares nothing is well when anything answers on its port, or holds a connection open: where the engine publishes the
 * port its own proxy accepts every connection, so that a connection alone would prove nothing.
 */
import http from 'node:http';
import net from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { endOf, inspectSettled } from './docker-end.ts';
import { deploymentOf, isStatus } from './docker-found.ts';
import { healthCommandOf, runHealthCheck, type Verdict } from './docker-health.ts';
import { labelOf } from './docker-labels.ts';
import { lastLinesOf } from './docker-logs.ts';
import { type Engine, LaunchFailure, type ReadyRequest } from './docker-types.ts';

const probeMsMax = 5_000;
const lookMsMin = 1_000;
/** A connection that is kept for so long without a word has somebody behind it. */
const heldMsMin = 1_000;
const pauseMsMin = 50;
const pauseMsMax = 1_000;
/** An app that only ever answers 5xx is up, if not well, after this long. */
const unwellMsMax = 5_000;

/** Undefined: the app is well. Else what is wrong with it, to be said when time is up. */
type Look = (timeoutMs: number) => Promise<string | undefined>;

export async function waitUntilReady(engine: Engine, request: ReadyRequest): Promise<void> {
  const { command, launchId, deployment } = await requireAlive(engine, request.containerId);
  await waitUntilWell(request, {
    command: signal =>
      command === undefined ? undefined : byCommand(engine, { ...request, signal }, command),
    requireAlive: async () => void (await requireAlive(engine, request.containerId)),
    lastLines: () => lastLinesOf(engine, launchId, deployment),
  });
}

export type Waited = {
  /** By the HEALTHCHECK of its image, where it has one and nobody else asks it. */
  readonly command: (signal: AbortSignal) => Look | undefined;
  /** Throws LaunchFailure once it has ended. */
  readonly requireAlive: () => Promise<void>;
  readonly lastLines: () => Promise<string[]>;
};

export async function waitUntilWell(request: ReadyRequest, waited: Waited): Promise<void> {
  const { timeoutMs, signal } = request;
  const over = new AbortController();
  const ended = AbortSignal.any([signal, over.signal]);
  const until = performance.now() + timeoutMs;
  try {
    await waited.requireAlive();
    const look = lookFor({ ...request, signal: ended }, waited.command(ended));
    let wrong: string | undefined;
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 1.5, pauseMsMax)) {
      signal.throwIfAborted();
      const lookMs = Math.min(probeMsMax, Math.max(until - performance.now(), 1));
      const seen = await look(lookMs);
      signal.throwIfAborted();
      if (seen === undefined) return;
      // A look that was cut short knows less than the one before.
      wrong = lookMs < lookMsMin ? (wrong ?? seen) : seen;
      await waited.requireAlive();
      if (performance.now() >= until) {
        const reason = `The app ${wrong} within ${timeoutMs / 1000} s`;
        throw new LaunchFailure(reason, { lastLines: await waited.lastLines() });
      }
      await wait(Math.min(pauseMs, Math.max(until - performance.now(), 1)), undefined, { signal });
    }
  } finally {
    over.abort();
  }
}

function lookFor(request: ReadyRequest, command: Look | undefined): Look {
  const { healthPath: path = null } = request;
  const looks: Look[] = [];
  if (command !== undefined) looks.push(command, byConnection(request));
  if (path !== null) looks.push(byPath(request, path));
  if (looks.length === 0) return byAnyAnswer(request);
  return async timeoutMs => {
    for (const look of looks) {
      const wrong = await look(timeoutMs);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

/** One run at a time: a check that hangs is waited for, and not run again beside itself. */
function byCommand(engine: Engine, { containerId, signal }: ReadyRequest, command: string[]): Look {
  let underWay: Promise<Verdict> | undefined;
  return async timeoutMs => {
    // An engine that cannot run it says so; it is asked again, for the container may still be starting.
    underWay ??= runHealthCheck(engine, containerId, command, signal)
      .catch(error => ({ isWell: false, said: error instanceof Error ? error.message : String(error) }))
      .finally(() => {
        underWay = undefined;
      });
    const verdict = await Promise.race([underWay, wait(timeoutMs, undefined, { ref: false })]);
    if (verdict?.isWell) return undefined;
    return `was not healthy by its HEALTHCHECK${verdict?.said ? ` (${verdict.said})` : ''}`;
  };
}

function byConnection({ host, hostPort: port }: ReadyRequest): Look {
  return timeoutMs =>
    new Promise(resolve => {
      const socket = net.connect({ host, port, timeout: timeoutMs });
      const done = (wrong: string | undefined) => {
        socket.destroy();
        resolve(wrong);
      };
      socket.on('connect', () => done(undefined));
      socket.on('error', () => done(silence));
      socket.on('timeout', () => done(silence));
    });
}

function byPath(request: ReadyRequest, path: string): Look {
  return async timeoutMs => {
    const answer = await probe(request, path, timeoutMs);
    if (typeof answer !== 'number') return `did not answer at ${path}`;
    return answer >= 200 && answer < 400 ? undefined : `answered ${answer} at ${path}, and not well,`;
  };
}

function byAnyAnswer(request: ReadyRequest): Look {
  let unwellSince: number | undefined;
  return async timeoutMs => {
    const answer = await probe(request, '/', timeoutMs);
    if (answer === 'words' || (typeof answer === 'number' && answer < 500)) return undefined;
    if (answer === 'none') return silence;
    unwellSince ??= performance.now();
    const isUp = performance.now() - unwellSince >= Math.min(unwellMsMax, request.timeoutMs / 2);
    return isUp ? undefined : silence;
  };
}

const silence = 'did not answer on its port';

type Alive = { launchId: string; deployment: number; command: string[] | undefined };

async function requireAlive(engine: Engine, containerId: string): Promise<Alive> {
  try {
    const { State: state, Config: config } = await inspectSettled(engine.api.getContainer(containerId));
    const launchId = config.Labels[labelOf.launch] ?? '';
    const deployment = deploymentOf(config.Labels);
    if (state.Running) return { launchId, deployment, command: healthCommandOf(config) };
    const lastLines = await lastLinesOf(engine, launchId, deployment);
    throw new LaunchFailure(endOf(state, config.Labels), {
      exitCode: state.ExitCode,
      oomKilled: state.OOMKilled,
      lastLines,
    });
  } catch (error) {
    if (isStatus(error, 404)) throw new LaunchFailure('The container was removed', { cause: error });
    throw error;
  }
}

/** One GET: its status, or words that are not HTTP, or a connection held open to the end, which has a listener behind it too. */
function probe(
  { host, hostPort: port, signal }: ReadyRequest,
  path: string,
  timeoutMs: number,
): Promise<number | 'words' | 'none'> {
  return new Promise(resolve => {
    const headers = { connection: 'close' };
    const request = http.get({ host, port, path, agent: false, headers, signal });
    const timer = setTimeout(() => {
      const held = timeoutMs >= heldMsMin && request.socket?.connecting === false;
      resolve(held ? 'words' : 'none');
      request.destroy();
    }, timeoutMs);
    request.on('response', response => {
      resolve(response.statusCode ?? 500);
      request.destroy();
    });
    request.on('error', error => {
      resolve('code' in error && String(error.code).startsWith('HPE_') ? 'words' : 'none');
    });
    request.on('close', () => {
      clearTimeout(timer);
      resolve('none');
    });
  });
}
