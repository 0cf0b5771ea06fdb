/** What both builders of the engine are given and give back, and how they fail. */
import type { Labels } from './docker-labels.ts';
import { BuildFailure, type BuildImageRequest, type BuildPlan } from './docker-types.ts';

const reasonCharsMax = 500;
/** What the engine says when it, its network or its registry was at fault. */
const weather =
  /dial tcp|i\/o timeout|connection (refused|reset)|TLS handshake|no such host|toomanyrequests|temporarily|EOF$/i;

/** Where a build is, for whoever asks when it fails. */
export type Place = { step: number | null; instruction: string | null };

/** What both builders are given. */
export type BuilderRequest = Omit<BuildImageRequest, 'plan' | 'signal'> & {
  readonly plan: BuildPlan;
  readonly labels: Labels;
  readonly context: NodeJS.ReadableStream;
  /** Kept up to date by the builder. */
  readonly place: Place;
  readonly stop: AbortSignal;
};

/** What both give back: the digests of base images by their names, where the builder told. */
export type BuilderAnswer = {
  readonly imageId: string;
  readonly steps: number;
  readonly digests: ReadonlyMap<string, string>;
};

/** A failed step, by what its builder says of it. */
export function stepFailure(error: string, place: Place): BuildFailure {
  const killed = /(?:non-zero code|exit code): 137$/.test(error);
  const reason = killed ? `${error}: killed, most likely for want of memory` : error;
  return new BuildFailure(cut(reason), { ...place, retryable: weather.test(error) });
}

export function cut(text: string): string {
  return text.length > reasonCharsMax ? `${text.slice(0, reasonCharsMax - 1)}…` : text;
}
