/** Which of several engines something goes to: the one with most left of what it may promise. */
import type { EngineLimits } from '../../platform/engines-config.ts';
import type { Labels } from './docker-labels.ts';
import type { Machine } from './docker-store-types.ts';
import type { Promised } from './engine-types.ts';

/** An engine that has the image already may be so much fuller than one that would have to be brought it. */
const atHand = 0.15;

export type Wanted = { readonly cpus: number; readonly memoryBytes: number; readonly isLaunch: boolean };

export type Candidate = {
  readonly machine: Machine;
  readonly limits: EngineLimits;
  readonly promised: Promised;
  /** What is to be promised beside. */
  readonly wanted: Wanted;
  /** It has what is needed: the image, or the layers of the build before. */
  readonly isAtHand: boolean;
};

/** Undefined: none of them may promise so much more. The first of two that are as good as each other is chosen. */
export function chooseEngine<T extends Candidate>(candidates: readonly T[]): T | undefined {
  let best: { readonly candidate: T; readonly left: number } | undefined;
  for (const candidate of candidates) {
    if (!hasRoom(candidate)) continue;
    const left = leftOf(candidate) + (candidate.isAtHand ? atHand : 0);
    if (best === undefined || left > best.left) best = { candidate, left };
  }
  return best?.candidate;
}

/** Only what was set for an engine is a limit. Of its true size more may be promised, for few use all they may. */
function hasRoom({ limits, promised, wanted }: Candidate): boolean {
  const { cpus = Infinity, memoryBytes = Infinity, launches = Infinity } = limits;
  if (wanted.isLaunch && promised.launches + 1 > launches) return false;
  return promised.cpus + wanted.cpus <= cpus && promised.memoryBytes + wanted.memoryBytes <= memoryBytes;
}

/** The part of it that is left of what will be scarcer, memory or cores. */
function leftOf({ machine, limits, promised, wanted }: Candidate): number {
  const memory = limits.memoryBytes ?? machine.memoryBytes;
  const cpus = limits.cpus ?? machine.cpus;
  return Math.min(
    1 - (promised.memoryBytes + wanted.memoryBytes) / memory,
    1 - (promised.cpus + wanted.cpus) / cpus,
  );
}

/** What of these labels an engine has not. */
export function lacks(has: Labels, wanted: Labels): string[] {
  return Object.entries(wanted)
    .filter(([key, value]) => has[key] !== value)
    .map(([key, value]) => `${key}=${value}`);
}
