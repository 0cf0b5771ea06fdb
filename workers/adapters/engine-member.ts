/** One engine among several: whether it answers, since when it does not, and what becomes of what hangs there meanwhile. */
import type { EngineConfig } from '../../platform/engines-config.ts';
import type { Log } from '../../platform/log.ts';
import type { Machine } from './docker-store-types.ts';
import { BuildFailure, type EngineAnswer, LaunchFailure } from './docker-types.ts';
import { NoEngine, type OneEngine } from './engine-types.ts';

/** One that did not answer is not asked anything else for so long. */
const restMs = 2_000;
const machineMsMax = 60_000;

type Away = { readonly reason: string; readonly sinceMs: number; readonly since: string };

export type Member = {
  readonly config: EngineConfig;
  readonly docker: OneEngine;
  /** Undefined: it answered when it was last asked. */
  away(): Away | undefined;
  /** Whether it has been away for so long that waiting for it is over. */
  isLongAway(): boolean;
  /** Asks it now. Those who ask at the same time share the answer. */
  look(): Promise<EngineAnswer>;
  /** Whether it answers, as far as is known: only one that did not is asked again. */
  isThere(): Promise<boolean>;
  /** Has it do something. Throws NoEngine where it does not answer, also when it stops answering meanwhile. */
  ask<T>(work: (docker: OneEngine) => Promise<T>): Promise<T>;
  machine(): Promise<Machine>;
  /** What was known of its size, also while it is away. */
  knownMachine(): Machine | undefined;
  /** Aborts when it comes back: what was connected to it before may wait for ever. */
  back(): AbortSignal;
};

type Options = {
  readonly config: EngineConfig;
  readonly docker: OneEngine;
  readonly awayMsMax: number;
  readonly log: Log;
};

export function openMember({ config, docker, awayMsMax, log }: Options): Member {
  const hanging = new Set<(error: Error) => void>();
  let away: Away | undefined;
  let looking: Promise<EngineAnswer> | undefined;
  let lookedAtMs = 0;
  let size: { readonly machine: Machine; readonly atMs: number } | undefined;
  let back = new AbortController();

  const isLongAway = () => away !== undefined && performance.now() - away.sinceMs >= awayMsMax;
  const awayError = (cause?: unknown) =>
    new NoEngine(`The engine ${config.name} is away: ${away?.reason ?? 'it does not answer'}`, { cause });

  const note = (answer: EngineAnswer) => {
    if (answer.ok && away === undefined) return;
    if (answer.ok) {
      log.info({ engine: config.name }, 'the engine is back');
      away = undefined;
      back.abort();
      back = new AbortController();
      return;
    }
    const { reason } = answer;
    if (away === undefined) log.warn({ engine: config.name, reason }, 'an engine is away');
    const before = away ?? { sinceMs: performance.now(), since: new Date().toISOString() };
    away = { ...before, reason };
    if (isLongAway()) for (const reject of hanging) reject(awayError());
  };
  const look = () => {
    looking ??= docker.ping().then(answer => {
      looking = undefined;
      lookedAtMs = performance.now();
      note(answer);
      return answer;
    });
    return looking;
  };
  const isThere = async () => {
    if (away === undefined) return true;
    if (looking === undefined && performance.now() - lookedAtMs < restMs) return false;
    return (await look()).ok;
  };
  const ask = async <T>(work: (docker: OneEngine) => Promise<T>): Promise<T> => {
    if (!(await isThere())) throw awayError();
    const hung = Promise.withResolvers<never>();
    hanging.add(hung.reject);
    try {
      return await Promise.race([work(docker), hung.promise]);
    } catch (error) {
      if (!isSilence(error) || (await look()).ok) throw error;
      throw awayError(error);
    } finally {
      hanging.delete(hung.reject);
    }
  };
  const machine = async () => {
    if (size === undefined || performance.now() - size.atMs > machineMsMax) {
      size = { machine: await ask(one => one.machine()), atMs: performance.now() };
    }
    return size.machine;
  };
  return {
    config,
    docker,
    away: () => away,
    isLongAway,
    look,
    isThere,
    ask,
    machine,
    knownMachine: () => size?.machine,
    back: () => back.signal,
  };
}

/** True for an error that is no answer of the engine, and none of our own making. */
function isSilence(error: unknown): boolean {
  if (!(error instanceof Error) || 'statusCode' in error || error.name === 'AbortError') return false;
  return !(error instanceof LaunchFailure || error instanceof BuildFailure || error instanceof NoEngine);
}
